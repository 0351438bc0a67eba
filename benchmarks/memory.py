"""Peak memory of a DCGAN run against the plain loop of the same game, each in a process of its own.

python -m benchmarks.memory
"""

import multiprocessing
import resource
import statistics
import sys
from multiprocessing.connection import Connection

from benchmarks import plain
from benchmarks.race import machine
from benchmarks.training import DCGAN, images, ours, theirs
from saddlepoint.recipe import load

UPDATES = 20
ROUNDS = 3
MOST = 1.15


def peak(way: str, told: Connection) -> None:
    """Train and tell the peak resident memory in MiB; both ways import and hold the same things otherwise."""
    if way == "plain":
        theirs(plain.DCGAN(images(load(DCGAN).data.open())), UPDATES)
    else:
        ours(DCGAN, UPDATES)
    told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(way: str) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=peak, args=(way, there))
    process.start()
    mebibytes = float(here.recv())
    process.join()
    return mebibytes


def main() -> None:
    """Print the table; exit code 1 when the ratio is over the goal."""
    found = {way: [measured(way) for _ in range(ROUNDS)] for way in ("plain", "saddlepoint")}
    print(machine())
    for way, values in found.items():
        print(f"  {way:<12} {statistics.median(values):8.0f} MiB peak ({min(values):.0f} to {max(values):.0f}, {ROUNDS} processes)")
    ratio = statistics.median(found["saddlepoint"]) / statistics.median(found["plain"])
    print(f"  saddlepoint holds {ratio:.2f} x the plain loop's, goal {MOST} x: {'reached' if ratio <= MOST else 'MISSED'}")
    sys.exit(0 if ratio <= MOST else 1)


if __name__ == "__main__":
    main()
