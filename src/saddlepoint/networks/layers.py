"""Layers with weights (linear, convolution, transposed convolution), and what makes the layers of one player.

A linear layer takes leading replica axes; a convolution does not.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.networks.remembering import Remembering
from saddlepoint.networks.spectral_normalization import SpectralNorm
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

NormalizationName = Literal["batch", "layer", "none", "spectral"]


class Weighted(Remembering):
    """A layer with a weight, perhaps a bias, perhaps the weight's spectral norm. They are unset until `initialize` draws them.

    Args:
        shape: of the weight without leading axes; the kernel's sides come last.
        outputs: features or channels that come out.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        leading: Sequence[int],
        *,
        bias: bool,
        spectral: bool,
        device: torch.device | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*leading, *shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(*leading, outputs, device=device, dtype=dtype)) if bias else None
        self.fan_in = math.prod(shape) // outputs
        self.fan_out = outputs * math.prod(shape[2:])
        self.spectral = SpectralNorm(outputs, self.fan_in, leading, device=device, dtype=dtype) if spectral else None

    @abstractmethod
    def matrix(self) -> Tensor:
        """The weight as `[*, out, in]`, whose singular values spectral normalisation speaks of."""

    def effective_weight(self) -> Tensor:
        """The weight that is used: divided by its spectral norm when the layer has one."""
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
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__((outputs, inputs), outputs, leading, bias=bias, spectral=spectral, device=device, dtype=dtype)

    def matrix(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.spectral is None else self.effective_weight()
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
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = (outputs, inputs, kernel, kernel)
        super().__init__(shape, outputs, (), bias=bias, spectral=spectral, device=device, dtype=dtype)
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
        bias: bool = True,
        spectral: bool = False,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = (inputs, outputs, kernel, kernel)
        super().__init__(shape, outputs, (), bias=bias, spectral=spectral, device=device, dtype=dtype)
        self.stride = stride
        self.padding = padding

    def matrix(self) -> Tensor:
        return self.weight.transpose(0, 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.effective_weight(), self.bias, self.stride, self.padding)


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one player, all with its normalisation, replica axes, device and precision.

    Spectral normalisation divides every weight of the player. A discriminator then has no other normalisation (Miyato et al. 2018);
    a generator keeps its batch normalisation (Zhang et al. 2019, SAGAN, section 4).
    """

    leading: tuple[int, ...]
    spectral: bool
    between: Literal["batch", "layer", "none"]
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, player: Mover, normalization: NormalizationName, streams: Streams) -> "Layers":
        """The layers of `player` under its `normalization`, for the replicas of `streams`."""
        if normalization == "spectral":
            between: Literal["batch", "none"] = "batch" if player == "generator" else "none"
            return cls(streams.leading, True, between, streams.device, streams.dtype)
        return cls(streams.leading, False, normalization, streams.device, streams.dtype)

    @property
    def biased(self) -> bool:
        """Whether a layer right before the normalisation has a bias: batch normalisation would take it away again."""
        return self.between != "batch"

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> Linear:
        return Linear(inputs, outputs, self.leading, bias=bias, spectral=self.spectral, device=self.device, dtype=self.dtype)

    def convolution(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> Convolution:
        return Convolution(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            bias=bias,
            spectral=self.spectral,
            device=self.device,
            dtype=self.dtype,
        )

    def transposed_convolution(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> TransposedConvolution:
        return TransposedConvolution(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            bias=bias,
            spectral=self.spectral,
            device=self.device,
            dtype=self.dtype,
        )

    def normalization(self, channels: int) -> nn.Module:
        """What stands between a layer and its activation; the identity for `none` and a spectral discriminator."""
        if self.between == "none":
            return nn.Identity()
        norm = BatchNorm if self.between == "batch" else LayerNorm
        return norm(channels, self.leading, device=self.device, dtype=self.dtype)
