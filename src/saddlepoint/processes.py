"""Several processes that play one game: each holds all weights, and its own rows of every batch.

A launcher such as torchrun starts them and says in the environment which is which. In a group of one everything here is the
identity, so the code that calls it does not ask.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from saddlepoint.errors import Elsewhere, Gone, InputError

JOINING_SECONDS = 60.0
# All have joined by then: one that does not connect has died meanwhile.
CONNECTING_SECONDS = 15.0
# The others wait while the first draws pictures, or computes what measures make of gathered features.
ANSWERING_SECONDS = 1800.0
GRACE_SECONDS = 5.0

Rule = Literal["own", "everyone"]
"""What a method reads in each process: its own samples, whose means are averaged; or everyone's samples."""

Answer = TypeVar("Answer")


class Member(NamedTuple):
    """A process of a group: where it runs, its id there, and when that machine began it (which no later one of the id shares)."""

    host: str
    pid: int
    begun: str

    @classmethod
    def own(cls) -> "Member":
        return cls(socket.gethostname(), os.getpid(), _begun(os.getpid()) or "")

    @property
    def died(self) -> bool:
        """Whether it has ended, as far as this machine can tell."""
        return self.host == socket.gethostname() and _begun(self.pid) != self.begun


def _begun(pid: int) -> str | None:
    """When a process of this machine began, in its clock's ticks; None when it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self").exists() else _answers(pid)
    # A killed process stays as a zombie until its launcher looks.
    return None if state in "ZX" else fields[18]


def _answers(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


@dataclass(frozen=True)
class Processes:
    """A group of processes, as one of them sees it. Every one makes the same calls in the same order.

    Args:
        rank: which one this is; the first, 0, writes what is written.
        world: how many there are.
        members: who they are, by rank.
        store: where they leave each other notes.

    >>> Processes().everyone(torch.ones(3)).shape
    torch.Size([3])
    """

    rank: int = 0
    world: int = 1
    members: tuple[Member, ...] = ()
    store: Store | None = field(default=None, repr=False, compare=False)

    def __deepcopy__(self, memory: dict[int, Any]) -> "Processes":
        return self

    @property
    def first(self) -> bool:
        """Whether this one writes the run folder and tells the outcome."""
        return self.rank == 0

    def own(self, x: Tensor, axis: int = 0) -> Tensor:
        """The rows along `axis` that are this process's: `[*, world n, …]` to `[*, n, …]`.

        >>> Processes(rank=1, world=2).own(torch.arange(6)).tolist()
        [3, 4, 5]
        """
        if self.world == 1:
            return x
        n = x.shape[axis] // self.world
        return x.narrow(axis, self.rank * n, n)

    def everyone(self, x: Tensor, axis: int = 0) -> Tensor:
        """Everyone's rows along `axis`, by rank: `[*, n, …]` to `[*, world n, …]`, with gradient.

        Each process differentiates its own loss. What comes back to a row is the sum of what all of them say of it, so that the
        mean over processes of the parameters' gradients is the gradient of the mean of their losses.
        """
        if self.world == 1:
            return x
        gathered: Tensor = _Everyone.apply(x, self, axis)
        return gathered

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The mean over processes of each tensor, without gradient, in one call; in the precision of the first."""
        if self.world == 1 or not tensors:
            return list(tensors)
        flat = torch.cat([tensor.detach().reshape(-1).to(tensors[0]) for tensor in tensors])
        self._sum_(flat.div_(self.world))
        sizes = [tensor.numel() for tensor in tensors]
        return [part.view(tensor.shape) for part, tensor in zip(flat.split(sizes), tensors, strict=True)]

    def any(self, flag: bool) -> bool:
        """Whether one of them says so."""
        if self.world == 1:
            return flag
        count = torch.tensor(int(flag))
        self._sum_(count)
        return bool(count.item())

    def said(self, text: str) -> list[str]:
        """What each of them says, by rank."""
        written = self.each(torch.tensor(list(text.encode(errors="surrogatepass")), dtype=torch.uint8))
        return [bytes(letters.tolist()).decode(errors="surrogatepass") for letters in written]

    def each(self, rows: Tensor) -> list[Tensor]:
        """What each of them holds, by rank, without gradient: `[n, …]` of any n, the rest of the shape the same.

        >>> Processes().each(torch.zeros(2, 3))[0].shape
        torch.Size([2, 3])
        """
        if self.world == 1:
            return [rows]
        lengths = self.everyone(torch.tensor([len(rows)])).tolist()
        padded = rows.new_zeros(1 + max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows.detach()
        return [part[:length] for part, length in zip(self.everyone(padded.unsqueeze(0)), lengths, strict=True)]

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """What one of them cannot do inside, none does: all raise afterwards, the first of them with everyone's problems.

        Raises:
            InputError: in the first.
            Elsewhere: in the others.
        """
        if self.world == 1:
            yield
            return
        own: Sequence[str] = ()
        try:
            yield
        except InputError as error:
            own = error.problems
        by_rank = [json.loads(text) for text in self.said(json.dumps(list(own)))]
        problems = list(by_rank[0])
        for rank, others in enumerate(by_rank):
            problems += [f"process {rank}: {problem}" for problem in others if problem not in by_rank[0]]
        if problems:
            raise InputError(problems) if self.first else Elsewhere

    @property
    def one_died(self) -> bool:
        """Whether another process of this machine has ended, and not of itself."""
        return bool(self._dead())

    def lost(self, reason: str) -> str | None:
        """After `Gone`: which process is gone, for the one that tells; None in the others, and when one left of itself.

        Args:
            reason: what the connection says.
        """
        self._close()
        gone = self._gone()
        if gone is None or self._note("told") > 1:
            return None
        named = [f"{rank} (host {self.members[rank].host}, pid {self.members[rank].pid})" for rank in gone]
        if not named:
            return f"the connection between the {self.world} processes broke ({reason.splitlines()[0]})"
        return f"process {', '.join(named)} of {self.world} was killed, or its machine is gone"

    def leave(self) -> None:
        """Let the others know that this one ends of itself."""
        self._note(f"left/{self.rank}")
        self._close()

    def _dead(self) -> list[int]:
        return [rank for rank, member in enumerate(self.members) if member.died and not self._noted(f"left/{rank}")]

    def _gone(self) -> list[int] | None:
        """The ranks that died; none when it is only a connection; None when one left of itself, and has told why."""
        self._note(f"here/{self.rank}")
        others = [rank for rank in range(self.world) if rank != self.rank]
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end:
            if dead := self._dead():
                return dead
            if any(self._noted(f"left/{rank}") for rank in others):
                return None
            time.sleep(0.05)
        own = self.members[self.rank].host
        return [rank for rank in others if self.members[rank].host != own and not self._noted(f"here/{rank}")]

    def _note(self, key: str) -> int:
        """Count up a note; 1 the first time, and where there is no store any more."""
        try:
            return 1 if self.store is None else self.store.add(key, 1)
        except RuntimeError:
            return 1

    def _noted(self, key: str) -> bool:
        try:
            return self.store is not None and self.store.check([key])
        except RuntimeError:
            return False

    def _close(self) -> None:
        # Those who wait for this one learn of it at once.
        with contextlib.suppress(RuntimeError, ValueError):
            if dist.is_initialized():
                dist.destroy_process_group()

    def _sum_(self, tensor: Tensor) -> None:
        _answered(lambda: dist.all_reduce(tensor))


class _Everyone(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, processes: Processes, axis: int) -> Tensor:
        context.processes, context.axis = processes, axis
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(processes.world)]
        _answered(lambda: dist.all_gather(parts, x.contiguous()))
        return torch.cat(parts, axis)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        context.processes._sum_(total)
        return context.processes.own(total, context.axis), None, None


