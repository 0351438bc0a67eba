"""Where the replicas lie at one update: their median, their middle half, 5 to 95 %."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from saddlepoint.report.events import Row

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Band(NamedTuple):
    """Quantiles of the finite numbers of some replicas at an update, NaN where there is none.

    `finite` are so many, `broken` more were not finite; the rest of the `asked` replicas had no number: diverged, or behind.
    """

    update: int
    lowest: float
    low: float
    median: float
    high: float
    highest: float
    finite: int
    broken: int
    asked: int

    def spread(self, widest: bool) -> tuple[float, float]:
        """The ends of 5 to 95 %, or of the middle half."""
        return (self.lowest, self.highest) if widest else (self.low, self.high)


Bands = list[Band]


def band_of(update: int, row: Row, members: Sequence[int]) -> Band:
    """The band of the replicas `members` of a row; quantiles lie linearly between two numbers.

    >>> band_of(10, (1.0, 2.0, None, 4.0, 3.0, 9.0), members=(0, 1, 2, 3, 4))[:6]
    (10, 1.15, 1.75, 2.5, 3.25, 3.8499999999999996)
    """
    numbers = np.array([value for member in members if member < len(row) and (value := row[member]) is not None], dtype=float)
    finite = numbers[np.isfinite(numbers)]
    with np.errstate(all="ignore"):
        found: list[float] = np.quantile(finite, SHARES).tolist() if len(finite) else [math.nan] * len(SHARES)
    lowest, low, median, high, highest = found
    return Band(update, lowest, low, median, high, highest, len(finite), len(numbers) - len(finite), len(members))
