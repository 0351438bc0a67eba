"""`events.jsonl`: one JSON object a line, append only. What depends on the clock stands under `time`."""

import errno
import fcntl
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from saddlepoint.errors import InputError


class Events:
    """The log of a run, opened to append after its first `length` bytes.

    A resumed run passes the length stored in its checkpoint: lines written after that checkpoint are cut off, since the run
    writes them again.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        self._length = length
        # Unbuffered: what is written is in the file, and closing it writes nothing.
        self._file = path.open("ab", buffering=0)
        try:
            self._lock()
            self._check_length()
        except BaseException:
            self._file.close()
            raise

    def write(self, event: str, update: int, **fields: Any) -> None:
        """Append one event. Non-finite numbers are written as the strings "nan", "inf", "-inf".

        Raises:
            OSError: the disk is full; the line is not there, not even in part.
        """
        line = json.dumps(_finite({"event": event, "update": update, **fields}), allow_nan=False, ensure_ascii=False)
        rest = line.encode() + b"\n"
        try:
            # What follows the length is cut off no sooner than there is something to write instead.
            self._file.truncate(self._length)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._length)
            raise
        self._length = self._file.tell()

    def sync(self) -> int:
        """Force what was written to the disk; the length of the file in bytes."""
        os.fsync(self._file.fileno())
        return self._length

    def _check_length(self) -> None:
        held = os.fstat(self._file.fileno()).st_size
        if held < self._length:
            what = f"holds {held} bytes; its checkpoint was written when it held {self._length}"
            raise InputError([f"{self.path}: {what}; put the whole file back, or remove the newest checkpoint"])

    def _lock(self) -> None:
        """One process a run: the lock dies with the process that holds it.

        Raises:
            InputError: another process trains this run.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks does not stop anybody.
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise InputError([f"{self.path.parent}: another process trains this run; wait for it, or stop it"]) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
