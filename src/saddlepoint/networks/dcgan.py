"""DCGAN: strided convolutions down, transposed convolutions up."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.activations import leaky_relu
from saddlepoint.networks.attention import Attended
from saddlepoint.networks.batch_normalization import BatchNorm, BatchNormalization
from saddlepoint.networks.image import FIRST_SIDE, AnyAttention, Projection, image_problems, refuse
from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law, Normal
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
from saddlepoint.streams import Streams

STAGES = {8: 1, 16: 2, 32: 3, 64: 4, 128: 5}


class DcganNormalizations(Normalizations):
    """What normalises each player of a `dcgan`: batch normalisation by default."""

    generator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Dcgan(Networks):
    r"""Strided convolutions in place of pooling, no fully connected hidden layer, ReLU up and leaky ReLU (.2) down.

    At `R = 4 * 2^s` px the generator goes from 4x4 with `2^(s-1) width` channels through `s` transposed convolutions
    (kernel 4, stride 2, padding 1), halving the channels each time, to `R x R` and tanh. The discriminator is its mirror image and
    ends in one 4x4 convolution. No normalisation on the generator's output nor on the discriminator's first layer.
    Weights start as N(0, .02^2), batch normalisation's scale as N(1, .02^2), biases 0.

    Features are what leaves each stage's activation. The paper's own sizes are `latent=100`, `latent_distribution="uniform"` and
    `width=128` at 64 px (with kernel 5; the usual kernel 4 and width 64 are used here). No leading replica axes.

    Source: Radford et al. 2016, "Unsupervised representation learning with deep convolutional generative adversarial networks",
    figure 1.

    >>> import torch
    >>> record = Dcgan(width=4)
    >>> record.generator((1, 16, 16), Streams(0))(torch.zeros(5, 128)).shape
    torch.Size([5, 1, 16, 16])
    >>> record.problems((1, 28, 28))
    ['dcgan makes square images of 8, 16, 32, 64 or 128 px, not 28 x 28: set data.resolution to 32']
    """

    family: ClassVar[str] = "dcgan"
    one_for_all: ClassVar[frozenset[str]] = frozenset({"dropout"})
    bibtex: ClassVar[str] = """@inproceedings{radford2016unsupervised,
  title = {Unsupervised representation learning with deep convolutional generative adversarial networks},
  author = {Radford, Alec and Metz, Luke and Chintala, Soumith},
  booktitle = {International Conference on Learning Representations},
  year = {2016}
}"""

    width: int = Field(default=64, ge=1, description="channels of the discriminator's first stage; they double at each next one")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="after each stage of the discriminator, in training")
    normalization: DcganNormalizations = Field(default=DcganNormalizations(), description="of each player, by name")
    attention: AnyAttention = Field(default=None, description="self-attention in both players; null is none")

    @property
    def drops(self) -> bool:
        return self.dropout > 0

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(max(STAGES.values()))

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        problems = image_problems(self.family, shape, tuple(STAGES))
        if self.attention is None or problems:
            return problems
        resolution = shape if isinstance(shape, int) else shape[-1]
        return self.attention.problems(self.family, [FIRST_SIDE * 2**stage for stage in range(STAGES[resolution])])

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        refuse(self, shape, streams)
        layers = Layers.of("generator", self.normalization.generator, streams)
        widths = [self.width * 2**stage for stage in reversed(range(STAGES[shape[-1]]))]
        body = OrderedDict[str, nn.Module](project=Projection(layers, self.latent, widths[0], bias=layers.biased))
        body["normalize"] = layers.normalization(widths[0])
        body["relu"] = layers.activation(widths[0], nn.ReLU())
        for number, (before, after) in enumerate(pairwise(widths), 1):
            if self.attention is not None and self.attention.at == FIRST_SIDE * 2 ** (number - 1):
                body["attention"] = self.attention.layer(layers, before)
            body[f"stage_{number}"] = Up(layers, before, after)
        if self.attention is not None and "attention" not in body:
            body["attention"] = self.attention.layer(layers, widths[-1])
        body["last"] = layers.transposed_convolution(widths[-1], shape[0], 4, stride=2, padding=1, place="last")
        body["tanh"] = nn.Tanh()
        whole = layers.around(nn.Sequential(body), self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, (), whole)
        initialize(generator, "generator", streams, _laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        refuse(self, shape, streams)
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        widths = [shape[0], *(self.width * 2**stage for stage in range(STAGES[shape[-1]]))]
        stages: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths), 1):
            stages.append(Down(layers, before, after, first=number == 1))
            if self.attention is not None and self.attention.at == shape[-1] // 2**number:
                stages[-1] = Attended(stages[-1], self.attention.layer(layers, after))
        minibatch, channels = layers.before_last(self.minibatch, widths[-1], FIRST_SIDE, FIRST_SIDE)
        head = Head(layers.convolution(channels, 1, FIRST_SIDE, place="last"), minibatch)
        rates = (self.dropout,) * len(stages)
        discriminator = Discriminator(shape, (), stages, head, dropout=rates, twice_differentiated=twice_differentiated)
        initialize(discriminator, "discriminator", streams, _laws)
        return discriminator


class Up(nn.Module):
    """One stage of the generator: twice the side, then normalisation and ReLU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = layers.transposed_convolution(inputs, outputs, 4, stride=2, padding=1, bias=layers.biased)
        self.normalization = layers.normalization(outputs)
        self.activation = layers.activation(outputs, F.relu)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.normalization(self.convolution(x)))
        return activated


class Down(nn.Module):
    """One stage of the discriminator: half the side, then normalisation (not at the first) and leaky ReLU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        self.convolution = layers.convolution(inputs, outputs, 4, stride=2, padding=1, bias=first or layers.biased)
        self.normalization = nn.Identity() if first else layers.normalization(outputs)
        self.activation = layers.activation(outputs, leaky_relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        activated: Tensor = self.activation(self.normalization(self.convolution(x)), twice=twice)
        return activated


def _laws(path: str, layer: nn.Module) -> dict[str, Law]:
    if isinstance(layer, Weighted):
        return {"weight": Normal(0.02), "bias": Constant(0.0)}
    scale = Normal(0.02, mean=1.0) if isinstance(layer, BatchNorm) else Constant(1.0)
    return {"weight": scale, "bias": Constant(0.0)}
