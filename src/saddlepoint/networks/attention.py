"""Self-attention over the positions of an image's features."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.laws import Constant, Law, Starting
from saddlepoint.networks.layer import Layer
from saddlepoint.networks.layers import Layers


class SelfAttention(Layer):
    r"""`y = x + gamma W_o v A^T`, `A = softmax over keys of q^T k`: each position may look at every other, at one resolution.

    q and k have C/8 channels, v C/2, all by 1x1 convolutions without bias under the player's normalisation; no `1/sqrt(d)`.
    gamma is one number and starts at 0, so at first the layer is the identity. With `pooling`, keys and values are 2x2 max-pooled
    (as the authors' code does; the text has none), which makes the memory a quarter, (HW)^2 / 4 numbers an image.

    Source: Zhang et al. 2019, "Self-attention generative adversarial networks", section 3.
    """

    name: ClassVar[str] = "self-attention"
    page: ClassVar[str] = "self-attention"
    slot: ClassVar[str | None] = "attention"
    bibtex: ClassVar[str] = """@inproceedings{zhang2019self,
  title = {Self-attention generative adversarial networks},
  author = {Zhang, Han and Goodfellow, Ian and Metaxas, Dimitris and Odena, Augustus},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}"""

    at: int = Field(default=16, ge=2, description="side of the features it looks at, in pixels, in both players")
    pooling: bool = Field(default=True, description="max-pool keys and values, 2x2")

    def problems(self, family: str, sides: Sequence[int]) -> list[str]:
        """Why it cannot stand in a family that has features of these sides, one line; [] if it can.

        >>> SelfAttention(at=32).problems("dcgan", (8, 16))
        ['self-attention at 32 px: the features of this dcgan are of 8 or 16 px: set networks.attention.at to 16']
        """
        if self.at in sides:
            return []
        listed = " or ".join(str(side) for side in sorted(sides))
        nearest = min(sides, key=lambda side: abs(side - self.at))
        what = f"the features of this {family} are of {listed} px: set networks.attention.at to {nearest}"
        return [f"{self.name} at {self.at} px: {what}"]

    def layer(self, layers: Layers, channels: int) -> "Attention":
        """The layer for features `[n, channels, at, at]`."""
        return Attention(layers, channels, pooling=self.pooling)


class Attention(Starting):
    """Self-attention of features `[n, C, H, W]`; with `pooling` H and W are even."""

    first: ClassVar[Mapping[str, Law]] = {"gamma": Constant(0.0)}

    def __init__(self, layers: Layers, channels: int, *, pooling: bool = True) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = layers.convolution(channels, narrow, 1, bias=False)
        self.key = layers.convolution(channels, narrow, 1, bias=False)
        self.value = layers.convolution(channels, half, 1, bias=False)
        self.output = layers.convolution(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros((), device=layers.making.device, dtype=layers.making.dtype))
        self.pooling = pooling

    def forward(self, x: Tensor) -> Tensor:
        seen = self.attention(x) @ self._pooled(self.value(x)).flatten(2).mT
        back: Tensor = self.output(seen.mT.unflatten(-1, x.shape[-2:]))
        return x + self.gamma * back

    def attention(self, x: Tensor) -> Tensor:
        """`A`, `[n, HW, keys]`: how much each position looks at each key; rows sum to 1."""
        query, key = self.query(x).flatten(2), self._pooled(self.key(x)).flatten(2)
        return F.softmax(query.mT @ key, dim=-1)

    def _pooled(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) if self.pooling else x


class Attended(nn.Module):
    """A block of a discriminator, then attention."""

    def __init__(self, block: nn.Module, attention: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        seen: Tensor = self.attention(self.block(x, twice))
        return seen
