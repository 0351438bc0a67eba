"""BEGAN's networks: a convolutional autoencoder that judges, and its decoder that generates."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.image import image_problems, refuse
from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law, Uniform
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.network import (
    NORMALIZED_BY,
    AnyNormalization,
    Discriminator,
    Generator,
    LastLayer,
    Networks,
    Normalizations,
    numbered,
)
from saddlepoint.networks.normalization import NoNormalization, Place
from saddlepoint.networks.reconstruction import BERTHELOT, AutoencoderDiscriminator
from saddlepoint.rounds import Meaning
from saddlepoint.streams import Streams

SMALLEST_SIDE = 8
HALVINGS = {8: 0, 16: 1, 32: 2, 64: 3, 128: 4}


class AutoencoderNormalizations(Normalizations):
    """What normalises each player of an `autoencoder`: nothing by default."""

    generator: AnyNormalization = Field(default=NoNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=NoNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Autoencoder(Networks):
    r"""3x3 convolutions with ELU, two at each side of the image from `R` down to 8, and a code between encoder and decoder.

    Encoder: to `width` channels, then at side `R / 2^s` two convolutions, the second of which halves the side (stride 2) and goes
    from `(s + 1) width` to `(s + 2) width` channels; at 8x8 both keep it; a linear layer to the code, the last block.
    Decoder: a linear layer from the code to 8x8 with `width` channels, two convolutions at each side, the side doubled between
    (nearest neighbours), and a last convolution. The generator is such a decoder, from latents, and ends in tanh.
    The score is the error `E(v) = mean |v - D(v)|^power` over pixels, so a high one says "not like the reals".

    Source: Berthelot et al. 2017, section 3.5 and figure 1. No leading replica axes.

    >>> import torch
    >>> record = Autoencoder(width=4, latent=6)
    >>> record.generator((1, 16, 16), Streams(0))(torch.zeros(5, 6)).shape
    torch.Size([5, 1, 16, 16])
    >>> record.discriminator((1, 16, 16), Streams(0))(torch.zeros(5, 1, 16, 16)).shape
    torch.Size([5])
    """

    family: ClassVar[str] = "autoencoder"
    scores: ClassVar[Meaning] = "error"
    bibtex: ClassVar[str] = BERTHELOT

    latent: int = Field(default=64, ge=1, description="numbers in one latent, and in the code")
    width: int = Field(default=64, ge=1, description="channels of the decoders, and of the encoder at the image's own side")
    power: Literal[1, 2] = Field(default=1, description="of the error: 1 is absolute, 2 squared")
    normalization: AutoencoderNormalizations = Field(default=AutoencoderNormalizations(), description="of each player, by name")

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(max(HALVINGS.values()) + 3)

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        return image_problems(self.family, shape, tuple(HALVINGS))

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        refuse(self, shape, streams)
        layers = Layers.of("generator", self.normalization.generator, streams)
        body = OrderedDict[str, nn.Module](decoder=Decoder(layers, self.latent, self.width, shape, place="first"), tanh=nn.Tanh())
        whole = layers.around(nn.Sequential(body), self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, (), whole)
        initialize(generator, "generator", streams, _laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        refuse(self, shape, streams)
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        halvings = HALVINGS[shape[-1]]
        blocks: list[nn.Module] = [Smooth(layers, shape[0], self.width)]
        for number in range(1, halvings + 1):
            blocks.append(Pair(layers, number * self.width, (number + 1) * self.width, stride=2))
        channels = (halvings + 1) * self.width
        blocks.append(Pair(layers, channels, channels, stride=1))
        blocks.append(Code(layers, channels * SMALLEST_SIDE**2, self.latent))
        minibatch, given = layers.before_last(self.minibatch, self.latent)
        decoder = Decoder(layers, given, self.width, shape, minibatch=minibatch)
        discriminator = AutoencoderDiscriminator(
            shape, (), blocks, decoder, power=self.power, twice_differentiated=twice_differentiated
        )
        initialize(discriminator, "discriminator", streams, _laws)
        return discriminator


class Smooth(nn.Module):
    """A 3x3 convolution, normalisation, ELU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.convolution = layers.convolution(inputs, outputs, 3, stride=stride, padding=1, bias=layers.biased)
        self.normalization = layers.normalization(outputs)
        self.activation = layers.activation(outputs, F.elu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        activated: Tensor = self.activation(self.normalization(self.convolution(x)))
        return activated


class Pair(nn.Module):
    """Two of them; the second changes the channels, and with `stride` 2 halves the side."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.first = Smooth(layers, inputs, inputs)
        self.second = Smooth(layers, inputs, outputs, stride=stride)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


class Code(nn.Module):
    """A linear layer from all that is left of an image to its code, `[n, code]`."""

    def __init__(self, layers: Layers, inputs: int, code: int) -> None:
        super().__init__()
        self.linear = layers.linear(inputs, code)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        code: Tensor = self.linear(x.flatten(1))
        return code


class Decoder(LastLayer):
    """From a code `[n, code]` to an image `[n, C, R, R]`, without a last activation."""

    def __init__(
        self,
        layers: Layers,
        code: int,
        width: int,
        shape: Sequence[int],
        *,
        minibatch: nn.Module | None = None,
        place: Place = "hidden",
    ) -> None:
        super().__init__()
        self.minibatch = minibatch
        self.width = width
        self.linear = layers.linear(code, width * SMALLEST_SIDE**2, place=place)
        self.pairs = nn.ModuleList(Pair(layers, width, width, stride=1) for _ in range(HALVINGS[shape[-1]] + 1))
        self.last = layers.convolution(width, shape[0], 3, padding=1, place="last")

    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        """The code, and what was seen of the batch."""
        if self.minibatch is None:
            return x
        seen: Tensor = self.minibatch(x)
        return seen

    def forward(self, code: Tensor, twice: bool = False) -> Tensor:
        x: Tensor = self.linear(self.enters(code, twice))
        x = x.reshape(len(code), self.width, SMALLEST_SIDE, SMALLEST_SIDE)
        for number, pair in enumerate(self.pairs):
            x = pair(x if number == 0 else F.interpolate(x, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.last(x)
        return out


def _laws(path: str, layer: nn.Module) -> dict[str, Law]:
    if isinstance(layer, Weighted):
        law = Uniform(1 / math.sqrt(layer.fan_in))
        return {"weight": law, "bias": law}
    return {"weight": Constant(1.0), "bias": Constant(0.0)}
