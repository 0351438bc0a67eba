"""Many seeds at once against a plain loop that trains one: 8 Gaussians, networks 2-32-32, and a small convolutional game.

    python -m benchmarks.replicas [wegan] [fused] [compiled] [wgan-gp] [batch-256] [digits] [thousand]

Ours is the product as a user starts it, `many.train` on two processes, with its own streams, weighting, monitors, log, samples and
checkpoints; what counts is the time between two log entries, by the run's own clock, so that starting processes and importing torch
are left out, as building networks is in the plain loop. `thousand` trains 1,000 seeds for 10,000 updates once, all included.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import plain
from benchmarks.race import machine, race, show, verdict
from saddlepoint.recipe import load
from saddlepoint.training import many
from saddlepoint.training.parts import parts_of

ROUNDS = 5
SEEDS = 128
UPDATES = 600
WARM = 100

WEGAN: dict[str, Any] = {
    "data": "8-gaussians",
    "networks": {"family": "mlp", "latent": 2, "width": 32, "depth": 2},
    "objective": {"name": "vanilla", "saturating": True},
    "weightings": {"generator": {"name": "wegan", "eta": 0.01}},
    "optimizers": {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]},
    "schedule": {"batch": plain.BATCH, "updates": UPDATES},
    "average": {"decay": 0.0},
    "log": {"every": 50},
    "samples": {"every": 10_000},
    "checkpoints": {"every": 10_000},
}
WGAN_GP: dict[str, Any] = WEGAN | {
    "objective": "wasserstein",
    "weightings": {},
    "penalties": {"discriminator": [{"name": "wgan-gp", "weight": 10.0}]},
}
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "resolution": 16},
    "networks": {"family": "dcgan", "width": 32},
    "schedule": {"batch": plain.BATCH, "updates": 100},
    "log": {"every": 20},
    "samples": {"every": 10_000},
    "checkpoints": {"every": 10_000},
}


def ours(fields: Mapping[str, Any], seeds: int, warm: int = WARM) -> float:
    """Seconds of one update of one replica, all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = load(dict(fields), [f"seeds=0..{seeds - 1}"])
        run = many.train(recipe, Path(folder) / "run")
        chunk = load(run / "recipe.yaml").replicas.chunk
        assert isinstance(chunk, int)
        # Parts that share the machine: of each, its updates a second between two entries, times its replicas.
        return 1 / sum(part.size * rate_of(run / "parts" / part.name, warm) for part in parts_of(seeds, chunk)[:2])


def rate_of(part: Path, warm: int) -> float:
    """Updates a second, after the first `warm`."""
    events = [json.loads(line) for line in (part / "events.jsonl").read_text().splitlines()]
    entries = [event for event in events if event["event"] == "progress" and event["update"] >= warm]
    # The other part may end before this one, which then has the machine for itself; its last quarter does not count.
    first, last = entries[0], entries[len(entries) * 3 // 4]
    return float(last["update"] - first["update"]) / float(last["time"]["seconds"] - first["time"]["seconds"])


def theirs(game: plain.Points, updates: int) -> float:
    """Seconds of one update of the plain loop, one thread."""
    return timed_updates(game.update, updates, threads=1)


def timed_updates(update: Callable[[], None], updates: int, threads: int) -> float:
    """Seconds of one update, after some to warm up."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        plain.seconds(update, max(3, updates // 10))
        return plain.seconds(update, updates) / updates
    finally:
        torch.set_num_threads(before)


def points(title: str, fields: Mapping[str, Any], game: Callable[[], plain.Points], least: float, updates: int = 1000) -> bool:
    """Race a game of points; whether the goal is reached."""
    cases = {"plain loop, one seed": lambda: theirs(game(), updates), f"saddlepoint, {SEEDS} seeds": lambda: ours(fields, SEEDS)}
    result = race(cases, ROUNDS)
    show(title, result, 1, "replica's update")
    return verdict("against the plain loop", result, "plain loop, one seed", f"saddlepoint, {SEEDS} seeds", least)


def wegan() -> bool:
    """The WeGAN game, its networks by torch's layers."""
    return points("WeGAN, 8 Gaussians, batch 64, plain layers", WEGAN | {"kernels": "plain"}, plain.WeGAN, 25.0)


def fused() -> bool:
    """The WeGAN game by the fused kernel, as it is by default."""
    return points("the same, fused kernel", WEGAN, plain.WeGAN, 80.0)


def compiled() -> bool:
    """The WeGAN game by `torch.compile`."""
    return points("the same, torch.compile", WEGAN | {"kernels": "compiled"}, plain.WeGAN, 35.0)


def wgan_gp() -> bool:
    """With the gradient penalty."""
    return points("WGAN-GP, one critic step, batch 64", WGAN_GP, plain.PointsWGANGP, 24.0)


def batch_256() -> bool:
    """The WeGAN game with a batch of 256."""
    fields = WEGAN | {"schedule": {"batch": 256, "updates": 300}}
    return points("WeGAN, batch 256", fields, lambda: plain.WeGAN(256), 8.0)


def digits() -> bool:
    """A small convolutional game, one seed after another on two threads against seeds in processes."""
    images = plain.digits()
    cases = {
        "plain loop, two threads": lambda: timed_updates(plain.SmallDCGAN(images).update, 60, threads=2),
        "saddlepoint, 2 seeds": lambda: ours(DIGITS, 2, warm=20),
    }
    result = race(cases, ROUNDS)
    show("DCGAN, digits at 16 px, width 32, batch 64", result, 1, "replica's update")
    return verdict("against one seed after another", result, "plain loop, two threads", "saddlepoint, 2 seeds", 1.3)


def thousand() -> bool:
    """1,000 seeds of the WeGAN game, 10,000 updates each, once, from the start of the command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = load(WEGAN | {"schedule": {"batch": plain.BATCH, "updates": 10_000}}, ["seeds=0..999", "samples.every=5000"])
        start = time.perf_counter()
        many.train(recipe, Path(folder) / "run")
        minutes = (time.perf_counter() - start) / 60
    reached = minutes <= 9
    print(f"\n1,000 seeds x 10,000 updates: {minutes:.1f} minutes, goal 9: {'reached' if reached else 'MISSED'}")
    return reached


RACES = {
    "wegan": wegan,
    "fused": fused,
    "compiled": compiled,
    "wgan-gp": wgan_gp,
    "batch-256": batch_256,
    "digits": digits,
    "thousand": thousand,
}


def main() -> None:
    """Run the races named, by default all; exit code 1 when a goal is missed."""
    print(machine())
    reached = [RACES[name]() for name in sys.argv[1:] or RACES]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
