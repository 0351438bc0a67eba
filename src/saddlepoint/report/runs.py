"""The table of all runs in a folder."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.report.events import Log, middle
from saddlepoint.report.reading import Reading, is_run, read_run
from saddlepoint.report.replicas import Part, Replica

# A run counts as running while its log is younger than a few of its own log periods, and at least this.
QUIET_SECONDS = 60.0
QUIET_PERIODS = 4


@dataclass(frozen=True)
class RunSummary:
    """One line of the table. `status` is done, diverged, running or stopped; `losses` are the last ones, by player.

    Args:
        replicas: how many there are; None of a lone run. Then `losses` are medians, and `diverged` counts those that diverged.
        parts: how many of the parts are at their end, and how many there are; None of a run in one folder.
    """

    path: Path
    name: str
    recipe: str
    data: str
    status: str
    updates: int
    asked: int | None
    losses: Mapping[str, float]
    seconds: float | None
    bytes: int
    problems: tuple[str, ...]
    replicas: int | None = None
    diverged: int | None = None
    parts: tuple[int, int] | None = None


@dataclass(frozen=True)
class ReplicaSummary:
    """One replica of a run. `status` is done, diverged, running or stopped; `term` is what diverged, `losses` are by player.

    Args:
        replica: its place in the axis.
        values: of the varying fields.
        update: the last one it reached.
    """

    replica: int
    seed: int | None
    values: Mapping[str, Any]
    status: str
    update: int
    term: str | None
    losses: Mapping[str, float]


def runs_table(folder: Path) -> list[RunSummary]:
    """The runs in a folder (or the one run that it is), by name. Folders that are no runs are passed over.

    Raises:
        InputError: it is not a folder.
    """
    if not folder.is_dir():
        raise InputError([f"{folder}: is not a folder; runs stand in `runs` unless --out said otherwise"])
    if is_run(folder):
        return [_summary(read_run(folder))]
    return [_summary(read_run(path)) for path in sorted(folder.iterdir()) if path.is_dir() and is_run(path)]


def replicas_table(run: Path) -> list[ReplicaSummary]:
    """The replicas of a run in the order of its axis; none of a lone run.

    Raises:
        InputError: it is not a run folder.
    """
    reading = read_run(run)
    moving = {part.start: _moving(part.path, part.log) for part in reading.parts}
    states = {index: moving[part.start] for part in reading.parts for index in range(part.start, part.stop)}
    return [_of_replica(replica, states.get(replica.index, "stopped")) for replica in reading.replicas]


def _of_replica(replica: Replica, moving: str) -> ReplicaSummary:
    return ReplicaSummary(
        replica=replica.index,
        seed=replica.seed,
        values=replica.values,
        status=moving if replica.status == "unfinished" else replica.status,
        update=replica.update,
        term=None if replica.ended is None else replica.ended.term,
        losses=_losses(replica.last),
    )


def _losses(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name.removesuffix("/loss"): value for name, value in numbers.items() if name.endswith("/loss")}


def _summary(reading: Reading) -> RunSummary:
    log = reading.log
    last = log.progress[-1] if log.progress else None
    numbers = {} if last is None else {**last.values, **{name: middle(row) for name, row in last.rows.items()}}
    over = sum(part.over(reading.asked) for part in reading.parts)
    return RunSummary(
        path=reading.path,
        name=reading.name,
        recipe=reading.recipe_name,
        data=reading.data,
        status=_status(reading),
        updates=log.update,
        asked=reading.asked,
        losses=_losses(numbers),
        seconds=log.seconds,
        bytes=_size(reading.path),
        problems=reading.problems,
        replicas=len(reading.replicas) or None,
        diverged=len(log.ended) if reading.replicas else None,
        parts=(over, len(reading.parts)) if reading.divided else None,
    )


def _status(reading: Reading) -> str:
    if reading.status != "unfinished":
        return reading.status
    parts = reading.parts or (Part(0, 1, reading.path, reading.log),)
    unfinished = (_moving(part.path, part.log) for part in parts if not part.over(reading.asked))
    return "running" if "running" in unfinished else "stopped"


def _moving(run: Path, log: Log) -> str:
    """Whether a log that has not come to its end is `running` or `stopped`."""
    try:
        quiet = time.time() - (run / "events.jsonl").stat().st_mtime
    except OSError:
        return "stopped"
    times = [entry.seconds for entry in log.progress if entry.seconds is not None]
    period = times[-1] - times[-2] if len(times) > 1 else 0.0
    return "running" if quiet < max(QUIET_SECONDS, QUIET_PERIODS * period) else "stopped"


def _size(path: Path) -> int:
    total = 0
    for parent, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
