"""What files hold, by sha256; with a list of what was read before, so that unchanged files are not read again."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from saddlepoint.data.source import Progress
from saddlepoint.storage import cache_folder, replace_file

# A file changed this shortly before it was read could change again within the clock's step, unseen: it is read again next time.
SETTLED_SECONDS = 2.0


def digest_of(data: bytes) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digests(files: Mapping[str, Path], root: Path, progress: Progress | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """The sha256 of every file by name, and by name why a file could not be read.

    A file whose size, times of change (mtime and ctime, which no program can set back) and inode are as they were when it was last
    read is not read again.
    """
    index = cache_folder() / "contents" / f"{digest_of(os.fsencode(root.resolve()))}.json"
    known = _read_index(index)
    found: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    settled: dict[str, list[object]] = {}
    for done, (name, path) in enumerate(files.items(), 1):
        try:
            found[name], entry = _known_or_read(path, known.get(name))
            if entry:
                settled[name] = entry
        except OSError as error:
            unreadable[name] = error.strerror or str(error)
        if progress is not None:
            progress(done, len(files))
    if settled != known:
        # The list only saves time, so a cache that cannot be written is no reason to stop here.
        with contextlib.suppress(OSError):
            replace_file(index, json.dumps(settled).encode())
    return found, unreadable


def _known_or_read(path: Path, held: list[object] | None) -> tuple[str, list[object]]:
    stat = path.stat()
    signature: list[object] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    if held is not None and held[:-1] == signature:
        return str(held[-1]), held
    started = time.time()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settled = started - max(stat.st_mtime, stat.st_ctime) >= SETTLED_SECONDS
    return digest, [*signature, digest] if settled else []


def _read_index(path: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    well_formed = isinstance(known, dict) and all(isinstance(held, list) and len(held) == 5 for held in known.values())
    return known if well_formed else {}
