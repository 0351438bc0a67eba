"""The birthday paradox as an estimate: from how often samples collide to how many different ones there are."""

import math
from typing import NamedTuple

from saddlepoint.errors import InputError


class BirthdayEstimate(NamedTuple):
    """A support size and its 95 % interval.

    `size` is infinite where no batch collides beyond the false alarms, `high` where that cannot be excluded: `low` is then a lower
    bound. `size` is 0 where every batch collides: it is below s. `squared` is the rounded-up form of the paper, s^2.
    """

    size: float
    low: float
    high: float
    frequency: float
    corrected: float
    squared: int


def birthday_estimate(
    collisions: int, batches: int, s: int, *, false_alarm: float = 0.0, sensitivity: float = 1.0
) -> BirthdayEstimate:
    r"""The support size from how many batches of s samples hold a duplicate.

        N = r s (s - 1) / (-2 ln(1 - p_c)),     p_c = max(0, (p - f) / (1 - f)),     p = collisions / batches

    With uniform support `P(no collision) = prod_{i<s} (1 - i/N) ~ exp(-s (s - 1) / (2 N))`; at p = 1/2 that is .72 s^2. What is
    estimated in general is the effective size `1 / sum_i P_i^2`. The interval carries Clopper-Pearson's for p through.

    Args:
        collisions: batches with a duplicate.
        s: samples in a batch.
        false_alarm: f, how often a batch without a duplicate seems to have one.
        sensitivity: r, the share of duplicates that are seen.

    Raises:
        InputError: counts that cannot be, or shares outside [0, 1).

    >>> round(birthday_estimate(25, 50, 400).size)
    115127
    """
    problems = []
    if not 0 <= collisions <= batches or batches < 1:
        problems.append(f"collisions: {collisions} of {batches} batches cannot be; give 0 to batches, and at least one batch")
    if s < 2:
        problems.append(f"s: {s} samples hold no pair; give 2 or more")
    if not 0 <= false_alarm < 1 or not 0 <= sensitivity <= 1:
        problems.append(f"false_alarm, sensitivity: {false_alarm} and {sensitivity} are not both shares; give numbers from 0 to 1")
    if problems:
        raise InputError(problems)

    def size(p: float) -> float:
        corrected = max(0.0, (p - false_alarm) / (1 - false_alarm))
        if corrected == 0:
            return math.inf
        return 0.0 if corrected >= 1 else sensitivity * s * (s - 1) / (-2 * math.log1p(-corrected))

    p = collisions / batches
    low, high = _clopper_pearson(collisions, batches)
    return BirthdayEstimate(size(p), size(high), size(low), p, max(0.0, (p - false_alarm) / (1 - false_alarm)), s * s)


def effective_size(pairs: int, batches: int, s: int) -> float:
    """`1 / sum_i P_i^2` from the number of duplicate pairs: `B s (s - 1) / (2 pairs)`, whose inverse is unbiased.

    Raises:
        InputError: no pairs: then there is a lower bound at best.

    >>> effective_size(pairs=25, batches=50, s=51)
    2550.0
    """
    if pairs < 1 or batches < 1 or s < 2:
        raise InputError([f"effective_size: {pairs} pairs in {batches} batches of {s} give no size; give at least one pair"])
    return batches * s * (s - 1) / (2 * pairs)


def arora_zhang_bound(s: int, collision_probability: float, mass: float = 1.0) -> float:
    r"""The paper's upper bound on the N images that hold a share `mass` of the distribution.

        N <= 2 s rho^2 / (-3 + sqrt(9 + (24 / s) ln(1 / (1 - g))) - 2 s (1 - rho)^2)

    g is the probability that s samples hold a duplicate. Infinite where the denominator is not positive: the bound says nothing.
    With rho = 1 it nears `s^2 / (2 ln(1 / (1 - g)))`.

    Source: Arora, Risteski, Zhang, "Do GANs learn the distribution? Some theory and empirics", theorem 4 (rho < 1 from memory).

    >>> round(arora_zhang_bound(400, 0.5))
    115549
    """
    if s < 2 or not 0 <= collision_probability < 1 or not 0 < mass <= 1:
        raise InputError(
            [f"arora_zhang_bound: s {s}, g {collision_probability}, mass {mass}; give s >= 2, g in [0, 1), mass in (0, 1]"]
        )
    inner = -3 + math.sqrt(9 + 24 / s * -math.log1p(-collision_probability)) - 2 * s * (1 - mass) ** 2
    return 2 * s * mass**2 / inner if inner > 0 else math.inf


def _clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    from scipy.stats import beta

    low = 0.0 if successes == 0 else float(beta.ppf(0.025, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(0.975, successes + 1, trials - successes))
    return low, high
