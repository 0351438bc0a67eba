"""Runs of many replicas made up for the tests, in one folder or in parts: what training writes, without the training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saddlepoint.recipe import Recipe, load
from tests.report.run_folders import ENVIRONMENT, point_picture, progress, write_run

UPDATES = (25, 50, 75, 100)
NAMES = ("discriminator/loss", "discriminator/loss real", "generator/loss", "discriminator/accuracy real")
# The update that each had made: replica 7 diverged in its first.
ENDED = {2: 60, 5: 30, 7: 0}
TERM = "generator/weights variance fake"


def recipe_of(**fields: Any) -> Recipe:
    """Eight replicas: seeds 0 to 3 under one eta, then under another."""
    varied = {"data": "8-gaussians", "networks.width": 4, "seeds": "0..3", "eta": [0.1, 0.5], "updates": 100}
    return load("wegan", varied | fields)


def number(replica: int, update: int, name: str) -> float | str:
    """What a replica logged; one that ended goes on with numbers that mean nothing."""
    if ENDED.get(replica, update) < update:
        return "nan"
    return round(0.01 * update * (1 + replica) + NAMES.index(name), 6)


def events_of(start: int, stop: int, *, lone: bool = False, until: int = 100) -> list[dict[str, Any]]:
    """The log of replicas `start` to `stop - 1`, stacked, or of one that was trained alone."""
    seeds = {} if lone else {"seeds": [replica % 4 for replica in range(start, stop)]}
    begun = {"event": "start", "update": 0, "parameters": {"generator": 10, "discriminator": 20}, "data": "d", **seeds}
    ends = [
        {"event": "diverged", "update": ENDED[replica], "term": TERM}
        if lone
        else {"event": "replica diverged", "update": ENDED[replica], "replica": replica - start, "seed": replica % 4, "term": TERM}
        for replica in range(start, stop)
        if replica in ENDED
    ]
    told = [logged(update, start, stop, lone) for update in UPDATES if update <= until and not (lone and ends)]
    over = [{"event": "done", "update": until}] if until == 100 and not (lone and ends) else []
    return [begun, *told, *ends, *over]


def logged(update: int, start: int, stop: int, lone: bool) -> dict[str, Any]:
    rows: dict[str, Any] = {name: [number(replica, update, name) for replica in range(start, stop)] for name in NAMES}
    if lone:
        rows = {name: row[0] for name, row in rows.items()}
    return progress(update, rows | {"generator/learning rate": 0.001})


def stacked(path: Path, recipe: Recipe | None = None) -> Path:
    recipe = recipe or recipe_of()
    return write_run(path, events_of(0, 8), recipe=recipe.to_yaml(), points=True, pictures=(0, 100))


def divided(path: Path, *, behind: int = 100, recipe: Recipe | None = None) -> Path:
    """The same run in three parts, of which the second came to update `behind` only; the last is a lone one."""
    recipe = recipe or recipe_of()
    for start, stop, until in ((0, 3, 100), (3, 7, behind), (7, 8, 100)):
        name = f"{start:04d}-{stop - 1:04d}" if stop - start > 1 else f"{start:04d}"
        part = recipe.part(start, stop)
        events = events_of(start, stop, lone=stop - start == 1, until=until)
        write_run(path / "parts" / name, events, recipe=part.to_yaml(), points=True, pictures=(0, 100))
    (path / "recipe.yaml").write_text(recipe.to_yaml())
    (path / "environment.json").write_text(json.dumps(ENVIRONMENT))
    return path


def many(path: Path, words: str = TERM, count: int = 25) -> Path:
    """More replicas than an open table holds, a third of which diverged, by a term of these words."""
    values = {name: [0.1 * replica + place for replica in range(count)] for place, name in enumerate(NAMES)}
    ends = [{"event": "replica diverged", "update": 30, "replica": r, "seed": r, "term": words} for r in range(0, count, 3)]
    mean: Mapping[str, Any] = {"title": "FD", "mean": [float(r) for r in range(count)], "error": [None] * count, "n": 9}
    events = [
        {"event": "start", "update": 0, "parameters": {}, "data": "d", "seeds": list(range(count))},
        *(progress(update, values) for update in (25, 50)),  # type: ignore[arg-type]
        *ends,
        {"event": "measures", "update": 25, "split": "held-out", "values": {"fd": {**mean, "better": "lower"}}},
    ]
    recipe = load("wegan", {"data": "8-gaussians", "seeds": f"0..{count - 1}", "updates": 50})
    run = write_run(path, events, recipe=recipe.to_yaml(), points=True)
    point_picture(0).save(run / "samples" / "000000.png")
    return run
