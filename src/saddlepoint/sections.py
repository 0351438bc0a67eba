"""The groups of fields a recipe is made of, but for data, networks and objective, which are single records."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from saddlepoint.combiners import COMBINERS
from saddlepoint.combiners.combiner import Combiner
from saddlepoint.extractors import EXTRACTORS
from saddlepoint.extractors.extractor import Extractor
from saddlepoint.measures import MEASURES
from saddlepoint.measures.measure import Measure
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.optimizers.optimizer import Optimizer, Projection
from saddlepoint.optimizers.rate_rule import RateRule
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty, Weight
from saddlepoint.schedules import Constant
from saddlepoint.seeds import MOST_SEEDS
from saddlepoint.stops import STOPS
from saddlepoint.stops.stop import Stop
from saddlepoint.turns import SLOW_WEIGHTS, TURNS
from saddlepoint.turns.lookahead import Lookahead
from saddlepoint.turns.play import Turns
from saddlepoint.validation import Chosen
from saddlepoint.views import VIEWS
from saddlepoint.views.view import View
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS
from saddlepoint.weightings.relabelling import Relabelling
from saddlepoint.weightings.weighting import Weighting


def _count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS):
        return value
    raise ValueError(f"should be auto, or a whole number from 1 to {MOST_SEEDS}")


class Section(BaseModel):
    """A group of fields of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnyPenalty = Annotated[Penalty, Chosen(PENALTIES, "penalty")]
AnyWeighting = Annotated[Weighting, Chosen(WEIGHTINGS, "weighting")]
AnyRelabelling = Annotated[Relabelling, Chosen(RELABELLINGS, "relabelling")]
AnyStop = Annotated[Stop, Chosen(STOPS, "stop rule")]
AnyView = Annotated[View, Chosen(VIEWS, "view")]
AnyProjection = Annotated[Projection, Chosen(PROJECTIONS, "projection")]
AnyCombiner = Annotated[Combiner, Chosen(COMBINERS, "combiner")]
AnyRateRule = Annotated[RateRule, Chosen(RATES, "rule of the rates")]
AnyMeasure = Annotated[Measure, Chosen(MEASURES, "measure")]
AnyExtractor = Annotated[Extractor, Chosen(EXTRACTORS, "extractor")]
AnyTurns = Annotated[Turns, Chosen(TURNS, "way of taking turns", default="alternating")]
AnySlowWeights = Annotated[Lookahead, Chosen(SLOW_WEIGHTS, "kind of slow weights", default="lookahead")]
AnyOptimizer = Annotated[Optimizer, Chosen(OPTIMIZERS, "optimizer", default="adam")]


class Penalties(Section):
    """Terms added to a player's loss, each times its weight."""

    discriminator: tuple[AnyPenalty, ...] = Field(default=(), description="added to the discriminator's loss")
    generator: tuple[AnyPenalty, ...] = Field(default=(), description="added to the generator's loss")
    both: tuple[AnyPenalty, ...] = Field(default=(), description="added to each player's loss")


class ObjectiveWeights(Section):
    """What the objective's losses of a player are multiplied with; 0 leaves them out, and the player has its penalties alone."""

    generator: Weight = Field(default=Constant(value=1.0), description="of the generator's losses; a schedule of its updates")


class Weightings(Section):
    """How the per-sample losses of a side become one; null is the plain mean."""

    generator: AnyWeighting | None = Field(default=None, description="of the fakes in the generator's loss")
    discriminator_real: AnyWeighting | None = Field(default=None, description="of the reals in the discriminator's loss")
    discriminator_fake: AnyWeighting | None = Field(default=None, description="of the fakes in the discriminator's loss")


class Projections(Section):
    """What is done to a player's parameters after each of its updates."""

    discriminator: tuple[AnyProjection, ...] = Field(default=(), description="of the discriminator's parameters")
    generator: tuple[AnyProjection, ...] = Field(default=(), description="of the generator's parameters")


class Optimizers(Section):
    """How each player steps; one record stands for both."""

    generator: AnyOptimizer = Field(default=OPTIMIZERS["adam"](), description="of the generator")
    discriminator: AnyOptimizer = Field(default=OPTIMIZERS["adam"](), description="of the discriminator")


class Clip(Section):
    """The largest norm of a player's gradient; null does not clip."""

    generator: float | None = Field(default=None, gt=0, description="of the generator's gradient")
    discriminator: float | None = Field(default=None, gt=0, description="of the discriminator's gradient")


