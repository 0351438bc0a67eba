"""What a normalisation is to a player: what its weights go through, what stands between its layers, which activation follows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from saddlepoint.networks.laws import Law, Starting
from saddlepoint.rounds import Mover, Record

Place = Literal["first", "hidden", "last"]
"""Where a layer stands in its player: the first after the latents, the last before what comes out, or between."""

Activation = Callable[..., Tensor]
"""From `x` to what the next layer takes; called with `twice=True` where its graph will be differentiated twice."""


@dataclass(frozen=True)
class Making:
    """What layers are made with: replica axes, device and precision."""

    leading: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype


class Taps(NamedTuple):
    """How a layer's weight makes its outputs.

    Args:
        outputs: features or channels that come out.
        inputs: numbers of the weight that make one output channel (fan-in).
        axes: of the weight, from the last: those that one output channel sums over.
        repeats: which part of these numbers meets at one output: all of them (1), of a transposed convolution one in stride^2.
    """

    outputs: int
    inputs: int
    axes: tuple[int, ...]
    repeats: int = 1


class Scaling(Starting):
    """From the weight that is trained to the weight that is used, the same shape."""

    def laws(self, given: Mapping[str, Law]) -> Mapping[str, Law]:
        """The first laws of the layer's weight and bias, from those of its family."""
        return given


class Normalization(Record):
    """How the layers of one player are normalised. All defaults are of a player without any normalisation."""

    name: ClassVar[str]
    # Of the docs, without its ending.
    page: ClassVar[str]
    # Whether every weight of the player is divided by its largest singular value.
    spectral: ClassVar[bool] = False
    # Players that cannot have it, each with the reason.
    refuses: ClassVar[Mapping[Mover, str]] = MappingProxyType({})
    # Why it has no meaning for layers of vectors; None where it has one.
    not_of_vectors: ClassVar[str | None] = None

    def couples_batch(self, player: Mover) -> bool:
        """Whether a sample of the player depends on the other samples of its batch."""
        return False

    def biased(self, player: Mover) -> bool:
        """Whether a layer right before the normalisation has a bias, which the normalisation does not take away again."""
        return True

    def offset(self, place: Place) -> bool:
        """Whether a layer there may have a bias at all."""
        return True

    def scaling(self, player: Mover, place: Place, taps: Taps, making: Making) -> Scaling | None:
        """What the weights of a layer go through."""
        return None

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module | None:
        """What stands between a layer and its activation."""
        return None

    def activation(self, player: Mover, channels: int, plain: Activation, making: Making) -> nn.Module | None:
        """What stands in place of a family's activation `plain`; None leaves it."""
        return None

    def around(self, player: Mover, body: nn.Module, latent: int, uniform: bool, making: Making) -> nn.Module:
        """The generator's way from latents to examples, whose layers are `body`."""
        return body


class NoNormalization(Normalization):
    """Layers as they are."""

    name: ClassVar[str] = "none"


def along_channels(parameter: Tensor, x: Tensor) -> Tensor:
    """`[*, C]` in a shape that broadcasts over `x`, `[*, n, C]` or `[n, C, H, W]`.

    >>> along_channels(torch.ones(3), torch.ones(5, 3, 4, 4)).shape
    torch.Size([1, 3, 1, 1])
    """
    space = x.ndim - parameter.ndim - 1
    return parameter.reshape(*parameter.shape[:-1], 1, parameter.shape[-1], *(1,) * space)
