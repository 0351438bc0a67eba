"""Lives of a run that is killed again and again: the harness of `benchmarks.kill` and of the test that kills."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.recipe import load
from saddlepoint.training import loop
from saddlepoint.training.checkpoints import PARTIAL, read_checkpoint
from saddlepoint.training.proof import differences

RECIPE: dict[str, Any] = {
    "data": {"name": "digits", "resolution": 8},
    "networks": {
        "family": "dcgan",
        "width": 4,
        "latent": 8,
        "normalization": {"generator": "batch", "discriminator": "spectral"},
    },
    "objective": "hinge",
    "penalties": {"both": [{"name": "sdp", "weight": {"name": "after", "start": 3, "value": 0.01}}]},
    "optimizers": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "schedule": {"updates": 60, "batch": 8, "discriminator_steps": 2},
    "average": {"decay": 0.99},
    "log": {"every": 1},
    "samples": {"every": 20, "count": 4},
    "checkpoints": {"every": 2, "keep": 2},
    "memory_format": "channels_last",
    "fused": True,
    "threads": 1,
}
LONGEST_LIFE = 0.6


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    inside: int = 0
    runs: int = 0
    lives: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def live(folder: str) -> None:
    """One life of a run: start it or go on with it, in a process of its own."""
    path = Path(folder)
    if (path / "recipe.yaml").exists():
        loop.resume(path)
    else:
        loop.train(load(RECIPE), path)


def endure(kills: int, inside: int, seed: int, folder: Path) -> Tally:
    """Kill runs until there were `kills` kills, `inside` of them within the writing of a checkpoint."""
    draws = random.Random(seed)
    unbroken = loop.train(load(RECIPE), folder / "unbroken")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.killing", "sklearn.datasets"])
    tally = Tally()
    while tally.kills < kills or tally.inside < inside:
        run = folder / f"run{tally.runs}"
        _endure_one(context, run, draws, tally)
        tally.runs += 1
        tally.wrong += [f"{run.name}: {line}" for line in _compare(unbroken, run)]
    return tally


def _endure_one(context: Any, run: Path, draws: random.Random, tally: Tally) -> None:
    while True:
        process = context.Process(target=live, args=(str(run),))
        process.start()
        born = time.perf_counter()
        in_writing = draws.random() < 0.5
        _wait_for_death(run, process, in_writing, draws)
        if process.exitcode == 0:
            return
        if process.exitcode is not None:
            raise RuntimeError(f"{run}: the run ended by itself with exit code {process.exitcode}")
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:
            return
        tally.kills += 1
        tally.lives.append(time.perf_counter() - born)
        tally.inside += any((run / "checkpoints").glob(PARTIAL + "*"))


def _wait_for_death(run: Path, process: Any, in_writing: bool, draws: random.Random) -> None:
    """Until the process is to be killed, or has ended."""
    started = time.perf_counter()
    events = run / "events.jsonl"
    length = events.stat().st_size if events.exists() else 0
    while process.is_alive() and (not events.exists() or events.stat().st_size == length):
        time.sleep(0.002)
        if time.perf_counter() - started > 60:
            raise RuntimeError(f"{run}: nothing was logged for a minute")
    delay = draws.uniform(0, LONGEST_LIFE)
    end = time.perf_counter() + delay
    while process.is_alive() and time.perf_counter() < end:
        time.sleep(0.001)
    if not in_writing:
        return
    skipped = draws.uniform(0, 0.004)
    patience = time.perf_counter() + 5
    checkpoints = run / "checkpoints"
    while process.is_alive() and time.perf_counter() < patience:
        if checkpoints.exists() and any(entry.name.startswith(PARTIAL) for entry in os.scandir(checkpoints)):
            end = time.perf_counter() + skipped
            while time.perf_counter() < end:
                pass
            return


def _compare(unbroken: Path, run: Path) -> list[str]:
    return differences(read_checkpoint(unbroken), read_checkpoint(run), unbroken, run)
