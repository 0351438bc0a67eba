"""Covering arrays of strength 2: few rows in which every pair of entries of two factors stands together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

Level = tuple[str, str]
"""A factor and one of its entries."""
Row = dict[str, str]


def pairs(factors: Mapping[str, Sequence[str]]) -> Iterator[tuple[Level, Level]]:
    """Every pair of entries of two different factors."""
    for first, second in combinations(factors, 2):
        for one in factors[first]:
            for other in factors[second]:
                yield (first, one), (second, other)


def covered(row: Mapping[str, str]) -> Iterator[tuple[Level, Level]]:
    """The pairs that stand together in a row, in the order of its factors."""
    yield from combinations(row.items(), 2)


def covering(factors: Mapping[str, Sequence[str]], allowed: Callable[[Level, Level], bool]) -> list[Row]:
    """Rows that hold every allowed pair and no other, by the greedy rule of Cohen et al. 1997 ("The AETG system").

    Each row begins with the first pair still missing; then each other factor takes the entry that adds most missing pairs, of those
    allowed beside what stands there already.

    Raises:
        ValueError: a pair that no row can hold, since some factor has no entry allowed beside it.
    """
    missing = dict.fromkeys(pair for pair in pairs(factors) if allowed(*pair))
    rows: list[Row] = []
    while missing:
        row = _completed(dict(next(iter(missing))), factors, allowed, missing)
        rows.append(row)
        for pair in covered(row):
            missing.pop(pair, None)
    return rows


def _completed(
    begun: Row,
    factors: Mapping[str, Sequence[str]],
    allowed: Callable[[Level, Level], bool],
    missing: Mapping[tuple[Level, Level], object],
) -> Row:
    row = begun
    for factor, entries in factors.items():
        if factor in row:
            continue
        fitting = [entry for entry in entries if all(_fit((factor, entry), held, factors, allowed) for held in row.items())]
        if not fitting:
            raise ValueError(f"no {factor} is allowed beside {begun}")
        row[factor] = max(
            fitting, key=lambda entry: sum(_ordered((factor, entry), held, factors) in missing for held in row.items())
        )
    return {factor: row[factor] for factor in factors}


def _ordered(one: Level, other: Level, factors: Mapping[str, Sequence[str]]) -> tuple[Level, Level]:
    order = list(factors)
    return (one, other) if order.index(one[0]) < order.index(other[0]) else (other, one)


def _fit(one: Level, other: Level, factors: Mapping[str, Sequence[str]], allowed: Callable[[Level, Level], bool]) -> bool:
    return allowed(*_ordered(one, other, factors))
