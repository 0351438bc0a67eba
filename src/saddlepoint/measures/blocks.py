"""The error of a value from disjoint blocks of the samples, where no formula for it holds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

BLOCKS = 10

# The note of a value whose error is that of blocks.
BLOCKED = (
    f"error and interval are those of the mean over {BLOCKS} disjoint blocks: this value, of all samples, is surer than they say"
)

# The note of a value that has no error.
FEW = f"fewer than {2 * BLOCKS} samples of a side: its error cannot be said"


class BlockError(NamedTuple):
    """Standard error of the mean over blocks, and its 95 % interval by Student's t."""

    error: float
    interval: tuple[float, float]


def block_error(values: Sequence[float]) -> BlockError:
    """Of values on independent blocks of equal size, two or more: `s / sqrt(b)`, and `mean -+ t_{b-1, .975} s / sqrt(b)`.

    The blocks share no sample, so, unlike subsets drawn from one set, their spread is the error's.

    >>> found = block_error([1.0, 2.0, 3.0])
    >>> round(found.error, 4), [round(end, 4) for end in found.interval]
    (0.5774, [-0.4841, 4.4841])
    """
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(values) / count
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    reach = float(t.ppf(0.975, count - 1)) * error
    return BlockError(error, (mean - reach, mean + reach))
