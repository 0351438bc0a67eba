"""Kill training with SIGKILL at random moments, resume it, and compare every bit with a run that was never stopped.

    python -m benchmarks.kill --kills 300 --seed 0

Half of the kills wait until a checkpoint is being written. A kill counts as inside the writing when it leaves a half-written
folder behind. The recipe turns on all that has been known to break resuming: batch norm, spectral norm, several discriminator
steps, SDP, channels-last weights and a fused optimizer.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.killing import endure


def main() -> None:
    """Print the table; exit code 1 if a single bit differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--inside", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = endure(arguments.kills, arguments.inside, arguments.seed, Path(folder))
    lives = sorted(tally.lives)
    print(
        f"seed {arguments.seed}: {tally.kills} kills, {tally.inside} of them while a checkpoint was written, over {tally.runs} runs"
    )
    print(f"life before a kill, seconds: median {lives[len(lives) // 2]:.2f}, shortest {lives[0]:.2f}, longest {lives[-1]:.2f}")
    print(f"runs that ended with other bits: {len({line.split(':')[0] for line in tally.wrong})}")
    print(*tally.wrong, sep="\n")
    sys.exit(1 if tally.wrong else 0)


if __name__ == "__main__":
    main()
