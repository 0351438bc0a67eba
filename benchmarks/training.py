"""Training against a plain loop of the same networks, batch and optimizer, with monitors, average, events and samples on.

    python -m benchmarks.training [dcgan] [bfloat16] [wgan-gp] [r1] [points]

Each round trains every way in turn. What counts of ours is the time between two updates of a real run into a run folder, its log
entries and sample grids included; building networks and opening data are left out on both sides.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.race import machine, race, show, verdict
from saddlepoint.data.source import Source
from saddlepoint.recipe import Recipe, load
from saddlepoint.training import loop
from saddlepoint.training.assembly import computes_bfloat16

ROUNDS = 5
WARM = 3

DCGAN: dict[str, Any] = {
    "data": {"name": "fashion-mnist"},
    "networks": {
        "family": "dcgan",
        "width": plain.WIDTH,
        "latent": plain.LATENT,
        "normalization": {"generator": "batch", "discriminator": "batch"},
    },
    "schedule": {"batch": plain.BATCH},
    "log": {"every": 50},
    "samples": {"every": 50, "count": 64},
    "checkpoints": {"every": 100_000},
}
WGAN_GP: dict[str, Any] = DCGAN | {
    "networks": DCGAN["networks"] | {"normalization": {"generator": "batch", "discriminator": "layer"}},
    "objective": "wasserstein",
    "penalties": {"discriminator": [{"name": "wgan-gp", "weight": 10.0}]},
    "optimizers": {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.9]},
    "schedule": {"batch": plain.BATCH, "discriminator_steps": 5},
}
POINTS: dict[str, Any] = {
    "data": "8-gaussians",
    "networks": {"family": "mlp", "latent": 2, "width": 32, "depth": 2},
    "optimizers": {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]},
    "schedule": {"batch": plain.BATCH},
    "log": {"every": 50},
    "samples": {"every": 2000},
    "checkpoints": {"every": 100_000},
}


def with_r1(every: int) -> dict[str, Any]:
    """DCGAN without batch norm in D, and R1 (gamma 10) each `every` updates."""
    networks = DCGAN["networks"] | {"normalization": {"generator": "batch", "discriminator": "none"}}
    weight: object = 5.0 if every == 1 else {"name": "every", "period": every, "value": 5.0}
    return DCGAN | {"networks": networks, "penalties": {"discriminator": [{"name": "r1", "weight": weight}]}}


class Stopwatch(loop.Nobody):
    """Seconds from one update of a run to its last, and everything between."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._start = 0.0
        self.seconds = 0.0

    def updated(self, update: int) -> None:
        if update == WARM:
            self._start = time.perf_counter()
        elif update == self._last - 1:
            self.seconds = time.perf_counter() - self._start


def ours(recipe: Mapping[str, Any], updates: int, **fields: Any) -> float:
    """Seconds of `updates` updates of a run."""
    last = WARM + updates + 1
    described: Recipe = load(dict(recipe), {"schedule.updates": last, **fields})
    watch = Stopwatch(last)
    with tempfile.TemporaryDirectory() as folder:
        loop.train(described, Path(folder) / "run", watch)
    return watch.seconds


def images(source: Source) -> Tensor:
    """All training images, normalised, as a plain script holds them."""
    return torch.cat([example.image for example in source.all("train")])


def theirs(game: plain.DCGAN | plain.R1 | plain.WGANGP | plain.Points, updates: int) -> float:
    for _ in range(WARM):
        game.update()
    return plain.seconds(game.update, updates)


def dcgan() -> bool:
    updates, data = 50, images(load(DCGAN).data.open())
    cases = {"plain loop": lambda: theirs(plain.DCGAN(data), updates), "saddlepoint": lambda: ours(DCGAN, updates)}
    result = race(cases, ROUNDS)
    show("DCGAN, Fashion-MNIST at 32 px, width 64, batch 64", result, updates, "update")
    return verdict("against the plain loop", result, "plain loop", "saddlepoint", 1.10)


def bfloat16() -> bool:
    if not computes_bfloat16(torch.device("cpu")):
        print("\nDCGAN in bfloat16: MISSED, this CPU has no bfloat16 instructions, so there is nothing to measure")
        return False
    updates, data = 50, images(load(DCGAN).data.open())
    cases = {
        "plain loop, float32": lambda: theirs(plain.DCGAN(data), updates),
        "saddlepoint, bfloat16": lambda: ours(DCGAN, updates, precision="bfloat16"),
    }
    result = race(cases, ROUNDS)
    show("DCGAN, the same size, bfloat16", result, updates, "update")
    return verdict("against the plain loop", result, "plain loop, float32", "saddlepoint, bfloat16", 1.6)


def wgan_gp() -> bool:
    updates, data = 8, images(load(DCGAN).data.open())
    cases = {"plain loop": lambda: theirs(plain.WGANGP(data), updates), "saddlepoint": lambda: ours(WGAN_GP, updates)}
    result = race(cases, ROUNDS)
    show("WGAN-GP, the same size, five critic steps", result, updates, "update")
    return verdict("against the plain loop", result, "plain loop", "saddlepoint", 1.0)


def r1() -> bool:
    updates, data = 48, images(load(DCGAN).data.open())
    cases = {
        "plain loop, every update": lambda: theirs(plain.R1(data), updates),
        "saddlepoint, every update": lambda: ours(with_r1(1), updates),
        "saddlepoint, every 16": lambda: ours(with_r1(16), updates),
    }
    result = race(cases, ROUNDS)
    show("R1, the same size, no norm in D", result, updates, "update")
    verdict("ours, every 16 against every update", result, "saddlepoint, every update", "saddlepoint, every 16", 1.0)
    return verdict(
        "every 16 against the plain loop's every update", result, "plain loop, every update", "saddlepoint, every 16", 1.5
    )


def points() -> bool:
    updates = 2000
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    cases = {"plain loop": lambda: theirs(plain.Points(), updates), "saddlepoint": lambda: ours(POINTS, updates)}
    result = race(cases, ROUNDS)
    show("8 Gaussians, 2-32-32, batch 64, one thread each", result, updates, "update")
    torch.set_num_threads(before)
    return verdict("against the plain loop", result, "plain loop", "saddlepoint", 1.2)


RACES = {"dcgan": dcgan, "bfloat16": bfloat16, "wgan-gp": wgan_gp, "r1": r1, "points": points}


def main() -> None:
    """Run the races named, by default all; exit code 1 when a goal is missed."""
    print(machine())
    reached = [RACES[name]() for name in sys.argv[1:] or RACES]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
