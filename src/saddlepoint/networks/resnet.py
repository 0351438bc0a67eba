"""The residual networks of SN-GAN."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.activations import relu
from saddlepoint.networks.attention import Attended
from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.image import AnyAttention, Projection, image_problems, refuse
from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law, Uniform
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.minibatch import MinibatchLayer
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
from saddlepoint.networks.spectral_normalization import SpectralNormalization
from saddlepoint.streams import Streams

# Channels into the generator's first block and out of each: quarters of its width, by resolution.
GENERATOR_QUARTERS = {16: (4, 4, 4), 32: (4, 4, 4, 4), 48: (8, 4, 2, 1), 64: (16, 8, 4, 2, 1)}
# Channels out of each of the discriminator's blocks, in halves of its width; and how many of the blocks halve the side.
DISCRIMINATOR_HALVES = {16: (2, 2, 2), 32: (2, 2, 2, 2), 48: (1, 2, 4, 8, 16), 64: (1, 2, 4, 8, 16)}
DISCRIMINATOR_DOWN = {16: 1, 32: 2, 48: 4, 64: 5}


class ResnetNormalizations(Normalizations):
    """What normalises each player of a `resnet`: batch normalisation up, spectral normalisation down, by default."""

    generator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=SpectralNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Resnet(Networks):
    r"""Pre-activation residual blocks: nearest up-sampling in the generator, average pooling in the discriminator, ReLU in both.

    At 32 px the generator is linear -> 4x4x256, three up-blocks of 256, normalisation, ReLU, 3x3 convolution, tanh; the
    discriminator an optimised down-block of 128, a down-block of 128, two plain blocks of 128, ReLU, the *sum* over space, and a
    linear layer without bias. 16 px has one up-block and one down-block fewer. At 48 px the generator goes 6x6x512, 256, 128, 64
    and the discriminator 64, 128, 256, 512, each halving the side, then a plain 1024. At 64 px the generator goes 1024, 512, 256,
    128, 64 and the discriminator 64, 128, 256, 512, 1024, every block halving the side. Weights start Xavier uniform, gain sqrt 2
    in the blocks' 3x3 convolutions and 1 elsewhere; biases 0.

    Features are what leaves each block's sum. No leading replica axes.

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", tables 3 to 5.

    >>> import torch
    >>> record = Resnet(width=4)
    >>> record.discriminator((3, 32, 32), Streams(0))(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5])
    >>> record.problems(128)
    ['resnet makes square images of 16, 32, 48 or 64 px, not 128 x 128: set data.resolution to 64']
    """

    family: ClassVar[str] = "resnet"
    bibtex: ClassVar[str] = SpectralNormalization.bibtex

    width: int = Field(default=128, ge=2, multiple_of=2, description="channels of the discriminator's blocks at 32 px, even")
    generator_width: int | None = Field(
        default=None,
        ge=4,
        multiple_of=4,
        description="channels of the generator's blocks at 32 px, a multiple of 4; by default twice width",
    )
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        default=(), description="after each block of the discriminator, in training, from the first one on; left out is 0"
    )
    normalization: ResnetNormalizations = Field(default=ResnetNormalizations(), description="of each player, by name")
    attention: AnyAttention = Field(default=None, description="self-attention in both players; null is none")

    @property
    def drops(self) -> bool:
        return any(self.dropout)

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(max(len(halves) for halves in DISCRIMINATOR_HALVES.values()))

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        problems = image_problems(self.family, shape, tuple(DISCRIMINATOR_HALVES))
        if self.attention is None or problems:
            return problems
        resolution = shape if isinstance(shape, int) else shape[-1]
        return self.attention.problems(self.family, sorted(set(_sides(resolution)) & set(_up_sides(resolution))))

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        refuse(self, shape, streams)
        layers = Layers.of("generator", self.normalization.generator, streams)
        quarter = (self.generator_width or 2 * self.width) // 4
        widths = [quarter * quarters for quarters in GENERATOR_QUARTERS[shape[-1]]]
        side = shape[-1] >> (len(widths) - 1)
        body = OrderedDict[str, nn.Module](project=Projection(layers, self.latent, widths[0], bias=True, side=side))
        for number, (before, after) in enumerate(pairwise(widths), 1):
            body[f"block_{number}"] = UpBlock(layers, before, after)
            if self.attention is not None and self.attention.at == side << number:
                body["attention"] = self.attention.layer(layers, after)
        body["normalize"] = layers.normalization(widths[-1])
        body["relu"] = layers.activation(widths[-1], nn.ReLU())
        body["last"] = layers.convolution(widths[-1], shape[0], 3, padding=1, place="last")
        body["tanh"] = nn.Tanh()
        whole = layers.around(nn.Sequential(body), self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, (), whole)
        initialize(generator, "generator", streams, _laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        refuse(self, shape, streams)
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        widths = [self.width // 2 * halves for halves in DISCRIMINATOR_HALVES[shape[-1]]]
        blocks: list[nn.Module] = [FirstBlock(layers, shape[0], widths[0])]
        for number, (before, after) in enumerate(pairwise(widths), 1):
            blocks.append(Block(layers, before, after, down=number < DISCRIMINATOR_DOWN[shape[-1]]))
        if self.attention is not None:
            place = _sides(shape[-1]).index(self.attention.at)
            blocks[place] = Attended(blocks[place], self.attention.layer(layers, widths[place]))
        head = SummedHead(layers, widths[-1], self.minibatch)
        rates = (self.dropout + (0.0,) * len(blocks))[: len(blocks)]
        discriminator = Discriminator(shape, (), blocks, head, dropout=rates, twice_differentiated=twice_differentiated)
        initialize(discriminator, "discriminator", streams, _laws)
        return discriminator


class UpBlock(nn.Module):
    """Twice the side: norm, ReLU, up, conv3, norm, ReLU, conv3, plus a 1x1 convolution of the input, up.

    The shortcut convolves before it copies pixels, which is the same function at a quarter of the work. With batch normalisation no
    convolution has a bias: a normalisation takes a channel's shift away, the generator's last one what the shortcuts passed on.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.normalization1 = layers.normalization(inputs)
        self.convolution1 = layers.convolution(inputs, outputs, 3, padding=1, bias=layers.biased)
        self.normalization2 = layers.normalization(outputs)
        self.convolution2 = layers.convolution(outputs, outputs, 3, padding=1, bias=layers.biased)
        self.shortcut = layers.convolution(inputs, outputs, 1, bias=layers.biased)
        self.activation1 = layers.activation(inputs, relu)
        self.activation2 = layers.activation(outputs, relu)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convolution1(_up(self.activation1(self.normalization1(x))))
        h = self.convolution2(self.activation2(self.normalization2(h)))
        total: Tensor = h + _up(self.shortcut(x))
        return total


