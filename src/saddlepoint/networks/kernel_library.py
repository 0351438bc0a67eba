"""C kernels of our own, compiled by the system's compiler when they are first wanted and kept in the cache folder.

A kept library is named by a digest of everything its machine code depends on: the source, the command, the compiler and the
processor. It ends in the SHA-256 of what stands before it, so that a damaged one is made again and never loaded.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import torch

from saddlepoint.storage import cache_folder, locked, replace_file

FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fPIC", "-shared")
REALS = {torch.float32: "float", torch.float64: "double"}
SECONDS = 120


class NoKernel(Exception):
    """A kernel cannot be had on this machine; the text says why."""


@functools.cache
def library(source: Path, dtype: torch.dtype) -> ctypes.CDLL:
    """The compiled form of a C file whose numbers are `REAL`.

    Raises:
        NoKernel: there is no compiler, or it refuses.
    """
    command = [*_compiler(), *FLAGS, f"-DREAL={REALS[dtype]}"]
    path = cache_folder() / "kernels" / f"{source.stem}-{_digest(source, command)}.so"
    with ExitStack() as held:
        # A cache that cannot be written costs a second of compiling, no more.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(path.with_suffix(".lock")))
        if _whole(path):
            return ctypes.CDLL(str(path))
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        made = folder / path.name
        _compile(command, source, made)
        code = made.read_bytes()
        with suppress(OSError):
            replace_file(path, code + hashlib.sha256(code).digest())
        return ctypes.CDLL(str(made))


def _compiler() -> list[str]:
    named = shlex.split(os.environ.get("CC", "")) or ["cc"]
    found = shutil.which(named[0])
    if found is None:
        raise NoKernel(f"there is no C compiler ({named[0]})")
    return [found, *named[1:]]


def _digest(source: Path, command: list[str]) -> str:
    version = _output([command[0], "--version"])
    parts = (source.read_text(encoding="utf-8"), *command, version, _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _processor() -> str:
    """What the compiler's `native` means here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(("model name", "flags", "Features"))))


def _compile(command: list[str], source: Path, made: Path) -> None:
    _output([*command, str(source), "-o", str(made), "-lm"])


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernel(f"{command[0]} does not run ({error})") from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:100])
        raise NoKernel(f"{command[0]} does not compile it ({said})")
    return done.stdout


def _whole(path: Path) -> bool:
    try:
        kept = path.read_bytes()
    except OSError:
        return False
    return len(kept) > 32 and hashlib.sha256(kept[:-32]).digest() == kept[-32:]
