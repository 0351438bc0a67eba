"""A run folder as a reader finds it: whole, half-written, or odd. What cannot be read is a line in `problems`, not an error."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.report.events import Log, read_log
from saddlepoint.yaml_reading import read_yaml

MOST_RECIPE_BYTES = 2**18


@dataclass(frozen=True)
class Reading:
    """What a run folder holds."""

    path: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    environment: Mapping[str, Any]
    log: Log
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def recipe_name(self) -> str:
        """The recipe that the first session's command named, else its objective's."""
        command = str(self.sessions[0].get("command", "")) if self.sessions else ""
        return _trained(command) or str(self.found("objective", "name") or "")

    @property
    def data(self) -> str:
        return str(self.found("data", "name") or mapping(self.environment.get("data")).get("name") or "")

    @property
    def asked(self) -> int | None:
        """The updates the recipe asks for."""
        updates = self.found("schedule", "updates")
        return updates if isinstance(updates, int) and updates > 0 else None

    @property
    def points(self) -> bool:
        """Whether the data are points in the plane: images have a resolution."""
        return "data" in self.recipe and self.found("data", "resolution") is None

    @property
    def examples(self) -> str:
        """What the data are called."""
        return "points" if self.points else "images"

    @property
    def status(self) -> str:
        """`done`, `diverged` or `unfinished` (stopped, or still training)."""
        if self.log.diverged is not None:
            return "diverged"
        return "done" if self.log.done is not None and self.log.done >= (self.asked or 0) else "unfinished"

    @property
    def sessions(self) -> list[Mapping[str, Any]]:
        sessions = self.environment.get("sessions")
        return [session for session in sessions if isinstance(session, dict)] if isinstance(sessions, list) else []

    @property
    def frames(self) -> list[tuple[int, Path]]:
        """The pictures of samples, by update."""
        found = [path for path in (self.path / "samples").glob("*.png") if path.stem.isdecimal() and path.is_file()]
        return sorted((int(path.stem), path) for path in found)

    def found(self, *keys: str) -> Any:
        """A value of the recipe; None when it is not there."""
        value: Any = self.recipe
        for key in keys:
            value = mapping(value).get(key)
        return value


def read_run(run: Path) -> Reading:
    """Read a run folder.

    Raises:
        InputError: it is not a folder, or holds neither a recipe nor events.
    """
    if not run.is_dir():
        raise InputError([f"{run}: is not a folder; give a run folder, as `saddlepoint runs` lists them"])
    if not is_run(run):
        raise InputError(
            [f"{run}: is not a run folder (recipe.yaml and events.jsonl missing); `saddlepoint runs` lists what there is"]
        )
    problems: list[str] = []
    recipe_text = _text(run / "recipe.yaml", problems)
    return Reading(
        path=run,
        recipe=_recipe(recipe_text, problems),
        recipe_text=recipe_text,
        environment=_environment(_text(run / "environment.json", problems), problems),
        log=read_log(run / "events.jsonl"),
        problems=tuple(problems),
    )


def is_run(path: Path) -> bool:
    """Whether a folder looks like a run's."""
    return (path / "recipe.yaml").is_file() or (path / "events.jsonl").is_file()


def _trained(command: str) -> str:
    # `saddlepoint train [--out FOLDER] RECIPE [key=value …]`
    try:
        _, train, *words = shlex.split(command)
    except ValueError:
        return ""
    if train != "train":
        return ""
    follows = ["", *words]
    plain = [word for before, word in zip(follows, words, strict=False) if before != "--out" and "=" not in word]
    return next((Path(word).stem for word in plain if not word.startswith("-")), "")


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one: a file may hold anything."""
    return value if isinstance(value, dict) else {}


def _text(path: Path, problems: list[str]) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_RECIPE_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        problems.append(f"{path.name}: cannot be read ({error.strerror})")
        return ""


def _recipe(text: str, problems: list[str]) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        return mapping(read_yaml(text, "recipe.yaml"))
    except InputError as error:
        problems += error.problems
        return {}


def _environment(text: str, problems: list[str]) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError) as error:
        problems.append(f"environment.json: is not JSON ({error})")
        return {}
