"""A run folder as a reader finds it: whole, half-written, or odd. What cannot be read is a line in `problems`, not an error."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.report.events import Log, read_log
from saddlepoint.report.replicas import Part, Replica, joined, part_span, replicas_of
from saddlepoint.seeds import MOST_SEEDS
from saddlepoint.yaml_reading import read_yaml

MOST_RECIPE_BYTES = 2**18
PARTS = "parts"


@dataclass(frozen=True)
class Reading:
    """What a run folder holds. Of a run with many replicas `log` is joined over its `parts`; a run in one part is that part."""

    path: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    environment: Mapping[str, Any]
    log: Log
    problems: tuple[str, ...]
    replicas: tuple[Replica, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def divided(self) -> bool:
        """Whether its replicas were trained in folders of their own."""
        return any(part.path != self.path for part in self.parts)

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
        done = self.log.done is not None and (self.log.done >= (self.asked or 0) or self.log.stopped_by is not None)
        return "done" if done else "unfinished"

    @property
    def sessions(self) -> list[Mapping[str, Any]]:
        sessions = self.environment.get("sessions")
        return [session for session in sessions if isinstance(session, dict)] if isinstance(sessions, list) else []

    @property
    def frames(self) -> list[tuple[int, Path]]:
        """The pictures of samples, by update."""
        return frames_in(self.path)

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
    recipe = _recipe(recipe_text, problems)
    environment = _environment(_text(run / "environment.json", problems), problems)
    log = read_log(run / "events.jsonl")
    axis = _axis(recipe)
    parts = _parts(run, problems) if (run / PARTS).is_dir() else [Part(0, len(axis) or len(log.seeds), run, log)]
    lone = Reading(run, recipe, recipe_text, environment, log, tuple(problems))
    size = len(axis) or max((part.stop for part in parts), default=0)
    if size == 0:
        return lone
    parts = [replace(part, stop=min(part.stop, size)) for part in parts if part.start < size]
    whole = joined(parts, size, lone.asked)
    replicas = replicas_of(axis or _unknown_axis(parts, size), parts, whole, lone.asked)
    return replace(lone, log=whole, replicas=replicas, parts=tuple(parts))


def _axis(recipe: Mapping[str, Any]) -> list[tuple[int | None, Mapping[str, Any]]]:
    """The seed and the varying values of each replica; none where the recipe describes one run, or is not read here."""
    from saddlepoint.recipe import Recipe

    if recipe.get("seeds") is None and not mapping(recipe.get("vary")).get("fields"):
        return []
    try:
        return list(zip(*Recipe.from_mapping(recipe).axis(), strict=True))
    except InputError:
        return []


def _unknown_axis(parts: Sequence[Part], size: int) -> list[tuple[int | None, Mapping[str, Any]]]:
    # What the logs say where the recipe does not.
    seeds = {part.start + place: seed for part in parts for place, seed in enumerate(part.log.seeds)}
    return [(seeds.get(index), {}) for index in range(size)]


def _parts(run: Path, problems: list[str]) -> list[Part]:
    """The parts in `parts/`, in the order of the replicas."""
    spans = {path: part_span(path.name) for path in (run / PARTS).iterdir() if path.is_dir()}
    found: list[Part] = []
    for path, span in sorted(((path, span) for path, span in spans.items() if span is not None), key=lambda pair: pair[1]):
        if span[0] < (found[-1].stop if found else 0) or span[1] > MOST_SEEDS:
            problems.append(f"{PARTS}/{path.name}: is no part that this run can have, and is passed over")
            continue
        found.append(Part(*span, path, read_log(path / "events.jsonl")))
    return found


def frames_in(run: Path) -> list[tuple[int, Path]]:
    """The pictures of samples in a folder, by update."""
    found = [path for path in (run / "samples").glob("*.png") if path.stem.isdecimal() and path.is_file()]
    return sorted((int(path.stem), path) for path in found)


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
