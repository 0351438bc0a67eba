"""What the runs that are broken and mended here train, and whether one ended as the unbroken one."""

from pathlib import Path

from saddlepoint.training.checkpoints import read_checkpoint
from saddlepoint.training.proof import differences

# Long enough to be stopped in the middle.
LONG = ("updates=60", "log.every=1", "samples.every=20", "checkpoints.every=5", "checkpoints.keep=100")


def same(unbroken: Path, run: Path) -> bool:
    """Whether every tensor, counter, stream and event is the same, times apart."""
    return differences(read_checkpoint(unbroken), read_checkpoint(run), unbroken, run) == []
