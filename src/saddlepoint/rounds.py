"""The words every method speaks, and the round: what one turn knows, each piece computed at most once.

Shapes: `*` are leading replica axes (none for a lone run), `n` is the batch, the last axis of scores.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from saddlepoint.processes import Rule
from saddlepoint.streams import Streams

Side = Literal["real", "fake"]
Mover = Literal["discriminator", "generator"]
Noise = Literal["uniform", "normal"]
Meaning = Literal["realness", "error"]
"""What a high score says of a sample: that it looks real, or how wrongly it was reconstructed (an energy)."""

State = Mapping[str, Tensor]
BOTH: tuple[Side, Side] = ("real", "fake")
EMPTY: State = MappingProxyType({})


class Example(NamedTuple):
    """What a discriminator judges: `image` `[*, n, C, H, W]` or points `[*, n, d]`, and what may come with it.

    Of a sample of symbols that was drawn from a distribution, `log_probability` `[*, n]` is that of the sample there.
    """

    image: Tensor
    label: Tensor | None = None
    latent: Tensor | None = None
    log_probability: Tensor | None = None


class Judgement(NamedTuple):
    """What a discriminator says: `scores` `[*, n]`, raw (no sigmoid), and features by block when they were needed.

    `last` is then what enters its last layer, `[*, n, d]`, where it says so.
    """

    scores: Tensor
    features: dict[str, Tensor]
    last: Tensor | None = None


def last_activations(judged: Judgement) -> Tensor:
    """What enters the discriminator's last layer, `[*, n, d]`; where it does not say, what its last block gives, flat.

    Raises:
        ValueError: the judgement has no features.
    """
    if judged.last is not None:
        return judged.last
    if not judged.features:
        raise ValueError("no features came: declare them as needs, and give the discriminator a layer before its last")
    block = next(reversed(judged.features.values()))
    return block.flatten(judged.scores.ndim) if block.ndim > judged.scores.ndim else block.unsqueeze(-1)


class Sides(NamedTuple):
    """One tensor for the real side, one for the fake side, `[*, n]` each; either may be absent."""

    real: Tensor | None = None
    fake: Tensor | None = None


class Scores(Protocol):
    """Scores by side: `Sides`, or a round's lazy view (reading a side runs the discriminator once)."""

    @property
    def real(self) -> Tensor | None: ...
    @property
    def fake(self) -> Tensor | None: ...


def present(scores: Scores, side: Side) -> Tensor:
    """The scores of one side; raises `ValueError` naming the side when it is absent.

    >>> present(Sides(fake=torch.zeros(2)), "real")
    Traceback (most recent call last):
    ...
    ValueError: the real scores are needed and absent
    """
    found = scores.real if side == "real" else scores.fake
    if found is None:
        raise ValueError(f"the {side} scores are needed and absent")
    return found


class DrawnSides(NamedTuple):
    """Scores by side, and the log-probabilities of the fakes under the distributions they were drawn from, `[*, n]` each."""

    real: Tensor | None = None
    fake: Tensor | None = None
    log_probability: Tensor | None = None


def present_log_probability(scores: Scores) -> Tensor:
    """The log-probabilities of the fakes; raises `ValueError` when there are none.

    >>> present_log_probability(Sides(fake=torch.zeros(2)))
    Traceback (most recent call last):
    ...
    ValueError: the fakes' log-probabilities are needed and absent
    """
    found: Tensor | None = getattr(scores, "log_probability", None)
    if found is None:
        raise ValueError("the fakes' log-probabilities are needed and absent")
    return found


def is_zero(number: float | Tensor) -> bool:
    """Whether a method's number is 0 for every replica, so that a shorter way may be taken; of a tensor, no."""
    return not isinstance(number, Tensor) and number == 0


def log(number: float | Tensor) -> Any:
    """The natural logarithm of a method's number, also of one that differs between replicas."""
    return number.log() if isinstance(number, Tensor) else math.log(number)


@dataclass(frozen=True)
class Features:
    """A term needs the discriminator's features of the pass `key`, by block."""

    key: str


@dataclass(frozen=True)
class InputGradient:
    """A term needs the gradient of the scores at the images of the pass `key`."""

    key: str


@dataclass(frozen=True)
class LatentGradient:
    """A term needs the gradient of what the generator makes, at its latents."""


@dataclass(frozen=True)
class Parameters:
    """A term needs the parameters of the player in whose loss it stands."""


Need = Features | InputGradient | LatentGradient | Parameters