class FirstBlock(nn.Module):
    """The optimised block at the image: conv3, ReLU, conv3, pool, plus conv1 of the pooled image; no leading ReLU, no norm."""

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution1 = layers.convolution(inputs, outputs, 3, padding=1)
        self.convolution2 = layers.convolution(outputs, outputs, 3, padding=1)
        self.shortcut = layers.convolution(inputs, outputs, 1)
        self.activation = layers.activation(outputs, relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        h = self.convolution2(self.activation(self.convolution1(x), twice=twice))
        total: Tensor = F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return total


class Block(nn.Module):
    """Norm, ReLU, conv3, norm, ReLU, conv3, perhaps pool, plus the input, by a 1x1 convolution where its width or side changes.

    The shortcut pools before it convolves, which is the same function at a quarter of the work.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int, *, down: bool) -> None:
        super().__init__()
        self.normalization1 = layers.normalization(inputs)
        self.convolution1 = layers.convolution(inputs, inputs, 3, padding=1, bias=layers.biased)
        self.normalization2 = layers.normalization(inputs)
        self.convolution2 = layers.convolution(inputs, outputs, 3, padding=1)
        self.shortcut = layers.convolution(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()
        self.resize = nn.AvgPool2d(2) if down else nn.Identity()
        self.activation1 = layers.activation(inputs, relu)
        self.activation2 = layers.activation(inputs, relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        h = self.convolution1(self.activation1(self.normalization1(x), twice=twice))
        h = self.convolution2(self.activation2(self.normalization2(h), twice=twice))
        total: Tensor = self.resize(h) + self.shortcut(self.resize(x))
        return total


class SummedHead(LastLayer):
    """ReLU, the sum over space, perhaps a look at the batch, a linear layer without bias."""

    def __init__(self, layers: Layers, inputs: int, minibatch: MinibatchLayer | None = None) -> None:
        super().__init__()
        self.activation = layers.activation(inputs, relu)
        self.minibatch, channels = layers.before_last(minibatch, inputs)
        self.linear = layers.linear(channels, 1, bias=False, place="last")

    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        features: Tensor = self.activation(x, twice=twice).sum((-2, -1))
        return features if self.minibatch is None else self.minibatch(features)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        scores: Tensor = self.linear(self.enters(x, twice))
        return scores


def _up_sides(resolution: int) -> list[int]:
    """Of what leaves each of the generator's blocks, the last one first."""
    return [resolution >> number for number in range(len(GENERATOR_QUARTERS[resolution]) - 1)]


def _sides(resolution: int) -> list[int]:
    """Of what leaves each of the discriminator's blocks."""
    downs = range(1, len(DISCRIMINATOR_HALVES[resolution]) + 1)
    return [resolution // 2 ** min(number, DISCRIMINATOR_DOWN[resolution]) for number in downs]


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _laws(path: str, layer: nn.Module) -> dict[str, Law]:
    if not isinstance(layer, Weighted):
        return {"weight": Constant(1.0), "bias": Constant(0.0)}
    gain = math.sqrt(2) if path.rpartition(".")[2].startswith("convolution") else 1.0
    bound = gain * math.sqrt(6 / (layer.fan_in + layer.fan_out))
    return {"weight": Uniform(bound), "bias": Constant(0.0)}
