"""Layers with weights (linear, convolution, transposed convolution), and what makes the layers of one player.

A linear layer takes leading replica axes; a convolution does not.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.minibatch import MinibatchLayer
from saddlepoint.networks.normalization import Activation, Making, Normalization, Place, Scaling, Taps
from saddlepoint.networks.remembering import Remembering
from saddlepoint.networks.spectral_normalization import SpectralNorm
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

Plain = TypeVar("Plain", bound=Activation)
MakeScaling = Callable[[Taps], Scaling | None]


class Weighted(Remembering):
    """A layer with a weight, perhaps a bias, perhaps the weight's spectral norm. They are unset until `initialize` draws them.

    Args:
        shape: of the weight without leading axes; the kernel's sides come last.
        taps: how the weight makes the outputs.
        scaling: makes what the weight goes through, where it goes through something.
    """

    def __init__(
        self,
        shape: Sequence[int],
        taps: Taps,
        leading: Sequence[int],
        *,
        bias: bool,
        spectral: bool,
        scaling: MakeScaling | None,
        device: torch.device | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*leading, *shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(*leading, taps.outputs, device=device, dtype=dtype)) if bias else None
        self.fan_in = taps.inputs
        self.fan_out = taps.outputs * math.prod(shape[2:])
        self.spectral = SpectralNorm(taps.outputs, taps.inputs, leading, device=device, dtype=dtype) if spectral else None
        self.scaling = None if scaling is None else scaling(taps)

    @abstractmethod
    def matrix(self) -> Tensor:
        """The weight as `[*, out, in]`, whose singular values spectral normalisation speaks of."""

    def effective_weight(self) -> Tensor:
        """The weight that is used: scaled, or divided by its spectral norm, when the layer has one of these."""
        if self.scaling is not None:
            scaled: Tensor = self.scaling(self.weight)
            return scaled
        if self.spectral is None:
            return self.weight
        sigma: Tensor = self.spectral(self.matrix())
        return self.weight / sigma.reshape(sigma.shape[:-2] + (1,) * (self.weight.ndim - sigma.ndim + 2))

    @property
    def remembers(self) -> bool:
        return self.spectral is not None

    def observe(self) -> None:
        """One power iteration on the weight as it is now."""
        if self.spectral is not None:
            self.spectral.iterate(self.matrix())


class Linear(Weighted):
    """`x W^T + b`, `[*, n, inputs] -> [*, n, outputs]`, weight `[*, outputs, inputs]`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        leading: Sequence[int] = (),
        *,
        bias: bool = True,
        spectral: bool = False,
        scaling: MakeScaling | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        taps = Taps(outputs, inputs, (-1,))
        shape = (outputs, inputs)
        super().__init__(shape, taps, leading, bias=bias, spectral=spectral, scaling=scaling, device=device, dtype=dtype)

    def matrix(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.spectral is None and self.scaling is None else self.effective_weight()
        if weight.ndim == 2:
            return F.linear(x, weight, self.bias)
        stacked, columns = x.flatten(0, -3), weight.flatten(0, -3).mT
        out = stacked @ columns if self.bias is None else torch.baddbmm(self.bias.flatten(0, -2).unsqueeze(1), stacked, columns)
        return out.reshape(*x.shape[:-1], out.shape[-1])


class Convolution(Weighted):
    """A square convolution, `[n, inputs, H, W] -> [n, outputs, H', W']`, weight `[outputs, inputs, kernel, kernel]`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        spectral: bool = False,
        scaling: MakeScaling | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape, taps = (outputs, inputs, kernel, kernel), Taps(outputs, inputs * kernel**2, (-3, -2, -1))
        super().__init__(shape, taps, (), bias=bias, spectral=spectral, scaling=scaling, device=device, dtype=dtype)
        self.stride = stride
        self.padding = padding

    def matrix(self) -> Tensor:
        return self.weight.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.effective_weight(), self.bias, self.stride, self.padding)


class TransposedConvolution(Weighted):
    """A square transposed convolution, `[n, inputs, H, W] -> [n, outputs, H', W']`, weight `[inputs, outputs, kernel, kernel]`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias: bool = True,
        spectral: bool = False,
        scaling: MakeScaling | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape, taps = (inputs, outputs, kernel, kernel), Taps(outputs, inputs * kernel**2, (-4, -2, -1), stride**2)
        super().__init__(shape, taps, (), bias=bias, spectral=spectral, scaling=scaling, device=device, dtype=dtype)
        self.stride = stride
        self.padding = padding
        self.output_padding = output_padding

    def matrix(self) -> Tensor:
        return self.weight.transpose(0, 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.effective_weight(), self.bias, self.stride, self.padding, self.output_padding)


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one player, all with its normalisation, replica axes, device and precision.

    A family says of each layer where it stands: `place="first"` for the generator's first one, `"last"` for the one that makes
    examples or scores.
    """

    player: Mover
    norm: Normalization
    making: Making

    @classmethod
    def of(cls, player: Mover, normalization: Normalization, streams: Streams) -> "Layers":
        """The layers of `player` under its `normalization`, for the replicas of `streams`."""
        return cls(player, normalization, Making(streams.leading, streams.device, streams.dtype))

    @property
    def biased(self) -> bool:
        """Whether a layer right before the normalisation has a bias: batch normalisation would take it away again."""
        return self.norm.biased(self.player)

    def linear(self, inputs: int, outputs: int, *, bias: bool = True, place: Place = "hidden") -> Linear:
        return Linear(
            inputs,
            outputs,
            self.making.leading,
            bias=bias and self.norm.offset(place),
            spectral=self.norm.spectral,
            scaling=self._scaling(place),
            device=self.making.device,
            dtype=self.making.dtype,
        )

    def convolution(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        place: Place = "hidden",
    ) -> Convolution:
        return Convolution(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            bias=bias and self.norm.offset(place),
            spectral=self.norm.spectral,
            scaling=self._scaling(place),
            device=self.making.device,
            dtype=self.making.dtype,
        )

    def transposed_convolution(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias: bool = True,
        place: Place = "hidden",
    ) -> TransposedConvolution:
        return TransposedConvolution(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            bias=bias and self.norm.offset(place),
            spectral=self.norm.spectral,
            scaling=self._scaling(place),
            device=self.making.device,
            dtype=self.making.dtype,
        )

    def normalization(self, channels: int) -> nn.Module:
        """What stands between a layer and its activation; the identity for `none` and a spectral discriminator."""
        made = self.norm.between(self.player, channels, self.making)
        return nn.Identity() if made is None else made

    def activation(self, channels: int, plain: Plain) -> Plain | nn.Module:
        """What stands where the family has the activation `plain`: that itself, where the normalisation has none of its own."""
        made = self.norm.activation(self.player, channels, plain, self.making)
        return plain if made is None else made

    def around(self, body: nn.Module, latent: int, uniform: bool) -> nn.Module:
        """The generator's body: from latents, of so many numbers, normal or uniform, to examples."""
        return self.norm.around(self.player, body, latent, uniform, self.making)

    def before_last(self, minibatch: MinibatchLayer | None, channels: int, *space: int) -> tuple[nn.Module | None, int]:
        """What stands before a discriminator's last layer and looks at the batch; and the channels the last layer then gets."""
        if minibatch is None:
            return None, channels
        return minibatch.layer((channels, *space), self.making), channels + minibatch.channels

    def _scaling(self, place: Place) -> MakeScaling:
        return lambda taps: self.norm.scaling(self.player, place, taps, self.making)
