"""`saddlepoint WORDS` as a group of processes, each of which can be killed."""

import json
from pathlib import Path
from typing import Any

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from tests.faults.processes import Command


class Launch:
    """What torchrun does but for its own messages: a store, and processes that are told which they are.

    Args:
        started: ranks that are started; by default all.
    """

    def __init__(self, words: tuple[str, ...], folder: Path, world: int = 2, started: tuple[int, ...] | None = None) -> None:
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self._store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        place |= {"WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
        self.commands = [
            Command(words, folder, environment={**place, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in (range(world) if started is None else started)
        ]

    @property
    def joined(self) -> bool:
        """Whether every process has said who it is."""
        return all(self._store.check([f"member/{rank}"]) for rank in range(len(self.commands)))

    @property
    def members(self) -> list[Any]:
        """What each says of itself: host, process id, and when it began."""
        return [json.loads(self._store.get(f"member/{rank}")) for rank in range(len(self.commands))]

    @property
    def codes(self) -> list[int]:
        """Each one's exit code, once all have ended."""
        return [command.code() for command in self.commands]

    @property
    def errors(self) -> list[str]:
        """The lines on standard error of all of them."""
        return [line for command in self.commands for line in command.errors.splitlines()]

    @property
    def outputs(self) -> list[str]:
        return [command.output for command in self.commands]
