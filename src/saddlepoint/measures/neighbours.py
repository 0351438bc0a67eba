"""Exact Euclidean neighbours of many points, in bounded memory.

Distances are first taken roughly, `||x||^2 + ||y||^2 - 2 x.y` in float32 by matrix products of centred, scaled points, with a
bound on their error. Whatever that bound cannot decide is computed again in float64 from differences: so what comes out is what
a double loop in float64 would say, a duplicate is at distance 0 exactly, and chunks or the order of points change nothing.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.feature_sets import LARGEST, SMALLEST

CHUNK = 1280
"""Points of a side in one tile: a tile takes 4 CHUNK^2 = 6.6 MB, two chunks of points 24 CHUNK d bytes."""
NUMBERS_AT_ONCE = 2**17
"""Of a temporary in exact distances: larger ones leave the processor's cache and are several times slower."""
SPARE = 8
PLAIN = 1e-30, 1e30
"""The size of float32 points whose differences, and one over them, float32 holds."""
LONGEST_WALK = 2**16


class Nearest(NamedTuple):
    """`distances` float64 and `indices` int64, `[n, k]`, nearest first; equal distances by index."""

    distances: Tensor
    indices: Tensor


class Pairs(NamedTuple):
    """`distances` float64 `[p]` and `indices` int64 `[p, 2]` of pairs, nearest first."""

    distances: Tensor
    indices: Tensor


class Tile(NamedTuple):
    """Rough squared distances `[a, b]`, in units of `unit` and each within `margin`: from points `row, row + 1, …` to others
    `column, column + 1, …`."""

    row: int
    column: int
    squares: Tensor
    margin: float
    unit: float

    @property
    def rows(self) -> slice:
        return slice(self.row, self.row + self.squares.shape[0])

    @property
    def columns(self) -> slice:
        return slice(self.column, self.column + self.squares.shape[1])

    def turned(self) -> "Tile":
        """From the others to the points."""
        return Tile(self.column, self.row, self.squares.T, self.margin, self.unit)


def nearest(points: Tensor, others: Tensor, k: int = 1, *, skip: Tensor | None = None) -> Nearest:
    """The `k` others nearest to each point, by Euclidean distance.

    Exact; beside the arguments it takes about `7 MB + 24 · 1280 d` bytes and `16 n (k + 8)` for what it keeps.

    Args:
        points: `[n, …]`, any real dtype, flattened.
        others: `[m, …]`.
        skip: int64 `[n]`: the one of the others that does not count for each point (itself).

    Raises:
        InputError: fewer than k others that count, or shapes that differ.

    >>> nearest(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0], [5.0]]), 2)
    Nearest(distances=tensor([[1., 4.],
            [0., 1.]], dtype=torch.float64), indices=tensor([[1, 0],
            [2, 0]]))
    """
    points, others = flat(points), flat(others)
    if not len(points):
        return Nearest(torch.zeros(0, k, dtype=torch.float64), torch.zeros(0, k, dtype=torch.int64))
    _comparable(points, others)
    _enough(len(others) - (skip is not None), k)
    counting = len(others) - (skip is not None)
    best = _Best(len(points), min(k + SPARE, counting))
    for tile in tiles(points, others):
        if skip is not None:
            _blank(tile, skip)
        best.see(tile)
    kept = _Kept.of(best, k, counting)
    squares = kept.exact(points, others, kept.rough <= kept.high)
    order = squares.argsort(dim=1, stable=True)[:, :k]
    squares, indices = squares.gather(1, order), kept.indices.gather(1, order)
    for row in kept.unsure.tolist():
        squares[row], indices[row] = _by_all(points, row, others, k, skip)
    return Nearest(squares.sqrt(), indices)


def radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each point to its k-th *other* point, float64 `[n]`. Exact; half the work of `nearest` with itself.

    Raises:
        InputError: k or fewer points.

    >>> radii(torch.tensor([[0.0], [1.0], [3.0]]), 2)
    tensor([9., 4., 9.], dtype=torch.float64)
    """
    points = flat(points)
    _enough(len(points) - 1, k)
    best = _Best(len(points), min(k + SPARE, len(points) - 1))
    own = torch.arange(len(points), device=points.device)
    for tile in tiles(points, points, half=True):
        _blank(tile, own)
        best.see(tile)
        if tile.row != tile.column:
            best.see(tile.turned())
    kept = _Kept.of(best, k, len(points) - 1)
    squares = kept.exact(points, points, (kept.rough >= kept.low) & (kept.rough <= kept.high))
    squares[kept.rough < kept.low] = -1.0
    result = squares.kthvalue(k, dim=1).values
    for row in kept.unsure.tolist():
        result[row] = _by_all(points, row, points, k, own)[0][-1]
    return result


def closest_pairs(points: Tensor, count: int) -> Pairs:
    """The `count` closest pairs of different points (all pairs, if there are fewer). Exact; memory as for `nearest`.

    >>> closest_pairs(torch.tensor([[0.0], [5.0], [1.0]]), 2)
    Pairs(distances=tensor([1., 4.], dtype=torch.float64), indices=tensor([[0, 2],
            [1, 2]]))
    """
    points = flat(points)
    every = len(points) * (len(points) - 1) // 2
    count = min(count, every)
    if count == 0:
        return Pairs(torch.zeros(0, dtype=torch.float64), torch.zeros(0, 2, dtype=torch.int64))
    kept = min(count + SPARE, every)
    while True:
        pairs, seen = _rough_pairs(points, kept)
        exact = exact_squares(points, pairs[:, 0], points, pairs[:, 1])
        # Stable twice: by position first, so that equal distances come in the order of their points.
        order = (pairs[:, 0] * len(points) + pairs[:, 1]).argsort()
        order = order[exact[order].argsort(stable=True)][:count]
        if kept == every or bool(exact[order[-1]] < seen):
            return Pairs(exact[order].sqrt(), pairs[order])
        kept = min(4 * kept, every)


def within(tile: Tile, points: Tensor, others: Tensor, limits: Tensor, *, closed: bool) -> Tensor:
    """Which pairs of a tile are nearer than a squared limit (`closed`: or as near), bool `[a, b]`. Exact.

    Args:
        limits: float64 `[a, 1]`, `[1, b]`: squared distances in the points' own unit.
    """
    rough = limits / tile.unit
    sure = tile.squares < (rough - tile.margin).to(tile.squares.dtype)
    unsure = (tile.squares <= (rough + tile.margin).to(tile.squares.dtype)) & ~sure
    where = unsure.nonzero()
    if len(where):
        rows, columns = where.unbind(1)
        squares = exact_squares(points, rows + tile.row, others, columns + tile.column)
        bounds = limits.expand(tile.squares.shape)[rows, columns]
        sure[rows, columns] = squares <= bounds if closed else squares < bounds
    return sure


def tiles(points: Tensor, others: Tensor, *, half: bool = False) -> Iterator[Tile]:
    """Rough squared distances of all points to all others, tile by tile; with `half` those on and above the diagonal only."""
    space = _Space(points, others)
    for column in range(0, len(others), CHUNK):
        right = space.seen(others[column : column + CHUNK])
        for row in range(0, column + 1 if half else len(points), CHUNK):
            left = space.seen(points[row : row + CHUNK])
            yield Tile(row, column, *space.squares(left, right), space.scale**2)


def exact_squares(points: Tensor, rows: Tensor, others: Tensor, columns: Tensor) -> Tensor:
    """Squared distances of chosen pairs, float64, from differences: 0 exactly for equal points."""
    step = max(1, NUMBERS_AT_ONCE // max(1, points.shape[1]))
    parts = [
        (points[rows[start : start + step]].double() - others[columns[start : start + step]].double()).square().sum(1)
        for start in range(0, len(rows), step)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64, device=points.device)


def flat(samples: Tensor) -> Tensor:
    """Samples as points, `[n, d]`."""
    return samples.flatten(1)


class _Space:
    """Centre and scale that make float32 products exact enough, whatever the points' offset and unit."""

    def __init__(self, points: Tensor, others: Tensor) -> None:
        # Elsewhere, or when torch is told to multiply with fewer bits, float32 products break the bound on their error.
        lean = points.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
        largest = max(_largest(side) for side in (points, others))
        double = not lean or torch.float64 in (points.dtype, others.dtype) or not PLAIN[0] < largest < PLAIN[1]
        self.dtype = torch.float32 if lean else torch.float64
        # A rounded centre shifts all points alike, and differences to it are as precise as the dtype they are taken in.
        self.within = torch.float64 if double else torch.float32
        total = sum((chunk.double().sum(0) for chunk in others.split(CHUNK)), torch.zeros_like(others[0], dtype=torch.float64))
        self.centre = (total / len(others)).to(self.within)
        chunks = [chunk for side in (points, others) for chunk in side.detach().split(CHUNK)]
        self.scale = max(float((chunk.to(self.within) - self.centre.detach()).abs().max()) for chunk in chunks) or 1.0
        if not SMALLEST <= self.scale <= LARGEST:
            raise InputError(
                [f"neighbours: points are {self.scale:.3g} apart, beyond {SMALLEST:g} … {LARGEST:g}; multiply all by one number"]
            )

    def seen(self, chunk: Tensor) -> tuple[Tensor, Tensor]:
        """Centred, scaled points and their squared norms."""
        moved = (chunk.to(self.within) - self.centre).mul_(1 / self.scale).to(self.dtype)
        return moved, torch.linalg.vector_norm(moved, dim=1).square()

    def squares(self, left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, float]:
        (x, x_norms), (y, y_norms) = left, right
        rough = torch.addmm(y_norms, x, y.T, alpha=-2).add_(x_norms[:, None])
        # Rounding errors of a sum of d products add up like a random walk: beyond 8 sqrt(d) u |x||y| lies one sum in 10^13
        # (Higham and Mary 2019, theorem 2.4, lambda 8); rounding the points and norms adds a few u. Very long sums of equal
        # products (images of one flat colour) round one way: for them the bound that always holds.
        d = x.shape[1]
        spread = (min(d, 8 * math.sqrt(d)) if d <= LONGEST_WALK else d) + 16
        bound = spread * torch.finfo(self.dtype).eps * float(x_norms.max() + y_norms.max())
        return rough, bound


