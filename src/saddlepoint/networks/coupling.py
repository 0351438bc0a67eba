"""Layers in which a sample depends on the other samples of its batch."""

from typing import ClassVar

from torch import nn

from saddlepoint.processes import ALONE, Processes, Rule


class Coupling(nn.Module):
    """A layer that reads a whole batch: everyone's, where several processes share it."""

    reads: ClassVar[Rule] = "everyone"

    processes: Processes = ALONE


def share_batch(network: nn.Module, processes: Processes) -> None:
    """Let the layers that read a whole batch read everyone's."""
    for layer in network.modules():
        if isinstance(layer, Coupling):
            layer.processes = processes