class Combine(Section):
    """How the gradients of the sides of a player's loss become one; null is one backward pass of their sum."""

    discriminator: AnyCombiner | None = Field(default=None, description="of the discriminator's real and fake side")


class Gradients(Section):
    """What happens to gradients between the backward pass and the step."""

    combine: Combine = Field(default=Combine(), description="of the sides")
    clip: Clip = Field(default=Clip(), description="largest norms")
    accumulation: int = Field(default=1, ge=1, le=4096, description="batches whose gradients are averaged into one step")


class TrainingSchedule(Section):
    """How long, and with how many samples at a time."""

    updates: int = Field(default=2000, ge=1, description="of the generator")
    batch: int = Field(default=64, ge=1, le=2**20, description="real images in a turn, and fakes in the discriminator's")
    generator_batch: int | None = Field(default=None, ge=1, le=2**20, description="fakes in the generator's turn; null is `batch`")
    discriminator_steps: int = Field(default=1, ge=1, description="discriminator updates before each generator update (n_critic)")


class Average(Section):
    """The exponential average of the generator's weights, from which samples are drawn."""

    decay: float = Field(default=0.999, ge=0, lt=1, description="of the average, a generator update; 0 keeps none")
    half_life: float | None = Field(default=None, gt=0, description="images over which it forgets a half, in place of decay")
    ramp_up: float = Field(default=0.05, gt=0, description="the half-life is at most this times the images so far")
    warm_up: bool = Field(default=False, description="at update t the decay is at most (1 + t) / (10 + t)")
    start: int = Field(default=0, ge=0, description="updates before which it is a copy of the weights")
    standing_batches: int | None = Field(
        default=None, ge=1, le=4096, description="batches over which batch norm's statistics are taken anew to sample; null is none"
    )

    @property
    def keeps(self) -> bool:
        """Whether there is an average."""
        return self.decay > 0 or self.half_life is not None

    def decay_at(self, update: int, images: float, every: int = 1) -> float:
        """The decay of the average that is taken after update number `update`, counted from 0.

        Args:
            images: that an update sees.
            every: updates between two averages.

        >>> [round(Average(half_life=1000, ramp_up=0.5).decay_at(update, images=100), 3) for update in (0, 1, 4, 99)]
        [0.0, 0.25, 0.707, 0.933]
        """
        if update < self.start:
            return 0.0
        if self.half_life is not None:
            forgets = min(self.half_life, self.ramp_up * images * update)
            return float(2 ** (-images * every / forgets)) if forgets > 0 else 0.0
        return min(self.decay, (1 + update // every) / (10 + update // every)) if self.warm_up else self.decay


class Vary(Section):
    """Which numbers differ from replica to replica. A list where a recipe has one number is moved here."""

    how: Literal["product", "zip"] = Field(
        default="product", description="product: every combination of values, each with every seed; zip: one value a seed"
    )
    fields: Mapping[str, tuple[Any, ...]] = Field(default={}, description="dotted field to its values")


class Replicas(Section):
    """How the replicas of a run with many seeds are spread over the machine."""

    chunk: Annotated[int | Literal["auto"], BeforeValidator(_count)] = Field(
        default="auto", description="replicas stacked in one game; auto: at most 64, fewer where there are cores for more games"
    )
    processes: Annotated[int | Literal["auto"], BeforeValidator(_count)] = Field(
        default="auto", description="processes that train chunks, one thread each; auto: one a core"
    )


class Log(Section):
    """When numbers are written to events.jsonl."""

    every: int = Field(default=50, ge=1, description="updates between two entries")


class Samples(Section):
    """When a grid of samples is drawn."""

    every: int = Field(default=500, ge=1, description="updates between two grids")
    count: int = Field(default=64, ge=1, le=4096, description="samples in a grid")


class Checkpoints(Section):
    """When the state of the run is saved."""

    every: int = Field(default=500, ge=1, description="updates between two checkpoints")
    keep: int = Field(default=3, ge=1, description="how many of the newest are kept")


class Measures(Section):
    """What is measured while it trains: samples of fixed latents against held-out data."""

    every: int | None = Field(default=None, ge=1, description="updates between two measurements; null measures nothing")
    names: tuple[AnyMeasure, ...] = Field(default=(), description="the measures; an empty list is those that suit the data")
    extractor: AnyExtractor | None = Field(default=None, description="where features are from; null is the one that suits the data")
    n: int | None = Field(default=None, ge=1, le=2**20, description="samples a side; null is the held-out ones, at most 1000")
    best: str | None = Field(default=None, min_length=1, description="the quantity whose best checkpoint is kept beside the last")
