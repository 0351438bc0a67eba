"""The parts of a run of many replicas: how many are stacked in one game, and what fits in memory."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from saddlepoint.data.source import Source
from saddlepoint.errors import Diverged, InputError
from saddlepoint.recipe import Recipe
from saddlepoint.training.assembly import choose_device
from saddlepoint.training.session import Session

# What the benchmark shows on a CPU: from here on more replicas in one process gain nothing, below it the calls dominate.
MOST_STACKED, FEWEST_STACKED = 64, 8
MOST_STACKED_ON_A_DEVICE = 1024

FOLDER = "parts"
SHARE_OF_MEMORY = 0.8
BYTES_OF_A_PROCESS = 500 * 2**20


@dataclass(frozen=True)
class Part:
    """Replicas `start` to `stop - 1`, which play one game."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.start:04d}" if self.size == 1 else f"{self.start:04d}-{self.stop - 1:04d}"


@dataclass(frozen=True)
class Plan:
    """How the replicas of a run are spread: parts, of which `processes` are trained at a time."""

    parts: tuple[Part, ...]
    processes: int

    @property
    def chunk(self) -> int:
        return max(part.size for part in self.parts)

    def told(self, recipe: Recipe) -> str:
        """In a line, and why."""
        replicas = self.parts[-1].stop
        if self.chunk == 1:
            why = "" if recipe.networks.stacks else f" ({recipe.networks.family} networks are no faster stacked)"
            games = f"{replicas} games of one replica{why}"
        else:
            games = f"{len(self.parts)} {'game' if len(self.parts) == 1 else 'games'} of up to {self.chunk} stacked replicas"
        here = "in this process" if len(self.parts) == 1 else f"{self.processes} processes at a time, one thread each"
        return f"{replicas} replicas: {games}, {here}"


def parts_of(replicas: int, chunk: int) -> tuple[Part, ...]:
    """Stretches of `chunk` replicas, the last one perhaps shorter.

    >>> [part.name for part in parts_of(5, 2)]
    ['0000-0001', '0002-0003', '0004']
    """
    return tuple(Part(start, min(start + chunk, replicas)) for start in range(0, replicas, chunk))


def plan(recipe: Recipe, source: Source) -> Plan:
    """How to train the replicas of a recipe here.

    Raises:
        InputError: what is asked for does not fit in memory, or cannot be stacked.
    """
    device = choose_device(recipe.device)
    replicas, asked = recipe.replica_count, recipe.replicas
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = asked.processes if isinstance(asked.processes, int) else 1 if device.type != "cpu" else cores
    fits = _fitting(recipe, source, processes) if device.type == "cpu" else MOST_STACKED_ON_A_DEVICE
    if isinstance(asked.chunk, int):
        chunk = min(asked.chunk, replicas)
        _check_chunk(recipe, chunk, fits, processes)
    elif not recipe.networks.stacks:
        chunk = 1
    else:
        most = MOST_STACKED if device.type == "cpu" else MOST_STACKED_ON_A_DEVICE
        chunk = max(1, min(most, fits, max(FEWEST_STACKED, -(-replicas // processes))))
    parts = parts_of(replicas, chunk)
    return Plan(parts, min(processes, len(parts)))


def _check_chunk(recipe: Recipe, chunk: int, fits: int, processes: int) -> None:
    if chunk > 1 and not recipe.networks.stacks:
        what = f"{recipe.networks.family} networks are not stacked, since they are no faster so"
        raise InputError([f"replicas.chunk: {chunk}, but {what}; leave it at auto, which trains each replica alone"])
    if chunk > fits:
        where = f"in each of {processes} processes" if processes > 1 else "at once"
        raise InputError([f"replicas.chunk: {chunk} replicas do not fit in memory; {fits} do {where}; give {fits} or fewer"])


def _fitting(recipe: Recipe, source: Source, processes: int) -> int:
    """How many replicas of a recipe fit in each of so many processes, at least one."""
    room = available_memory() * SHARE_OF_MEMORY / processes - BYTES_OF_A_PROCESS
    return max(1, int(room / bytes_of_a_replica(recipe, source)))


def available_memory() -> int:
    """Bytes that can still be had: of the machine, or of the control group where that holds less."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = [_meminfo("MemAvailable") or pages]
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None:
        found.append(limit - (used or 0))
    return min(found)


def bytes_of_a_replica(recipe: Recipe, source: Source) -> int:
    """What one replica holds at the most, read off one update of it: weights, gradients, optimiser, average, a checkpoint's copy,
    and what the passes of a turn keep for the backward pass, twice."""
    session = Session(recipe.part(0, 1), source)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        # Held until all is counted, or another would take its place in memory.
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    # One that diverges at once has kept what it keeps by then, and is told of when it trains.
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), suppress(Diverged):
        session.trainer.update()
    held = sum(
        tensor.numel() * tensor.element_size() for tensors in session.snapshot().tensors.values() for tensor in tensors.values()
    )
    return 3 * held + 2 * sum(storage.nbytes() for storage in kept.values())


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
