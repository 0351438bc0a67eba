"""The standard CNN of SN-GAN."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.activations import leaky_relu
from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.dcgan import Up
from saddlepoint.networks.image import Projection, image_problems, refuse
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
from saddlepoint.networks.spectral_normalization import SpectralNormalization
from saddlepoint.streams import Streams

RESOLUTIONS = (16, 32, 48, 64)
# Channels of the discriminator's stages, in widths; the generator's are the reverse.
WIDTHS = (1, 2, 4, 8)


class SnCnnNormalizations(Normalizations):
    """What normalises each player of an `sn-cnn`: batch normalisation up, spectral normalisation down, by default."""

    generator: AnyNormalization = Field(default=BatchNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=SpectralNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class SnCnn(Networks):
    r"""Strided and plain convolutions in turn: seven of them in the discriminator, leaky ReLU of slope .1.

    At R px the generator is linear -> R/8 x R/8 x 512, transposed convolutions (kernel 4, stride 2) to 256, 128 and 64, each with
    normalisation and ReLU, a 3x3 convolution, tanh. The discriminator is a 3x3 convolution to 64 and three times a 4x4 convolution
    of stride 2 to twice the channels with a 3x3 one, then a linear layer. Under a normalisation of activations all of the
    discriminator's convolutions but the first have it. Weights start as N(0, .02^2), biases 0. The widths are for `width=64`.

    Features are what leaves the four stages, of R, R/2, R/4 and R/8 px: each ends in a 3x3 convolution's activation. The paper has
    32 and 48 px. No leading replica axes.

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", table 3.

    >>> import torch
    >>> record = SnCnn(width=4)
    >>> record.generator((3, 48, 48), Streams(0))(torch.zeros(5, 128)).shape
    torch.Size([5, 3, 48, 48])
    >>> record.problems(28)
    ['sn-cnn makes square images of 16, 32, 48 or 64 px, not 28 x 28: set data.resolution to 32']
    """

    family: ClassVar[str] = "sn-cnn"
    bibtex: ClassVar[str] = SpectralNormalization.bibtex

    width: int = Field(default=64, ge=1, description="channels of the discriminator's first stage; they double at each next one")
    normalization: SnCnnNormalizations = Field(default=SnCnnNormalizations(), description="of each player, by name")

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(len(WIDTHS))

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        return image_problems(self.family, shape, RESOLUTIONS)

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        refuse(self, shape, streams)
        layers = Layers.of("generator", self.normalization.generator, streams)
        widths = [self.width * times for times in reversed(WIDTHS)]
        side = shape[-1] >> (len(WIDTHS) - 1)
        body = OrderedDict[str, nn.Module](project=Projection(layers, self.latent, widths[0], bias=layers.biased, side=side))
        body["normalize"] = layers.normalization(widths[0])
        body["relu"] = layers.activation(widths[0], nn.ReLU())
        for number, (before, after) in enumerate(pairwise(widths), 1):
            body[f"stage_{number}"] = Up(layers, before, after)
        body["last"] = layers.convolution(widths[-1], shape[0], 3, padding=1, place="last")
        body["tanh"] = nn.Tanh()
        whole = layers.around(nn.Sequential(body), self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, (), whole)
        initialize(generator, "generator", streams, _laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        refuse(self, shape, streams)
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        widths = [self.width * times for times in WIDTHS]
        stages: list[nn.Module] = [FirstStage(layers, shape[0], widths[0])]
        stages += [Stage(layers, before, after) for before, after in pairwise(widths)]
        side = shape[-1] >> (len(WIDTHS) - 1)
        minibatch, channels = layers.before_last(self.minibatch, widths[-1], side, side)
        head = Head(layers.convolution(channels, 1, side, place="last"), minibatch)
        discriminator = Discriminator(shape, (), stages, head, twice_differentiated=twice_differentiated)
        initialize(discriminator, "discriminator", streams, _laws)
        return discriminator


class FirstStage(nn.Module):
    """The discriminator's stage at the image: a 3x3 convolution and leaky ReLU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = layers.convolution(inputs, outputs, 3, padding=1)
        self.activation = layers.activation(outputs, less_leaky_relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        activated: Tensor = self.activation(self.convolution(x), twice=twice)
        return activated


class Stage(nn.Module):
    """A next one: a 4x4 convolution to half the side, then a 3x3 one, each with normalisation and leaky ReLU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution1 = layers.convolution(inputs, outputs, 4, stride=2, padding=1, bias=layers.biased)
        self.normalization1 = layers.normalization(outputs)
        self.activation1 = layers.activation(outputs, less_leaky_relu)
        self.convolution2 = layers.convolution(outputs, outputs, 3, padding=1, bias=layers.biased)
        self.normalization2 = layers.normalization(outputs)
        self.activation2 = layers.activation(outputs, less_leaky_relu)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        h = self.activation1(self.normalization1(self.convolution1(x)), twice=twice)
        activated: Tensor = self.activation2(self.normalization2(self.convolution2(h)), twice=twice)
        return activated


def less_leaky_relu(x: Tensor, *, twice: bool = False) -> Tensor:
    """Leaky ReLU of slope .1."""
    return leaky_relu(x, 0.1, twice=twice)


def _laws(path: str, layer: nn.Module) -> dict[str, Law]:
    if isinstance(layer, Weighted):
        return {"weight": Normal(0.02), "bias": Constant(0.0)}
    return {"weight": Constant(1.0), "bias": Constant(0.0)}
