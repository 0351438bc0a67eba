"""Modes counted, where the law of the data is a known mixture of Gaussians (Metz et al. 2017; Srivastava et al. 2017)."""

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, GaussianMixture
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

WITHIN = 3.0


class Modes(NamedTuple):
    """What samples found of a mixture's components.

    Args:
        found: components with enough samples within 3 standard deviations of their mean.
        high_quality: share of the samples within 3 standard deviations of some mean.
        divergence: KL of the histogram of nearest means to the true, equal weights, in nats.
        near: samples within 3 standard deviations of each mean, `[K]`.
        nearest: samples of which each mean is the nearest, `[K]`.
    """

    found: int
    high_quality: float
    divergence: float
    near: tuple[int, ...]
    nearest: tuple[int, ...]


def modes(samples: Tensor, mixture: GaussianMixture, share: float = 0.1) -> Modes:
    r"""Components found, share of high-quality samples, and KL of the mode histogram to the true weights.

    A component counts if `max(1, share m / K)` or more of the m samples lie within 3 std of its mean. For the histogram each
    sample, however far, belongs to the nearest mean: `KL = sum_k h_k ln(K h_k)`, in [0, ln K].

    Args:
        samples: points `[m, d]`, finite, in the coordinates of the means.
        mixture: means `[K, d]` and std.
        share: of its fair share that a component must hold.

    Raises:
        InputError: samples that are not `[m, d]`, or not finite.

    >>> ring = GaussianMixture(torch.tensor([[0.0, 0.0], [9.0, 0.0]], dtype=torch.float64), std=1.0)
    >>> modes(torch.tensor([[0.1, 0.0], [0.0, 2.0]]), ring)[:2]
    (1, 1.0)

    Source: Metz et al. 2017 and Srivastava et al. 2017 count so; the threshold is ours.
    """
    problems = _problems(samples, mixture)
    if problems:
        raise InputError(problems)
    components = len(mixture.means)
    distances = torch.cdist(
        samples.to("cpu", torch.float64), mixture.means.to("cpu", torch.float64), compute_mode="donot_use_mm_for_euclid_dist"
    )
    near = distances <= WITHIN * mixture.std
    nearest = distances.argmin(1).bincount(minlength=components)
    counts = near.sum(0)
    return Modes(
        found=int((counts >= max(1.0, share * len(samples) / components)).sum()),
        high_quality=float(near.any(1).double().mean()),
        divergence=divergence(nearest.double() / len(samples), torch.full((components,), 1 / components, dtype=torch.float64)),
        near=tuple(counts.tolist()),
        nearest=tuple(nearest.tolist()),
    )


def divergence(shares: Tensor, weights: Tensor) -> float:
    """`KL(shares || weights) = sum_k h_k ln(h_k / w_k)` in nats; infinite where a share has no weight.

    >>> divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])) == math.log(2)
    True
    """
    held = shares > 0
    return max(0.0, float((shares[held].double() * (shares[held].double() / weights[held].double()).log()).sum()))


def expected_unseen(shares: Tensor, m: int) -> float:
    """How many classes of these shares m true samples miss by chance: `sum_k (1 - p_k)^m`.

    >>> round(expected_unseen(torch.full((10,), 0.1), 20), 2)
    1.22
    """
    return float((1 - shares.double()).pow(m).sum())


def binomial_interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share by Clopper and Pearson, exact at 0 and 1 too.

    >>> tuple(round(end, 4) for end in binomial_interval(10, 10))
    (0.6915, 1.0)
    """
    from scipy.stats import beta

    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))
    return low, high


def _problems(samples: Tensor, mixture: GaussianMixture) -> list[str]:
    dimension = mixture.means.shape[1]
    if samples.ndim != 2 or samples.shape[1] != dimension or len(samples) == 0:
        return [f"modes: samples of the shape {tuple(samples.shape)}; the mixture is of points [m, {dimension}]"]
    return value_problems("modes", samples)


class ModesCounted(Measure):
    """`modes` of the generated points, against the mixture that the data is drawn from."""

    name: ClassVar[str] = "modes"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "modes": Quantity("modes found", higher_is_better=True),
        "high-quality": Quantity("high-quality samples", higher_is_better=True),
        "mode-kl": Quantity("KL of modes to the true weights", higher_is_better=False, unit="nats"),
    }
    uses = frozenset({"mixture"})
    bibtex: ClassVar[str] = """@inproceedings{srivastava2017veegan,
  title={{VEEGAN}: Reducing mode collapse in {GAN}s using implicit variational learning},
  author={Srivastava, Akash and Valkov, Lazar and Russell, Chris and Gutmann, Michael U. and Sutton, Charles},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017}
}"""

    share: float = Field(default=0.1, gt=0, le=1, description="of its fair share of the samples that makes a mode count as found")

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        if evidence.mixture is None:
            return known
        return known + _problems(evidence.fake.coordinates, evidence.mixture) + _melted(evidence.mixture)

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        mixture, samples = evidence.mixture, evidence.fake.coordinates
        assert mixture is not None
        found = modes(samples, mixture, self.share)
        m, components = len(samples), len(mixture.means)
        unseen = expected_unseen(torch.full((components,), 1 / components), m)
        few = (f"{m} samples are few: {unseen:.2g} modes would be missed by chance.",) if unseen > 0.01 else ()
        details = {"modes": components, "near": list(found.near), "nearest": list(found.nearest), "unseen by chance": unseen}
        hits = round(found.high_quality * m)
        expected = {"of true samples": _within(samples.shape[1])}
        bias = {"of true samples": (components - 1) / (2 * m)}
        return {
            "modes": Estimate(float(found.found), m, notes=few, details=details),
            "high-quality": Estimate(found.high_quality, m, interval=binomial_interval(hits, m), notes=few, details=expected),
            "mode-kl": Estimate(found.divergence, m, notes=few, details=bias),
        }


def _within(dimension: int) -> float:
    """The share of a Gaussian within 3 standard deviations of its mean: .9889 in the plane."""
    from scipy.stats import chi2

    return float(chi2.cdf(WITHIN**2, dimension))


def _melted(mixture: GaussianMixture) -> list[str]:
    """Why modes of components that overlap are not counted: one blob in the middle would be near all of them."""
    apart = float(torch.pdist(mixture.means.double()).min()) if len(mixture.means) > 1 else math.inf
    if apart >= 2 * WITHIN * mixture.std:
        return []
    nearest = f"the nearest means are {apart / mixture.std:.1f} std apart"
    return [f"modes: {nearest}, so components overlap and are no modes; take separate ones, such as data.radius=2 data.std=0.05"]
