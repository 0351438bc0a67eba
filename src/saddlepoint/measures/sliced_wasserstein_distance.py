"""Sliced Wasserstein distance (Rabin et al. 2011; Bonneel et al. 2015)."""

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.feature_sets import check_feature_sets, refuse_order
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.wasserstein_distance import Order, coupling, one_dimensional
from saddlepoint.streams import Streams

# Numbers in one chunk of projections, both sides: 32 MiB in float64.
PROJECTIONS = 2**22


class Sliced(NamedTuple):
    """The distance, and the standard error that comes from drawing directions."""

    value: float
    error: float


def sliced_wasserstein_distance(
    real: Tensor, fake: Tensor, streams: Streams, *, directions: int = 512, order: Order = 2, scaled: bool = True
) -> Sliced:
    r"""Mean over directions of the one-dimensional Wasserstein distance of the projections, for any n.

        SW_p^p = mean_{l <= L} W_p^p(theta_l . x, theta_l . y),     theta_l uniform on the sphere

    times `sqrt(d)` for p = 2 and `sqrt(pi) Gamma((d+1)/2) / Gamma(d/2)` for p = 1, so that a shift of everything by v gives `|v|`
    in expectation. The error is of the draw of directions alone, some `.75 / sqrt(L)` of the value in many dimensions.
    Unscaled, `SW_p <= W_p`; at d = 1 it is `W_p`. Memory: the points in float64 and about 100 MiB, or one direction's
    sort if that is more.

    Args:
        real, fake: `[n, d]` and `[m, d]`.
        directions: L.
        order: p, 1 or 2.
        scaled: by the constants above.

    Raises:
        InputError: not `[n, d]` of one d, empty, or not finite; another order; no directions.

    >>> points = Streams(0).normal("points", 100, 1)
    >>> round(sliced_wasserstein_distance(points, points + 3, Streams(0)).value, 6)
    3.0

    Source: Rabin et al. 2011; Bonneel et al. 2015, section 3.1.
    """
    refuse_order("sliced-wasserstein-distance", order)
    check_feature_sets("sliced-wasserstein-distance", real, fake, least=1)
    if directions < 1:
        raise InputError([f"sliced-wasserstein-distance: directions: {directions} is out of range; give 1 or more"])
    real, fake = real.detach().to("cpu", torch.float64), fake.detach().to("cpu", torch.float64)
    dimension = real.shape[1]
    theta = unit_vectors(streams, "sliced wasserstein directions", directions, dimension)
    per_direction = along(real, fake, theta, order)
    mean = float(per_direction.mean())
    scale = shift_scale(dimension, order) if scaled else 1.0
    value = scale * mean ** (1 / order)
    if mean == 0 or directions == 1:
        return Sliced(value, 0.0)
    spread = float(per_direction.std()) / math.sqrt(directions)
    return Sliced(value, value * spread / (order * mean))


def unit_vectors(streams: Streams, name: str, count: int, dimension: int) -> Tensor:
    """`count` directions, uniform on the sphere, `[count, dimension]` in float64."""
    drawn = streams.normal(name, count, dimension).to("cpu", torch.float64)
    directions: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return directions


def along(real: Tensor, fake: Tensor, directions: Tensor, order: Order) -> Tensor:
    """`W_p^p` of the projections on each direction, `[L]`."""
    step = max(1, PROJECTIONS // (len(real) + len(fake)))
    chunks = (directions[start : start + step] for start in range(0, len(directions), step))
    plan = coupling(len(real), len(fake))
    return torch.cat([one_dimensional(chunk @ real.mT, chunk @ fake.mT, order, plan) for chunk in chunks])


def shift_scale(dimension: int, order: Order) -> float:
    """What makes the sliced distance of a shift by v equal `|v|` in expectation.

    >>> round(1 / shift_scale(16, 1), 4), shift_scale(16, 2)
    (0.2026, 4.0)
    """
    if order == 2:
        return math.sqrt(dimension)
    return math.sqrt(math.pi) * math.exp(math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2))


class SlicedWassersteinDistance(Measure):
    """`sliced_wasserstein_distance` of points by their coordinates, of images by their features: for any n."""

    name: ClassVar[str] = "sliced-wasserstein-distance"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "sliced-wasserstein-distance": Quantity("sliced Wasserstein distance ({extractor})", higher_is_better=False)
    }
    bibtex: ClassVar[str] = """@article{bonneel2015sliced,
  title={Sliced and {R}adon {W}asserstein barycenters of measures},
  author={Bonneel, Nicolas and Rabin, Julien and Peyr{\\'e}, Gabriel and Pfister, Hanspeter},
  journal={Journal of Mathematical Imaging and Vision},
  volume={51},
  number={1},
  pages={22--45},
  year={2015}
}"""

    order: Order = Field(default=2, description="p of SW_p: 1 or 2")
    directions: int = Field(default=512, ge=2, description="L, directions drawn on the sphere")

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = evidence.real.coordinates, evidence.fake.coordinates
        value, error = sliced_wasserstein_distance(real, fake, streams, directions=self.directions, order=self.order)
        notes = ("The error is that of the drawn directions alone.", "Biased up at small n: read it beside its floor.")
        details = {"order": self.order, "directions": self.directions, "n_real": len(real)}
        return {"sliced-wasserstein-distance": Estimate(value, len(fake), error, notes=notes, details=details)}
