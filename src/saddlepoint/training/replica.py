"""One replica of a stacked run as a run of its own: its row of every tensor, its numbers of every event."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.recipe import Recipe
from saddlepoint.storage import replace_file
from saddlepoint.training.assembly import latents_of
from saddlepoint.training.checkpoints import Snapshot, read_checkpoint, updates_at_hand, write_checkpoint
from saddlepoint.training.folder import Folder, read_environment, write_recipe
from saddlepoint.training.samples import draw_samples
from saddlepoint.training.session import Session

FOLDER = "replicas"
# What writing a checkpoint says anew.
OF_THE_FILES = ("format", "update", "files")


def alone(snapshot: Snapshot, row: int, recipe: Recipe) -> Snapshot:
    """A stacked snapshot's replica `row`, as the lone run of `recipe` would have written it.

    Its streams are those of its seed: the positions of all replicas are the same.
    """
    tensors = {file: dict(_rows(named, row)) for file, named in snapshot.tensors.items()}
    state = {key: value for key, value in snapshot.state.items() if key not in OF_THE_FILES}
    state["recipe"] = recipe.to_mapping()
    state["latest"] = {name: _of(value, row) for name, value in state["latest"].items()}
    state["optimizers"] = {_player(place): numbers for place, numbers in state["optimizers"].items() if _holds(place, row)}
    state["diverged"] = []
    return Snapshot(snapshot.update, tensors, state)


def _rows(tensors: Mapping[str, Tensor], row: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind != "optimizer":
            yield name, tensor[row]
            continue
        place, _, which = rest.partition("/")
        if _holds(place, row):
            first = _stretch(place)[0]
            yield f"optimizer/{_player(place)}/{which}", tensor if tensor.ndim == 0 else tensor[row - first]


def _stretch(place: str) -> tuple[int, int]:
    """Replicas of an optimizer, first and last: `generator 3-5` is of three; a place without numbers is of all."""
    found = re.fullmatch(r".* (\d+)-(\d+)", place)
    return (int(found[1]), int(found[2])) if found else (0, 2**62)


def _holds(place: str, row: int) -> bool:
    first, last = _stretch(place)
    return first <= row <= last


def _player(place: str) -> str:
    return place.partition(" ")[0]


def _of(value: Any, row: int) -> Any:
    return value[row] if isinstance(value, list) else value


def extract(run: Path, row: int, recipe: Recipe, place: Path) -> Path:
    """Write replica `row` of the stacked run `run` as the run folder `place`, anew unless it is of the same update.

    All checkpoints at hand come along, the log with this replica's numbers, and a picture of the newest samples.
    """
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    end = _end_of(lines, row)
    at_hand = [update for update in updates_at_hand(run) if end is None or update <= end]
    if _trained_further(place, run):
        raise InputError([f"{place}: was trained further since it was opened; move it elsewhere to open the replica anew"])
    if at_hand and updates_at_hand(place) == at_hand:
        return place
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "samples").mkdir(parents=True)
    write_recipe(Folder(partial), recipe)
    shutil.copy(run / "environment.json", partial / "environment.json")
    written = _write_events(lines, row, partial / "events.jsonl")
    for update in at_hand:
        snapshot = alone(read_checkpoint(run, update), row, recipe)
        length = written[snapshot.state["events_bytes"]]
        write_checkpoint(partial, replace(snapshot, state={**snapshot.state, "events_bytes": length}), keep=len(at_hand))
    if at_hand:
        _draw(partial, recipe, at_hand[-1])
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    return place


def _end_of(lines: Sequence[bytes], row: int) -> int | None:
    """The update at which a replica diverged: what comes after it is no part of its run."""
    events = (json.loads(line) for line in lines if b'"replica diverged"' in line)
    return next((int(event["update"]) for event in events if event["replica"] == row), None)


def _trained_further(place: Path, run: Path) -> bool:
    """Whether a session of its own has played in an opened replica's folder."""
    if not place.is_dir():
        return False
    known = read_environment(Folder(run))["sessions"]
    return any(session not in known for session in read_environment(Folder(place))["sessions"])


def _draw(folder: Path, recipe: Recipe, update: int) -> None:
    session = Session(recipe, recipe.data.open())
    session.restore(read_checkpoint(folder, update))
    draw_samples(session, latents_of(recipe), recipe.samples.count, folder / "samples" / f"{update:06d}.png")


def _write_events(lines: list[bytes], row: int, path: Path) -> dict[int, int]:
    """Write a replica's events; the length of its log by the length of the whole one, after each line."""
    content, read = b"", 0
    lengths = {0: 0}
    ended = False
    for line in lines:
        read += len(line)
        event = None if ended else _event_of(json.loads(line), row)
        if event is not None:
            ended = event["event"] == "diverged" or "stopped_by" in event
            content += json.dumps(event, ensure_ascii=False).encode() + b"\n"
        lengths[read] = len(content)
    replace_file(path, content)
    return lengths


def _event_of(event: dict[str, Any], row: int) -> dict[str, Any] | None:
    if event["event"] == "samples" or (event["event"] in ("replica diverged", "replica stopped") and event["replica"] != row):
        return None
    if event["event"] == "replica stopped":
        return {"event": "done", "update": event["update"], "stopped_by": event["rule"]}
    if event["event"] == "replica diverged":
        return {"event": "diverged", "update": event["update"], "term": event["term"]}
    if event["event"] == "progress":
        return {**event, "values": {name: _of(value, row) for name, value in event["values"].items()}}
    if event["event"] == "measures":
        picked = {name: {key: _of(part, row) for key, part in value.items()} for name, value in event["values"].items()}
        return {**event, "values": picked}
    return {key: value for key, value in event.items() if key != "seeds"}
