"""What a demonstration leaves: a picture, its numbers, and its table."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from saddlepoint.demonstrations import dynamics_picture
from saddlepoint.demonstrations.dynamics import Dynamics
from saddlepoint.demonstrations.measures import Demonstration
from saddlepoint.demonstrations.picture import png_of
from saddlepoint.errors import InputError
from saddlepoint.storage import replace_file

PICTURE, NUMBERS, TABLE = "measures.png", "measures.json", "measures.md"


def refuse_unwritable(folder: Path) -> None:
    """Raise `InputError` when nothing could be put into the folder: before the work, not after it."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError([f"{folder}: {there} is a file; give a folder, which may be new"])
    if not os.access(there, os.W_OK):
        raise InputError([f"{folder}: cannot be written into ({there} is read-only); give another folder"])


def write_demonstration(demonstration: Demonstration, folder: Path) -> Mapping[str, Path]:
    """Write `measures.png`, `measures.json` and `measures.md`, each whole or not at all.

    Raises:
        InputError: they cannot be written.
    """
    return _written(
        folder,
        {
            PICTURE: png_of(demonstration),
            NUMBERS: json.dumps(demonstration.to_mapping(), indent=1, allow_nan=False).encode(),
            TABLE: markdown_of(demonstration.rows()).encode(),
        },
    )


def write_dynamics(dynamics: Dynamics, folder: Path) -> Mapping[str, Path]:
    """Write `dynamics.png`, `dynamics.json` and `dynamics.md`, each whole or not at all.

    Raises:
        InputError: they cannot be written.
    """
    return _written(
        folder,
        {
            "dynamics.png": dynamics_picture.png_of(dynamics),
            "dynamics.json": json.dumps(dynamics.to_mapping(), allow_nan=False).encode(),
            "dynamics.md": markdown_of(dynamics.rows()).encode(),
        },
    )


def _written(folder: Path, contents: Mapping[str, bytes]) -> Mapping[str, Path]:
    try:
        for name, content in contents.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise InputError([f"{folder}: cannot be written into ({error.strerror}); give a folder with room"]) from error
    return {name: folder / name for name in contents}


def markdown_of(rows: Sequence[Mapping[str, str]]) -> str:
    """A table as a page shows it."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)] if rows else []
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
