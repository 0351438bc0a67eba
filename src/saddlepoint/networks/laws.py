"""What a parameter's first value is: the laws that weights are drawn from, and layers that know their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from saddlepoint.streams import Streams


@dataclass(frozen=True)
class Normal:
    """`N(mean, std^2)`."""

    std: float
    mean: float = 0.0

    def draw(self, streams: Streams, name: str, shape: torch.Size) -> Tensor:
        return self.mean + self.std * streams.normal(name, *shape)


@dataclass(frozen=True)
class Uniform:
    """`U(-bound, bound)`."""

    bound: float

    def draw(self, streams: Streams, name: str, shape: torch.Size) -> Tensor:
        return self.bound * (2 * streams.uniform(name, *shape) - 1)


@dataclass(frozen=True)
class Constant:
    """`value` everywhere."""

    value: float

    def draw(self, streams: Streams, name: str, shape: torch.Size) -> Tensor:
        return torch.full((*streams.leading, *shape), self.value, device=streams.device, dtype=streams.dtype)


Law = Normal | Uniform | Constant


def times(factor: float, law: Law) -> Law:
    """The law of `factor` times what another draws.

    >>> times(0.5, Normal(0.02))
    Normal(std=0.01, mean=0.0)
    """
    match law:
        case Normal(std, mean):
            return Normal(factor * std, factor * mean)
        case Uniform(bound):
            return Uniform(factor * bound)
        case Constant(value):
            return Constant(factor * value)


class Starting(nn.Module):
    """A layer whose own parameters start the same in every family."""

    first: ClassVar[Mapping[str, Law]] = {}

    def start(self, streams: Streams, name: str) -> None:
        """Draw what is no parameter, from streams that begin with `name`."""
