"""What progressive growing normalises by: each position's features by their length, and weights by a constant of their layer."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.laws import Constant, Law, Normal
from saddlepoint.networks.normalization import Activation, Making, Normalization, Place, Scaling, Taps
from saddlepoint.rounds import Mover

EPS = 1e-8
BIBTEX = """@inproceedings{karras2018progressive,
  title = {Progressive growing of {GANs} for improved quality, stability, and variation},
  author = {Karras, Tero and Aila, Timo and Laine, Samuli and Lehtinen, Jaakko},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""


class PixelNorm(nn.Module):
    r"""`a / sqrt(mean_c a^2 + 1e-8)`: the features of each position, or of each vector, have mean square 1.

    Args:
        replica_axes: how many axes come before the samples.

    Source: Karras et al. 2018, section 4.2.
    """

    def __init__(self, replica_axes: int) -> None:
        super().__init__()
        self.channels = replica_axes + 1

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(self.channels, keepdim=True) + EPS).rsqrt()


class ThenPixelNorm(nn.Module):
    """An activation, then pixel normalisation."""

    def __init__(self, plain: Activation, replica_axes: int) -> None:
        super().__init__()
        self.plain = plain
        self.norm = PixelNorm(replica_axes)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        normed: Tensor = self.norm(self.plain(x, twice=True) if twice else self.plain(x))
        return normed


class OfPixels(Normalization):
    """What pixel normalisation does to a generator: after each activation, and to the latents."""

    def activation(self, player: Mover, channels: int, plain: Activation, making: Making) -> nn.Module | None:
        return ThenPixelNorm(plain, len(making.leading))

    def around(self, player: Mover, body: nn.Module, latent: int, uniform: bool, making: Making) -> nn.Module:
        return nn.Sequential(PixelNorm(len(making.leading)), body)


class PixelNormalization(OfPixels):
    r"""`a / sqrt(mean_c a^2 + 1e-8)` after each activation of the generator, and of the latents: no position's features can grow.

    Of an `mlp` the mean is over the units of a layer. Nothing is learned, no mean is taken away.

    Source: Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", section 4.2.
    """

    name: ClassVar[str] = "pixel"
    page: ClassVar[str] = "pixel-normalization"
    refuses: ClassVar[Mapping[Mover, str]] = MappingProxyType(
        {"discriminator": "is of generators: it takes the length of features away, which is what a critic says; choose layer"}
    )
    bibtex: ClassVar[str] = BIBTEX


class EqualizedRate(Scaling):
    r"""`w gain / sqrt(inputs)`: weights are kept at the scale of N(0, 1), so that one learning rate suits all of them.

    Source: Karras et al. 2018, section 4.1.
    """

    def __init__(self, taps: Taps, gain: float) -> None:
        super().__init__()
        self.factor = gain / math.sqrt(taps.inputs)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.factor

    def laws(self, given: Mapping[str, Law]) -> Mapping[str, Law]:
        return {"weight": Normal(1.0), "bias": Constant(0.0)}


class EqualizedLearningRate(OfPixels):
    r"""Weights start as N(0, 1) and are used as `w gain / sqrt(inputs)`, biases start at 0.

    The gain is sqrt 2, of the generator's first layer sqrt(2)/4, of the layers that make examples or scores 1. A generator also has
    pixel normalisation, unless `pixel` is false. There is nothing else between layers.

    Source: Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", section 4.1.
    """

    name: ClassVar[str] = "equalized"
    page: ClassVar[str] = "equalized-learning-rate"
    bibtex: ClassVar[str] = BIBTEX

    pixel: bool = Field(default=True, description="whether a generator has pixel normalisation too")

    def scaling(self, player: Mover, place: Place, taps: Taps, making: Making) -> Scaling:
        gains: Mapping[Place, float] = {"first": math.sqrt(2) / 4, "hidden": math.sqrt(2), "last": 1.0}
        return EqualizedRate(taps, gains[place])

    def activation(self, player: Mover, channels: int, plain: Activation, making: Making) -> nn.Module | None:
        return super().activation(player, channels, plain, making) if self.pixel and player == "generator" else None

    def around(self, player: Mover, body: nn.Module, latent: int, uniform: bool, making: Making) -> nn.Module:
        return super().around(player, body, latent, uniform, making) if self.pixel else body
