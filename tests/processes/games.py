"""Small games that a group of processes plays, and what is compared of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import Round
from saddlepoint.training.session import Session

Arrays = dict[str, NDArray[Any]]


class Played(NamedTuple):
    """What a game is after its updates: all tensors, how far each stream is, what the last update noted, how often it gathered."""

    tensors: Arrays
    streams: dict[str, int]
    records: dict[str, float]
    gathers: int


def play(processes: Processes, recipe: Mapping[str, Any], updates: int) -> Played:
    """Play a recipe's game from the start; the last update is watched."""
    described = Recipe.from_mapping(recipe)
    session = Session(described, described.data.open(), processes)
    gathers = 0
    gather = dist.all_gather

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal gathers
        gathers += 1
        return gather(*given, **named)

    dist.all_gather = counted
    try:
        for update in range(updates):
            records = session.trainer.update(watched=update == updates - 1)
    finally:
        dist.all_gather = gather
    snapshot = session.snapshot()
    tensors = {
        f"{file}/{name}": tensor.numpy() for file, named in snapshot.clone().tensors.items() for name, tensor in named.items()
    }
    return Played(tensors, session.streams.state(), {name: float(value) for name, value in records.items()}, gathers)


def play_alone(recipe: Mapping[str, Any], updates: int) -> Played:
    return play(ALONE, recipe, updates)


def farthest(one: Played, other: Played, *, weights_only: bool = False) -> float:
    """The largest difference of two games, relative to a tensor's largest where that is above 1.

    Args:
        weights_only: of weights, buffers, averages and states; not of what is rounded as gradients are, the optimizers' memory and
            the numbers of the log.
    """
    assert one.tensors.keys() == other.tensors.keys()
    assert one.records.keys() == other.records.keys()
    gaps = [_gap(tensor, other.tensors[name]) for name, tensor in one.tensors.items() if not (weights_only and "optimizer" in name)]
    if not weights_only:
        gaps += [_gap(np.array(value), np.array(other.records[name])) for name, value in one.records.items()]
    return max(gaps)


def _gap(one: NDArray[Any], other: NDArray[Any]) -> float:
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    first, second = torch.from_numpy(one).double(), torch.from_numpy(other).double()
    return float((first - second).abs().max() / first.abs().max().clamp_min(1.0)) if first.numel() else 0.0


def play_apart(processes: Processes, recipe: Mapping[str, Any], updates: int) -> Played:
    """The same, by processes whose terms do not look at one another's samples."""
    everyone, own = Round.everyone, Round.own
    Round.everyone = lambda round, x: x  # type: ignore[method-assign, assignment]
    Round.own = lambda round, x: x  # type: ignore[method-assign, assignment]
    try:
        return play(processes, recipe, updates)
    finally:
        Round.everyone, Round.own = everyone, own  # type: ignore[method-assign]