def _answered(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except RuntimeError as error:
        raise Gone(str(error)) from error


ALONE = Processes()


def given_by_launcher() -> int:
    """How many processes the launcher says it started; 1 without one.

    Raises:
        InputError: it says no number.
    """
    given = os.environ.get("WORLD_SIZE", "1")
    if not given.isdecimal() or int(given) < 1:
        raise InputError([f"WORLD_SIZE: {given!r} is not a number of processes; start with torchrun, or unset it"])
    return int(given)


@contextmanager
def taking_part(asked: int | None = None) -> Iterator[Processes]:
    """The group that a launcher made this process part of: `ALONE` without one.

    Gloo carries tensors of the CPU, NCCL those of CUDA; then each process of a machine takes the card of its local rank.

    Args:
        asked: how many there must be.

    Raises:
        InputError: there are fewer or more, or not all joined within a minute.
    """
    world = given_by_launcher()
    if asked is not None and asked != world:
        if os.environ.get("RANK", "0") != "0":
            raise Elsewhere
        given = "no launcher started this one" if world == 1 else f"the launcher started {world}"
        cure = f"start them with `torchrun --nproc-per-node {asked} -m saddlepoint …`"
        raise InputError([f"--processes: {asked} are asked for, and {given}; {cure}"])
    if world == 1:
        yield ALONE
        return
    processes = _joined(world)
    try:
        yield processes
    finally:
        processes.leave()


def _joined(world: int) -> Processes:
    limit = timedelta(seconds=JOINING_SECONDS)
    try:
        store, rank, _ = next(rendezvous("env://", timeout=limit))
    except (RuntimeError, ValueError) as error:
        if os.environ.get("RANK", "0") != "0":
            raise Elsewhere from error
        what = f"no place to meet within {JOINING_SECONDS:.0f} s ({str(error).splitlines()[0]})"
        raise InputError([f"processes: {what}; start all {world} with torchrun"]) from error
    members = _called(store, rank, world)
    cards = torch.cuda.device_count()
    if cards:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % cards)
    backend = "cpu:gloo,cuda:nccl" if cards and dist.is_nccl_available() else "gloo"
    processes, connecting = Processes(rank, world, members, store), timedelta(seconds=CONNECTING_SECONDS)
    try:
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=connecting)
    except RuntimeError as error:
        told = processes.lost(str(error))
        raise (Elsewhere if told is None else InputError([f"{told}; start them again"])) from error
    # Before torch 2.14 it has the second name.
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    set_timeout(timedelta(seconds=ANSWERING_SECONDS))
    return processes


def _called(store: Store, rank: int, world: int) -> tuple[Member, ...]:
    """Everyone, once each has said who it is."""
    store.set(f"member/{rank}", json.dumps(Member.own()))
    end = time.monotonic() + JOINING_SECONDS
    missing = list(range(world))
    while missing := [other for other in missing if not store.check([f"member/{other}"])]:
        if time.monotonic() > end:
            if any(other not in missing for other in range(rank)):
                raise Elsewhere
            told = ", ".join(map(str, missing))
            what = f"{world - len(missing)} of {world} joined within {JOINING_SECONDS:.0f} s, and not {told}"
            raise InputError([f"processes: {what}; start them all, on machines that reach one another"])
        time.sleep(0.02)
    return tuple(Member(*json.loads(store.get(f"member/{other}"))) for other in range(world))
