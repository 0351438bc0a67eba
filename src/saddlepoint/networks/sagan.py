"""The self-attention GAN, without labels."""

from typing import ClassVar

from pydantic import Field

from saddlepoint.networks.attention import SelfAttention
from saddlepoint.networks.image import AnyAttention
from saddlepoint.networks.network import NORMALIZED_BY, AnyNormalization
from saddlepoint.networks.resnet import Resnet, ResnetNormalizations
from saddlepoint.networks.spectral_normalization import SpectralNormalization


class SaganNormalizations(ResnetNormalizations):
    """What normalises each player of a `sagan`: spectral normalisation in both, with batch normalisation in the generator."""

    generator: AnyNormalization = Field(default=SpectralNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=SpectralNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Sagan(Resnet):
    r"""SN-GAN's residual networks with spectral normalisation in both players and self-attention at one resolution of each.

    Attention is at half the side: 16 at 32 px, the default; 32 at 64 px. Every convolution and linear layer, those of the attention
    too, is divided by its spectral norm; the generator keeps its batch normalisation. No labels. No leading replica axes.

    Source: Zhang et al. 2019, "Self-attention generative adversarial networks", sections 3 and 4.

    >>> from saddlepoint.streams import Streams
    >>> import torch
    >>> Sagan(width=4).generator((3, 32, 32), Streams(0))(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    >>> Sagan().problems(16)
    ['self-attention at 16 px: the features of this sagan are of 8 px: set networks.attention.at to 8']
    """

    family: ClassVar[str] = "sagan"
    bibtex: ClassVar[str] = SelfAttention.bibtex

    normalization: SaganNormalizations = Field(default=SaganNormalizations(), description="of each player, by name")
    attention: AnyAttention = Field(default=SelfAttention(at=16), description="self-attention in both players; null is none")
