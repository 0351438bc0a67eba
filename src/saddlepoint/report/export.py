"""The events of a run for other tools: a CSV table, TensorBoard."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saddlepoint.errors import InputError
from saddlepoint.report.events import Log, Measured, Progress, middle
from saddlepoint.report.frames import UNREADABLE, picture, shots
from saddlepoint.report.reading import Reading, read_run
from saddlepoint.report.replicas import Replica, told
from saddlepoint.report.saving import save

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def export_csv(run: Path, path: Path) -> Path:
    """Write one row an update that was logged or measured at, every quantity a column, empty where it was not there.

    Quantities come in the order of first appearance; what was measured is `measures/NAME`, its standard error
    `measures/NAME/error`. Numbers are written so that they read back to the same bits; `nan`, `inf`, `-inf` stand as words.
    Of many replicas there is a row a replica and update (long form): `replica`, `seed` and the varying fields come first, and one
    that diverged has no rows after its end.

    Raises:
        InputError: `run` is not a run folder, or `path` cannot be written.
    """
    reading = read_run(run)
    log = reading.log
    players = list(dict.fromkeys(player for entry in log.progress for player in entry.updates))
    names = [*log.names, *dict.fromkeys(name for entry in log.measured for name in _columns(entry))]
    columns = ["update", "images", *(f"{player}/updates" for player in players), *names, "seconds"]
    if reading.replicas:
        columns = ["replica", "seed", *reading.replicas[0].values, *columns]
        rows = [_who(replica) | row for replica in reading.replicas for row in _rows(log, players, replica.index)]
    else:
        columns, rows = [*columns, "images_per_second"], list(_rows(log, players, None))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    save(path, text.getvalue().encode())
    return path


def _who(replica: Replica) -> dict[str, Any]:
    values = {field: value if isinstance(value, int | float) else told(value) for field, value in replica.values.items()}
    return {"replica": replica.index, "seed": replica.seed, **values}


def _rows(log: Log, players: Sequence[str], replica: int | None) -> Iterator[dict[str, Any]]:
    """A row an update at which there is a number, of a lone run or of one replica."""
    progress = {entry.update: entry for entry in log.progress}
    measured = _measured(log, replica)
    for update in sorted({*progress, *measured}):
        row: dict[str, Any] = dict(measured.get(update, {}))
        entry = progress.get(update)
        if entry is not None:
            row |= _numbers(entry, replica)
        if replica is not None and not row:
            continue
        row["update"] = update
        if entry is not None:
            row |= {"images": entry.images, "seconds": entry.seconds}
            row |= {f"{player}/updates": entry.updates[player] for player in players if player in entry.updates}
            row |= {"images_per_second": entry.images_per_second} if replica is None else {}
        yield row


def _numbers(entry: Progress, replica: int | None) -> dict[str, float]:
    if replica is None:
        return dict(entry.values)
    return {name: value for name, row in entry.rows.items() if (value := row[replica]) is not None}


def _columns(entry: Measured) -> list[str]:
    errors = entry.rows[1] if entry.rows is not None else (entry.error,)
    name = f"measures/{entry.name}"
    return [name] if all(error is None for error in errors) else [name, f"{name}/error"]


def _of(entry: Measured, replica: int | None) -> tuple[float | None, float | None]:
    """Mean and error, of a lone run (of many the median) or of one replica."""
    if replica is None or entry.rows is None:
        return entry.mean, entry.error
    means, errors = entry.rows
    return means[replica], errors[replica]


def _measured(log: Log, replica: int | None) -> dict[int, dict[str, float]]:
    """What was measured at each update, by column; the error beside its value."""
    found: dict[int, dict[str, float]] = {}
    for entry in log.measured:
        mean, error = _of(entry, replica)
        pair = {f"measures/{entry.name}": mean, f"measures/{entry.name}/error": error}
        numbers = {name: number for name, number in pair.items() if number is not None}
        if numbers:
            found.setdefault(entry.update, {}).update(numbers)
    return found


def export_tensorboard(run: Path, folder: Path) -> Path:
    """Write the quantities, what was measured, the pictures of samples, the recipe and the warnings for TensorBoard.

    Of many replicas `folder` holds the medians, and a folder in it each replica, which TensorBoard shows as runs beside it.

    Raises:
        InputError: TensorBoard is not installed, `run` is not a run folder, or `folder` holds TensorBoard events already.
    """
    reading = read_run(run)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(["tensorboard is not installed; `pip install 'saddlepoint[tensorboard]'` brings it"]) from None
    if folder.exists() and (not folder.is_dir() or any(folder.rglob("events.out.tfevents.*"))):
        raise InputError([f"{folder}: holds TensorBoard events already, or is no folder; give a new folder"])
    try:
        with SummaryWriter(str(folder)) as writer:
            _write_run(writer, reading)
        for replica in reading.replicas:
            with SummaryWriter(str(folder / f"replica-{replica.index:04d}")) as writer:
                writer.add_text("replica", replica.name, 0, walltime=_began(reading))
                _write_scalars(writer, reading, replica.index)
    except OSError as error:
        raise InputError([f"{folder}: cannot be written ({error.strerror}); give a folder that you may write to"]) from error
    return folder


def _write_run(writer: "SummaryWriter", reading: Reading) -> None:
    began = _began(reading)
    writer.add_text("recipe", f"```yaml\n{reading.recipe_text}\n```", 0, walltime=began)
    _write_scalars(writer, reading, None)
    for shot in shots(reading):
        with suppress(*UNREADABLE):
            writer.add_image("samples", np.asarray(picture(shot)), shot.update, walltime=began, dataformats="HWC")
    for update, message in reading.log.warnings:
        writer.add_text("warnings", message, update, walltime=began)


def _write_scalars(writer: "SummaryWriter", reading: Reading, replica: int | None) -> None:
    """The numbers of a lone run, the medians of many replicas, or the numbers of one of these."""
    log, began = reading.log, _began(reading)
    for entry in log.progress:
        when = began + (entry.seconds or 0.0)
        numbers = _numbers(entry, replica) | ({name: middle(row) for name, row in entry.rows.items()} if replica is None else {})
        for name, value in numbers.items():
            writer.add_scalar(name, value, entry.update, walltime=when)
        if entry.images_per_second is not None and replica is None:
            writer.add_scalar("images per second", entry.images_per_second, entry.update, walltime=when)
    for update, values in _measured(log, replica).items():
        # Their own line has no time since the start; the last one before them has.
        seconds = [entry.seconds or 0.0 for entry in log.progress if entry.update <= update]
        for name, value in values.items():
            writer.add_scalar(name, value, update, walltime=began + max(seconds, default=0.0))


def _began(reading: Reading) -> float:
    date = reading.sessions[0].get("date") if reading.sessions else None
    try:
        return datetime.fromisoformat(str(date)).timestamp()
    except ValueError:
        return 0.0
