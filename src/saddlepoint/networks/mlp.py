"""The multilayer perceptron: for points, and for small images taken as one row of numbers."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from torch import Tensor, nn

from saddlepoint.networks.compiled_mlp import ACTIVATIONS, CompiledMlp
from saddlepoint.networks.fused_mlp import ActivationName, FusedMlp
from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law, Uniform
from saddlepoint.networks.layers import Layers, Linear, Weighted
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
from saddlepoint.networks.normalization import NoNormalization, Place, Scaling
from saddlepoint.networks.spectral_normalization import SpectralNorm
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams


class MlpNormalizations(Normalizations):
    """What normalises each player of an `mlp`: nothing by default."""

    generator: AnyNormalization = Field(default=NoNormalization(), description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(default=NoNormalization(), description=f"of the discriminator: {NORMALIZED_BY}")


class Mlp(Networks):
    r"""Fully connected layers, `h = activation(normalise(W x + b))`, then one linear layer.

    The generator ends linear for points and in tanh for images, the discriminator in one raw score. Weights and biases start as
    torch's linear layers do, uniform on `(-1/sqrt(inputs), 1/sqrt(inputs))`. Takes leading replica axes.

    The WeGAN paper's networks for 8 Gaussians (2-32-32-2 and 2-32-32-1) are the defaults; its networks for MNIST (100-128-784 and
    784-128-1) are `latent=100, width=128, depth=1` at 28 px.

    Source: Goodfellow et al. 2014; sizes of Pantazis et al., "Training GANs with weights".

    >>> import torch
    >>> record = Mlp()
    >>> record.generator((2,), Streams(0))(torch.zeros(5, 2)).shape, record.discriminator((2,), Streams(0))(torch.zeros(5, 2)).shape
    (torch.Size([5, 2]), torch.Size([5]))
    >>> record.block_names
    ('block 1', 'block 2')
    """

    family: ClassVar[str] = "mlp"
    stacks: ClassVar[bool] = True
    one_for_all: ClassVar[frozenset[str]] = frozenset({"dropout"})
    of_vectors: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{goodfellow2014generative,
  title = {Generative adversarial nets},
  author = {Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and Ozair, Sherjil
            and Courville, Aaron and Bengio, Yoshua},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {27},
  year = {2014}
}"""

    latent: int = Field(default=2, ge=1, description="numbers in one latent")
    width: int = Field(default=32, ge=1, description="units of each hidden layer")
    depth: int = Field(default=2, ge=0, description="hidden layers; 0 makes both players linear")
    widths: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None,
        description="units of each hidden layer of the generator, in place of width and depth; the discriminator's are reversed",
    )
    activation: ActivationName = Field(default="relu", description="after each hidden layer: relu, leaky-relu (slope .2) or tanh")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="after each hidden layer of the discriminator, in training")
    normalization: MlpNormalizations = Field(default=MlpNormalizations(), description="of each player, by name")

    @model_validator(mode="after")
    def _sizes_are_said_once(self) -> "Mlp":
        unread = [name for name in ("width", "depth") if getattr(self, name) != type(self).model_fields[name].default]
        if self.widths is not None and unread:
            sizes = ", ".join(str(width) for width in self.widths)
            names = " and ".join(unread)
            raise ValueError(f"{names} would not be read, since widths is [{sizes}]; change widths, or set it to null")
        return self

    def batch_normalized(self, player: Mover) -> bool:
        return bool(self.hidden_widths) and super().batch_normalized(player)

    @property
    def drops(self) -> bool:
        return self.dropout > 0 and bool(self.hidden_widths)

    @property
    def block_names(self) -> tuple[str, ...]:
        return numbered(len(self.hidden_widths))

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        return []

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        layers = Layers.of("generator", self.normalization.generator, streams)
        hidden, width = self._hidden(layers, self.latent, self.hidden_widths, first="first")
        body = OrderedDict[str, nn.Module](zip((f"layer_{number}" for number in range(1, len(hidden) + 1)), hidden, strict=True))
        body["last"] = layers.linear(width, math.prod(shape), place="last")
        if len(shape) == 3:
            body["tanh"] = nn.Tanh()
        whole = layers.around(nn.Sequential(body), self.latent, self.latent_distribution == "uniform")
        generator = Generator(self.latent, shape, streams.leading, whole)
        initialize(generator, "generator", streams, laws)
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        # Small matrices are faster with the fused activations even in double backward, so a penalty changes nothing here.
        layers = Layers.of("discriminator", self.normalization.discriminator, streams)
        hidden, width = self._hidden(layers, math.prod(shape), self.hidden_widths[::-1])
        minibatch, width = layers.before_last(self.minibatch, width)
        head = Head(layers.linear(width, 1, place="last"), minibatch)
        rates = (self.dropout,) * len(hidden)
        discriminator = Discriminator(shape, streams.leading, hidden, head, flat=True, dropout=rates)
        initialize(discriminator, "discriminator", streams, laws)
        return discriminator

    def fuse(self, network: Generator | Discriminator) -> None:
        stack = self._stack(network)
        if stack is not None:
            network.fused = FusedMlp(*stack)

    def compile(self, network: Generator | Discriminator, rows: int) -> float:
        stack = self._stack(network)
        if stack is None:
            return 0.0
        compiled = CompiledMlp(*stack)
        seconds = compiled.tried(rows)
        network.fused = compiled
        return seconds

    def _stack(self, network: Generator | Discriminator) -> tuple[tuple[Linear, ...], ActivationName, bool] | None:
        """The layers of stacked replicas, their activation, and whether a tanh ends them; None where something stands between."""
        modules = list(network.modules())
        known = all(isinstance(module, FUSABLE) for module in modules)
        drops = isinstance(network, Discriminator) and network.drops
        layers = tuple(module for module in modules if isinstance(module, Linear))
        if not known or drops or len(network.leading) != 1 or any(layer.bias is None for layer in layers):
            return None
        return layers, self.activation, any(isinstance(module, nn.Tanh) for module in modules)

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        return (self.width,) * self.depth if self.widths is None else self.widths

    def _hidden(self, layers: Layers, inputs: int, widths: Sequence[int], first: Place = "hidden") -> tuple[list["Hidden"], int]:
        sizes = (inputs, *widths)
        hidden = [
            Hidden(layers, before, after, self.activation, "hidden" if number else first)
            for number, (before, after) in enumerate(pairwise(sizes))
        ]
        return hidden, sizes[-1]


