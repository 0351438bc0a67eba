"""The seeds of a run of many replicas: `0..127`, or a list."""

from collections.abc import Sequence

from saddlepoint.yaml_reading import LARGEST_INTEGER

MOST_SEEDS = 2**20
FORM = "give a range such as 0..127, or a list of whole numbers"


def read_seeds(value: object) -> tuple[int, ...] | None:
    """Seeds from `"FIRST..LAST"` (both ends belong to it), from one number, a list or a Python range; None is a lone run.

    Raises:
        ValueError: it is neither, there is none, or one is out of range.

    >>> read_seeds("3..6"), read_seeds(range(2))
    ((3, 4, 5, 6), (0, 1))
    """
    if value is None:
        return None
    seeds = _range(value) if isinstance(value, str) else _listed(value)
    if not seeds:
        raise ValueError(f"there is no seed in it; {FORM}")
    wrong = [seed for seed in (min(seeds), max(seeds)) if not 0 <= seed <= LARGEST_INTEGER]
    if wrong:
        raise ValueError(f"{wrong[0]} is out of range; seeds are whole numbers from 0 to {LARGEST_INTEGER}")
    return seeds


def written_seeds(seeds: Sequence[int] | None) -> str | list[int] | None:
    """As a recipe holds them: a range where they follow each other.

    >>> written_seeds((3, 4, 5)), written_seeds((3, 5)), written_seeds((3,))
    ('3..5', [3, 5], [3])
    """
    if seeds is None:
        return None
    follow = len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]}..{seeds[-1]}" if follow else list(seeds)


def _range(text: str) -> tuple[int, ...]:
    first, dots, last = (part.strip() for part in text.partition(".."))
    if not dots or not first.isdecimal() or not last.isdecimal():
        raise ValueError(f"should be seeds; {FORM}")
    if int(last) < int(first):
        raise ValueError(f"ends before it begins; {FORM}")
    if int(last) - int(first) >= MOST_SEEDS:
        raise ValueError(f"has more than {MOST_SEEDS} seeds; give fewer")
    return tuple(range(int(first), int(last) + 1))


def _listed(value: object) -> tuple[int, ...]:
    listed = list(value) if isinstance(value, list | tuple | range) else [value]
    seeds = tuple(seed for seed in listed if isinstance(seed, int) and not isinstance(seed, bool))
    if len(seeds) < len(listed):
        raise ValueError(f"should be seeds; {FORM}")
    if len(seeds) > MOST_SEEDS:
        raise ValueError(f"has more than {MOST_SEEDS} seeds; give fewer")
    return seeds
