"""Values as a table says them: numbers with the digits their error leaves, an arrow for better, the floor, notes below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from saddlepoint.evaluation.card import Value

ARROWS = {True: "↑", False: "↓", None: ""}


@dataclass(frozen=True)
class Table:
    """Column names, rows of text, and lines to print below."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def table_of(columns: Sequence[tuple[str, Sequence[Value]]]) -> Table:
    """A table of the values of one subject or of several side by side.

    Args:
        columns: a heading and its values; values of one name stand in one row.
    """
    names = list(dict.fromkeys(value.name for _, values in columns for value in values))
    tables = [{value.name: value for value in values} for _, values in columns]
    marks: dict[str, int] = {}
    rows = []
    for name in names:
        found = [table.get(name) for table in tables]
        first = next(value for value in found if value is not None)
        notes = [note for value in found if value is not None for note in value.notes]
        numbers = sorted({marks.setdefault(note, len(marks) + 1) for note in notes})
        rows.append(
            (
                heading(first),
                *("" if value is None else shown(value) for value in found),
                ARROWS[first.higher_is_better],
                ", ".join(dict.fromkeys(shown_floor(value) for value in found if value is not None and value.floor is not None)),
                _counts([value for value in found if value is not None]),
                " ".join(map(str, numbers)),
            )
        )
    titles = ["value"] if len(columns) == 1 else [title for title, _ in columns]
    return Table(
        ("measure", *titles, "better", "floor", "n", "note"), tuple(rows), tuple(f"{i}  {note}" for note, i in marks.items())
    )


def heading(value: Value) -> str:
    """The title of a quantity with its unit."""
    return f"{value.title} [{value.unit}]" if value.unit else value.title


def shown(value: Value) -> str:
    """A value with its error, and its interval where there is one.

    >>> from saddlepoint.evaluation.card import Card, Value
    >>> shown(Value("kid", "KID", 0.0123456, 1000, Card({}), error=0.00041))
    '0.01235 ± 0.00041'
    >>> shown(Value("a", "A", 0.5, 100, Card({}), interval=(0.41, 0.59)))
    '0.50 [0.41, 0.59]'
    """
    text = with_error(value.mean, value.error)
    if value.interval is None:
        # A bound is no estimate.
        return f"{value.details['relation']} {text}" if value.details.get("relation") in ("<", ">") else text
    width = abs(value.interval[1] - value.interval[0])
    low, high = (_rounded(end, width) for end in value.interval)
    mean = text if value.error is not None else _rounded(value.mean, width)
    return f"{mean} [{low}, {high}]"


def shown_floor(value: Value) -> str:
    """The floor, without its error; with its number of samples where that is smaller than the value's."""
    if value.floor is None:
        return ""
    few = f" (n {value.floor.n:,})" if value.floor.n < value.n else ""
    return with_error(value.floor.mean, None) + few


def with_error(mean: float, error: float | None) -> str:
    """A number to the second digit of its error, or to four digits.

    >>> with_error(12.3456, 0.21), with_error(1234.5678, None), with_error(-0.0000123, None)
    ('12.35 ± 0.21', '1,235', '-1.23e-05')
    """
    if error is None or not math.isfinite(mean) or not math.isfinite(error):
        return _significant(mean)
    return f"{_rounded(mean, error)} ± {_rounded(error, error)}" if error > 0 else f"{_significant(mean)} ± 0"


def _significant(number: float) -> str:
    if number == 0 or not math.isfinite(number) or not 1e-4 <= abs(number) < 1e7:
        return f"{number:.4g}"
    digits = max(0, 3 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded(number: float, scale: float) -> str:
    """To the second significant digit of `scale`."""
    if not math.isfinite(scale) or scale <= 0 or not math.isfinite(number):
        return _significant(number)
    digits = 1 - math.floor(math.log10(scale))
    if digits > 7:
        return f"{number:.3g}"
    text = f"{round(number, digits):,.{max(0, digits)}f}"
    return text if number or "." not in text else "0"


def _counts(values: Sequence[Value]) -> str:
    return ", ".join(dict.fromkeys(f"{value.n:,}" for value in values))
