"""The multilayer perceptron whose discriminator is an autoencoder: for points, and for small images as one row of numbers."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.layers import Layers
from saddlepoint.networks.mlp import Hidden, Mlp, laws
from saddlepoint.networks.network import Discriminator, Generator, Head, LastLayer, numbered
from saddlepoint.networks.reconstruction import BERTHELOT, AutoencoderDiscriminator
from saddlepoint.rounds import Meaning
from saddlepoint.streams import Streams


class MlpAutoencoder(Mlp):
    r"""The generator of `mlp`, and a discriminator `D` that copies its input through a code: `E(v) = mean |v - D(v)|^power`.

    The encoder has the hidden layers of `mlp`'s discriminator, then a linear layer to the code, the last block; the decoder is its
    mirror image and ends linear. The score is the error, so a high one says "not like the reals". Takes leading replica axes.

    A code as large as the data lets the discriminator copy everything, and nothing is told apart.

    Source: Berthelot et al. 2017, for points; the convolutional one is `autoencoder`.

    >>> import torch
    >>> record = MlpAutoencoder()
    >>> record.discriminator((2,), Streams(0))(torch.zeros(5, 2)).shape, record.block_names
    (torch.Size([5]), ('block 1', 'block 2', 'block 3'))
    """

    family: ClassVar[str] = "mlp-autoencoder"
    scores: ClassVar[Meaning] = "error"
    bibtex: ClassVar[str] = BERTHELOT

    code: int = Field(default=1, ge=1, description="numbers of the code, fewer than the data have")
    power: Literal[1, 2] = Field(default=1, description="of the error: 1 is absolute, 2 squared")

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(len(self.hidden_widths) + 1)

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        numbers, widths = math.prod(shape), self.hidden_widths
        encoder: list[nn.Module] = [
            Hidden(layers, before, after, self.activation) for before, after in pairwise((numbers, *widths[::-1]))
        ]
        # Batch normalisation right after the code would take a bias away again.
        encoder.append(Head(layers.linear(widths[0] if widths else numbers, self.code, bias=layers.biased or not widths)))
        minibatch, given = layers.before_last(self.minibatch, self.code)
        decoder = [Hidden(layers, before, after, self.activation) for before, after in pairwise((given, *widths))]
        head = Decoder(decoder, layers.linear(widths[-1] if widths else given, numbers, place="last"), minibatch)
        dropout = (*((self.dropout,) * len(widths)), 0.0)
        discriminator = AutoencoderDiscriminator(
            shape, streams.leading, encoder, head, power=self.power, flat=True, dropout=dropout
        )
        initialize(discriminator, "discriminator", streams, laws)
        return discriminator

    def fuse(self, network: Generator | Discriminator) -> None:
        if isinstance(network, Generator):
            super().fuse(network)

    def compile(self, network: Generator | Discriminator, rows: int) -> float:
        return super().compile(network, rows) if isinstance(network, Generator) else 0.0


class Decoder(LastLayer):
    """Hidden layers from a code, then a linear one; before them, perhaps one that looks at the batch."""

    def __init__(self, hidden: Sequence[Hidden], last: nn.Module, minibatch: nn.Module | None = None) -> None:
        super().__init__()
        self.minibatch = minibatch
        self.hidden = nn.ModuleList(hidden)
        self.last = last

    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        """The code, and what was seen of the batch."""
        if self.minibatch is None:
            return x
        seen: Tensor = self.minibatch(x)
        return seen

    def forward(self, code: Tensor, twice: bool = False) -> Tensor:
        x = self.enters(code, twice)
        for layer in self.hidden:
            x = layer(x, twice)
        out: Tensor = self.last(x)
        return out
