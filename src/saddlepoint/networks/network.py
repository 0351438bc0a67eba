"""A generator, a discriminator, and the record that makes the two: a family gives the layers they are made of."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from saddlepoint.networks.coupling import Coupling
from saddlepoint.networks.dropout import dropout
from saddlepoint.networks.minibatch import MINIBATCH, MinibatchLayer
from saddlepoint.networks.normalization import Normalization
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.networks.remembering import Remembering
from saddlepoint.rounds import Example, Judgement, Meaning, Mover, Record
from saddlepoint.streams import Streams
from saddlepoint.validation import Chosen, Problem, Problems

AnyNormalization = Annotated[Normalization, Chosen(CHOICES, "normalization", bare=True)]
AnyMinibatchLayer = Annotated[MinibatchLayer, Chosen(MINIBATCH, "minibatch layer")]
PLAYERS: tuple[Mover, ...] = ("generator", "discriminator")
NORMALIZED_BY = ", ".join(CHOICES)


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
        self.remembering = remembering(self)

    def forward(self, latents: Tensor) -> Tensor:
        _check("latents", latents, self.leading, (self.latent,))
        made: Tensor = self.body(latents) if self.fused is None else self.fused(latents)
        return made if made.shape[latents.ndim - 1 :] == self.shape else torch.reshape(made, (*latents.shape[:-1], *self.shape))

    def fakes(self, latents: Tensor, draws: int) -> Example:
        """What it makes of latents `[*, n, latent]`, with what a loss may ask of it.

        Args:
            draws: samples in a row that are drawn from one distribution, by generators that have one.
        """
        return Example(self(latents))

    def observe(self) -> None:
        """After the generator's update, once a turn."""
        for layer in self.remembering:
            layer.observe()

    def forget(self) -> None:
        """After a turn in which the generator did not move."""
        for layer in self.remembering:
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
        self.remembering = remembering(self)

    @property
    def couples_batch(self) -> bool:
        """Whether a sample's score depends on the other samples of its batch."""
        return any(isinstance(layer, Coupling) for layer in self.modules())

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
        scores = self.scores_of(self.head(x, twice), image)
        return Judgement(scores, kept, self.head.enters(x, twice).flatten(len(self.leading) + 1) if features else None)

    def scores_of(self, out: Tensor, image: Tensor) -> Tensor:
        """Scores `[*, n]` from what the head gave for these images."""
        return torch.reshape(out, image.shape[: len(self.leading) + 1])

    def observe(self) -> None:
        """After the discriminator's update, once a turn."""
        for layer in self.remembering:
            layer.observe()

    def forget(self) -> None:
        """After a turn in which the discriminator did not move."""
        for layer in self.remembering:
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
    """One layer, from what the last block gives to a score; before it, perhaps one that looks at the batch."""

    def __init__(self, layer: nn.Module, minibatch: nn.Module | None = None) -> None:
        super().__init__()
        self.minibatch = minibatch
        self.layer = layer

    def enters(self, x: Tensor, twice: bool = False) -> Tensor:
        """What the layer is given."""
        if self.minibatch is None:
            return x
        seen: Tensor = self.minibatch(x)
        return seen

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        scores: Tensor = self.layer(self.enters(x, twice))
        return scores


class Normalizations(Record):
    """What normalises each player, by name. A family's own record holds its defaults."""

    generator: AnyNormalization = Field(description=f"of the generator: {NORMALIZED_BY}")
    discriminator: AnyNormalization = Field(description=f"of the discriminator: {NORMALIZED_BY}")


class Mixing(NamedTuple):
    """What mixes the samples of a batch, and the cure, in words."""

    what: str
    cure: str


class Networks(Record):
    """A family of generators and discriminators, and the sizes of one pair. What every family shares."""

    family: ClassVar[str]
    # Whether its layers take leading replica axes; a family that is no faster so is trained one replica at a time.
    stacks: ClassVar[bool] = False
    # Whether it normalises vectors, as against images.
    of_vectors: ClassVar[bool] = False
    scores: ClassVar[Meaning] = "realness"
    """What a high score of its discriminator says."""

    latent: int = Field(default=128, ge=1, description="numbers in one latent")
    latent_distribution: Literal["normal", "uniform"] = Field(default="normal", description="N(0, I), or uniform on (-1, 1)")
    normalization: Normalizations
    minibatch: AnyMinibatchLayer | None = Field(
        default=None, description=f"what tells the discriminator's last layer of the batch: {', '.join(MINIBATCH)}; null is nothing"
    )

    @model_validator(mode="after")
    def _normalizations_suit_their_players(self) -> "Networks":
        reasons = {player: self.refusal(self.norm_of(player), player) for player in PLAYERS}
        problems = [Problem(("normalization", player), reason) for player, reason in reasons.items() if reason is not None]
        if problems:
            raise Problems(problems)
        return self

    @classmethod
    def refusal(cls, norm: Normalization, player: Mover) -> str | None:
        """Why a player of this family cannot have a normalisation, in one line; None if it can."""
        reason = norm.refuses.get(player) or (norm.not_of_vectors if cls.of_vectors else None)
        return None if reason is None else f"{norm.name} {reason}"

    def batch_normalized(self, player: Mover) -> bool:
        """Whether the normalisation of a player couples the samples of its batch."""
        return self.norm_of(player).couples_batch(player)

    def without_coupling(self, player: Mover) -> str:
        """What to set so that the normalisation of a player couples no samples."""
        norms = [
            name for name, norm in CHOICES.items() if not norm().couples_batch(player) and self.refusal(norm(), player) is None
        ]
        return f"set networks.normalization.{player} to {_either(norms)}"

    def norm_of(self, player: Mover) -> Normalization:
        """What normalises a player."""
        return self.normalization.generator if player == "generator" else self.normalization.discriminator

    @property
    def couples_batch(self) -> bool:
        """Whether the discriminator's score of a sample may depend on the rest of its batch."""
        return self.minibatch is not None or self.batch_normalized("discriminator")

    @property
    def mixing(self) -> Mixing | None:
        """What in the discriminator leaves no gradient of a single image's score; None if there is one."""
        if self.batch_normalized("discriminator"):
            return Mixing("batch norm", self.without_coupling("discriminator"))
        if self.minibatch is not None and not self.minibatch.input_gradients:
            layers = ["null", *(name for name, layer in MINIBATCH.items() if layer.input_gradients)]
            return Mixing(self.minibatch.name, f"set networks.minibatch to {_either(layers)}")
        return None

    @property
    def drops(self) -> bool:
        """Whether the discriminator has dropout."""
        return False

    @property
    def smallest_batch(self) -> int:
        """Samples that a training pass needs: batch normalisation of vectors has no variance of one."""
        return 2 if self.of_vectors and any(self.batch_normalized(player) for player in PLAYERS) else 1

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


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
