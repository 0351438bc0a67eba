"""The Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017); FID where they are Inception's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.feature_sets import check_feature_sets, check_features
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

NAME = "frechet-distance"

# Rows that are centred at a time.
ROWS = 4096

# Below this share of the largest, an eigenvalue of a product in float64 is too rough for its root: factors are used.
WELL_CONDITIONED = 1e-12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a set of features, float64, in the smaller of two forms.

    Args:
        mean: `[d]`.
        spread: the unbiased covariance, `[d, d]`, where n > d; otherwise its factor `(X - mean) / sqrt(n - 1)`, `[n, d]`.
        n: samples they were computed on.
    """

    mean: Tensor
    spread: Tensor
    n: int

    def __post_init__(self) -> None:
        rows = min(self.n, len(self.mean))
        if self.spread.shape != (rows, len(self.mean)):
            shape = tuple(self.spread.shape)
            raise InputError([f"moments: of {self.n} samples the spread is ({rows}, {len(self.mean)}); got {shape}"])

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """The moments of features `[n, d]`, n >= 2; holds `min(n, d) d` float64 numbers and 4,096 centred rows at a time.

        >>> Moments.of(torch.tensor([[0.0], [2.0]])).spread
        tensor([[2.]], dtype=torch.float64)
        """
        check_features("moments", features)
        features = features.detach().cpu()
        n, d = features.shape
        mean = (
            features.double().mean(0)
            if n <= ROWS
            else torch.stack([part.double().sum(0) for part in features.split(ROWS)]).sum(0) / n
        )
        if n <= d:
            return cls(mean, (features.double() - mean) / math.sqrt(n - 1), n)
        covariance = np.zeros((d, d))
        for part in features.split(ROWS):
            centred = (part.double() - mean).numpy()
            covariance += centred.T @ centred
        return cls(mean, torch.from_numpy(covariance / (n - 1)), n)

    @property
    def has_covariance(self) -> bool:
        """Whether `spread` is the covariance; otherwise it is the factor."""
        return self.n > len(self.mean)

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        return float(self.spread.trace() if self.has_covariance else self.spread.square().sum())


def frechet_distance(real: Tensor | Moments, fake: Tensor | Moments) -> float:
    r"""`||m_r - m_f||^2 + tr(S_r + S_f - 2 (S_r S_f)^{1/2})`, in float64; unbiased covariances.

    With both n > d, `tr (S_r S_f)^{1/2}` is the sum of the roots of the eigenvalues of `L' S_r L`, `S_f = L L'` by Cholesky.
    Otherwise, and where the product is nearly singular, it is the sum of the singular values of `F_r F_f'`, `S = F' F`; a factor of
    few samples is the centred features themselves. No eigenvalue that is rounding is clamped: the way of computing adds no bias.

    It is biased upward by about `c / n` all the same (see `frechet_distance_infinity`): compare at equal n only.

    Args:
        real, fake: features `[n, d]` and `[m, d]`, at least two rows each; or their `Moments`.

    Returns:
        0 or more, in the square of the features' unit.

    Raises:
        InputError: fewer than two rows, different d, or features that are not finite.

    >>> real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(frechet_distance(real, real + torch.tensor([3.0, 4.0])), 9)
    25.0

    Source: Heusel et al. 2017, equation 6; Dowson and Landau 1982.
    """
    if isinstance(real, Tensor) and isinstance(fake, Tensor):
        check_feature_sets(NAME, real, fake)
    first, second = (side if isinstance(side, Moments) else Moments.of(side) for side in (real, fake))
    if len(first.mean) != len(second.mean):
        raise InputError(
            [f"{NAME}: real moments have {len(first.mean)} features, fake {len(second.mean)}; both need the same extractor"]
        )
    means = float((first.mean - second.mean).square().sum())
    spreads = first.variance + second.variance - 2 * trace_of_root(first, second)
    return max(0.0, means + spreads)  # only rounding puts it below 0


def trace_of_root(first: Moments, second: Moments) -> float:
    """`tr (S_1 S_2)^{1/2}` of two covariances."""
    import scipy.linalg

    if first.has_covariance and second.has_covariance:
        try:
            values = scipy.linalg.eigh(first.spread.numpy(), second.spread.numpy(), type=2, eigvals_only=True, check_finite=False)
        except np.linalg.LinAlgError:
            values = np.zeros(1)
        if values[0] > WELL_CONDITIONED * values[-1]:
            return float(np.sqrt(values).sum())
    product = _factor(first) @ _factor(second).T
    return float(np.linalg.svd(product, compute_uv=False).sum()) if product.size else 0.0


def _factor(moments: Moments) -> Array:
    """`F` `[r, d]` with `S = F' F`: the centred samples, the Cholesky factor, or what eigenvectors leave of a singular `S`."""
    import scipy.linalg

    spread: Array = moments.spread.numpy()
    if not moments.has_covariance:
        return spread
    rounding = len(spread) * np.finfo(np.float64).eps
    try:
        factor: Array = scipy.linalg.cholesky(spread, check_finite=False)
        pivots = np.square(factor.diagonal())
        if pivots.min() > rounding * pivots.max():
            return factor
    except np.linalg.LinAlgError:
        pass
    values, vectors = scipy.linalg.eigh(spread, check_finite=False)
    kept = values > rounding * values[-1]
    root: Array = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    return root


def moments_of(sample: Sample) -> Moments:
    """The moments of a sample's features: those it carries, else computed."""
    return sample.moments or Moments.of(sample.features)


def few_samples(sides: Mapping[str, int], d: int) -> tuple[str, ...]:
    """A sentence for each side with no more samples than features."""
    return tuple(
        f"{n:,} {side} samples for {d:,} features: strongly biased upward; compare only with values at this n"
        for side, n in sides.items()
        if n <= d
    )


class FrechetDistance(Measure):
    """The Fréchet distance of the features, from `n` real and `m` fake samples.

    >>> from saddlepoint.measures.evidence import Sample
    >>> evidence = Evidence(*(Sample(points, points) for points in (torch.zeros(3, 1), torch.ones(4, 1))))
    >>> FrechetDistance()(evidence, Streams(0))["frechet-distance"].mean
    1.0
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {NAME: Quantity("FD ({extractor})", higher_is_better=False)}
    reads_moments: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{heusel2017gans,
  title={{GANs} trained by a two time-scale update rule converge to a local {N}ash equilibrium},
  author={Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017}
}"""

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = moments_of(evidence.real), moments_of(evidence.fake)
        d = len(real.mean)
        details: dict[str, Any] = {
            "features": d,
            "of the means": float((real.mean - fake.mean).square().sum()),
            "variance of the reals": real.variance,
            "variance of the fakes": fake.variance,
        }
        notes = few_samples({"real": real.n, "fake": fake.n}, d)
        return {NAME: Estimate(frechet_distance(real, fake), fake.n, notes=notes, details=details)}
