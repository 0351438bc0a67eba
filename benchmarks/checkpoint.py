"""How long a checkpoint of 20 MB stops the loop, against cloning its tensors.

python -m benchmarks.checkpoint
"""

import statistics
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.race import machine, race, show, timed
from saddlepoint.training.checkpoints import CheckpointWriter, Snapshot

MEBIBYTES = 20
ROUNDS = 11
MOST_MS = 10.0


def main() -> None:
    """Print the table; exit code 1 when a checkpoint stops the loop more than 10 ms longer than a clone."""
    tensors = {f"layer {number}": torch.randn(MEBIBYTES * 2**20 // 4 // 20) for number in range(20)}
    updates = iter(range(1, 1000))
    with tempfile.TemporaryDirectory() as folder:
        writer = CheckpointWriter(Path(folder), keep=2)

        def submit() -> float:
            snapshot = Snapshot(next(updates), {"generator": tensors}, {})
            seconds = timed(lambda: writer.submit(snapshot))
            writer.wait()
            return seconds

        def whole() -> float:
            snapshot = Snapshot(next(updates), {"generator": tensors}, {})

            def write() -> None:
                writer.submit(snapshot)
                writer.wait()

            return timed(write)

        cases = {
            "clone": lambda: timed(lambda: [tensor.clone() for tensor in tensors.values()]),
            "checkpoint, until the loop goes on": submit,
            "checkpoint, until it is on the disk": whole,
        }
        result = race(cases, ROUNDS)
        writer.close()
    print(machine())
    show(f"a checkpoint of {MEBIBYTES} MiB", result, 1, "checkpoint")
    clone, stop = (statistics.median(result.seconds[name]) for name in list(cases)[:2])
    longer = 1e3 * (stop - clone)
    outcome = "reached" if longer <= MOST_MS else "MISSED"
    print(f"  stops the loop {longer:.2f} ms longer than a clone, goal {MOST_MS:.0f} ms: {outcome}")
    sys.exit(0 if longer <= MOST_MS else 1)


if __name__ == "__main__":
    main()
