"""A group of real processes that waits for jobs, so that many tests cost one start."""

import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from saddlepoint.processes import Processes, taking_part
from tests.faults.processes import CONTEXT, PATIENCE_SECONDS

Job = Callable[..., Any]


class Group:
    """`world` processes under one store, as a launcher starts them."""

    def __init__(self, world: int) -> None:
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self._ends: list[Connection] = []
        self.processes = []
        for rank in range(world):
            here, there = CONTEXT.Pipe()
            process = CONTEXT.Process(target=_live, args=(rank, world, self._store.port, there), daemon=True)
            process.start()
            there.close()
            self._ends.append(here)
            self.processes.append(process)

    def start(self, job: Job, *given: Any) -> None:
        """Have every process call `job(processes, *given)`."""
        for end in self._ends:
            end.send((job, given))

    def answers(self, ranks: Sequence[int] | None = None) -> list[Any]:
        """What the processes gave back, by rank; an exception is given back too."""
        found = []
        for end in self._ends if ranks is None else [self._ends[rank] for rank in ranks]:
            assert end.poll(PATIENCE_SECONDS), "a process gave no answer"
            found.append(end.recv())
        return found

    def __call__(self, job: Job, *given: Any) -> list[Any]:
        self.start(job, *given)
        return self.answers()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


def _live(rank: int, world: int, port: int, orders: Connection) -> None:
    torch.set_num_threads(1)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), **place})
    with taking_part() as processes:
        while True:
            try:
                job, given = orders.recv()
            except EOFError:
                return
            orders.send(_answer(job, processes, given))


def _answer(job: Job, processes: Processes, given: Sequence[Any]) -> Any:
    try:
        return job(processes, *given)
    except Exception as error:
        return error
