"""Exact Wasserstein distances between two sets of points (Villani 2009; solved by POT, Flamary et al. 2021)."""

import warnings
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.feature_sets import check_feature_sets, refuse_order
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

LARGEST = 2000
ITERATIONS = 10_000_000

# Below this share of the norms, a squared distance from norms and products has lost digits: it is taken again directly.
NEAR = 1e-6
NEAR_AT_A_TIME = 2**22

Order = Literal[1, 2]


class Coupling(NamedTuple):
    """Which sorted samples the optimal plan in one dimension joins: `reals[i]` with `fakes[i]`, `mass[i]` of it."""

    reals: Tensor
    fakes: Tensor
    mass: Tensor


def wasserstein_distance(real: Tensor, fake: Tensor, order: Order = 1) -> float:
    r"""`W_p`, the p-th root of the cheapest mean of `|x - y|^p` over all ways to carry one set to the other, Euclidean distances.

        W_p^p = min_T sum_ij T_ij |x_i - y_j|^p,     T >= 0 with row sums 1/n and column sums 1/m

    In one dimension `W_p^p` is the integral of `|F^-1(u) - G^-1(u)|^p`: both sides are sorted, and any n will do. Above, the linear
    programme is solved exactly; its time grows as `n^3 log n` and memory as `32 n m` bytes, so n and m are at most 2,000.

    A distance in the unit of the points, 0 only for equal sets, biased up: two samples of one law are about `n^(-1/d)` apart.

    Args:
        real, fake: `[n, d]` and `[m, d]`.
        order: p, 1 or 2.

    Raises:
        InputError: not `[n, d]` of one d, empty, not finite; another order; more than 2,000 of a side where d > 1.

    >>> wasserstein_distance(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 4.0], [0.0, 4.0]]))
    4.0
    >>> wasserstein_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5]]), order=2)
    0.5

    Source: Kantorovich's problem; for one dimension Villani 2003, theorem 2.18.
    """
    refuse_order("wasserstein-distance", order)
    check_feature_sets("wasserstein-distance", real, fake, least=1)
    real, fake = real.detach().to("cpu", torch.float64), fake.detach().to("cpu", torch.float64)
    if real.shape[1] == 1:
        return float(one_dimensional(real.mT, fake.mT, order) ** (1 / order))
    problems = too_many(len(real), len(fake))
    if problems:
        raise InputError(problems)
    return float(max(0.0, _cheapest(_squared_distances(real, fake), order)) ** (1 / order))


def too_many(n: int, m: int) -> list[str]:
    """Why an exact distance in more than one dimension is refused; empty when it is not."""
    if max(n, m) <= LARGEST:
        return []
    return [
        f"wasserstein-distance: {n} real and {m} fake samples; the exact distance takes at most {LARGEST} of each: "
        f"set samples to {LARGEST} or fewer, or use sliced-wasserstein-distance"
    ]


def coupling(n: int, m: int) -> Coupling:
    """The optimal plan between n and m sorted numbers, in whole pieces of 1/(n m): at most n + m - 1 of them.

    >>> coupling(2, 1)
    Coupling(reals=tensor([0, 1]), fakes=tensor([0, 0]), mass=tensor([0.5000, 0.5000], dtype=torch.float64))
    """
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends[:-1]])
    return Coupling(starts // m, starts // n, (ends - starts).to(torch.float64) / (n * m))


def one_dimensional(real: Tensor, fake: Tensor, order: Order, plan: Coupling | None = None) -> Tensor:
    """`W_p^p` of numbers `[*, n]` and `[*, m]`, each row by itself: `[*]`, float64; `plan` is `coupling(n, m)`, if at hand."""
    # NumPy's sort is 4 times torch's in float64 and 17 times in float32.
    real, fake = (torch.from_numpy(np.sort(side.cpu().numpy(), axis=-1)) for side in (real, fake))
    if real.shape[-1] == fake.shape[-1]:
        return ((real - fake).abs() ** order).mean(-1, dtype=torch.float64)
    reals, fakes, mass = plan or coupling(real.shape[-1], fake.shape[-1])
    return ((real[..., reals] - fake[..., fakes]).abs() ** order * mass).sum(-1)


def _squared_distances(real: Tensor, fake: Tensor) -> Tensor:
    """`|x_i - y_j|^2`, `[n, m]`: from norms and products, then again directly wherever those cancel."""
    centre = real.mean(0)
    real, fake = real - centre, fake - centre
    norms = real.square().sum(1)[:, None] + fake.square().sum(1)
    squared = norms - 2 * (real @ fake.mT)
    rows, columns = torch.nonzero(squared <= NEAR * norms, as_tuple=True)
    step = max(1, NEAR_AT_A_TIME // real.shape[1])
    for start in range(0, len(rows), step):
        i, j = rows[start : start + step], columns[start : start + step]
        squared[i, j] = (real[i] - fake[j]).square().sum(1)
    return squared


def _cheapest(squared: Tensor, order: Order) -> float:
    """The least mean cost of carrying one set to the other."""
    import ot

    n, m = squared.shape
    cost = squared.sqrt() if order == 1 else squared
    # The solver's tolerance is absolute.
    largest = float(cost.max()) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return largest * float(ot.emd2([1 / n] * n, [1 / m] * m, (cost / largest).numpy(), numItermax=ITERATIONS))
        except UserWarning as warning:
            raise InputError([f"wasserstein-distance: the solver did not finish ({warning}); give fewer samples"]) from warning


class WassersteinDistance(Measure):
    """`wasserstein_distance` of points by their coordinates, of images by their features."""

    name: ClassVar[str] = "wasserstein-distance"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "wasserstein-distance": Quantity("Wasserstein distance ({extractor})", higher_is_better=False)
    }
    bibtex: ClassVar[str] = """@article{flamary2021pot,
  title={{POT}: {P}ython optimal transport},
  author={Flamary, R{\\'e}mi and Courty, Nicolas and Gramfort, Alexandre and Alaya, Mokhtar Z. and others},
  journal={Journal of Machine Learning Research},
  volume={22},
  number={78},
  pages={1--8},
  year={2021}
}"""

    order: Order = Field(default=1, description="p of W_p: 1 or 2")
    samples: int | None = Field(
        default=None, ge=2, le=LARGEST, description="compare only the first so many of each side; by default all, at most 2,000"
    )

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        if evidence.real.coordinates.shape[1:] == (1,):
            return known
        return known + too_many(*(len(side.coordinates[: self.samples]) for side in (evidence.real, evidence.fake)))

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = (side.coordinates[: self.samples] for side in (evidence.real, evidence.fake))
        note = f"Two samples of one law are not 0 apart at this n (about n^(-1/d), d = {real.shape[1]}): read it beside its floor."
        value = wasserstein_distance(real, fake, self.order)
        details = {"order": self.order, "n_real": len(real)}
        return {"wasserstein-distance": Estimate(value, len(fake), notes=(note,), details=details)}
