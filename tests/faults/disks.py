"""Disks that are small, full or read-only: mounted in a namespace of our own, or played by limits where there is none."""

import os
import resource
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

MOUNTED = "DISKS_ARE_MOUNTED"
ROOMY = "size=8m"


class Disk(Protocol):
    """A folder on a disk that is in a bad way."""

    path: Path

    def holds(self, whole: int, one: int) -> None:
        """From now on there is room for `whole` bytes, or, where that cannot be had, for files of `one` byte."""

    def is_full(self, left: int = 0) -> None:
        """There is room for this much more."""

    def has_room(self) -> None: ...
    def is_read_only(self) -> None: ...
    def is_writable(self) -> None: ...


class Mounted:
    """A tmpfs; its read-only form is a bind mount of it over itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mount("-t", "tmpfs", "-o", ROOMY, "none")

    def holds(self, whole: int, one: int) -> None:
        self._mount("-o", f"remount,size={whole}")

    def is_full(self, left: int = 0) -> None:
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)) == 4096:
                pass
        os.truncate(filler, filler.stat().st_size - left)

    def has_room(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)
        self._mount("-o", f"remount,{ROOMY}")

    def is_read_only(self) -> None:
        self._mount("--bind", str(self.path))
        self._mount("-o", "remount,bind,ro")

    def is_writable(self) -> None:
        subprocess.run(["umount", self.path], check=True)

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, self.path], check=True)


class Limited:
    """A folder whose files may not grow beyond a size. Root writes where it likes, so read-only is a size of 0 for root."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, whole: int, one: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (one, resource.RLIM_INFINITY))

    def is_full(self, left: int = 0) -> None:
        self.holds(0, left)

    def has_room(self) -> None:
        self.holds(0, resource.RLIM_INFINITY)

    def is_read_only(self) -> None:
        if os.getuid() == 0:
            self.is_full()
        self._allow(0o555)

    def is_writable(self) -> None:
        self.has_room()
        self._allow(0o755)

    def _allow(self, mode: int) -> None:
        for folder in [self.path, *(path for path in self.path.rglob("*") if path.is_dir())]:
            folder.chmod(mode)


def disk_at(path: Path) -> Disk:
    """A disk at a new folder, with room."""
    path.mkdir()
    return Mounted(path) if os.environ.get(MOUNTED) else Limited(path)


def namespaces() -> bool:
    """Whether this system lets us mount in a namespace of our own."""
    mounting = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mounting, check=False, capture_output=True).returncode == 0
