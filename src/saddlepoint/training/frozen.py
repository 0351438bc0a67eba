"""Replicas that diverged, or whose stop rule is met: their weights stay as they are, the others go on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.rounds import State


@dataclass(frozen=True)
class Ended:
    """How a replica ended: which term stopped being finite, and after how many updates."""

    replica: int
    term: str
    update: int


class Frozen:
    """Which replicas of a stacked game have diverged, and which have stopped.

    Args:
        tensors: everything of the game with replica axes, and what its terms remember.
    """

    def __init__(
        self, replicas: int, tensors: Callable[[], Sequence[Tensor]], states: dict[str, State], device: torch.device
    ) -> None:
        self.ended: dict[int, Ended] = {}
        self.stopped: dict[int, int] = {}
        self.replicas = replicas
        self.mask = torch.zeros(replicas, dtype=torch.bool, device=device)
        self._tensors = tensors
        self._states = states

    @property
    def all(self) -> bool:
        return len(self.ended) == self.replicas

    def add(self, ended: Ended) -> None:
        """Freeze a replica; its first end is the one that counts."""
        if ended.replica not in self.ended:
            self.ended[ended.replica] = ended
            self.mask[ended.replica] = True

    def stop(self, over: Tensor, update: int) -> None:
        """Hold the replicas whose stop rule is met by now, and is for the first time."""
        for replica in (over & ~self.mask).nonzero().flatten().tolist():
            self.stopped[replica] = update
            self.mask[replica] = True

    def mark(self, records: Mapping[str, Tensor], norm: Tensor, player: str, update: int) -> None:
        """Freeze the replicas whose loss or gradient is not finite, each with the first of its terms that is not."""
        finite = torch.isfinite(records[f"{player}/loss"]) & torch.isfinite(norm)
        for replica in (~finite & ~self.mask).nonzero().flatten().tolist():
            own = {name: value for name, value in records.items() if name.startswith(f"{player}/") and not name.endswith("/loss")}
            broken = [name for name, value in own.items() if value.ndim and not bool(torch.isfinite(value[replica]).all())]
            self.add(Ended(replica, (broken or [f"{player}/gradient norm"])[0], update))

    def mark_broken(self, name: str, weights: Iterable[Tensor], update: int) -> None:
        """Freeze the replicas with a weight that is not finite: a step can leave some that no loss has met yet."""
        whole = torch.stack([torch.isfinite(weight).flatten(1).all(-1) for weight in weights]).all(0)
        for replica in (~whole).nonzero().flatten().tolist():
            self.add(Ended(replica, f"{name}/weights", update))

    @contextmanager
    def still(self) -> Iterator[None]:
        """Whatever is done inside leaves the frozen replicas as they are."""
        if not self.ended and not self.stopped:
            yield
            return
        rows = self.mask.nonzero().flatten()
        tensors = self._tensors()
        kept = [tensor.detach()[rows].clone() for tensor in tensors]
        states = {key: dict(state) for key, state in self._states.items()}
        yield
        with torch.no_grad():
            for tensor, before in zip(tensors, kept, strict=True):
                tensor[rows] = before
            for key, state in states.items():
                self._states[key] = {name: _restored(self._states[key][name], before, rows) for name, before in state.items()}


def _restored(now: Tensor, before: Tensor, rows: Tensor) -> Tensor:
    return now.index_copy(0, rows, before[rows].to(now.dtype))
