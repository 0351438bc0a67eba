"""First weights, drawn from named streams: replica r of many seeds gets exactly what its seed gets alone."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from saddlepoint.networks.laws import Law, Starting
from saddlepoint.networks.layers import Weighted
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

Laws = Callable[[str, nn.Module], dict[str, Law]]


@torch.no_grad()
def initialize(network: nn.Module, player: Mover, streams: Streams, laws: Laws) -> None:
    """Draw every parameter of a network.

    Args:
        laws: from a layer's path and the layer to the law of each of its parameters, by their name in the layer.

    Each comes from the stream `initialise PLAYER PARAMETER`, a spectral norm's first vector from the one of its buffer `v`. A layer
    that knows its own start (`Starting`) is not asked of `laws`.
    """
    for path, layer in network.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        law = _of(layer, path, laws) if own else {}
        for name, parameter in own.items():
            parameter.copy_(law[name].draw(streams, f"initialise {player} {path}.{name}", parameter.shape[len(streams.leading) :]))
        if isinstance(layer, Weighted) and layer.spectral is not None:
            layer.spectral.start(layer.matrix(), streams, f"initialise {player} {path}.spectral.v")
        if isinstance(layer, Starting):
            layer.start(streams, f"initialise {player} {path}")


def _of(layer: nn.Module, path: str, laws: Laws) -> Mapping[str, Law]:
    if isinstance(layer, Starting):
        return layer.first
    law = laws(path, layer)
    return layer.scaling.laws(law) if isinstance(layer, Weighted) and layer.scaling is not None else law
