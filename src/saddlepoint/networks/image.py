"""What the convolutional families share: which images they take, and the way from a latent to the first square of features."""

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor, nn

from saddlepoint.networks.attention import SelfAttention
from saddlepoint.networks.layers import Layers
from saddlepoint.networks.network import Networks
from saddlepoint.streams import Streams
from saddlepoint.validation import Chosen

FIRST_SIDE = 4

AnyAttention = Annotated[SelfAttention, Chosen({"self-attention": SelfAttention}, "attention", default="self-attention")] | None


class Projection(nn.Module):
    """A linear layer from latents `[n, latent]` to `[n, channels, side, side]`."""

    def __init__(self, layers: Layers, latent: int, channels: int, *, bias: bool, side: int = FIRST_SIDE) -> None:
        super().__init__()
        self.side = side
        self.linear = layers.linear(latent, channels * side**2, bias=bias, place="first")

    def forward(self, latents: Tensor) -> Tensor:
        flat: Tensor = self.linear(latents)
        return flat.reshape(len(latents), -1, self.side, self.side)


def image_problems(family: str, shape: int | Sequence[int], resolutions: Sequence[int]) -> list[str]:
    """What keeps a convolutional family from an image of this shape, or this resolution.

    >>> image_problems("dcgan", 28, (16, 32))
    ['dcgan makes square images of 16 or 32 px, not 28 x 28: set data.resolution to 32']
    >>> image_problems("dcgan", (2,), (16, 32))
    ['dcgan makes images, and these data are not: set networks.family to mlp']
    """
    size = (shape, shape) if isinstance(shape, int) else tuple(shape[1:])
    if len(size) != 2:
        return [f"{family} makes images, and these data are not: set networks.family to mlp"]
    if size[0] == size[1] and size[0] in resolutions:
        return []
    nearest = min(resolutions, key=lambda resolution: abs(resolution - max(size)))
    listed = ", ".join(str(resolution) for resolution in resolutions[:-1]) + f" or {resolutions[-1]}"
    return [f"{family} makes square images of {listed} px, not {size[0]} x {size[1]}: set data.resolution to {nearest}"]


def refuse(networks: Networks, shape: Sequence[int], streams: Streams) -> None:
    """Raise `ValueError` when no pair can be built for `shape`, or for the replica axes of `streams`."""
    problems = networks.problems(shape)
    if streams.leading:
        problems.append(f"{networks.family} takes one seed, not {len(streams.seeds)} side by side: give one, or use mlp")
    if problems:
        raise ValueError("\n".join(problems))
