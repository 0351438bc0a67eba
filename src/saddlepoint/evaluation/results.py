"""`measures.json`: the values of a run with their cards, one entry a card, written whole or not at all."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value
from saddlepoint.storage import replace_file

FORMAT = 1
FILE = "measures.json"


def read_values(path: Path) -> list[Value]:
    """The values of a `measures.json`, oldest first; none when the file is not there.

    Raises:
        InputError: it is damaged, or a newer version wrote it.
    """
    if not path.exists():
        return []
    cure = "put back what was written, or remove it and evaluate again"
    try:
        held = json.loads(path.read_bytes())
        if held["format"] > FORMAT:
            raise InputError([f"{path}: format {held['format']} is newer than this version knows ({FORMAT}); upgrade saddlepoint"])
        return [Value.from_mapping(value) for value in held["values"].values()]
    except OSError as error:
        raise InputError([f"{path}: cannot be read ({error.strerror}); {cure}"]) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError([f"{path}: is not what an evaluation wrote; {cure}"]) from error


def refuse_unwritable(folder: Path) -> None:
    """Raise `InputError` when values could not be added to the folder's `measures.json`: before they are computed."""
    path = folder / FILE
    read_values(path)
    if not os.access(folder, os.W_OK):
        raise InputError(
            [f"{path}: cannot be written (the folder is read-only); make it writable, or sample it and give the samples"]
        )


def refuse_unwritable_file(path: Path) -> None:
    """The same for a file of any name."""
    if path.is_dir():
        raise InputError([f"{path}: is a folder; give the name of a file"])
    if not path.parent.is_dir():
        raise InputError([f"{path}: there is no folder {path.parent}; make it first"])
    read_values(path)
    if not os.access(path.parent, os.W_OK):
        raise InputError([f"{path}: cannot be written (the folder is read-only); give another place"])


def add_values(folder: Path, values: Iterable[Value]) -> Path:
    """Add values to a folder's `measures.json`; a value takes the place of one with the same card.

    Raises:
        InputError: the file cannot be written, or what is there was not written by an evaluation.
    """
    return write_values(folder / FILE, values)


def write_values(path: Path, values: Iterable[Value]) -> Path:
    """The same for a file of any name."""
    try:
        with _alone_in(path.parent):
            held = {value.card.digest: value for value in read_values(path)}
            for value in values:
                held.pop(value.card.digest, None)
                held[value.card.digest] = value
            content = {"format": FORMAT, "values": {digest: value.to_mapping() for digest, value in held.items()}}
            replace_file(path, json.dumps(content, indent=1, allow_nan=False).encode())
    except OSError as error:
        raise InputError([f"{path}: cannot be written ({error.strerror}); make it writable, with room"]) from error
    return path


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Until another evaluation has written its values, or it would write without them. The lock dies with its process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
