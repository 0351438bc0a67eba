"""The table of all runs in a folder."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from saddlepoint.errors import InputError
from saddlepoint.report.reading import Reading, is_run, read_run

# A run counts as running while its log is younger than a few of its own log periods, and at least this.
QUIET_SECONDS = 60.0
QUIET_PERIODS = 4


@dataclass(frozen=True)
class RunSummary:
    """One line of the table. `status` is done, diverged, running or stopped; `losses` are the last ones, by player."""

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


def _summary(reading: Reading) -> RunSummary:
    log = reading.log
    last = log.progress[-1].values if log.progress else {}
    return RunSummary(
        path=reading.path,
        name=reading.name,
        recipe=reading.recipe_name,
        data=reading.data,
        status=_status(reading),
        updates=log.update,
        asked=reading.asked,
        losses={name.removesuffix("/loss"): value for name, value in last.items() if name.endswith("/loss")},
        seconds=log.seconds,
        bytes=_size(reading.path),
        problems=reading.problems,
    )


def _status(reading: Reading) -> str:
    if reading.status != "unfinished":
        return reading.status
    try:
        quiet = time.time() - (reading.path / "events.jsonl").stat().st_mtime
    except OSError:
        return "stopped"
    times = [entry.seconds for entry in reading.log.progress if entry.seconds is not None]
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
