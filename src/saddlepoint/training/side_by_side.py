"""One record for many replicas: where their numbers differ, it holds a tensor in place of the number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from saddlepoint.rounds import Record

AnyRecord = TypeVar("AnyRecord", bound=Record)
Place = Callable[[Sequence[float]], Tensor]


@dataclass(frozen=True)
class Beside:
    """Schedules side by side: at each update the tensor `[*]` of their numbers."""

    schedules: tuple[Callable[[int], float], ...]
    place: Place

    def __call__(self, update: int) -> Tensor:
        return self.place([schedule(update) for schedule in self.schedules])


def side_by_side(records: Sequence[AnyRecord], place: Place) -> AnyRecord:
    """The record that answers for each replica as its own would.

    A differing number becomes a tensor `[*, 1]`, which broadcasts over the batch; a differing schedule gives `[*]`. So a method
    works with its numbers by arithmetic, and does not branch on them.

    Args:
        records: one a replica, of one kind.
        place: numbers to a tensor `[*]` of the game's precision, on its device.
    """
    first = records[0]
    differing = {name: values for name in type(first).model_fields if len(set(values := _values(records, name))) > 1}
    return first.model_copy(update={name: _joined(values, place) for name, values in differing.items()}) if differing else first


def one_or_all(numbers: Sequence[float], place: Place) -> float | Tensor:
    """The number that all replicas have, or the tensor `[*]` of theirs.

    >>> one_or_all([0.5, 0.5], torch.tensor), one_or_all([0.5, 1.0], torch.tensor)
    (0.5, tensor([0.5000, 1.0000]))
    """
    return numbers[0] if len(set(numbers)) == 1 else place(numbers)


def _values(records: Sequence[Record], name: str) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for record in records)


def _joined(values: tuple[Any, ...], place: Place) -> Any:
    if all(isinstance(value, float | int) for value in values):
        return place(values).unsqueeze(-1)
    return Beside(values, place)


def placing(device: torch.device, dtype: torch.dtype) -> Place:
    """Numbers as a tensor there."""
    return lambda numbers: torch.tensor(numbers, device=device, dtype=dtype)
