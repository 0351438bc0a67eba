"""`events.jsonl`: one JSON object a line, append only. What depends on the clock stands under `time`."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Events:
    """The log of a run, opened to append after its first `length` bytes.

    A resumed run passes the length stored in its checkpoint: lines written after that checkpoint are cut off, since the run
    writes them again.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        with path.open("ab") as file:
            file.truncate(length)
        self._file = path.open("ab")

    def write(self, event: str, update: int, **fields: Any) -> None:
        """Append one event. Non-finite numbers are written as the strings "nan", "inf", "-inf"."""
        line = json.dumps(_finite({"event": event, "update": update, **fields}), allow_nan=False, ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Force what was written to the disk; the length of the file in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
