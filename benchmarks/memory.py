"""Peak memory of a DCGAN run against the plain loop of the same game, and of an evaluation, each in a process of its own.

python -m benchmarks.memory [training] [evaluation]
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

import saddlepoint
from benchmarks import plain
from benchmarks.race import machine
from benchmarks.training import DCGAN, images, ours, theirs
from saddlepoint.recipe import load

UPDATES = 20
ROUNDS = 3
MOST = 1.15

# Samples a side, and the measures of images that live on the shared pass; grey images of 28 px, features and logits.
SIDES = (4096, 12288)
MEASURES = ("frechet-distance", "kernel-distance", "classifier-score", "precision-recall", "density-coverage", "class-modes")
EXTRACTOR, BYTES_A_SAMPLE = "fashion-mnist-classifier", 28 * 28 + 4 * (128 + 10)
# What the page on evaluations says: so many times those bytes, for each sample a side that is added.
MOST_TIMES = 12


def peak(way: str, told: Connection) -> None:
    """Train and tell the peak resident memory in MiB; both ways import and hold the same things otherwise."""
    if way == "plain":
        theirs(plain.DCGAN(images(load(DCGAN).data.open())), UPDATES)
    else:
        ours(DCGAN, UPDATES)
    told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def evaluation_peak(n: int, told: Connection) -> None:
    """Evaluate `n` images of noise against as many, with as many for the floor, and tell the peak resident memory in MiB."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SADDLEPOINT_CACHE"] = cache
        saddlepoint.evaluate(_noise(1, n), _noise(0, 2 * n), measures=MEASURES, extractor=EXTRACTOR, n=n)
    told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _noise(seed: int, n: int) -> Tensor:
    return torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def measured(peak: Callable[[Any, Connection], None], way: str | int) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=peak, args=(way, there))
    process.start()
    mebibytes = float(here.recv())
    process.join()
    return mebibytes


def training() -> bool:
    """Print the table; whether the ratio is within the goal."""
    found = {way: [measured(peak, way) for _ in range(ROUNDS)] for way in ("plain", "saddlepoint")}
    for way, values in found.items():
        print(f"  {way:<12} {statistics.median(values):8.0f} MiB peak ({min(values):.0f} to {max(values):.0f}, {ROUNDS} processes)")
    ratio = statistics.median(found["saddlepoint"]) / statistics.median(found["plain"])
    print(f"  saddlepoint holds {ratio:.2f} x the plain loop's, goal {MOST} x: {'reached' if ratio <= MOST else 'MISSED'}")
    return ratio <= MOST


def evaluation() -> bool:
    """Print by how much the peak grows for each sample a side; whether that is within what the page says."""
    few, many = (measured(evaluation_peak, n) for n in SIDES)
    times = (many - few) * 2**20 / (SIDES[1] - SIDES[0]) / BYTES_A_SAMPLE
    print(f"  evaluation   {few:8.0f} MiB peak at n = {SIDES[0]:,}, {many:.0f} MiB at {SIDES[1]:,}")
    verdict = "reached" if times <= MOST_TIMES else "MISSED"
    print(f"  a sample a side takes {times:.1f} x its {BYTES_A_SAMPLE:,} bytes, goal {MOST_TIMES} x: {verdict}")
    return times <= MOST_TIMES


CASES = {"training": training, "evaluation": evaluation}


def main() -> None:
    """The cases that are named, or all; exit code 1 when one is over its goal."""
    print(machine())
    missed = [name for name in sys.argv[1:] or CASES if not CASES[name]()]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
