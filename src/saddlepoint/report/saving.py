"""Writing what a user asked for: whole or not at all, and one line when it cannot be."""

from pathlib import Path

from saddlepoint.errors import InputError
from saddlepoint.training.pictures import replace_file


def save(path: Path, content: bytes) -> None:
    """Write a whole file or none.

    Raises:
        InputError: it cannot be written.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise InputError(
            [f"{path}: cannot be written ({error.strerror}); give a path in a folder that you may write to"]
        ) from error
