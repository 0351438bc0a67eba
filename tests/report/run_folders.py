"""Run folders made up for the tests: what training writes, without the training."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from saddlepoint.recipe import load
from saddlepoint.training.pictures import image_grid, point_plot, write_png

VALUES = (
    "discriminator/loss",
    "discriminator/loss real",
    "discriminator/loss fake",
    "discriminator/penalty gradient",
    "discriminator/gradient norm",
    "discriminator/gradient norm at interpolates",
    "discriminator/score real",
    "discriminator/score fake",
    "discriminator/score held-out",
    "discriminator/accuracy real",
    "discriminator/accuracy fake",
    "discriminator/accuracy held-out",
    "discriminator/learning rate",
    "discriminator/sdp/score term",
    "discriminator/sdp/feature term",
    "discriminator/sdp/slope mean",
    "discriminator/sdp/slope max",
    "discriminator/sdp/distinct reals",
    "discriminator/sdp/neighbours closer than reals",
    "generator/loss",
    "generator/loss fake",
    "generator/gradient norm",
    "generator/penalty sdp",
    "generator/sdp/score term",
    "generator/weights variance fake",
    "generator/effective sample size fake",
    "generator/learning rate",
)

ENVIRONMENT: dict[str, Any] = {
    "format": 1,
    "sessions": [
        {
            "started_at_update": 0,
            "date": "2026-11-24T09:12:44+00:00",
            "command": "saddlepoint train dcgan data=digits",
            "versions": {"python": "3.11.2", "torch": "2.14.1", "saddlepoint": "0.1.0"},
            "threads": 2,
            "device": "cpu",
            "machine": "Linux x86_64, 2 cores",
        }
    ],
    "data": {"name": "digits", "digest": "b3c1f0a99d1e", "found": ["1,797 images", "10 classes"]},
}


def start() -> dict[str, Any]:
    return {"event": "start", "update": 0, "parameters": {"generator": 12345, "discriminator": 23456}, "data": "b3c1f0a99d1e"}


def progress(update: int, values: Mapping[str, float | str] | None = None) -> dict[str, Any]:
    """One progress event; by default every quantity, each with a value of its own."""
    made = {name: 0.5 + 0.4 * math.sin(update / 300 + number) for number, name in enumerate(VALUES)}
    return {
        "event": "progress",
        "update": update,
        "images": 64 * update,
        "updates": {"discriminator": 2 * update, "generator": update},
        "values": made if values is None else dict(values),
        "time": {"seconds": round(0.0213 * update, 3), "images_per_second": 3000.0 + update / 7},
    }


def write_run(
    path: Path,
    events: Sequence[Mapping[str, Any]],
    *,
    recipe: str | None = None,
    environment: Mapping[str, Any] | None = ENVIRONMENT,
    pictures: Sequence[int] = (),
    points: bool = False,
    updates: int = 1000,
) -> Path:
    """A run folder; `pictures` are the updates whose samples are there."""
    (path / "samples").mkdir(parents=True)
    (path / "recipe.yaml").write_text(recipe if recipe is not None else recipe_text(points, updates), encoding="utf-8")
    if environment is not None:
        (path / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in events]
    (path / "events.jsonl").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    for number, update in enumerate(pictures):
        write_png(point_picture(number) if points else image_picture(number), path / "samples" / f"{update:06d}.png")
    return path


def recipe_text(points: bool, updates: int) -> str:
    family, data = ("mlp", "8-gaussians") if points else ("dcgan", "digits")
    return load({"networks": {"family": family}, "data": {"name": data}, "schedule": {"updates": updates}}).to_yaml()


def image_picture(number: int) -> Any:
    """A grid whose grey says which it is."""
    return image_grid(torch.full((4, 1, 8, 8), -0.9 + 0.04 * number), scale=2)


def point_picture(number: int) -> Any:
    angle = torch.arange(40) * math.pi / 20
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    return point_plot(circle, circle * (0.2 + 0.1 * number), extent=(-2, 2, -2, 2), title=f"update {number}")
