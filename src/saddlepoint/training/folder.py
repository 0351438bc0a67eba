"""The run folder: where a run's recipe, log, samples and checkpoints are."""

import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saddlepoint.recipe import Recipe, load

from saddlepoint.data.source import Source
from saddlepoint.errors import InputError

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


@contextmanager
def new_folder(path: Path) -> Iterator[Folder]:
    """Make a run's folder and fill it; it is gone again when filling it fails.

    Raises:
        InputError: a run or something else is there already, or the place cannot be written.
    """
    if path.exists() and not (path.is_dir() and _unbegun(path)):
        cure = f"`saddlepoint resume {path}` goes on with it" if (path / "recipe.yaml").exists() else "it is not a run"
        raise InputError([f"{path}: exists already; {cure}; --out NEW starts another"])
    there = path.exists()
    try:
        (path / "samples").mkdir(parents=True, exist_ok=True)
        yield Folder(path)
    except OSError as error:
        _clear(path, there)
        reason = os.strerror(error.errno or 0)
        raise InputError([f"{path}: cannot be written ({reason}); give a place with room with --out"]) from error
    except InputError:
        _clear(path, there)
        raise


def _clear(path: Path, there: bool) -> None:
    if not there:
        shutil.rmtree(path, ignore_errors=True)


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
    missing = [part.name for part in (folder.recipe, folder.environment) if not part.is_file()]
    if missing:
        raise InputError([f"{path}: is not a run folder ({' and '.join(missing)} missing); `saddlepoint runs` lists what there is"])
    written = read_environment(folder).get("format")
    if not isinstance(written, int) or written > FORMAT:
        raise InputError([f"{folder.environment}: format {written} is not one this version knows ({FORMAT}); upgrade saddlepoint"])
    return folder


def free_name(parent: Path, stem: str) -> Path:
    """`parent/stem-N` with the smallest N that is not taken."""
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def stored_recipe(folder: Folder) -> Recipe:
    return load(folder.recipe)


def write_recipe(folder: Folder, recipe: Recipe) -> None:
    write_atomically(folder.recipe, recipe.to_yaml())


def read_environment(folder: Folder) -> dict[str, Any]:
    try:
        environment = json.loads(folder.environment.read_text())
    except (OSError, ValueError) as error:
        raise InputError([f"{folder.environment}: cannot be read ({error}); put back the file the run wrote"]) from error
    return environment if isinstance(environment, dict) else {}


def add_session(folder: Folder, source: Source, *, first: int, threads: int, device: str) -> None:
    """Note in `environment.json` what a session of the run started under."""
    session = {
        "started_at_update": first,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "threads": threads,
        "device": device,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    fresh: dict[str, Any] = {"format": FORMAT, "sessions": []}
    environment = read_environment(folder) if folder.environment.exists() else fresh
    environment["sessions"].append(session)
    environment["data"] = {"name": source.name, "digest": source.digest, "found": source.describe()}
    write_atomically(folder.environment, json.dumps(environment, indent=1, ensure_ascii=False))


def write_atomically(path: Path, text: str) -> None:
    """Write beside, force to the disk, rename: the file is never half there."""
    beside = path.with_name(path.name + ".partial")
    try:
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(
            [f"{path}: cannot be written ({os.strerror(error.errno or 0)}); make room or give another place"]
        ) from error
