"""Kernels, and sums of them over many subsets of one set of samples: each pair's kernel is computed once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Step, unwatched

# Kernel values that are held at a time: 32 MiB of float64.
BLOCK = 2**22

# Of the largest squared distance: below it, a squared distance of float64 points is rounding.
ROUNDING = 1e-12


class Kernel(Protocol):
    """`k(x, y)` of every pair: `[n, d]` and `[m, d]`, float64, to `[n, m]`."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Gaussian:
    """`mean_b exp(-||x - y||^2 / (2 b^2))` over the bandwidths b, each above 0.

    >>> Gaussian((1.0,))(torch.zeros(1, 2).double(), torch.tensor([[1.0, 1.0]]).double()).item() == math.exp(-1)
    True
    """

    bandwidths: tuple[float, ...]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        squares = squared_distances(x, y)
        total = torch.zeros_like(squares)
        for bandwidth in self.bandwidths:
            total += (squares * (-0.5 / bandwidth**2)).exp_()
        return total.div_(len(self.bandwidths))


@dataclass(frozen=True)
class Polynomial:
    """`(scale x . y + offset)^degree`; a scale of None is `1 / d`. The defaults are KID's.

    >>> Polynomial()(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]])).item()
    27.0
    """

    degree: int = 3
    scale: float | None = None
    offset: float = 1.0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        scale = 1 / x.shape[1] if self.scale is None else self.scale
        return (x @ y.T).mul_(scale).add_(self.offset).pow_(self.degree)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """`||x_i - y_j||^2`, `[n, m]`, by one product; as exact as float64 is if both are centred. Never below 0."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    return norms.addmm_(x, y.T, alpha=-2).clamp_min_(0)


def centred(*sets: Tensor) -> tuple[Tensor, ...]:
    """Sets of points in float64, minus the mean of them all: distances stay, and lose no digits to a common offset."""
    points = [side.detach().double() for side in sets]
    mean = torch.cat(points).mean(0)
    return tuple(side - mean for side in points)


class Within(NamedTuple):
    """Sums over pairs of one set: `forms[p] = w_p' K w_p`, `rows = K 1`, and K's diagonal."""

    forms: Tensor
    rows: Tensor
    diagonal: Tensor


def within(x: Tensor, weights: Tensor, kernel: Kernel, step: Step = unwatched) -> Within:
    """Sums of `K = k(x, x)` with weights `[n, P]`, float64; holds 2^22 kernel values at a time, and computes each pair once.

    `step` is told of rows that are done.
    """
    forms = torch.zeros(weights.shape[1], dtype=torch.float64)
    rows, diagonal = torch.zeros(len(x), dtype=torch.float64), torch.empty(len(x), dtype=torch.float64)
    for start, stop in _chunks(len(x), len(x)):
        own, above = kernel(x[start:stop], x[start:stop]), kernel(x[start:stop], x[stop:])
        mine = weights[start:stop]
        forms += (mine * (own @ mine + 2 * (above @ weights[stop:]))).sum(0)
        rows[start:stop] += own.sum(1) + above.sum(1)
        rows[stop:] += above.sum(0)
        diagonal[start:stop] = own.diagonal()
        step(stop - start)
    return Within(forms, rows, diagonal)


def between(x: Tensor, y: Tensor, x_weights: Tensor, y_weights: Tensor, kernel: Kernel, step: Step = unwatched) -> Tensor:
    """`u_p' k(x, y) v_p` for weights `[n, P]` and `[m, P]`: `[P]`, float64; holds 2^22 kernel values at a time."""
    forms = torch.zeros(x_weights.shape[1], dtype=torch.float64)
    for start, stop in _chunks(len(x), len(y)):
        forms += (x_weights[start:stop] * (kernel(x[start:stop], y) @ y_weights)).sum(0)
        step(stop - start)
    return forms


def _chunks(n: int, columns: int) -> Iterator[tuple[int, int]]:
    rows = max(1, BLOCK // columns)
    return ((start, min(start + rows, n)) for start in range(0, n, rows))


def all_ones(x: Tensor) -> Tensor:
    """The weights of the whole set, `[n, 1]`."""
    return torch.ones(len(x), 1, dtype=torch.float64)


def mean_without_diagonal(total: Tensor, diagonal: Tensor, n: int) -> Tensor:
    """The mean of k over ordered pairs of different samples, from the sum over all pairs and over the diagonal."""
    return (total - diagonal) / (n * (n - 1))


def u_statistic(x: Tensor, y: Tensor, kernel: Kernel, step: Step = unwatched) -> float:
    """`sum_{i!=j} k(x_i,x_j)/(n(n-1)) + sum_{i!=j} k(y_i,y_j)/(m(m-1)) - 2 mean_ij k(x_i,y_j)`: unbiased, may be negative.

    `step` is told of rows: `2 n + m` in all.
    """
    first, second = within(x, all_ones(x), kernel, step), within(y, all_ones(y), kernel, step)
    cross = between(x, y, all_ones(x), all_ones(y), kernel, step)
    own = [mean_without_diagonal(side.forms, side.diagonal.sum(), len(side.rows)) for side in (first, second)]
    return float(own[0] + own[1] - 2 * cross / (len(x) * len(y)))


def median_distance(x: Tensor) -> float:
    """The median of `||x_i - x_j||` over pairs i < j of `[n, d]`: the lower one of two; 0 if it is rounding; holds n^2 numbers."""
    (points,) = centred(x)
    upper = torch.triu_indices(len(x), len(x), 1)
    squares = squared_distances(points, points)[upper[0], upper[1]]
    median, largest = squares.median().item(), squares.max().item()
    return math.sqrt(median) if median > ROUNDING * largest else 0.0