class Record(BaseModel):
    """A method: a frozen record whose fields are its constructor, its YAML form, its help and its validation."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bibtex: ClassVar[str] = ""
    # Among several processes: what it reads in each of them.
    reads: ClassVar[Rule] = "own"
    # Numbers that decide shapes: side by side, all replicas have the same.
    one_for_all: ClassVar[frozenset[str]] = frozenset()

    if TYPE_CHECKING:  # so that REGISTRY["name"](field=value) passes a type checker, which cannot know the record behind a name

        def __init__(self, **fields: Any) -> None: ...


class Term(Record):
    """What objectives, penalties, weightings and views share. All defaults are empty.

    `needs` is declared before the first forward pass. A term that remembers declares its `initial_state`, and `observe`,
    once a turn after the update, returns the next one; computing a loss only reads it. `observe` sees the turn's last round, judged
    by the weights before the update; a side that was not judged in it would be judged by those after, so ask `round.judged` first.
    """

    reads_scores_as: ClassVar[Meaning | None] = None
    """What a high score must say for the term to make sense; None when either will do."""
    follows_batch: ClassVar[bool] = False
    """Whether what it remembers sums up the samples of a turn, which it must then see all at once."""

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset()

    def initial_state(self, leading: Sequence[int]) -> State:
        return EMPTY

    def initial_state_from(self, parameters: Mapping[str, Tensor], leading: Sequence[int]) -> State:
        """What it remembers before the first turn, where that is of its player's parameters; else `initial_state`."""
        return self.initial_state(leading)

    def observe(self, round: "Round", state: State) -> State:
        return state


@dataclass(frozen=True)
class Learned:
    """What a player learns.

    Args:
        parameters: all of them, by name, `[*, …]`.
        matrices: the weights of the linear and convolutional layers by name, `[*, outputs, inputs]`, a kernel flat within its row.
    """

    parameters: Mapping[str, Tensor]
    matrices: Callable[[], Mapping[str, Tensor]]

    @classmethod
    def by(cls, network: nn.Module) -> "Learned":
        """What a network of ours, or one of torch's layers, learns.

        >>> learned = Learned.by(torch.nn.Sequential(torch.nn.Embedding(7, 2), torch.nn.ConvTranspose2d(2, 5, 3)))
        >>> [(name, tuple(matrix.shape)) for name, matrix in learned.matrices().items()]
        [('1.weight', (5, 18))]
        """
        return cls(dict(network.named_parameters()), lambda: dict(_matrices(network)))


