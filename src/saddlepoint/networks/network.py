"""A generator, a discriminator, and the record that makes the two.

Both are final: a family gives the layers they are made of.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.dropout import dropout
from saddlepoint.networks.layers import NormalizationName
from saddlepoint.networks.remembering import Remembering
from saddlepoint.processes import Processes
from saddlepoint.rounds import Example, Judgement, Record
from saddlepoint.streams import Streams


class Generator(nn.Module):
    """From latents `[*, n, latent]` to images `[*, n, C, H, W]` in [-1, 1] or points `[*, n, d]`.

    A forward pass changes no buffer. `observe` settles what the layers noted, `forget` drops it.

    Args:
        latent: numbers in one latent.
        shape: of one example.
        leading: replica axes.
        body: from latents to examples, perhaps still flat.
    """

    def __init__(self, latent: int, shape: Sequence[int], leading: Sequence[int], body: nn.Module) -> None:
        super().__init__()
        self.latent = latent
        self.shape = tuple(shape)
        self.leading = tuple(leading)
        self.body = body
        # A faster way from latents to what the body makes of them, once a family has given one.
        self.fused: Callable[[Tensor], Tensor] | None = None
        self._remembering = remembering(self)

    def forward(self, latents: Tensor) -> Tensor:
        _check("latents", latents, self.leading, (self.latent,))
        made: Tensor = self.body(latents) if self.fused is None else self.fused(latents)
        return made if made.shape[latents.ndim - 1 :] == self.shape else torch.reshape(made, (*latents.shape[:-1], *self.shape))

    def observe(self) -> None:
        """After the generator's update, once a turn."""
        for layer in self._remembering:
            layer.observe()

    def forget(self) -> None:
        """After a turn in which the generator did not move."""
        for layer in self._remembering:
            layer.forget()


