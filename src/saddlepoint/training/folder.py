"""The run folder: where a run's recipe, log, samples and checkpoints are."""

import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saddlepoint.data.source import Source
from saddlepoint.errors import InputError
from saddlepoint.recipe import Recipe, load

FORMAT = 1
LIBRARIES = ("torch", "torchvision", "numpy", "safetensors", "saddlepoint")


@dataclass(frozen=True)
class Folder:
    """The paths of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples"


def refuse_taken(path: Path) -> None:
    """Raise `InputError` when there is something where a run is to be made."""
    try:
        taken = os.path.lexists(path) and not (path.is_dir() and _unbegun(path))
    except OSError:
        taken = True
    if taken:
        cure = f"`{resume_command(path)}` goes on with it" if os.path.isfile(path / "recipe.yaml") else "it is not a run"
        raise InputError([f"{path}: exists already; {cure}; --out NEW starts another"])


@contextmanager
def new_folder(path: Path) -> Iterator[Folder]:
    """Make a run's folder, to be filled inside; it is gone again when that fails before there is a checkpoint to go on from.

    Raises:
        InputError: a run or something else is there already, or the place cannot be written.
    """
    refuse_taken(path)
    missing = _missing(path)
    try:
        try:
            (path / "samples").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError([f"{path}: cannot be written ({error.strerror}); give a place with room with --out"]) from error
        yield Folder(path)
    except (InputError, KeyboardInterrupt):
        if not any(path.glob("checkpoints/[0-9]*")) and not any(path.glob("parts/*/checkpoints/[0-9]*")):
            for made in missing[-1:] or [*path.iterdir()]:
                shutil.rmtree(made, ignore_errors=True)
                with suppress(OSError):
                    made.unlink(missing_ok=True)
        raise


@contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder and those above it that are missing; what was made is gone again when what is done inside fails.

    Raises:
        OSError: it cannot be made.
    """
    missing = _missing(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        raise


def _missing(path: Path) -> list[Path]:
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def resume_command(path: Path, processes: int = 1) -> str:
    """What a person types to go on with a run."""
    launched = "saddlepoint" if processes == 1 else f"torchrun --nproc-per-node {processes} -m saddlepoint"
    return f"{launched} resume {shlex.quote(str(path))}"


def _unbegun(path: Path) -> bool:
    # What a run killed before its recipe was written leaves behind.
    left = {"samples", "environment.json", "environment.json.partial", "recipe.yaml.partial"}
    return all(entry.name in left for entry in path.iterdir())


def open_folder(path: Path) -> Folder:
    """An existing run's folder.

    Raises:
        InputError: it is not one, or a newer version wrote it.
    """
    folder = Folder(path)
    missing = [part.name for part in (folder.recipe, folder.environment) if not os.path.isfile(part)]
    if missing:
        raise InputError([f"{path}: is not a run folder ({' and '.join(missing)} missing); `saddlepoint runs` lists what there is"])
    read_environment(folder)
    return folder


def free_name(parent: Path, stem: str) -> Path:
    """`parent/stem-N` with the smallest N that is not taken."""
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def stored_recipe(folder: Folder) -> Recipe:
    """The recipe in a run's folder."""
    return load(folder.recipe)


def write_recipe(folder: Folder, recipe: Recipe) -> None:
    """Write every field of the recipe, resolved."""
    write_atomically(folder.recipe, recipe.to_yaml())


def read_environment(folder: Folder) -> dict[str, Any]:
    """What `environment.json` holds.

    Raises:
        InputError: it cannot be read, it is not what a run wrote, or a newer version wrote it.
    """
    path, cure = folder.environment, "put back the file the run wrote"
    try:
        environment = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError([f"{path}: cannot be read ({error}); {cure}"]) from error
    written = environment.get("format") if isinstance(environment, dict) else None
    if not isinstance(written, int):
        raise InputError([f"{path}: says no format, so no run wrote it; {cure}"])
    if written > FORMAT:
        raise InputError([f"{path}: format {written} is newer than this version knows ({FORMAT}); upgrade saddlepoint"])
    data, sessions = environment.get("data"), environment.get("sessions")
    if not isinstance(data, dict) or not isinstance(data.get("digest"), str) or not isinstance(sessions, list):
        raise InputError([f"{path}: its data or its sessions are missing; {cure}"])
    return dict(environment)


def add_session(folder: Folder, source: Source, *, first: int, threads: int, device: str, processes: int = 1) -> None:
    """Note in `environment.json` what a session of the run started under."""
    session = {
        "started_at_update": first,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "threads": threads,
        "device": device,
        "processes": processes,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    fresh: dict[str, Any] = {"format": FORMAT, "sessions": []}
    environment = read_environment(folder) if folder.environment.exists() else fresh
    environment["sessions"].append(session)
    environment["data"] = {"name": source.name, "digest": source.digest, "found": source.describe()}
    # Python reads a command's odd bytes as halves of characters, which only escapes can write.
    write_atomically(folder.environment, json.dumps(environment, indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Write beside, force to the disk, rename: the file is never half there."""
    beside = path.with_name(path.name + ".partial")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise InputError([f"{path}: cannot be written ({error.strerror}); make room or give another place"]) from error
