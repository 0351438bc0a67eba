"""Weight normalisation for GANs: each output's weights have norm 1, and a rectifier learns where it bends."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from saddlepoint.networks.laws import Constant, Law, Starting, times
from saddlepoint.networks.normalization import Activation, Making, Normalization, Place, Scaling, Taps, along_channels
from saddlepoint.rounds import Mover

EPS = 1e-6
FIRST_FACTOR = 0.01
BIBTEX = """@article{xiang2017effects,
  title = {On the effects of batch and weight normalization in generative adversarial networks},
  author = {Xiang, Sitao and Li, Hao},
  journal = {arXiv preprint arXiv:1704.03971},
  year = {2017}
}"""


class WeightNorm(Scaling):
    r"""`w / sqrt(sum w^2 + 1e-6)` for each output, times a learned gain where the layer is affine.

    The sum is over all numbers that make one output channel; of a transposed convolution it is divided by stride^2, since only that
    share of its taps meets at one pixel.

    Args:
        first_factor: of the law that the weight is drawn from.

    Source: Xiang and Li 2017, section 3.
    """

    first: ClassVar[Mapping[str, Law]] = {"gain": Constant(1.0)}

    def __init__(self, taps: Taps, making: Making, *, affine: bool, first_factor: float = 1.0) -> None:
        super().__init__()
        self.taps = taps
        self.first_factor = first_factor
        shape = (*making.leading, taps.outputs)
        self.gain = nn.Parameter(torch.ones(shape, device=making.device, dtype=making.dtype)) if affine else None

    def forward(self, weight: Tensor) -> Tensor:
        squares = weight.square().sum(self.taps.axes, keepdim=True) / self.taps.repeats
        normed = weight / (squares + EPS).sqrt()
        return normed if self.gain is None else normed * self.gain.reshape(squares.shape)

    def laws(self, given: Mapping[str, Law]) -> Mapping[str, Law]:
        return {**given, "weight": times(self.first_factor, given["weight"]), "bias": Constant(0.0)}


class TranslatedPReLU(Starting):
    r"""TPReLU: `max(x, b) + clamp(a, 0, 1) min(x - b, 0)`, slope a and threshold b learned by channel, .25 and 0 at first.

    Args:
        translated: whether there is a threshold; without it, a PReLU.

    Source: Xiang and Li 2017, section 3.1.

    >>> layer = TranslatedPReLU(1, Making((), torch.device("cpu"), torch.float32))
    >>> layer(torch.tensor([[-4.0], [2.0]])).tolist()
    [[-1.0], [2.0]]
    """

    first: ClassVar[Mapping[str, Law]] = {"slope": Constant(0.25), "threshold": Constant(0.0)}

    def __init__(self, channels: int, making: Making, *, translated: bool = True) -> None:
        super().__init__()
        shape = (*making.leading, channels)
        self.slope = nn.Parameter(torch.full(shape, 0.25, device=making.device, dtype=making.dtype))
        self.threshold = nn.Parameter(torch.zeros(shape, device=making.device, dtype=making.dtype)) if translated else None

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        # `where` throughout: its double backward hands no zeros down.
        slope = along_channels(self.slope, x).clamp(0, 1).to(x.dtype)
        if self.threshold is None:
            return torch.where(x > 0, x, slope * x)
        threshold = along_channels(self.threshold, x).to(x.dtype)
        return torch.where(x > threshold, x, threshold + slope * (x - threshold))


class WeightNormalization(Normalization):
    r"""Each output is `<w, x> / |w|`, without scale or bias, then TPReLU; the last layer is affine: `g <w, x> / |w| + beta`.

    It replaces batch normalisation in both players. With inputs of variance 1 that do not depend on one another, outputs have
    variance 1. The generator's first layer starts at .01 of its family's law, so that it turns a hundred times as fast.

    Source: Xiang and Li 2017, "On the effects of batch and weight normalization in generative adversarial networks".
    """

    name: ClassVar[str] = "weight"
    page: ClassVar[str] = "weight-normalization"
    bibtex: ClassVar[str] = BIBTEX

    def biased(self, player: Mover) -> bool:
        return False

    def offset(self, place: Place) -> bool:
        return place == "last"

    def scaling(self, player: Mover, place: Place, taps: Taps, making: Making) -> Scaling:
        return WeightNorm(taps, making, affine=place == "last", first_factor=FIRST_FACTOR if place == "first" else 1.0)

    def activation(self, player: Mover, channels: int, plain: Activation, making: Making) -> nn.Module:
        return TranslatedPReLU(channels, making)


class AffineWeightNormalization(Normalization):
    r"""Each output is `g <w, x> / |w| + beta`, g and beta learned in every layer, then PReLU.

    The variant that Xiang and Li compare their strict one with; g starts at 1 and beta at 0.

    Source: Xiang and Li 2017, section 3.
    """

    name: ClassVar[str] = "weight-affine"
    page: ClassVar[str] = "weight-normalization"
    bibtex: ClassVar[str] = BIBTEX

    def scaling(self, player: Mover, place: Place, taps: Taps, making: Making) -> Scaling:
        return WeightNorm(taps, making, affine=True, first_factor=FIRST_FACTOR if place == "first" else 1.0)

    def activation(self, player: Mover, channels: int, plain: Activation, making: Making) -> nn.Module:
        return TranslatedPReLU(channels, making, translated=False)
