"""What a process of a group has in place of the run folder, which the first of them writes."""

from saddlepoint.training.checkpoints import Snapshot


class Unwritten:
    """A log that keeps nothing."""

    def write(self, event: str, update: int, **fields: object) -> None: ...
    def sync(self) -> int:
        return 0


class NoCheckpoints:
    """A writer of checkpoints that writes none."""

    def submit(self, snapshot: Snapshot) -> None: ...
    def wait(self) -> None: ...
    def close(self) -> None: ...