def _largest(points: Tensor) -> float:
    return max((float(chunk.detach().abs().max()) for chunk in points.split(CHUNK) if chunk.numel()), default=0.0)


class _Best:
    """The `kept` smallest rough squared distances of each point so far."""

    def __init__(self, n: int, kept: int) -> None:
        self.kept = kept
        self.squares: list[Tensor | None] = [None] * -(-n // CHUNK)
        self.indices: list[Tensor] = [torch.empty(0)] * len(self.squares)
        self.margin = 0.0

    def see(self, tile: Tile) -> None:
        place = tile.row // CHUNK
        squares, indices = tile.squares.topk(min(self.kept, tile.squares.shape[1]), largest=False)
        indices = indices + tile.column
        held = self.squares[place]
        if held is not None:
            squares, indices = torch.cat([held, squares], 1), torch.cat([self.indices[place], indices], 1)
            squares, chosen = squares.topk(min(self.kept, squares.shape[1]), largest=False)
            indices = indices.gather(1, chosen)
        self.squares[place], self.indices[place] = squares, indices
        self.margin = max(self.margin, tile.margin)

    def found(self) -> tuple[Tensor, Tensor]:
        return torch.cat([part for part in self.squares if part is not None]), torch.cat(self.indices)


class _Kept(NamedTuple):
    """What may be among the k nearest of each point, by rough squared distances `[n, kept]`, ascending by index.

    The true k-th is at most the rough k-th plus the margin, and whatever is nearer looks at most one more margin farther: so
    only what lies below `high` can be among them, and what lies below `low` surely is.
    """

    rough: Tensor
    indices: Tensor
    low: Tensor
    high: Tensor
    unsure: Tensor
    """Rows of which others, not kept, may be among the k nearest too."""

    @classmethod
    def of(cls, best: _Best, k: int, others: int) -> "_Kept":
        rough, indices = best.found()
        order = indices.argsort(dim=1)
        rough, indices = rough.gather(1, order), indices.gather(1, order)
        kth = rough.kthvalue(k, dim=1, keepdim=True).values
        low, high = kth - 2 * best.margin, kth + 2 * best.margin
        open_end = (rough.amax(1) <= high[:, 0]) if best.kept < others else torch.zeros_like(rough[:, 0], dtype=torch.bool)
        return cls(rough, indices, low, high, open_end.nonzero().flatten())

    def exact(self, points: Tensor, others: Tensor, wanted: Tensor) -> Tensor:
        """Exact squared distances where wanted `[n, kept]`, infinity elsewhere."""
        squares = torch.full(self.rough.shape, torch.inf, dtype=torch.float64, device=points.device)
        rows, places = wanted.nonzero().unbind(1)
        squares[rows, places] = exact_squares(points, rows, others, self.indices[rows, places])
        return squares


def _by_all(points: Tensor, row: int, others: Tensor, k: int, skip: Tensor | None) -> tuple[Tensor, Tensor]:
    every = torch.arange(len(others), device=others.device)
    squares = exact_squares(points, torch.full_like(every, row), others, every)
    if skip is not None:
        squares[skip[row]] = torch.inf
    order = squares.argsort(stable=True)[:k]
    return squares[order], order


def _blank(tile: Tile, skip: Tensor) -> None:
    """Put the pairs that do not count infinitely far apart."""
    columns = skip[tile.rows] - tile.column
    rows = ((columns >= 0) & (columns < tile.squares.shape[1])).nonzero().flatten()
    tile.squares[rows, columns[rows]] = torch.inf


def _rough_pairs(points: Tensor, kept: int) -> tuple[Tensor, float]:
    """The `kept` pairs that look closest `[kept, 2]`, and a squared distance that no other pair is below."""
    squares, pairs, margin, unit = torch.zeros(0, dtype=torch.float64), torch.zeros(0, 2, dtype=torch.int64), 0.0, 1.0
    for tile in tiles(points, points, half=True):
        above = torch.ones_like(tile.squares, dtype=torch.bool)
        if tile.row == tile.column:
            above = above.triu(1)
        values = tile.squares.masked_fill(~above, torch.inf).flatten()
        found, where = values.topk(min(kept, int(above.sum())), largest=False)
        width = tile.squares.shape[1]
        both = torch.stack([where // width + tile.row, where % width + tile.column], 1).cpu()
        squares, pairs = torch.cat([squares, found.double().cpu()]), torch.cat([pairs, both])
        squares, chosen = squares.topk(min(kept, len(squares)), largest=False)
        pairs, margin, unit = pairs[chosen], max(margin, tile.margin), tile.unit
    return pairs.to(points.device), (float(squares.max()) - margin) * unit


def _comparable(points: Tensor, others: Tensor) -> None:
    if points.shape[1] != others.shape[1]:
        raise InputError(
            [f"neighbours: points of {points.shape[1]} and {others.shape[1]} numbers cannot be compared; give both alike"]
        )


def _enough(others: int, k: int) -> None:
    if k < 1 or others < k:
        raise InputError([f"neighbours: {max(0, others)} other points have no number {k}; give more points or a smaller k"])
