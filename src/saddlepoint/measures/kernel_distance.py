"""The kernel distance (Bińkowski et al. 2018): an unbiased MMD with a cubic kernel; KID where the features are Inception's."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.blocks import BLOCKED, BLOCKS, FEW, block_error
from saddlepoint.measures.evidence import Evidence, Step, unwatched
from saddlepoint.measures.feature_sets import check_feature_sets
from saddlepoint.measures.kernels import (
    Gaussian,
    Kernel,
    PairKernel,
    Polynomial,
    Rows,
    between,
    centred,
    mean_without_diagonal,
    seen_from_their_mean,
    u_statistic,
    within,
)
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

NAME = "kernel-distance"

KID = Polynomial()


def kernel_distance(real: Tensor, fake: Tensor, kernel: Kernel = KID, *, step: Step = unwatched) -> float:
    r"""`sum_{i!=j} k(x_i,x_j)/(n(n-1)) + sum_{i!=j} k(y_i,y_j)/(m(m-1)) - 2 mean_ij k(x_i,y_j)`, in float64.

    The kernel is `k(x,y) = (x . y / d + 1)^3`. All pairs are used: of all unbiased estimates of the squared MMD this has the
    smallest variance. It may be negative. Holds the features in float64 and 2^20 kernel values.

    The kernel knows an origin: the same shift c of both sets changes the value, which grows as `|c|^4`, by definition. The value is
    right all the same, since terms of one sample, which cancel, are left out before they are rounded (`PolynomialAbout`).

    Args:
        real, fake: features `[n, d]` and `[m, d]`, two rows or more.
        step: told of rows that are done, of 2 n + m.

    Raises:
        InputError: fewer than two rows, different d, features that are not finite, or so large that the kernel is not.

    >>> round(kernel_distance(torch.zeros(2, 1), torch.ones(3, 1)), 9)
    7.0

    Source: Bińkowski et al. 2018, section 4; Gretton et al. 2012, equation 3.
    """
    check_feature_sets(NAME, real, fake)
    prepared, (x, y) = prepare(kernel, real, fake)
    return representable(NAME, u_statistic(x, y, prepared, step))


def prepare(kernel: Kernel, *sets: Tensor, lean: bool = False) -> tuple[PairKernel, tuple[Rows, ...]]:
    """A kernel and sets of points, float64, in the form that loses no digits to what cancels in a difference of means."""
    if isinstance(kernel, Polynomial):
        return seen_from_their_mean(kernel, *sets, lean=lean)
    if isinstance(kernel, Gaussian):
        return kernel, centred(*sets)
    return kernel, tuple(side.detach().to("cpu", torch.float64) for side in sets)


def representable(name: str, value: float) -> float:
    """The value, unless features were so large that it is none.

    >>> representable("kernel-distance", 1.0)
    1.0
    """
    if not math.isfinite(value):
        raise InputError([f"{name}: the kernel of features so large is beyond float64; divide both sides by one number"])
    return value


def kernel_distance_over_subsets(
    real: Tensor, fake: Tensor, real_subsets: Tensor, fake_subsets: Tensor, kernel: Kernel = KID
) -> Tensor:
    r"""The kernel distance on each of S pairs of subsets, float64 `[S]`: the literature prints their mean and spread as KID.

    The kernel of each pair of samples is computed once for all subsets: a subset's sum is a quadratic form of its counts.
    The spread of these values is *not* the error of their mean, since subsets share samples.

    Products of float32 features, less their common mean, are taken in float32, and all else in float64: the values are those of
    float64 within some 1e-7 of the spread over subsets. Features in float64 stay so.

    Args:
        real, fake: features `[n, d]` and `[m, d]`.
        real_subsets, fake_subsets: rows of them by position, int64 `[S, k]`, k >= 2; usually 100 of 1,000, without replacement.

    Raises:
        InputError: subsets of fewer than two, or positions that are not there.

    >>> real, fake = torch.zeros(4, 1), torch.ones(4, 1)
    >>> kernel_distance_over_subsets(real, fake, torch.tensor([[0, 1], [2, 3]]), torch.tensor([[0, 1], [1, 2]]))
    tensor([7., 7.], dtype=torch.float64)

    Source: Bińkowski et al. 2018, section 4.
    """
    check_feature_sets(NAME, real, fake)
    for side, features, subsets in (("real", real, real_subsets), ("fake", fake, fake_subsets)):
        if subsets.ndim != 2 or subsets.shape[1] < 2 or int(subsets.min()) < 0 or int(subsets.max()) >= len(features):
            shape = tuple(subsets.shape)
            raise InputError(
                [f"{NAME}: {side} subsets {shape} must be [S, k], k of 2 or more, of positions 0 … {len(features) - 1}"]
            )
    if len(real_subsets) != len(fake_subsets):
        raise InputError([f"{NAME}: {len(real_subsets)} real subsets and {len(fake_subsets)} fake ones; give them in pairs"])
    # Told to multiply with fewer bits, torch's float32 is too rough.
    lean = real.dtype == fake.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"
    prepared, (x, y) = prepare(kernel, real, fake, lean=lean)
    counts = _counts(real_subsets, len(x)), _counts(fake_subsets, len(y))
    sizes = real_subsets.shape[1], fake_subsets.shape[1]
    own = [
        mean_without_diagonal(sums.forms, sums.diagonal @ weights, size)
        for sums, weights, size in (
            (within(side, weights, prepared), weights, size) for side, weights, size in zip((x, y), counts, sizes, strict=True)
        )
    ]
    cross = between(x, y, *counts, prepared)
    values = own[0] + own[1] - 2 * cross / math.prod(sizes)
    representable(NAME, float(values.sum()))
    return values


def _counts(subsets: Tensor, n: int) -> Tensor:
    """How often each of n samples is in each subset, `[n, S]`."""
    ones = torch.ones(subsets.shape, dtype=torch.float64)
    return torch.zeros(len(subsets), n, dtype=torch.float64).scatter_add_(1, subsets.cpu(), ones).T.contiguous()


def block_values(real: Tensor, fake: Tensor, orders: tuple[Tensor, Tensor], kernel: Kernel) -> list[float]:
    """The U-statistic on ten disjoint blocks of either side, of `n // 10` and `m // 10` samples each, in the given orders."""
    sizes = len(real) // BLOCKS, len(fake) // BLOCKS
    rows = [order[: BLOCKS * size].split(size) for order, size in zip(orders, sizes, strict=True)]
    prepared, (x, y) = prepare(kernel, real, fake)
    return [u_statistic(x[mine], y[other], prepared) for mine, other in zip(*rows, strict=True)]


class KernelDistance(Measure):
    """The kernel distance on all pairs, its error from ten disjoint blocks and Student's t with 9 degrees of freedom.

    >>> from saddlepoint.measures.evidence import Sample
    >>> evidence = Evidence(*(Sample(points, points) for points in (torch.zeros(3, 1), torch.ones(4, 1))))
    >>> round(KernelDistance()(evidence, Streams(0))["kernel-distance"].mean, 9)
    7.0
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {NAME: Quantity("KD ({extractor})", higher_is_better=False)}
    bibtex: ClassVar[str] = """@inproceedings{binkowski2018demystifying,
  title={Demystifying {MMD} {GANs}},
  author={Bi{\\'n}kowski, Miko{\\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    degree: int = Field(default=3, ge=1, le=10, description="of the kernel (x . y / d + offset)^degree")
    offset: float = Field(default=1.0, ge=0, description="of the kernel")

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        kernel = Polynomial(self.degree, None, self.offset)
        real, fake = evidence.real.features, evidence.fake.features
        value = kernel_distance(real, fake, kernel, step=evidence.steps(2 * len(real) + len(fake)))
        if min(len(real), len(fake)) < 2 * BLOCKS:
            return {NAME: Estimate(value, len(fake), notes=(FEW,))}
        orders = streams.order(f"{NAME} real", len(real), len(real)), streams.order(f"{NAME} fake", len(fake), len(fake))
        values = block_values(real, fake, orders, kernel)
        spread = block_error(values)
        return {NAME: Estimate(value, len(fake), spread.error, spread.interval, (BLOCKED,), {"blocks": values})}
