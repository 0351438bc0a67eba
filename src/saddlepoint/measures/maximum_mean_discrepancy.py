"""The squared maximum mean discrepancy (Gretton et al. 2012), its permutation test, and its exact form against a known mixture."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.blocks import BLOCKED, BLOCKS, FEW, block_error
from saddlepoint.measures.evidence import Evidence, GaussianMixture, Step, unwatched
from saddlepoint.measures.feature_sets import check_feature_sets, check_features, is_shuffled
from saddlepoint.measures.kernel_distance import block_values, prepare, representable
from saddlepoint.measures.kernels import (
    Gaussian,
    Kernel,
    Polynomial,
    all_ones,
    between,
    centred,
    mean_without_diagonal,
    median_distance,
    u_statistic,
    within,
)
from saddlepoint.measures.measure import Estimate, Measure, Quantity, Use
from saddlepoint.streams import Streams

NAME = "maximum-mean-discrepancy"
BIASED = f"{NAME}-biased"
P_VALUE = f"{NAME}-p"
EXACT = f"exact-{NAME}"

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)

# The median distance is taken of at most this many samples.
MEDIAN_OF = 2000


def maximum_mean_discrepancy(real: Tensor, fake: Tensor, kernel: Kernel | None = None, *, biased: bool = False) -> float:
    r"""`MMD^2`, in float64: the distance of the two laws' mean embeddings, squared.

    Unbiased: `sum_{i!=j} k(x_i,x_j)/(n(n-1)) + sum_{i!=j} k(y_i,y_j)/(m(m-1)) - 2 mean_ij k(x_i,y_j)`; may be negative.
    Biased: the same with all pairs, over `n^2` and `m^2`; 0 or more. Holds 2^20 kernel values at a time.

    Args:
        real, fake: features or points, `[n, d]` and `[m, d]`, two rows or more.
        kernel: by default `gaussian_kernel(real)`; to compare runs, give all of them one kernel, of held-out real data.

    Raises:
        InputError: fewer than two rows, different d, or values that are not finite; no kernel, and half of the reals are one point.

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> maximum_mean_discrepancy(x, x, Gaussian((1.0,))) == -(1 - math.exp(-0.5))
    True

    Source: Gretton et al. 2012, equations 3 and 5.
    """
    check_feature_sets(NAME, real, fake)
    kernel = kernel or gaussian_kernel(real)
    prepared, (x, y) = prepare(kernel, real, fake)
    if not biased:
        return representable(NAME, u_statistic(x, y, prepared))
    own = [within(side, all_ones(side), prepared).forms / len(side) ** 2 for side in (x, y)]
    cross = between(x, y, all_ones(x), all_ones(y), prepared) / (len(x) * len(y))
    return representable(NAME, float(own[0] + own[1] - 2 * cross))


def gaussian_kernel(held_out: Tensor, multiples: tuple[float, ...] = MULTIPLES) -> Gaussian:
    """The mean of Gaussian kernels whose bandwidths are the median distance between samples, times `multiples`.

    Args:
        held_out: real samples, `[n, d]`; n^2 float64 numbers are held.

    Raises:
        InputError: the median distance is 0.

    >>> gaussian_kernel(torch.tensor([[0.0], [3.0]]), (1.0, 2.0)).bandwidths
    (3.0, 6.0)
    """
    check_features(NAME, held_out, "held-out")
    median = median_distance(held_out)
    if median == 0:
        raise InputError(
            [f"{NAME}: half of the real samples are one point, so their median distance is no bandwidth; give `bandwidth`"]
        )
    return Gaussian(tuple(median * multiple for multiple in multiples))


class PermutationTest(NamedTuple):
    """Both estimates of the squared MMD; `p`, the chance of so large a value if both sides are of one law; the values drawn."""

    unbiased: float
    biased: float
    p: float
    permuted: Tensor


def permutation_test(
    real: Tensor, fake: Tensor, permutations: Tensor, kernel: Kernel | None = None, *, step: Step = unwatched
) -> PermutationTest:
    r"""Compare the squared MMD with its values when the labels real and fake are dealt out anew.

    `p = (1 + #{permuted >= observed}) / (1 + P)`: a right level at any n. Each kernel value is computed once for all permutations;
    holds `(n + m) P` float64 numbers and 2^20 kernel values.

    Args:
        real, fake: `[n, d]` and `[m, d]`.
        permutations: shuffles of 0 … n + m - 1, int64 `[P, n + m]`: in each, the first n are taken for real.
        kernel: as in `maximum_mean_discrepancy`.
        step: told of samples that are done, of n + m.

    Raises:
        InputError: as `maximum_mean_discrepancy`; or rows of `permutations` are no shuffles.

    >>> x = torch.arange(6.0)[:, None]
    >>> shuffles = torch.stack([torch.arange(12).roll(i) for i in range(1, 12)])
    >>> round(permutation_test(x, x + 100, shuffles, Gaussian((1.0,))).p, 4)
    0.1667

    Source: Gretton et al. 2012, section 8.
    """
    check_feature_sets(NAME, real, fake)
    n, total = len(real), len(real) + len(fake)
    if permutations.ndim != 2 or not is_shuffled(permutations, total):
        raise InputError([f"{NAME}: permutations {tuple(permutations.shape)} must be shuffles [P, {total}] of all samples"])
    kernel = kernel or gaussian_kernel(real)
    prepared, (pooled,) = prepare(kernel, torch.cat([real.detach().double(), fake.detach().double()]))
    chosen = torch.cat([torch.arange(n)[None], permutations[:, :n]])
    weights = torch.zeros(len(chosen), total, dtype=torch.float64).scatter_(1, chosen, 1.0).T.contiguous()
    sums = within(pooled, weights, prepared, step)

    first, row_sums = sums.forms, sums.rows @ weights
    cross = row_sums - first
    second = sums.rows.sum() - row_sums - cross
    diagonal = sums.diagonal @ weights
    sizes = n, total - n
    unbiased = (
        mean_without_diagonal(first, diagonal, sizes[0])
        + mean_without_diagonal(second, sums.diagonal.sum() - diagonal, sizes[1])
        - 2 * cross / math.prod(sizes)
    )
    biased = first[0] / sizes[0] ** 2 + second[0] / sizes[1] ** 2 - 2 * cross[0] / math.prod(sizes)
    rounding = 1e-12 * sums.diagonal.abs().mean()  # values that are equal but for the order of their sums are equal
    p = (1 + int((unbiased[1:] >= unbiased[0] - rounding).sum())) / len(chosen)
    return PermutationTest(representable(NAME, unbiased[0].item()), biased.item(), p, unbiased[1:])


def exact_maximum_mean_discrepancy(mixture: GaussianMixture, fake: Tensor, bandwidths: tuple[float, ...]) -> float:
    r"""The unbiased `MMD^2` of points `[m, d]` against a mixture of k Gaussians itself: no noise of real samples.

    The kernel is the mean over bandwidths h. For one of them, in d dimensions, covariance `s^2 I`:

        E k(x, y)  = mean_j  (h^2/(h^2+s^2))^{d/2}    exp(-||y - mu_j||^2 / (2 (h^2+s^2)))
        E k(x, x') = mean_ij (h^2/(h^2+2s^2))^{d/2}   exp(-||mu_i - mu_j||^2 / (2 (h^2+2s^2)))

    Raises:
        InputError: fewer than two points, another d than the mixture's, or points that are not finite.

    >>> mixture = GaussianMixture(torch.zeros(1, 1).double(), 1.0)
    >>> math.isclose(exact_maximum_mean_discrepancy(mixture, torch.zeros(2, 1), (1.0,)), 3**-0.5 + 1 - 2 * 2**-0.5)
    True
    """
    check_features(EXACT, fake, "fake")
    if fake.shape[1] != mixture.means.shape[1]:
        raise InputError([f"{EXACT}: the mixture is in {mixture.means.shape[1]} dimensions, the fakes in {fake.shape[1]}"])
    means, points = centred(mixture.means, fake)
    spread = mixture.std**2
    law = float(_smoothed(means, means, bandwidths, 2 * spread).mean())
    cross = math.fsum(_smoothed(part, means, bandwidths, spread).sum().item() for part in points.split(2**16)) / (
        len(fake) * len(means)
    )
    own = within(points, all_ones(points), Gaussian(bandwidths))
    return law + mean_without_diagonal(own.forms, own.diagonal.sum(), len(fake)).item() - 2 * cross


def _smoothed(x: Tensor, means: Tensor, bandwidths: tuple[float, ...], variance: float) -> Tensor:
    """The mean over bandwidths of the Gaussian kernel between x and a Gaussian of this variance around each mean, `[n, k]`."""
    widened = [math.sqrt(bandwidth**2 + variance) for bandwidth in bandwidths]
    parts = [
        Gaussian((wide,))(x, means) * (bandwidth / wide) ** x.shape[1] for bandwidth, wide in zip(bandwidths, widened, strict=True)
    ]
    return torch.stack(parts).mean(0)


class _WithBandwidth(Measure):
    """What both records share: bandwidths that are fixed for a data set."""

    multiples: tuple[float, ...] = Field(
        default=MULTIPLES, min_length=1, description="bandwidths, as multiples of the median distance"
    )
    bandwidth: float | None = Field(
        default=None,
        gt=0,
        description="in place of the median distance between held-out reals; 1 with multiples sets bandwidths outright",
    )

    def gaussian(self, evidence: Evidence, streams: Streams) -> tuple[Gaussian, tuple[str, ...]]:
        """The kernel, and what must be said of it."""
        if self.bandwidth is not None:
            return Gaussian(tuple(self.bandwidth * multiple for multiple in self.multiples)), ()
        held_out = evidence.held_out if evidence.held_out is not None else evidence.real
        notes = () if evidence.held_out is not None else ("no held-out reals: bandwidths are of the reals compared",)
        points = held_out.coordinates
        if len(points) > MEDIAN_OF:
            points = points[streams.order(f"{NAME} bandwidth", len(points), len(points))[:MEDIAN_OF]]
        return gaussian_kernel(points, self.multiples), notes


BIBTEX = """@article{gretton2012kernel,
  title={A kernel two-sample test},
  author={Gretton, Arthur and Borgwardt, Karsten M. and Rasch, Malte J. and Sch{\\"o}lkopf, Bernhard and Smola, Alexander},
  journal={Journal of Machine Learning Research},
  volume={13},
  pages={723--773},
  year={2012}
}"""


class MaximumMeanDiscrepancy(_WithBandwidth):
    """The squared MMD, its error from ten disjoint blocks, and the p-value of a permutation test.

    >>> from saddlepoint.measures.evidence import Sample
    >>> evidence = Evidence(*(Sample(x, x) for x in (torch.arange(20.0)[:, None], 100 + torch.arange(20.0)[:, None])))
    >>> estimates = MaximumMeanDiscrepancy(permutations=99)(evidence, Streams(0))
    >>> round(estimates["maximum-mean-discrepancy-p"].mean, 9)
    0.01
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {
        NAME: Quantity("MMD² ({extractor})", higher_is_better=False),
        BIASED: Quantity("MMD² biased ({extractor})", higher_is_better=False),
        P_VALUE: Quantity("MMD p-value ({extractor})", higher_is_better=None),
    }
    bibtex: ClassVar[str] = BIBTEX

    kernel: Literal["gaussian", "polynomial"] = Field(
        default="gaussian", description="gaussian: the mean over bandwidths; polynomial: (x . y / d + 1)^3, as in KID"
    )
    permutations: int = Field(default=500, ge=1, description="of the test: the smallest p-value is 1 / (1 + permutations)")

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = evidence.real.coordinates, evidence.fake.coordinates
        kernel, notes = self.gaussian(evidence, streams) if self.kernel == "gaussian" else (Polynomial(), ())
        total = len(real) + len(fake)
        shuffles = torch.stack([streams.order(f"{NAME} permutation", total, total) for _ in range(self.permutations)])
        test = permutation_test(real, fake, shuffles, kernel, step=evidence.steps(total))
        details = {"bandwidths": list(kernel.bandwidths)} if isinstance(kernel, Gaussian) else {}
        value = Estimate(test.unbiased, len(fake), notes=notes, details=details)
        if min(len(real), len(fake)) < 2 * BLOCKS:
            value = replace(value, notes=(*notes, FEW))
        else:
            orders = streams.order(f"{NAME} real", len(real), len(real)), streams.order(f"{NAME} fake", len(fake), len(fake))
            blocks = block_values(real, fake, orders, kernel)
            spread = block_error(blocks)
            value = replace(value, error=spread.error, interval=spread.interval)
            value = replace(value, notes=(*notes, BLOCKED), details={**details, "blocks": blocks})
        chance = math.sqrt(test.p * (1 - test.p) / self.permutations)
        return {
            NAME: value,
            BIASED: Estimate(test.biased, len(fake), notes=notes, details=details),
            P_VALUE: Estimate(test.p, len(fake), chance, notes=notes, details={"permutations": self.permutations}),
        }


class ExactMaximumMeanDiscrepancy(_WithBandwidth):
    """The squared MMD between the fakes and the mixture that the data is drawn from, without a real sample; ten blocks of fakes.

    >>> from saddlepoint.measures.evidence import Sample
    >>> points, mixture = torch.zeros(40, 2), GaussianMixture(torch.zeros(1, 2).double(), 1.0)
    >>> evidence = Evidence(Sample(points, points), Sample(points, points), mixture=mixture)
    >>> round(ExactMaximumMeanDiscrepancy(bandwidth=1.0, multiples=(1.0,))(evidence, Streams(0))[EXACT].mean, 9)
    0.333333333
    """

    name: ClassVar[str] = EXACT
    quantities: ClassVar[Mapping[str, Quantity]] = {EXACT: Quantity("MMD² to the mixture", higher_is_better=False)}
    uses: ClassVar[frozenset[Use]] = frozenset({"mixture"})
    bibtex: ClassVar[str] = BIBTEX

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        assert evidence.mixture is not None
        fake = evidence.fake.coordinates.detach().double()
        kernel, notes = self.gaussian(evidence, streams)
        details = {"bandwidths": list(kernel.bandwidths)}
        value = exact_maximum_mean_discrepancy(evidence.mixture, fake, kernel.bandwidths)
        size = len(fake) // BLOCKS
        if size < 2:
            return {EXACT: Estimate(value, len(fake), notes=(*notes, FEW), details=details)}
        blocks = [
            exact_maximum_mean_discrepancy(evidence.mixture, fake[rows], kernel.bandwidths)
            for rows in streams.order(EXACT, len(fake), len(fake))[: BLOCKS * size].split(size)
        ]
        spread = block_error(blocks)
        return {EXACT: Estimate(value, len(fake), spread.error, spread.interval, (*notes, BLOCKED), {**details, "blocks": blocks})}
