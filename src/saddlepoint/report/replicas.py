"""The replica axis of a run: who stands where in it, the logs of its parts joined along it, and which replicas a chart compares."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.report.events import Ended, Log, Measured, Progress, Row, middle

MOST_LINES = 6
QUARTERS = ("lowest", "second", "third", "highest")


@dataclass(frozen=True)
class Replica:
    """One replica: its place in the axis, its seed, its values of the varying fields, and how far it came.

    Args:
        last: the last number of each quantity that was logged or measured (`measures/NAME`).
    """

    index: int
    seed: int | None
    values: Mapping[str, Any]
    update: int
    done: bool
    ended: Ended | None
    last: Mapping[str, float]

    @property
    def status(self) -> str:
        """`done`, `diverged` or `unfinished`."""
        return "diverged" if self.ended is not None else "done" if self.done else "unfinished"

    @property
    def name(self) -> str:
        """Its seed and its values, in a few words."""
        words = [f"seed {self.seed}"] if self.seed is not None else [f"replica {self.index}"]
        return ", ".join([*words, *(f"{name} {told(value)}" for name, value in shortened(self.values).items())])


@dataclass(frozen=True)
class Part:
    """Replicas `start` to `stop - 1`: the folder they were trained in, and its log."""

    start: int
    stop: int
    path: Path
    log: Log

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        return f"replica {self.start}" if self.size == 1 else f"replicas {self.start} to {self.stop - 1}"

    def over(self, asked: int | None) -> bool:
        """Whether it is trained to its end, or all of it diverged."""
        return self.log.diverged is not None or self.done(asked)

    def done(self, asked: int | None) -> bool:
        return self.log.done is not None and (self.log.done >= (asked or 0) or self.log.stopped_by is not None)

    def ended(self) -> dict[int, Ended]:
        """The replicas that diverged, by their place in the whole axis."""
        found = {self.start + replica: ended for replica, ended in self.log.ended.items() if 0 <= replica < self.size}
        if self.log.diverged is not None:
            # The last of them, or the only one, ends its part.
            found = dict.fromkeys(range(self.start, self.stop), Ended(*self.log.diverged)) | found
        return found


def part_span(name: str) -> tuple[int, int] | None:
    """Start and stop of a part's folder, by its name.

    >>> part_span("0032-0063"), part_span("0007"), part_span("notes")
    ((32, 64), (7, 8), None)
    """
    match = re.fullmatch(r"(\d{4,15})(?:-(\d{4,15}))?", name)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return (first, last + 1) if first <= last else None


def joined(parts: Sequence[Part], replicas: int, asked: int | None) -> Log:
    """One log of all replicas: at each update a row of numbers along the axis.

    A part that is behind, and a replica after it diverged, has no number there. With several parts there is no common clock: the
    time is the sum over parts, and there is no rate.
    """
    ended = {index: end for part in parts for index, end in part.ended().items()}
    whole = Log(ended=dict(sorted(ended.items())), unreadable=sum(part.log.unreadable for part in parts))
    whole.parameters = next((part.log.parameters for part in parts if part.log.parameters), {})
    for part in parts:
        label = f"{part.name}: " if len(parts) > 1 else ""
        whole.warnings += [(update, label + message) for update, message in part.log.warnings]
    whole.progress = list(_joined_progress(parts, replicas, ended))
    whole.measured = list(_joined_measures(parts, replicas, ended))
    behind = [part.log.update for part in parts if not part.over(asked)]
    unbegun = sum(part.size for part in parts) < replicas
    whole.update = min(behind) if behind else max((part.log.update for part in parts), default=0)
    if not behind and not unbegun and parts:
        if len(ended) >= replicas:
            last = max(ended.values(), key=lambda end: end.update)
            whole.diverged = (last.update, last.term)
        else:
            whole.done = min(part.log.done for part in parts if part.log.done is not None and part.done(asked))
    return whole


def _joined_progress(parts: Sequence[Part], replicas: int, ended: Mapping[int, Ended]) -> Iterator[Progress]:
    found: dict[int, list[tuple[Part, Progress]]] = {}
    for part in parts:
        for entry in part.log.progress:
            found.setdefault(entry.update, []).append((part, entry))
    for update, entries in sorted(found.items(), key=lambda pair: pair[0]):
        rows: dict[str, list[float | None]] = {}
        for part, entry in entries:
            shared: Mapping[str, Row | float] = entry.values
            for name, numbers in {**shared, **entry.rows}.items():
                _set(rows.setdefault(name, [None] * replicas), part, numbers, update, ended)
        _, fullest = max(entries, key=lambda pair: pair[1].images)
        times = [entry.seconds for _, entry in entries if entry.seconds is not None]
        yield Progress(
            update=update,
            images=fullest.images,
            updates=fullest.updates,
            values={},
            seconds=sum(times) if times else None,
            images_per_second=fullest.images_per_second if len(parts) == 1 else None,
            rows={name: tuple(row) for name, row in rows.items()},
        )


def _joined_measures(parts: Sequence[Part], replicas: int, ended: Mapping[int, Ended]) -> Iterator[Measured]:
    found: dict[tuple[int, str, str], list[tuple[Part, Measured]]] = {}
    for part in parts:
        for entry in part.log.measured:
            found.setdefault((entry.update, entry.name, entry.split), []).append((part, entry))
    for (update, *_), entries in sorted(found.items(), key=lambda pair: pair[0][0]):
        means: list[float | None] = [None] * replicas
        errors: list[float | None] = [None] * replicas
        for part, entry in entries:
            mean, error = entry.rows or (entry.mean, entry.error)
            _set(means, part, mean, update, ended)
            _set(errors, part, error, update, ended)
        yield replace(entries[0][1], mean=middle(tuple(means)), error=None, rows=(tuple(means), tuple(errors)))


def _set(row: list[float | None], part: Part, numbers: Row | float | None, update: int, ended: Mapping[int, Ended]) -> None:
    """Put a part's numbers, or the one that all its replicas share, into the row; of a replica none after its end.

    What is not finite at its very end is the end itself, which the log tells.
    """
    of_part = numbers if isinstance(numbers, tuple) else (numbers,) * part.size
    for index, value in zip(range(part.start, part.stop), of_part, strict=False):
        left = math.inf if index not in ended else ended[index].update - update
        if left > 0 or (left == 0 and value is not None and math.isfinite(value)):
            row[index] = value


def replicas_of(
    axis: Sequence[tuple[int | None, Mapping[str, Any]]], parts: Sequence[Part], log: Log, asked: int | None
) -> tuple[Replica, ...]:
    """Each replica of the axis with how far it came; `log` is the joined one."""
    at = {index: part for part in parts for index in range(part.start, part.stop)}
    last = _last_numbers(log, len(axis))
    found = []
    for index, (seed, values) in enumerate(axis):
        part, end = at.get(index), log.ended.get(index)
        update = end.update if end is not None else part.log.update if part is not None else 0
        done = part is not None and end is None and part.done(asked)
        found.append(Replica(index, seed, values, update, done, end, last[index]))
    return tuple(found)


def _last_numbers(log: Log, replicas: int) -> list[dict[str, float]]:
    last: list[dict[str, float]] = [{} for _ in range(replicas)]
    rows = [pair for entry in log.progress for pair in entry.rows.items()]
    rows += [(f"measures/{entry.name}", entry.rows[0]) for entry in log.measured if entry.rows is not None]
    for name, row in rows:
        for numbers, value in zip(last, row, strict=False):
            if value is not None:
                numbers[name] = value
    return last


@dataclass(frozen=True)
class Grouping:
    """Which replicas share a curve, by the curve's name.

    Args:
        by: the field whose values the curves are of, where there are several such fields; else empty.
        note: what is to be said of it.
    """

    groups: Mapping[str, tuple[int, ...]]
    by: str = ""
    note: str = ""


def groupings(replicas: Sequence[Replica]) -> list[Grouping]:
    """How replicas are compared: one curve a combination of varying values; of more than six, one a value, field by field.

    A field with more than six values is cut into quarters; one whose values are no numbers is not told apart.
    """
    everyone = tuple(replica.index for replica in replicas)
    combinations = _by_value(replicas, lambda replica: shortened(replica.values))
    if len(combinations) <= 1:
        return [Grouping({"": everyone})]
    if len(combinations) <= MOST_LINES:
        return [Grouping(combinations)]
    names = shortened(replicas[0].values)
    varying = {short: field for short, field in zip(names, replicas[0].values, strict=True) if len(_values(replicas, field)) > 1}
    return [_of_field(replicas, field, short, alone=len(varying) == 1) for short, field in varying.items()]


def _values(replicas: Sequence[Replica], field: str) -> set[str]:
    return {json.dumps(replica.values[field]) for replica in replicas}


def _of_field(replicas: Sequence[Replica], field: str, short: str, alone: bool) -> Grouping:
    by = "" if alone else short
    groups = _by_value(replicas, lambda replica: {short: replica.values[field]})
    if len(groups) <= MOST_LINES:
        return Grouping(groups, by)
    numbers = [replica.values[field] for replica in replicas]
    if not all(isinstance(value, int | float) for value in numbers):
        note = f"{short} has {len(groups)} values that are no numbers; they are drawn together."
        return Grouping({"": tuple(replica.index for replica in replicas)}, by, note)
    edges = np.quantile(numbers, (0.25, 0.5, 0.75)).tolist()
    quarters: dict[str, list[Replica]] = {name: [] for name in QUARTERS}
    for replica in replicas:
        quarters[QUARTERS[sum(replica.values[field] > edge for edge in edges)]].append(replica)
    named = {}
    for name, members in quarters.items():
        if members:
            own = [replica.values[field] for replica in members]
            named[f"{name} quarter, {short} {told(min(own))} to {told(max(own))}"] = tuple(replica.index for replica in members)
    return Grouping(named, by, f"{short} has {len(groups)} values: each curve is of a quarter of them.")


def _by_value(replicas: Iterable[Replica], values: Callable[[Replica], Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for replica in replicas:
        label = ", ".join(f"{name} {told(value)}" for name, value in values(replica).items())
        groups.setdefault(label, []).append(replica.index)
    return {label: tuple(indices) for label, indices in groups.items()}


def shortened(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the shortest ends of their dotted fields that tell these apart.

    >>> shortened({"optimizers.generator.lr": 1, "optimizers.discriminator.lr": 2, "weightings.generator.eta": 3})
    {'generator.lr': 1, 'discriminator.lr': 2, 'eta': 3}
    """
    names = {}
    for field in values:
        words = field.split(".")
        ends = (".".join(words[-length:]) for length in range(1, len(words) + 1))
        alike = [other for other in values if other != field]
        names[next((end for end in ends if not any(f".{other}".endswith(f".{end}") for other in alike)), field)] = values[field]
    return names


def told(value: Any) -> str:
    """A varying value in few characters that still tell it.

    >>> told(1.0), told(1e-5), told({"every": 16, "value": 1.0})
    ('1', '1e-05', '{"every":16,"value":1.0}')
    """
    if isinstance(value, int | float):
        return f"{value!r}".removesuffix(".0")
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
