"""The events of a run for other tools: a CSV table, TensorBoard."""

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from saddlepoint.errors import InputError
from saddlepoint.report.reading import Reading, read_run
from saddlepoint.report.saving import save

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def export_csv(run: Path, path: Path) -> Path:
    """Write one row a progress event, every quantity a column (in the order of first appearance), empty where it was not logged.

    Numbers are written so that they read back to the same bits; `nan`, `inf`, `-inf` stand as words.

    Raises:
        InputError: `run` is not a run folder, or `path` cannot be written.
    """
    log = read_run(run).log
    players = list(dict.fromkeys(player for entry in log.progress for player in entry.updates))
    names = log.names
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["update", "images", *(f"{player}/updates" for player in players), *names, "seconds", "images_per_second"])
    for entry in log.progress:
        counts = [entry.updates.get(player, "") for player in players]
        values = [entry.values.get(name, "") for name in names]
        table.writerow([entry.update, entry.images, *counts, *values, entry.seconds, entry.images_per_second])
    save(path, text.getvalue().encode())
    return path


def export_tensorboard(run: Path, folder: Path) -> Path:
    """Write the quantities, the pictures of samples, the recipe and the warnings as TensorBoard events, each at its update.

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