def _matrices(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, layer in network.named_modules():
        place = f"{name}.weight" if name else "weight"
        if hasattr(layer, "matrix"):
            yield place, layer.matrix()
        elif isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            yield place, layer.weight.flatten(1)
        elif isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            yield place, layer.weight.unflatten(0, (layer.groups, -1)).transpose(1, 2).flatten(0, 1).flatten(1)


Clock = Mapping[str, int]
Judge = Callable[[Example, bool], Judgement]
Sight = Callable[[Tensor, "Round"], Tensor]


def _unchanged(image: Tensor, round: "Round") -> Tensor:
    return image


class RoundScores:
    """The scores of a round by side; reading one runs the discriminator on it, once."""

    def __init__(self, round: "Round") -> None:
        self._round = round

    @property
    def real(self) -> Tensor:
        return self._round.judge("real").scores

    @property
    def fake(self) -> Tensor:
        return self._round.judge("fake").scores

    @property
    def log_probability(self) -> Tensor | None:
        return self._round.fake.log_probability


class EveryonesScores:
    """Everyone's scores of a round by side, `[*, world n]`; each is judged and gathered when first asked for, with gradient."""

    def __init__(self, round: "Round") -> None:
        self._round = round

    @cached_property
    def real(self) -> Tensor:
        return self._round.everyone(self._round.scores.real)

    @cached_property
    def fake(self) -> Tensor:
        return self._round.everyone(self._round.scores.fake)

    @cached_property
    def log_probability(self) -> Tensor | None:
        found = self._round.scores.log_probability
        return None if found is None else self._round.everyone(found)


class Round:
    """What one turn knows. Each piece is computed when first asked for, and only then.

    Args:
        real, fake: called at most once, when the examples are first asked for.
        judge: the discriminator, `(example, whether features are needed) -> Judgement`.
        latents: called at most once, what the fakes are made of; where there is a generator.
        generate: the generator, from latents `[*, n, latent]` to images.
        streams: random numbers for whatever the turn draws.
        clock: updates made so far by each player; `update` is the generator's.
        needs: the union of the needs of all terms due this turn.
        view: what is done to every image before the discriminator sees it, pass by pass; `viewing` is then the pass's key.
        watched: whether the monitors read this turn; a term computes what is only shown, and costs, when they do.
        movers: whose turn it is.
        together: judge the real and the fake side in one pass; for a discriminator that does not couple its batch.
        couples_batch: whether a sample's judgement depends on the others of its batch (batch norm), or on its place there (dropout
            and views draw for a batch). When it does not, a term may judge the few samples it needs instead of the whole batch.
        learned: what each player learns.
    """

    def __init__(
        self,
        real: Callable[[], Example],
        fake: Callable[[], Example],
        judge: Judge,
        *,
        streams: Streams,
        clock: Clock,
        needs: Iterable[Need] = (),
        view: Sight = _unchanged,
        watched: bool = True,
        couples_batch: bool = True,
        movers: Sequence[Mover] = ("discriminator",),
        together: bool = False,
        latents: Callable[[], Tensor] | None = None,
        generate: Callable[[Tensor], Tensor] | None = None,
        learned: Mapping[Mover, Learned] = MappingProxyType({}),
    ) -> None:
        self._latents = latents
        self._generate = generate
        self._together = together
        self._examples: dict[str, Example] = {}
        self._sides: dict[str, Callable[[], Example]] = {"real": real, "fake": fake}
        self._judge = judge
        self._view = view
        self._needs = frozenset(needs)
        self._judgements: dict[str, Judgement] = {}
        self._images: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}
        self._everyones: dict[Side, Tensor] = {}
        self._pieces: dict[str, Tensor] = {}
        self._learned = learned
        # Whose loss is being taken.
        self.mover: Mover = "discriminator"
        self._asking: dict[str, list[Term]] = {}
        self.streams = streams
        self.clock = clock
        self.watched = watched
        self.viewing = ""
        self.movers = tuple(movers)
        self.couples_batch = couples_batch
        self.scores = RoundScores(self)
        self.weights: dict[tuple[Mover, Side], Tensor] = {}
        self.records: dict[str, Tensor] = {}
        self.lasting: dict[str, Tensor] = {}
        self.prefix = ""

    @classmethod
    def of(
        cls,
        real: Tensor | Example,
        fake: Tensor | Example,
        discriminator: Callable[[Tensor], Tensor],
        *,
        streams: Streams | None = None,
        update: int = 0,
        needs: Iterable[Need] | None = None,
        features: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
        couples_batch: bool = True,
        latents: Tensor | None = None,
        generator: Callable[[Tensor], Tensor] | None = None,
        player: nn.Module | None = None,
    ) -> "Round":
        """A round for tests and for a stranger's own loop.

        Args:
            real, fake: images `[n, …]`, or examples.
            discriminator: any module or callable from images to scores, `[n]` or `[n, 1]`. One of ours gives its features itself.
            streams: for terms that draw; seed 0 by default.
            update: how many updates both players have made.
            needs: of the terms that will be asked. By default every need is met: each image takes a gradient.
            features: from images to features by block, when `discriminator` is not one of ours.
            couples_batch: whether it has batch norm or the like; True is always right, False may save passes.
            latents, generator: what the fakes were made of, for terms that ask the generator again.
            player: whose parameters a term is of that reads them; by default the discriminator, where it is a module.

        >>> from saddlepoint.penalties import PENALTIES
        >>> critic = torch.nn.Linear(2, 1)
        >>> round = Round.of(real=torch.randn(8, 2), fake=torch.randn(8, 2), discriminator=critic)
        >>> PENALTIES["gradient"](centre=1.0, at="interpolates", weight=10.0)(round).shape
        torch.Size([])
        """
        reals = real if isinstance(real, Example) else Example(real)
        fakes = fake if isinstance(fake, Example) else Example(fake)
        own, drops = getattr(discriminator, "judge", None), getattr(discriminator, "drops", False)
        drawn = streams or Streams(0)

        def judge(example: Example, wanted: bool) -> Judgement:
            if own is not None:
                # With dropout, a pass of training says where its masks are drawn from.
                judgement: Judgement = own(example, wanted, drawn) if drops else own(example, wanted)
                return judgement
            scores = discriminator(example.image)
            if scores.ndim == 2 and scores.shape[1] == 1:
                scores = scores.squeeze(1)
            if scores.shape != example.image.shape[:1]:
                raise ValueError(
                    f"scores have the shape {tuple(scores.shape)}; {len(example.image)} images need ({len(example.image)},) "
                    f"or ({len(example.image)}, 1)"
                )
            return Judgement(scores, dict(features(example.image)) if features is not None and wanted else {})

        keys = ("real", "fake", "interpolates", "around", "around, normal")
        every: list[Need] = [Parameters(), *(InputGradient(key) for key in keys), *(Features(key) for key in keys)]
        moving = player if player is not None else discriminator
        return cls(
            lambda: reals,
            lambda: fakes,
            judge,
            streams=drawn,
            clock={"discriminator": update, "generator": update},
            needs=every if needs is None else needs,
            couples_batch=couples_batch or drops,
            latents=None if latents is None else lambda: latents,
            generate=generator,
            learned={"discriminator": Learned.by(moving)} if isinstance(moving, nn.Module) else {},
        )

    @property
    def update(self) -> int:
        """Generator updates made before this turn."""
        return self.clock["generator"]

    @property
    def real(self) -> Example:
        return self._side("real")

    @property
    def fake(self) -> Example:
        return self._side("fake")

    @cached_property
    def interpolates(self) -> Example:
        """`x^ = e x + (1 - e) x~`, one `e ~ U[0, 1)` a sample, both sides detached; of unequal sides the first samples."""
        leading = len(self.streams.leading)
        real, fake = self.real.image.detach(), self.fake.image.detach()
        n = min(real.shape[leading], fake.shape[leading])
        if real.shape[leading] != fake.shape[leading]:
            # The first of everyone's, of which a process takes its own.
            first = n * self.streams.processes.world
            real, fake = (self.own(self.everyone(side).narrow(leading, 0, first)) for side in (real, fake))
        mix = self.streams.uniform("interpolates", n).to(real)
        mix = mix.reshape(mix.shape + (1,) * (real.ndim - mix.ndim))
        return Example(mix * real + (1 - mix) * fake)

    @cached_property
    def latents(self) -> Tensor:
        """What the fakes of this turn are made of, `[*, n, latent]`."""
        if self._latents is None:
            raise ValueError("the latents are needed and absent: give the round its latents and its generator")
        return self._latents()

    def generate(self, latents: Tensor) -> Tensor:
        """What the generator makes of latents: a pass of its own."""
        if self._generate is None:
            raise ValueError("the generator is needed and absent: give the round its latents and its generator")
        return self._generate(latents)

    def key_of(self, term: Term, what: str) -> str:
        """A key of a term's own: the first that asks has the plain one, another one of its kind is numbered.

        Without the numbers of a record in it, which differ between replicas.
        """
        asking = self._asking.setdefault(what, [])
        if not any(other is term for other in asking):
            asking.append(term)
        number = next(number for number, other in enumerate(asking) if other is term)
        return f"{what} {number + 1}" if number else what

    def once(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """What a term computes under a name, computed at its first call: its loss and what it observes read the same."""
        if name not in self._pieces:
            self._pieces[name] = compute()
        return self._pieces[name]

    def computed(self, name: str) -> bool:
        """Whether `once` has a piece of this name."""
        return name in self._pieces

    def around(self, noise: Noise) -> Example:
        """Points near the reals: `x^ = x + a (s / 2) u`, one `a ~ U[0, 1)` a sample, `u` of each pixel `U[0, 1)` or `N(0, 1)`.

        `s` is the standard deviation of all pixels of everyone's real samples, one number a replica.
        """
        leading = len(self.streams.leading)
        real = self.real.image.detach()
        steps = self.streams.uniform("around, steps", real.shape[leading]).to(real)
        draw = self.streams.uniform if noise == "uniform" else self.streams.normal
        offsets = draw("around", *real.shape[leading:]).to(real)
        far = 0.5 * self._deviation(real).unsqueeze(-1) * steps
        return self.real._replace(image=real + far.reshape(far.shape + (1,) * (real.ndim - far.ndim)) * offsets)

    def _deviation(self, image: Tensor) -> Tensor:
        """The standard deviation of all numbers of everyone's samples, `[*]`, by two means over samples of equal size."""
        flat = image.flatten(len(self.streams.leading) + 1)
        centre = self.everyone(flat.mean(-1)).mean(-1)
        squares = (flat - centre[..., None, None]).square().mean(-1)
        return self.everyone(squares).mean(-1).sqrt()

    @property
    def learned(self) -> Learned:
        """What the player learns whose loss is being taken; a term that reads it declares `Parameters`."""
        if Parameters() not in self._needs:
            raise ValueError("the parameters were not declared: add Parameters() to the term's needs")
        if self.mover not in self._learned:
            raise ValueError(f"the parameters of the {self.mover} are needed and absent: give the module that has them")
        return self._learned[self.mover]

    def everyone(self, x: Tensor) -> Tensor:
        """Everyone's samples where several processes share the batch, `[*, n, …]` to `[*, world n, …]`, with gradient."""
        return self.streams.processes.everyone(x, len(self.streams.leading))

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the whole batch, `[*, n]` to `[*]`, without gradient, the same in every process."""
        (mean,) = self.streams.processes.mean([x.detach().mean(-1)])
        return mean

    def own(self, x: Tensor) -> Tensor:
        """This process's samples among everyone's, `[*, world n, …]` to `[*, n, …]`."""
        return self.streams.processes.own(x, len(self.streams.leading))

    def everyones_images(self, side: Side) -> Tensor:
        """The raw images of all samples of a side, without gradient, gathered once."""
        if side not in self._everyones:
            self._everyones[side] = self.everyone(self._side(side).image.detach())
        return self._everyones[side]

    def judge(self, key: str, example: Example | None = None, *, features: bool = False) -> Judgement:
        """The discriminator's judgement under `key`, remembered; a new key with an example is a fresh pass.

        Who asks for a fresh pass says itself whether it wants `features`; of the shared ones they are declared as needs.
        """
        if key not in self._judgements:
            if self._together and key in BOTH:
                self._judge_both()
            else:
                seen = self._seen(key, example if example is not None else self._example(key))
                self._judgements[key] = self._judge(seen, features or Features(key) in self._needs)
        return self._judgements[key]

    def _seen(self, key: str, example: Example) -> Example:
        """The example as the discriminator sees it; its raw image is kept, and takes a gradient where one is needed."""
        image = example.image
        if InputGradient(key) in self._needs and not image.requires_grad:
            image = image.detach().requires_grad_()
        self._images[key] = image
        self.viewing = key
        return example._replace(image=self._view(image, self))

    def _judge_both(self) -> None:
        axis = len(self.streams.leading)
        seen = [self._seen(key, self._example(key)) for key in BOTH]
        sizes = [example.image.shape[axis] for example in seen]
        wanted = any(Features(key) in self._needs for key in BOTH)
        judged = self._judge(_joined(seen[0], seen[1], axis), wanted)
        blocks = {name: torch.split_with_sizes(block, sizes, axis) for name, block in judged.features.items()}
        last = None if judged.last is None else torch.split_with_sizes(judged.last, sizes, axis)
        for number, (key, scores) in enumerate(zip(BOTH, torch.split_with_sizes(judged.scores, sizes, axis), strict=True)):
            features = {name: parts[number] for name, parts in blocks.items()}
            self._judgements[key] = Judgement(scores, features, None if last is None else last[number])

    def judged(self, key: str) -> bool:
        """Whether the discriminator has already judged `key` this turn."""
        return key in self._judgements

    def input_gradient(self, key: str) -> Tensor:
        """Gradient of the summed scores of `key` at its raw images, `[*, n, …]`, through the view, itself differentiable."""
        if key not in self._gradients:
            scores, image = self.judge(key).scores, self._images[key]
            if InputGradient(key) not in self._needs:
                raise ValueError(f'the input gradient at "{key}" was not declared: add InputGradient("{key}") to the term\'s needs')
            if scores.requires_grad:
                (gradient,) = torch.autograd.grad(scores.sum(), image, create_graph=True, materialize_grads=True)
            else:
                gradient = torch.zeros_like(image)
            self._gradients[key] = gradient
        return self._gradients[key]

    def record(self, name: str, value: Tensor, *, lasting: bool = False) -> None:
        """Note a number `[*]` for the monitors, under the name of the player whose loss is being taken.

        A `lasting` one is shown until the next of its name: what is done every sixteenth update would hardly meet the log.
        """
        self.records[self.prefix + name] = noted = value.detach()
        if lasting:
            self.lasting[self.prefix + name] = noted

    def _side(self, side: Side) -> Example:
        if side not in self._examples:
            self._examples[side] = self._sides[side]()
        return self._examples[side]

    def _example(self, key: str) -> Example:
        examples: dict[str, Callable[[], Example]] = {
            "real": lambda: self.real,
            "fake": lambda: self.fake,
            "interpolates": lambda: self.interpolates,
            "around": lambda: self.around("uniform"),
            "around, normal": lambda: self.around("normal"),
        }
        if key not in examples:
            raise ValueError(f'"{key}" was not judged in this round: give its example, or use one of {", ".join(examples)}')
        return examples[key]()


def _joined(first: Example, second: Example, axis: int) -> Example:
    """Two examples as one batch; a label or latent that one of them lacks is nobody's."""
    image = torch.cat([first.image, second.image], axis)
    extras = [
        None if one is None or other is None else torch.cat([one, other], axis)
        for one, other in ((first.label, second.label), (first.latent, second.latent))
    ]
    return Example(image, *extras)
