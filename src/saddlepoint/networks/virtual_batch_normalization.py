"""Virtual batch normalisation: each sample by the statistics of a fixed reference batch and its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.laws import Constant, Law, Normal, Starting
from saddlepoint.networks.normalization import Making, Normalization, along_channels
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

EPS = 1e-5


class VirtualBatchNorm(Starting):
    r"""`gamma (x - mu) / sqrt(q - mu^2 + 1e-5) + beta` by channel, `mu = c mu_x + (1 - c) mu_R`, q likewise, `c = 1/(m + 1)`.

    `mu_x, q_x` are mean and mean square of one sample over space, `mu_R, q_R` those of the reference batch. The first m samples of
    what comes in *are* the reference batch, normalised by its own statistics (c = 0); `ReferenceBatch` puts them there.

    Args:
        channels: of the input, `[m + n, channels, H, W]` or `[*, m + n, channels]`.
        reference: m.

    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 3.4, and the authors' code.
    """

    first: ClassVar[Mapping[str, Law]] = {"weight": Normal(0.02, mean=1.0), "bias": Constant(0.0)}

    def __init__(self, channels: int, reference: int, making: Making) -> None:
        super().__init__()
        self.reference = reference
        self.samples = len(making.leading)
        shape = (*making.leading, channels)
        self.weight = nn.Parameter(torch.ones(shape, device=making.device, dtype=making.dtype))
        self.bias = nn.Parameter(torch.zeros(shape, device=making.device, dtype=making.dtype))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(self.weight.dtype)
        mean, square = self._mixed(wide), self._mixed(wide.square())
        # A variance that rounding made negative is 0.
        normed = (wide - mean) * ((square - mean.square()).clamp_min(0) + EPS).rsqrt()
        return (normed * along_channels(self.weight, x) + along_channels(self.bias, x)).to(x.dtype)

    def _mixed(self, x: Tensor) -> Tensor:
        """Each sample's mean over space, mixed with that of the reference batch."""
        space = tuple(range(self.samples + 2, x.ndim))
        own = x.mean(space, keepdim=True) if space else x
        of_reference = own.narrow(self.samples, 0, self.reference).mean(self.samples, keepdim=True)
        virtual = torch.arange(x.shape[self.samples], device=x.device) >= self.reference
        share = (virtual.to(x.dtype) / (self.reference + 1)).reshape(-1, *(1,) * (x.ndim - self.samples - 1))
        return share * own + (1 - share) * of_reference


class ReferenceBatch(Starting):
    """A generator's body whose every pass takes the reference batch along, fixed latents `[*, m, latent]`, a buffer.

    So the reference batch is seen by the weights of the pass, and its activations take part in the gradient.
    """

    reference: Tensor

    def __init__(self, body: nn.Module, latent: int, uniform: bool, size: int, making: Making) -> None:
        super().__init__()
        self.body = body
        self.uniform = uniform
        self.samples = len(making.leading)
        zeros = torch.zeros(*making.leading, size, latent, device=making.device, dtype=making.dtype)
        self.register_buffer("reference", zeros)

    def start(self, streams: Streams, name: str) -> None:
        size = self.reference.shape[-2:]
        drawn = 2 * streams.uniform(f"{name}.reference", *size) - 1 if self.uniform else streams.normal(f"{name}.reference", *size)
        self.reference.copy_(drawn)

    def forward(self, latents: Tensor) -> Tensor:
        made: Tensor = self.body(torch.cat([self.reference, latents], dim=-2))
        return made.narrow(self.samples, self.reference.shape[-2], latents.shape[-2])


class VirtualBatchNormalization(Normalization):
    r"""Batch normalisation by a reference batch that is fixed at the start, and the sample itself.

    Samples do not depend on one another. Every pass of the generator takes the m reference latents along: it costs m
    samples more, and gradients flow through them.

    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 3.4.
    """

    name: ClassVar[str] = "virtual-batch"
    page: ClassVar[str] = "virtual-batch-normalization"
    refuses: ClassVar[Mapping[Mover, str]] = MappingProxyType(
        {"discriminator": "is of generators, whose reference batch is of latents; choose batch or layer"}
    )
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title = {Improved techniques for training {GANs}},
  author = {Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {29},
  year = {2016}
}"""

    reference: int = Field(default=64, ge=1, description="m, samples of the reference batch")

    def biased(self, player: Mover) -> bool:
        return False

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module:
        return VirtualBatchNorm(channels, self.reference, making)

    def around(self, player: Mover, body: nn.Module, latent: int, uniform: bool, making: Making) -> nn.Module:
        return ReferenceBatch(body, latent, uniform, self.reference, making)