class Discriminator(nn.Module):
    """From images `[*, n, C, H, W]` or points `[*, n, d]` to raw scores `[*, n]`, and features by block when asked.

    A forward pass changes no buffer. `observe` settles what the layers noted, `forget` drops it.

    Args:
        shape: of one example.
        leading: replica axes.
        blocks: called one after another with `(x, twice)`; what each gives is a feature, named `block 1`, `block 2`, ….
        head: gives one number a sample.
        flat: the blocks take an example as one row of numbers.
        dropout: the rate after each block, in training; empty for none.
        twice_differentiated: a penalty will differentiate input gradients. Passes on images that take a gradient then use
            activations that are cheap to differentiate twice; what comes out is identical.
    """

    def __init__(
        self,
        shape: Sequence[int],
        leading: Sequence[int],
        blocks: Sequence[nn.Module],
        head: "LastLayer",
        *,
        flat: bool = False,
        dropout: Sequence[float] = (),
        twice_differentiated: bool = False,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.leading = tuple(leading)
        self.dropout = tuple(dropout) or (0.0,) * len(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.head = head
        self.flat = flat
        self.twice_differentiated = twice_differentiated
        self.block_names = numbered(len(blocks))
        # A faster way from examples to scores, once a family has given one; it keeps no features and is differentiable once.
        self.fused: Callable[[Tensor], Tensor] | None = None
        self._remembering = remembering(self)

    @property
    def couples_batch(self) -> bool:
        """Whether a sample's score depends on the other samples of its batch."""
        return any(isinstance(layer, BatchNorm) for layer in self.modules())

    @property
    def drops(self) -> bool:
        """Whether it has dropout: then two judgements of one batch in training differ."""
        return any(self.dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Scores `[*, n]`."""
        return self.judge(Example(image), features=False).scores

    def judge(self, example: Example, features: bool, streams: Streams | None = None) -> Judgement:
        """Scores, and when `features` what leaves each block, by its name, and what enters the last layer.

        `streams` says that this is a pass of training: dropout draws its masks from them. Without them nothing is dropped.
        """
        image = example.image
        _check("images", image, self.leading, self.shape)
        twice = self._differentiates_twice(image)
        x = image.flatten(len(self.leading) + 1) if self.flat else image
        if self.fused is not None and not features and not self._gives_input_gradients(image):
            return Judgement(torch.reshape(self.fused(x), image.shape[: len(self.leading) + 1]), {})
        kept: dict[str, Tensor] = {}
        for name, block, rate in zip(self.block_names, self.blocks, self.dropout, strict=True):
            x = block(x, twice)
            if rate and streams is not None:
                x = dropout(x, rate, streams, f"dropout {name}")
            if features:
                kept[name] = x
        scores = torch.reshape(self.head(x, twice), image.shape[: len(self.leading) + 1])
        return Judgement(scores, kept, self.head.enters(x, twice).flatten(len(self.leading) + 1) if features else None)

    def observe(self) -> None:
        """After the discriminator's update, once a turn."""
        for layer in self._remembering:
            layer.observe()

    def forget(self) -> None:
        """After a turn in which the discriminator did not move."""
        for layer in self._remembering:
            layer.forget()

    def _differentiates_twice(self, image: Tensor) -> bool:
        return self.twice_differentiated and self._gives_input_gradients(image)

    def _gives_input_gradients(self, image: Tensor) -> bool:
        # A frozen discriminator's pass is the generator's turn: its images take a gradient, but only once.
        return image.requires_grad and next(self.parameters()).requires_grad


class LastLayer(nn.Module):
    """Gives the scores: called with `(x, twice)`, one number a sample, from what the last block gives."""

    @abstractmethod
    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        """What its linear layer is given."""


class Head(LastLayer):
    """One layer, from what the last block gives to a score."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        """What the layer is given."""
        return x

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        scores: Tensor = self.layer(self.enters(x, twice))
        return scores


class Normalization(Record):
    """What normalises each player: `batch`, `layer`, `none` or `spectral`. A family's own record holds its defaults.

    `spectral` divides every weight of the player by its largest singular value; a discriminator then has no other normalisation,
    a generator keeps its batch normalisation (as in SAGAN).
    """

    generator: NormalizationName = Field(description="batch, layer, none, or spectral (with batch normalisation)")
    discriminator: NormalizationName = Field(description="batch, layer, none, or spectral")


class Networks(Record):
    """A family of generators and discriminators, and the sizes of one pair. What every family shares."""

    family: ClassVar[str]
    # Whether its layers take leading replica axes; a family that is no faster so is trained one replica at a time.
    stacks: ClassVar[bool] = False

    latent: int = Field(default=128, ge=1, description="numbers in one latent")
    latent_distribution: Literal["normal", "uniform"] = Field(default="normal", description="N(0, I), or uniform on (-1, 1)")
    normalization: Normalization

    @property
    @abstractmethod
    def couples_batch(self) -> bool:
        """Whether the discriminator's score of a sample may depend on the rest of its batch."""

    @property
    def drops(self) -> bool:
        """Whether the discriminator has dropout."""
        return False

    @property
    def generator_couples_batch(self) -> bool:
        """Whether what the generator makes of a latent may depend on the rest of its batch."""
        return self.normalization.generator in ("batch", "spectral")

    @property
    @abstractmethod
    def smallest_batch(self) -> int:
        """Samples that a training pass needs: batch normalisation of vectors has no variance of one."""

    @property
    @abstractmethod
    def block_names(self) -> tuple[str, ...]:
        """Names of the discriminator's features, by block, at the largest resolution; a smaller one has the first of them.

        `Discriminator.block_names` says which one built has. Empty when it has none.
        """

    @abstractmethod
    def problems(self, shape: int | Sequence[int]) -> list[str]:
        """Why no pair can be built for examples of this shape (or images of this resolution), one line each; [] if one can."""

    def fuse(self, network: Generator | Discriminator) -> None:
        """Give a network of stacked replicas the family's fused form, where it has one for its layers.

        Raises:
            NoKernel: it has one, and this machine cannot make it.
        """

    def compile(self, network: Generator | Discriminator, rows: int) -> float:
        """Have `torch.compile` write a network of stacked replicas, where the family has a form for it; the seconds that took.

        Args:
            rows: samples of the batch it is tried with; another shape is compiled when it is met.

        Raises:
            NoKernel: torch cannot compile here.
        """
        return 0.0

    @abstractmethod
    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        """A generator of examples of `shape`, its weights drawn from `streams`; raises `ValueError` with `problems`."""

    @abstractmethod
    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        """A discriminator of examples of `shape`, its weights drawn from `streams`; raises `ValueError` with `problems`.

        `twice_differentiated` says that a penalty will differentiate its input gradients: only speed depends on it.
        """


def numbered(count: int) -> tuple[str, ...]:
    """Names of `count` blocks.

    >>> numbered(2)
    ('block 1', 'block 2')
    """
    return tuple(f"block {number}" for number in range(1, count + 1))


def _check(what: str, given: Tensor, leading: tuple[int, ...], shape: tuple[int, ...]) -> None:
    replicas = len(leading)
    if given.shape[:replicas] != leading or given.shape[replicas + 1 :] != shape:
        right = ", ".join(str(size) for size in (*leading, "n", *shape))
        raise ValueError(f"{what} have the shape {tuple(given.shape)}; this network takes ({right})")


def remembering(network: nn.Module) -> tuple[Remembering, ...]:
    """The layers of a network that remember: found once, since walking through its modules costs as much as a small layer."""
    return tuple(layer for layer in network.modules() if isinstance(layer, Remembering) and layer.remembers)


def share_batch(network: nn.Module, processes: Processes) -> None:
    """Let the layers that read a whole batch read everyone's."""
    for layer in network.modules():
        if isinstance(layer, BatchNorm):
            layer.processes = processes
