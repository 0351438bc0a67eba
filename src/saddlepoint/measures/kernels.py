"""Kernels, and sums of them over many subsets of one set of samples: each pair's kernel is computed once."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Step, unwatched

# Kernel values that are held at a time, 8 MiB of float64: larger temporaries leave the cache.
BLOCK = 2**20

# The size of points whose products float32 holds.
LEAN = 1e-12, 1e12

# Of the largest squared distance: below it, a squared distance of float64 points is rounding.
ROUNDING = 1e-12


class Kernel(Protocol):
    """`k(x, y)` of every pair: `[n, d]` and `[m, d]`, float64, to `[n, m]`."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor: ...


class Rows(Protocol):
    """Points, a row each, however a kernel takes them."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Tensor, /) -> Self: ...


PairKernel = Callable[[Any, Any], Tensor]
"""`[n, m]` of two sets of the `Rows` it takes."""


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


@dataclass(frozen=True)
class Moved:
    """Points seen from a centre c, float64: `points = sqrt(scale) (x - c)` `[n, d]`, and `along = scale c . (x - c)` `[n]`."""

    points: Tensor
    along: Tensor

    def __len__(self) -> int:
        return len(self.along)

    def __getitem__(self, rows: slice | Tensor, /) -> "Moved":
        return Moved(self.points[rows], self.along[rows])


@dataclass(frozen=True)
class PolynomialAbout:
    r"""`k(x, y) - k(x, c) - k(c, y) + k(c, c)` of a polynomial kernel k and points seen from c, float64.

    What depends on one sample alone cancels in every difference of means that makes an MMD, so the MMD is k's own; but without it
    nothing large is left to cancel when the points share a large offset. With a the kernel's base at (c, c), s and t the parts
    along c, p the product of what is left, `b = a + s + t`, it is the sum of two halves that subtract nothing:

        (b + p)^n - b^n = sum_{l>0} C(n, l) b^(n-l) p^l,     and of (a + s + t)^n the terms in which both s and t stand.

    Args:
        base: `scale c . c + offset`.
    """

    degree: int
    base: float

    def __call__(self, x: Moved, y: Moved) -> Tensor:
        product = (x.points @ y.points.T).double()
        if self.degree == 1:
            return product
        n = self.degree
        # n times b, so that a power of it is added in the pass that makes it: reading and writing costs as much as the products.
        below = (n * (x.along + self.base))[:, None] + n * y.along
        power, total = below, product + below
        for chosen in range(2, n):
            total.mul_(product).addcmul_(power, below, value=math.comb(n, chosen) / n**chosen)
            power = power if chosen == n - 1 else power * below
        powers = range(1, self.degree)
        left, right = (torch.stack([side.along**k for k in powers]) for side in (x, y))
        return total.mul_(product).addmm_(left.T @ self._mixed(), right)

    def _mixed(self) -> Tensor:
        """The coefficients of `s^i t^j`, i and j of 1 … n - 1, in `(a + s + t)^n`."""
        n = self.degree
        rows = [
            [math.comb(n, i + j) * math.comb(i + j, i) * self.base ** (n - i - j) if i + j <= n else 0.0 for j in range(1, n)]
            for i in range(1, n)
        ]
        return torch.tensor(rows, dtype=torch.float64)


def seen_from_their_mean(kernel: Polynomial, *sets: Tensor, lean: bool = False) -> tuple[PolynomialAbout, tuple[Moved, ...]]:
    """The kernel about the mean of all points, and the points seen from it.

    Args:
        lean: take products in float32, which halves their time: each is then off by some `1e-7 |x - c| |y - c| / d`.
    """
    points = [side.detach().to("cpu", torch.float64) for side in sets]
    centre = torch.stack([side.sum(0) for side in points]).sum(0) / sum(map(len, points))
    scale = 1 / len(centre) if kernel.scale is None else kernel.scale
    moved = [side - centre for side in points]
    along = [side @ centre * scale for side in moved]
    for side in moved:
        side.mul_(math.sqrt(scale))
    largest = max(float(side.abs().max()) for side in moved)
    if lean and LEAN[0] < largest < LEAN[1]:
        moved = [side.float() for side in moved]
    base = float(centre @ centre) * scale + kernel.offset
    return PolynomialAbout(kernel.degree, base), tuple(map(Moved, moved, along))


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


def within(x: Rows, weights: Tensor, kernel: PairKernel, step: Step = unwatched) -> Within:
    """Sums of `K = k(x, x)` with weights `[n, P]`, float64; holds 2^20 kernel values at a time, and computes each pair once.

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


def between(x: Rows, y: Rows, x_weights: Tensor, y_weights: Tensor, kernel: PairKernel, step: Step = unwatched) -> Tensor:
    """`u_p' k(x, y) v_p` for weights `[n, P]` and `[m, P]`: `[P]`, float64; holds 2^20 kernel values at a time."""
    forms = torch.zeros(x_weights.shape[1], dtype=torch.float64)
    for start, stop in _chunks(len(x), len(y)):
        forms += (x_weights[start:stop] * (kernel(x[start:stop], y) @ y_weights)).sum(0)
        step(stop - start)
    return forms


def _chunks(n: int, columns: int) -> Iterator[tuple[int, int]]:
    rows = max(1, BLOCK // columns)
    return ((start, min(start + rows, n)) for start in range(0, n, rows))


def all_ones(x: Rows) -> Tensor:
    """The weights of the whole set, `[n, 1]`."""
    return torch.ones(len(x), 1, dtype=torch.float64)


def mean_without_diagonal(total: Tensor, diagonal: Tensor, n: int) -> Tensor:
    """The mean of k over ordered pairs of different samples, from the sum over all pairs and over the diagonal."""
    return (total - diagonal) / (n * (n - 1))


def u_statistic(x: Rows, y: Rows, kernel: PairKernel, step: Step = unwatched) -> float:
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
