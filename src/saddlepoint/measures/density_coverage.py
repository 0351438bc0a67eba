"""Density and coverage (Naeem et al. 2020): precision and recall that an outlier does not move."""

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.measures.evidence import Evidence, Step, unwatched
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.neighbours import radii, tiles, within
from saddlepoint.measures.precision_recall import checked, tile_counts, unequal
from saddlepoint.streams import Streams


class DensityCoverage(NamedTuple):
    """`density` is 0 or more, and no share; `coverage` is a share in [0, 1]."""

    density: float
    coverage: float


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    r"""How many real balls a fake lies in, and how many real balls hold a fake.

        density = 1/(k m) sum_ij 1[ ||x_i - y_j|| < r_i ],     coverage = 1/n sum_i 1[ min_j ||x_i - y_j|| < r_i ],

    `r_i` the distance of real i to its k-th *other* real; balls are open. For equal distributions the density is 1 on average and
    the coverage is `expected_coverage(n, m, k)`, in any dimension. Exact counts; memory as for `precision_recall`.

    Args:
        real: features `[n, d]`.
        fake: features `[m, d]`.
        k: which other real gives the radius.

    Raises:
        InputError: k or fewer points on a side, features that are not finite or of different lengths.

    Source: Naeem, Oh, Uh, Choi, Yoo, "Reliable fidelity and diversity metrics for generative models", equations 2 and 3.

    >>> line = torch.arange(8.0)[:, None]
    >>> density_coverage(line, line, k=1)
    DensityCoverage(density=1.0, coverage=1.0)
    """
    real, fake = checked("density-coverage", real, fake, k)
    return _counted(real, fake, radii(real, k), k)


def _counted(real: Tensor, fake: Tensor, real_radii: Tensor, k: int, step: Step = unwatched) -> DensityCoverage:
    pairs = 0
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for tile in tiles(real, fake):
        inside = within(tile, real, fake, real_radii[tile.rows, None], closed=False)
        pairs += int(inside.sum())
        covered[tile.rows] |= inside.any(1)
        step(1)
    return DensityCoverage(pairs / (k * len(fake)), int(covered.sum()) / len(real))


def expected_coverage(n: int, m: int, k: int) -> float:
    r"""The coverage of a generator that is right: `1 - prod_{i<k} (n-1-i)/(n-1+m-i)`, the same in any dimension.

    A real is uncovered when its k nearest among the n - 1 other reals and m fakes are all real.

    >>> round(expected_coverage(10_000, 10_000, 5), 3), round(expected_coverage(10_000, 10_000, 3), 3)
    (0.969, 0.875)
    """
    return 1 - math.prod((n - 1 - i) / (n - 1 + m - i) for i in range(k))


class DensityAndCoverage(Measure):
    """Density and coverage, on features.

    Density above 1 means that samples crowd where the reals are dense, so neither direction of it is better; near 1 is right.
    """

    name: ClassVar[str] = "density-coverage"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "density": Quantity("density ({extractor})", higher_is_better=None),
        "coverage": Quantity("coverage ({extractor})", higher_is_better=True),
    }
    bibtex: ClassVar[str] = """@inproceedings{naeem2020reliable,
  title={Reliable Fidelity and Diversity Metrics for Generative Models},
  author={Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun},
  booktitle={International Conference on Machine Learning},
  pages={7176--7185},
  year={2020}
}"""

    k: int = Field(default=5, ge=1, description="which other real gives the radius of a real's ball")

    @property
    def least(self) -> int:
        return self.k + 1

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        n, m = len(evidence.real), len(evidence.fake)
        real, fake = checked(self.name, evidence.real.features, evidence.fake.features, self.k)
        own, _, between = tile_counts(n, m)
        step = evidence.steps(own + between)
        real_radii = radii(real, self.k)
        step(own)
        found = _counted(real, fake, real_radii, self.k, step)
        empty = int((real_radii == 0).sum())
        notes = unequal(n, m)
        if empty:
            notes += (f"{empty} of {n} reals have {self.k} exact duplicates: their open balls are empty and hold no sample",)
        expected = {"density": 1.0, "coverage": expected_coverage(n, m, self.k)}
        return {
            quantity: Estimate(
                value, m, notes=notes, details={"k": self.k, "real": n, "for equal distributions": expected[quantity]}
            )
            for quantity, value in found._asdict().items()
        }