class Hidden(nn.Module):
    """One hidden layer: linear, normalisation, activation."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, activation: ActivationName, place: Place = "hidden") -> None:
        super().__init__()
        self.linear = layers.linear(inputs, outputs, bias=layers.biased, place=place)
        self.normalization = layers.normalization(outputs)
        self.activation = layers.activation(outputs, ACTIVATIONS[activation])
        # In small games a call of a module that does nothing is a cost one can measure.
        self.normalizes = not isinstance(self.normalization, nn.Identity)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        x = self.linear(x)
        activated: Tensor = self.activation(self.normalization(x) if self.normalizes else x)
        return activated


def laws(path: str, layer: nn.Module) -> dict[str, Law]:
    """First weights and biases as torch's linear layers draw them; a normalisation's scale is 1 and its shift 0."""
    if isinstance(layer, Weighted):
        law = Uniform(1 / math.sqrt(layer.fan_in))
        return {"weight": law, "bias": law}
    return {"weight": Constant(1.0), "bias": Constant(0.0)}


# Of what a network may be made whose passes a kernel can do.
FUSABLE = (
    Generator,
    Discriminator,
    Head,
    Hidden,
    Linear,
    SpectralNorm,
    Scaling,
    nn.Sequential,
    nn.ModuleList,
    nn.Tanh,
    nn.Identity,
)
