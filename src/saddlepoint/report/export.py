"""The events of a run for other tools: a CSV table, TensorBoard."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from saddlepoint.errors import InputError
from saddlepoint.report.events import Log
from saddlepoint.report.reading import Reading, read_run
from saddlepoint.report.saving import save

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def export_csv(run: Path, path: Path) -> Path:
    """Write one row an update that was logged or measured at, every quantity a column, empty where it was not there.

    Quantities come in the order of first appearance; what was measured is `measures/NAME`, its standard error
    `measures/NAME/error`. Numbers are written so that they read back to the same bits; `nan`, `inf`, `-inf` stand as words.

    Raises:
        InputError: `run` is not a run folder, or `path` cannot be written.
    """
    log = read_run(run).log
    players = list(dict.fromkeys(player for entry in log.progress for player in entry.updates))
    measured = _measured(log)
    rows = _rows(log, players, measured)
    names = [*log.names, *dict.fromkeys(name for values in measured.values() for name in values)]
    text = io.StringIO()
    columns = ["update", "images", *(f"{player}/updates" for player in players), *names, "seconds", "images_per_second"]
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    save(path, text.getvalue().encode())
    return path


def _rows(log: Log, players: Sequence[str], measured: Mapping[int, Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    progress = {entry.update: entry for entry in log.progress}
    for update in sorted({*progress, *measured}):
        row: dict[str, Any] = {"update": update, **measured.get(update, {})}
        entry = progress.get(update)
        if entry is not None:
            row |= {"images": entry.images, "seconds": entry.seconds, "images_per_second": entry.images_per_second}
            row |= {f"{player}/updates": entry.updates[player] for player in players if player in entry.updates}
            row |= entry.values
        yield row


def _measured(log: Log) -> dict[int, dict[str, float]]:
    """What was measured at each update, by column; the error beside its value."""
    found: dict[int, dict[str, float]] = {}
    for entry in log.measured:
        values = found.setdefault(entry.update, {})
        values[f"measures/{entry.name}"] = entry.mean
        if entry.error is not None:
            values[f"measures/{entry.name}/error"] = entry.error
    return found


def export_tensorboard(run: Path, folder: Path) -> Path:
    """Write the quantities, what was measured, the pictures of samples, the recipe and the warnings for TensorBoard.

    Raises:
        InputError: TensorBoard is not installed, `run` is not a run folder, or `folder` holds TensorBoard events already.
    """
    reading = read_run(run)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(["tensorboard is not installed; `pip install 'saddlepoint[tensorboard]'` brings it"]) from None
    if folder.exists() and (not folder.is_dir() or any(folder.glob("events.out.tfevents.*"))):
        raise InputError([f"{folder}: holds TensorBoard events already, or is no folder; give a new folder"])
    try:
        with SummaryWriter(str(folder)) as writer:
            _write_events(writer, reading)
    except OSError as error:
        raise InputError([f"{folder}: cannot be written ({error.strerror}); give a folder that you may write to"]) from error
    return folder


def _write_events(writer: "SummaryWriter", reading: Reading) -> None:
    began = _began(reading)
    writer.add_text("recipe", f"```yaml\n{reading.recipe_text}\n```", 0, walltime=began)
    for entry in reading.log.progress:
        when = began + (entry.seconds or 0.0)
        for name, value in entry.values.items():
            writer.add_scalar(name, value, entry.update, walltime=when)
        if entry.images_per_second is not None:
            writer.add_scalar("images per second", entry.images_per_second, entry.update, walltime=when)
    for update, values in _measured(reading.log).items():
        # Their own line has no time since the start; the last one before them has.
        seconds = [entry.seconds or 0.0 for entry in reading.log.progress if entry.update <= update]
        for name, value in values.items():
            writer.add_scalar(name, value, update, walltime=began + max(seconds, default=0.0))
    for update, path in reading.frames:
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        writer.add_image("samples", pixels, update, walltime=began, dataformats="HWC")
    for update, message in reading.log.warnings:
        writer.add_text("warnings", message, update, walltime=began)


def _began(reading: Reading) -> float:
    date = reading.sessions[0].get("date") if reading.sessions else None
    try:
        return datetime.fromisoformat(str(date)).timestamp()
    except ValueError:
        return 0.0
