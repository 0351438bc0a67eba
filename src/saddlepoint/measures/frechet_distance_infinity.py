"""The Fréchet distance extrapolated to infinitely many fakes (Chong and Forsyth 2020)."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Step, unwatched
from saddlepoint.measures.feature_sets import check_feature_sets, is_shuffled
from saddlepoint.measures.frechet_distance import Moments, few_samples, frechet_distance, moments_of
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

NAME = "frechet-distance-infinity"


class Extrapolation(NamedTuple):
    """The line `intercept + slope / n` through Fréchet distances at several n, and what it leaves.

    `residual` is the root of the sum of squares over the degrees of freedom, in the unit of the distance.
    """

    intercept: float
    slope: float
    residual: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def frechet_distance_infinity(real: Tensor | Moments, fake: Tensor, orders: Tensor, *, step: Step = unwatched) -> Extrapolation:
    r"""Least squares of `FD(N_i) = intercept + slope / N_i`; the intercept is FD at infinitely many fakes.

    Size i of k is `N_i = round(m/10 + (i-1) (m - m/10) / (k-1))`, and `FD(N_i)` is taken on the first `N_i` of shuffle i. The real
    side is fixed, so *its* bias stays. The intercept may be negative; it is not clamped.

    Args:
        real: features `[n, d]`, or their moments.
        fake: features `[m, d]`, m >= 20.
        orders: k shuffles of 0 … m - 1, int64 `[k, m]`, k >= 3.
        step: told of each of the k distances.

    Raises:
        InputError: too few fakes or shuffles, or rows of `orders` that are no shuffles.

    >>> streams = Streams(0)
    >>> real, fake = streams.normal("real", 500, 2), streams.normal("fake", 400, 2)
    >>> orders = torch.stack([streams.order("shuffle", 400, 400) for _ in range(15)])
    >>> frechet_distance_infinity(real, fake, orders).sizes[:3]
    (40, 66, 91)

    Source: Chong and Forsyth 2020, section 4, without Sobol latents.
    """
    if isinstance(real, Tensor):
        check_feature_sets(NAME, real, fake)
        real = Moments.of(real)
    m = len(fake)
    if orders.ndim != 2 or len(orders) < 3 or m < 20 or not is_shuffled(orders, m):
        raise InputError([f"{NAME}: orders {tuple(orders.shape)} must be 3 or more shuffles of the {m} fakes, 20 or more"])
    count = len(orders)
    sizes = np.linspace(m / 10, m, count).round().astype(int)
    distances = np.zeros(count)
    for number, (order, size) in enumerate(zip(orders, sizes, strict=True)):
        distances[number] = frechet_distance(real, fake[order[:size]])
        step(1)
    inverse = 1 / sizes
    slope, intercept = np.polyfit(inverse, distances, 1)
    left = distances - intercept - slope * inverse
    residual = float(np.sqrt(np.square(left).sum() / (count - 2)))
    return Extrapolation(float(intercept), float(slope), residual, tuple(sizes.tolist()), tuple(distances.tolist()))


class FrechetDistanceInfinity(Measure):
    """The Fréchet distance with the bias of finitely many fakes taken out; the reals' bias stays.

    >>> from saddlepoint.measures.evidence import Sample
    >>> evidence = Evidence(*(Sample(points, points) for points in (torch.zeros(20, 1), torch.ones(20, 1))))
    >>> round(FrechetDistanceInfinity()(evidence, Streams(0))["frechet-distance-infinity"].mean, 9)
    1.0
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {NAME: Quantity("FD-infinity ({extractor})", higher_is_better=False)}
    reads_moments: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{chong2020effectively,
  title={Effectively unbiased {FID} and {I}nception score and where to find them},
  author={Chong, Min Jin and Forsyth, David},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2020}
}"""

    sizes: int = Field(default=15, ge=3, description="how many n the line is fitted to, from a tenth of the fakes to all of them")

    @property
    def least(self) -> int:
        return 20

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        fake = evidence.fake.features
        n, d = fake.shape
        orders = torch.stack([streams.order(NAME, n, n) for _ in range(self.sizes)])
        real = moments_of(evidence.real)
        line = frechet_distance_infinity(real, fake, orders, step=evidence.steps(self.sizes))
        notes = few_samples({"real": real.n}, d)
        if line.sizes[0] <= d:
            notes += (
                f"the fit begins at n = {line.sizes[0]:,} for {d:,} features, where the bias is not yet a line in 1/n: rough",
            )
        details = {
            "slope": line.slope,
            "residual": line.residual,
            "sizes": list(line.sizes),
            "distances": list(line.distances),
        }
        return {NAME: Estimate(line.intercept, n, notes=notes, details=details)}
