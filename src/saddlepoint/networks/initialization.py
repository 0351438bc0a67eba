"""First weights, drawn from named streams: replica r of many seeds gets exactly what its seed gets alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.networks.layers import Weighted
from saddlepoint.rounds import Mover
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
Laws = Callable[[str, nn.Module], dict[str, Law]]


@torch.no_grad()
def initialize(network: nn.Module, player: Mover, streams: Streams, laws: Laws) -> None:
    """Draw every parameter of a network.

    Args:
        laws: from a layer's path and the layer to the law of each of its parameters, by their name in the layer.

    Each comes from the stream `initialise PLAYER PARAMETER`, a spectral norm's first vector from the one of its buffer `v`.
    """
    for path, layer in network.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        if not own:
            continue
        law = laws(path, layer)
        for name, parameter in own.items():
            parameter.copy_(law[name].draw(streams, f"initialise {player} {path}.{name}", parameter.shape[len(streams.leading) :]))
        if isinstance(layer, Weighted) and layer.spectral is not None:
            layer.spectral.start(layer.matrix(), streams, f"initialise {player} {path}.spectral.v")
