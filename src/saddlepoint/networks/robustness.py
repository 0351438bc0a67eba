"""The seven architectures on which WGAN-GP was shown to be robust."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.activations import leaky_relu, relu
from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.bottleneck import Bottleneck
from saddlepoint.networks.image import FIRST_SIDE, Projection, image_problems, refuse
from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law, Normal, Uniform
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.network import (
    NORMALIZED_BY,
    AnyNormalization,
    Discriminator,
    Generator,
    Head,
    Networks,
    Normalizations,
    numbered,
)
from saddlepoint.networks.normalization import Activation, NoNormalization, Normalization
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

Row = Literal["baseline", "constant-filters", "mlp-generator", "no-normalization", "gated", "tanh", "resnet-101"]
RESOLUTIONS = (32, 64)
UNNORMALIZED: dict[Mover, tuple[Row, ...]] = {
    "generator": ("constant-filters", "mlp-generator", "no-normalization"),
    "discriminator": ("no-normalization",),
}
HIDDEN_LAYERS = 4
# Bottleneck blocks that keep the side, by level from 4 x 4 up: with those that change it there are 33.
PLAIN_BLOCKS = {32: (8, 8, 8, 6), 64: (6, 6, 6, 6, 5)}
SHRUNK = 0.2


class RobustnessNormalizations(Normalizations):
    """What normalises each player where its row of the table has a normalisation: batch normalisation, by default."""

    generator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Robustness(Networks):
    r"""The rows of the WGAN-GP paper's table of architectures, d = `width`; sizes at 64 px, 32 px has one stage fewer.

    - `baseline`: DCGAN with kernels of 5: linear -> 4x4x8d, transposed convolutions to 4d, 2d, d and the image; the mirror image
      down, leaky ReLU of slope .2.
    - `constant-filters`: every layer of the generator has d channels, and no normalisation.
    - `mlp-generator`: four hidden layers of 8d units with ReLU, no normalisation.
    - `no-normalization`: the baseline without normalisation in both players.
    - `gated`: each layer makes twice its channels, normalises, then `sigmoid(a) tanh(b)` of the even and the odd ones.
    - `tanh`: the baseline with tanh for every ReLU.
    - `resnet-101`: bottleneck blocks in five levels of widths 8d, 4d, 2d, d, d/2, 101 layers deep in both players.

    The discriminator of `constant-filters` and `mlp-generator` is the baseline's. A row without normalisation has none whatever
    `normalization` says, so one column of settings fits all rows; only `spectral` stays in the discriminator. Features are what
    leaves each stage, for `resnet-101` each level. No leading replica axes.

    Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", figure 2 and appendix.

    >>> import torch
    >>> record = Robustness(row="gated", width=4)
    >>> record.generator((3, 32, 32), Streams(0))(torch.zeros(5, 128)).shape
    torch.Size([5, 3, 32, 32])
    >>> record.problems(16)
    ['robustness makes square images of 32 or 64 px, not 16 x 16: set data.resolution to 32']
    """

    family: ClassVar[str] = "robustness"
    bibtex: ClassVar[str] = """@inproceedings{gulrajani2017improved,
  title = {Improved training of {Wasserstein} {GANs}},
  author = {Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent and Courville, Aaron C.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {30},
  year = {2017}
}"""

    row: Row = Field(default="baseline", description=f"of the table: {', '.join(get_args(Row))}")
    width: int = Field(
        default=64, ge=4, multiple_of=4, description="d, channels of the discriminator's first stage, a multiple of 4"
    )
    normalization: RobustnessNormalizations = Field(
        default=RobustnessNormalizations(), description="of each player whose row has one, by name"
    )

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(len(PLAIN_BLOCKS[64]) if self.row == "resnet-101" else _stages(64))

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        return image_problems(self.family, shape, RESOLUTIONS)

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        refuse(self, shape, streams)
        layers = Layers.of("generator", self.norm_of("generator"), streams)
        makes = {"mlp-generator": self._perceptron, "resnet-101": self._residual_generator}
        body = makes.get(self.row, self._convolutional_generator)(layers, shape)
        whole = layers.around(body, self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, (), whole)
        initialize(generator, "generator", streams, self._laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        refuse(self, shape, streams)
        layers = Layers.of("discriminator", self.norm_of("discriminator"), streams)
        residual = self.row == "resnet-101"
        blocks = self._residual_blocks(layers, shape) if residual else self._convolutional_blocks(layers, shape)
        widest = self.width << (_stages(shape[-1]) - 1)
        minibatch, channels = layers.before_last(self.minibatch, widest, FIRST_SIDE, FIRST_SIDE)
        last: nn.Module = layers.convolution(channels, 1, FIRST_SIDE, place="last")
        head = Head(Scaled(last) if residual else last, minibatch)
        discriminator = Discriminator(shape, (), blocks, head, twice_differentiated=twice_differentiated)
        initialize(discriminator, "discriminator", streams, self._laws)
        return discriminator

    def norm_of(self, player: Mover) -> Normalization:
        chosen = super().norm_of(player)
        if self.row not in UNNORMALIZED[player] or (player == "discriminator" and chosen.spectral):
            return chosen
        return NoNormalization()

    def _convolutional_generator(self, layers: Layers, shape: Sequence[int]) -> nn.Module:
        constant = self.row == "constant-filters"
        widths = [self.width if constant else self.width << stage for stage in reversed(range(_stages(shape[-1])))]
        makes = copies(self.row) * widths[0]
        body = OrderedDict[str, nn.Module](project=Projection(layers, self.latent, makes, bias=layers.biased))
        body["normalize"] = layers.normalization(makes)
        body["activate"] = Activated(activation(self.row, layers, widths[0], relu))
        for number, (before, after) in enumerate(pairwise(widths), 1):
            body[f"stage_{number}"] = Up(self.row, layers, before, after)
        body["last"] = layers.transposed_convolution(widths[-1], shape[0], 5, stride=2, padding=2, output_padding=1, place="last")
        body["tanh"] = nn.Tanh()
        return nn.Sequential(body)

    def _convolutional_blocks(self, layers: Layers, shape: Sequence[int]) -> list[nn.Module]:
        widths = [shape[0], *(self.width << stage for stage in range(_stages(shape[-1])))]
        return [Down(self.row, layers, before, after, first=number == 0) for number, (before, after) in enumerate(pairwise(widths))]

    def _perceptron(self, layers: Layers, shape: Sequence[int]) -> nn.Module:
        widths = [self.latent, *[8 * self.width] * HIDDEN_LAYERS]
        body = OrderedDict[str, nn.Module]()
        for number, (before, after) in enumerate(pairwise(widths), 1):
            body[f"hidden_{number}"] = layers.linear(before, after, place="first" if number == 1 else "hidden")
            body[f"relu_{number}"] = nn.ReLU()
        body["last"] = layers.linear(widths[-1], math.prod(shape), place="last")
        body["tanh"] = nn.Tanh()
        return nn.Sequential(body)

    def _residual_generator(self, layers: Layers, shape: Sequence[int]) -> nn.Module:
        plain, widths = PLAIN_BLOCKS[shape[-1]], self._levels(shape)
        body = OrderedDict[str, nn.Module](project=Projection(layers, self.latent, widths[0], bias=True))
        for number, (count, width) in enumerate(zip(plain, widths, strict=True)):
            if number:
                body[f"up_{number}"] = Bottleneck(layers, widths[number - 1], width, "up")
            for block in range(1, count + 1):
                body[f"level_{number + 1}_block_{block}"] = Bottleneck(layers, width, width)
        body["last"] = Scaled(layers.convolution(widths[-1], shape[0], 1, place="last"))
        body["tanh"] = nn.Tanh()
        return nn.Sequential(body)

    def _residual_blocks(self, layers: Layers, shape: Sequence[int]) -> list[nn.Module]:
        plain, widths = PLAIN_BLOCKS[shape[-1]][::-1], self._levels(shape)[::-1]
        levels: list[nn.Module] = []
        for number, (count, width) in enumerate(zip(plain, widths, strict=True)):
            enter = Bottleneck(layers, widths[number - 1], width, "down") if number else Entrance(layers, shape[0], width)
            levels.append(Level([enter, *(Bottleneck(layers, width, width) for _ in range(count))]))
        return levels

    def _levels(self, shape: Sequence[int]) -> list[int]:
        """Channels by level, from 4 x 4 up."""
        return [self.width // 2 << level for level in reversed(range(len(PLAIN_BLOCKS[shape[-1]])))]

    def _laws(self, path: str, layer: nn.Module) -> dict[str, Law]:
        if not isinstance(layer, Weighted):
            return {"weight": Constant(1.0), "bias": Constant(0.0)}
        residual = self.row == "resnet-101"
        if not residual and "hidden" not in path:
            return {"weight": Normal(0.02), "bias": Constant(0.0)}
        gain = math.sqrt(2) if "convolution" in path or "hidden" in path else 1.0
        bound = gain * math.sqrt(6 / (layer.fan_in + layer.fan_out))
        return {"weight": Uniform(bound), "bias": Constant(0.0)}


def _stages(resolution: int) -> int:
    """How often the side halves from the image down to 4."""
    return int(math.log2(resolution // FIRST_SIDE))


def copies(row: Row) -> int:
    """How many channels a layer of a row makes for one that leaves its activation."""
    return 2 if row == "gated" else 1


def activation(row: Row, layers: Layers, channels: int, ordinary: Activation) -> Activation:
    """What follows a layer: the row's own function, else the ordinary one of its player."""
    own: dict[Row, Activation] = {"gated": gated, "tanh": saturating}
    return own[row] if row in own else layers.activation(channels, ordinary)


def gated(x: Tensor, *, twice: bool = False) -> Tensor:
    """`sigmoid(a) tanh(b)`, in (-1, 1), a and b the even and the odd channels: `[n, 2C, ...] -> [n, C, ...]`.

    >>> gated(torch.tensor([[0.0, 1.0]])).round(decimals=3)
    tensor([[0.3810]])
    """
    return torch.sigmoid(x[:, ::2]) * torch.tanh(x[:, 1::2])


def saturating(x: Tensor, *, twice: bool = False) -> Tensor:
    """`tanh(x)`."""
    return torch.tanh(x)


class Activated(nn.Module):
    """An activation as a layer."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x)


class Up(nn.Module):
    """Twice the side by a 5x5 transposed convolution, normalisation, activation."""

    def __init__(self, row: Row, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        makes = copies(row) * outputs
        self.convolution = layers.transposed_convolution(
            inputs, makes, 5, stride=2, padding=2, output_padding=1, bias=layers.biased
        )
        self.normalization = layers.normalization(makes)
        self.activation = activation(row, layers, outputs, relu)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.normalization(self.convolution(x)))


class Down(nn.Module):
    """Half the side by a 5x5 convolution, normalisation (not at the first), activation."""

    def __init__(self, row: Row, layers: Layers, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        makes = copies(row) * outputs
        self.convolution = layers.convolution(inputs, makes, 5, stride=2, padding=2, bias=first or layers.biased)
        self.normalization = nn.Identity() if first else layers.normalization(makes)
        self.activation = activation(row, layers, outputs, leaky_relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        return self.activation(self.normalization(self.convolution(x)), twice=twice)


class Entrance(nn.Module):
    """The 1x1 convolution at the image."""

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.image = layers.convolution(inputs, outputs, 1)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        entered: Tensor = self.image(x)
        return entered


class Level(nn.Module):
    """Blocks of a discriminator, one after another."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        for block in self.blocks:
            x = block(x, twice)
        return x


class Scaled(nn.Module):
    """A fifth of what a layer gives."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = SHRUNK * self.layer(x)
        return scaled
