"""`events.jsonl` read back, also while it is still being written, and when lines of it are damaged."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# One number a replica, in the order of the axis; None where there is none.
Row = tuple[float | None, ...]


@dataclass(frozen=True)
class Progress:
    """What the monitors showed at one update. Times are None when the line has none.

    Args:
        values: numbers by name; of a run of many replicas, those that all share.
        rows: numbers that differ from replica to replica, by name.
    """

    update: int
    images: int
    updates: Mapping[str, int]
    values: Mapping[str, float]
    seconds: float | None
    images_per_second: float | None
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A quantity that was measured at one update, while it trained; of many replicas `rows` holds each one's mean and error."""

    update: int
    name: str
    title: str
    mean: float
    n: int
    split: str
    better: str | None
    error: float | None = None
    rows: tuple[Row, Row] | None = None


@dataclass(frozen=True)
class Ended:
    """Where a replica diverged: the update it had reached, and the term that stopped being finite."""

    update: int
    term: str


@dataclass
class Log:
    """The events of a run in the order of their writing."""

    progress: list[Progress] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    diverged: tuple[int, str] | None = None
    done: int | None = None
    stopped_by: str | None = None
    update: int = 0
    unreadable: int = 0
    seeds: tuple[int, ...] = ()
    ended: dict[int, Ended] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every quantity that was logged, in the order of its first appearance."""
        return list(dict.fromkeys(name for entry in self.progress for name in (*entry.values, *entry.rows)))

    @property
    def seconds(self) -> float | None:
        """Seconds of training so far, over all sessions."""
        return next((entry.seconds for entry in reversed(self.progress) if entry.seconds is not None), None)


def read_log(path: Path) -> Log:
    """The events in a file; empty when there is none yet.

    A last line without its end is being written and is passed over; other lines that are no events are counted as `unreadable`.
    """
    log = Log()
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except OSError:
        return log
    for line in lines:
        if line.strip() and not _take(log, line):
            log.unreadable += 1
    _take(log, last)
    return log


def number(value: object) -> float | None:
    """A number as events write it: also the words "nan", "inf" and "-inf". None when it is not one.

    >>> number(3), number("-inf"), number("three"), number(True)
    (3.0, -inf, None, None)
    """
    if value in ("nan", "inf", "-inf"):
        return float(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def middle(row: Row) -> float:
    """The median of the numbers that are finite; NaN where none is.

    >>> middle((1.0, None, math.inf, 4.0))
    2.5
    """
    finite = [value for value in row if value is not None and math.isfinite(value)]
    return statistics.median(finite) if finite else math.nan


def _take(log: Log, line: bytes) -> bool:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict) or not isinstance(event.get("update"), int):
        return False
    update: int = event["update"]
    log.update = max(log.update, update)
    match event.get("event"):
        case "start":
            log.parameters = _integers(event.get("parameters"))
            log.seeds = _seeds(event.get("seeds"))
        case "progress":
            log.progress.append(_progress(update, event))
        case "measures":
            log.measured += _measured(update, event)
        case "warning":
            log.warnings.append((update, str(event.get("message", ""))))
        case "replica diverged":
            if isinstance(event.get("replica"), int):
                log.ended.setdefault(event["replica"], Ended(update, str(event.get("term", ""))))
        case "diverged":
            log.diverged = (update, str(event.get("term", "")))
        case "done":
            log.done = update
            log.stopped_by = event.get("stopped_by")
    return True


def _progress(update: int, event: Mapping[str, Any]) -> Progress:
    found = {str(name): value for name, value in _mapping(event.get("values")).items()}
    values = {name: number(value) for name, value in found.items() if not isinstance(value, list)}
    images, times = event.get("images"), _mapping(event.get("time"))
    return Progress(
        update=update,
        images=images if isinstance(images, int) else 0,
        updates=_integers(event.get("updates")),
        values={name: value for name, value in values.items() if value is not None},
        seconds=number(times.get("seconds")),
        images_per_second=number(times.get("images_per_second")),
        rows={name: _row(value) for name, value in found.items() if isinstance(value, list)},
    )


def _measured(update: int, event: Mapping[str, Any]) -> list[Measured]:
    found = []
    for name, value in _mapping(event.get("values")).items():
        fields = _mapping(value)
        mean, n, better = number(fields.get("mean")), fields.get("n"), fields.get("better")
        rows = (_row(fields.get("mean")), _row(fields.get("error"))) if isinstance(fields.get("mean"), list) else None
        if rows is not None:
            mean = middle(rows[0])
        if mean is not None:
            found.append(
                Measured(
                    update=update,
                    name=str(name),
                    title=str(fields.get("title") or name),
                    mean=mean,
                    n=n if isinstance(n, int) else 0,
                    split=str(event.get("split") or ""),
                    better=better if better in ("higher", "lower") else None,
                    error=number(fields.get("error")),
                    rows=rows,
                )
            )
    return found


def _row(value: object) -> Row:
    return tuple(number(inner) for inner in value) if isinstance(value, list) else ()


def _seeds(value: object) -> tuple[int, ...]:
    return tuple(seed for seed in value if isinstance(seed, int)) if isinstance(value, list) else ()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _integers(value: object) -> dict[str, int]:
    return {str(name): count for name, count in _mapping(value).items() if isinstance(count, int)}
