"""Decoded images on disk: one memory-mapped uint8 array an entry, whole or absent.

An entry is a folder named by its key: `images.u8`, the pixels `[N, C, H, W]` and nothing else, and `index.json`, their shape and
digest and what was found. It is built in a folder beside, synced, and renamed, under a lock that dies with its process.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.storage import cache_folder, locked, replace_file

FORMAT = 1
CHUNK_IMAGES = 1024


@dataclass(frozen=True)
class Entry:
    """What the cache holds under a key: `images` uint8 `[N, C, H, W]`, memory-mapped; `found`, as the builder returned it."""

    images: Tensor
    found: dict[str, Any]
    repaired: str | None = None


class Writer:
    """Takes images in order, a file's worth of memory at a time; a full disk raises `OSError` instead of a fault in a mapping."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shape: tuple[int, ...] = ()
        self.count = 0
        self._path = folder / "images.u8"
        self._file = self._path.open("wb")

    def append(self, images: NDArray[np.uint8]) -> None:
        """Images uint8 `[n, C, H, W]`."""
        self.shape = images.shape[1:]
        self.count += len(images)
        self._file.write(np.ascontiguousarray(images).tobytes())

    def keep_first_channel(self) -> None:
        """Of images that turned out to be grey, keep one channel."""
        self._file.close()
        wide = self._path.rename(self.folder / "wide.u8")
        size, shape = int(np.prod(self.shape)), self.shape
        self._file = self._path.open("wb")
        self.count, self.shape = 0, ()
        with wide.open("rb") as file:
            while data := file.read(size * CHUNK_IMAGES):
                self.append(np.frombuffer(data, np.uint8).reshape(-1, *shape)[:, :1])
        wide.unlink()

    def close(self) -> str:
        """Onto the disk; returns the digest of the pixels."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return _digest(self._path)

    def abandon(self) -> None:
        """Close, whatever the disk says of what was not yet written."""
        with contextlib.suppress(OSError):
            self._file.close()


Build = Callable[[Writer], dict[str, Any]]


def key_of(*parts: object) -> str:
    """The name of an entry: a digest of everything that decides its bytes."""
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True).encode()).hexdigest()


def open_or_build(key: str, build: Build) -> Entry:
    """The entry of `key`, built once. Two processes that want it at once build it once; a damaged one is built again.

    Raises:
        InputError: the cache cannot be written: the folder, the reason, and what to do.
    """
    folder = cache_folder() / "images" / key
    damage = None
    try:
        if os.path.exists(folder):
            return _read(folder)
    except _DamagedError as error:
        damage = str(error)
    with writing(folder.parent), locked(folder.with_suffix(".lock")):
        try:
            if os.path.exists(folder):
                return _read(folder)
        except _DamagedError as error:
            damage = str(error)
            shutil.rmtree(folder)
        _write(folder, build)
        entry = _read(folder)
    repaired = f"the cached array {folder} was damaged ({damage}) and was made again" if damage else None
    return Entry(entry.images, entry.found, repaired)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What is done inside writes to the cache: its failures are the disk's, and the user can mend them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        cure = "make room there, or set" if full else "make it writable, or set"
        raise InputError(
            [f"{folder}: the cache of decoded images cannot be written ({reason}); {cure} SADDLEPOINT_CACHE to another folder"]
        ) from None


class _DamagedError(Exception):
    pass


def _write(folder: Path, build: Build) -> None:
    _sweep(folder.parent)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    writer = Writer(partial)
    try:
        found = build(writer)
        body = {"shape": [writer.count, *writer.shape], "sha256": writer.close(), "found": found}
        index = {"body": body, "sha256": _body_digest(body)}
        replace_file(partial / "index.json", json.dumps(index).encode())
        _sync_folder(partial)
        os.replace(partial, folder)
        _sync_folder(folder.parent)
    except BaseException:
        writer.abandon()
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sweep(folder: Path) -> None:
    """Remove what killed processes left: partial entries whose lock nobody holds."""
    for partial in folder.glob("*.partial"):
        with partial.with_suffix(".lock").open("ab") as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial, ignore_errors=True)


def _read(folder: Path) -> Entry:
    try:
        index = json.loads((folder / "index.json").read_bytes())
        body = index["body"]
        if index["sha256"] != _body_digest(body):
            raise _DamagedError("its index was changed")
        shape = tuple(body["shape"])
        path = folder / "images.u8"
        if path.stat().st_size != int(np.prod(shape)):
            raise _DamagedError(f"{path.stat().st_size} bytes instead of {int(np.prod(shape))}")
        if _digest(path) != body["sha256"]:
            raise _DamagedError("its pixels were changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _DamagedError(str(error)) from None
    # Copy on write: nobody writes to it, but torch warns of arrays that nobody may write to.
    mapped = np.memmap(path, np.uint8, mode="c", shape=shape)
    return Entry(torch.from_numpy(mapped), body["found"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _body_digest(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
