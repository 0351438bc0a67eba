"""Why two entries may not stand together, read off what their records declare, not off the recipe's checks."""

from collections.abc import Callable, Iterator, Mapping

from saddlepoint.networks.normalization import Normalization
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import InputGradient, LatentGradient, Parameters, Record, Term
from saddlepoint.views import VIEWS
from saddlepoint.weightings import WEIGHTINGS
from tests.composition.covering import Level
from tests.composition.rows import NOTHING

ROOMS: Mapping[str, Mapping[str, type[Record]]] = {
    "objective": OBJECTIVES,
    "penalty": PENALTIES,
    "weighting": WEIGHTINGS,
    "normalization": CHOICES,
    "view": VIEWS,
}


def record(level: Level) -> Record | None:
    """The record of an entry, in its default form; None of `nothing`."""
    factor, name = level
    return None if name == NOTHING else ROOMS[factor][name]()


def _probability(one: Level, other: Level) -> bool:
    """A weighting that reads probabilities, and an objective whose scores are none."""
    first, second = record(one), record(other)
    return getattr(second, "needs_probability", False) and not getattr(first, "gives_probability", True)


def _single_gradients(one: Level, other: Level) -> bool:
    """A gradient at single images, and a normalisation that mixes a batch."""
    penalty, normalization = record(one), record(other)
    takes = isinstance(penalty, Penalty) and any(isinstance(need, InputGradient) for need in penalty.needs)
    return takes and isinstance(normalization, Normalization) and normalization.couples_batch("discriminator")


def _meaning(one: Level, other: Level) -> bool:
    """A score that says how real, read by what takes it for an error, or the other way round."""
    objective, reader = record(one), record(other)
    if not isinstance(objective, Objective) or not isinstance(reader, Term) or isinstance(reader, Objective):
        return False
    return reader.reads_scores_as not in (None, objective.reads_scores_as)


def _single_latents(one: Level, other: Level) -> bool:
    """A gradient at single latents, and a normalisation that mixes the generator's batch."""
    penalty, normalization = record(one), record(other)
    takes = isinstance(penalty, Penalty) and LatentGradient() in penalty.needs
    return takes and isinstance(normalization, Normalization) and normalization.couples_batch("generator")


def _symbols(one: Level, other: Level) -> bool:
    """A generator of symbols, and a penalty of the generator alone that reads its samples."""
    objective, penalty = record(one), record(other)
    if not isinstance(objective, Objective) or not isinstance(penalty, Penalty):
        return False
    return objective.needs_log_probability and penalty.players == ("generator",) and Parameters() not in penalty.needs


REASONS: Mapping[str, Callable[[Level, Level], bool]] = {
    "needs scores that are probabilities": _probability,
    "gradients of single images": _single_gradients,
    "what a score means": _meaning,
    "gradients of single latents": _single_latents,
    "no gradient through symbols": _symbols,
}


def reasons(one: Level, other: Level) -> tuple[str, ...]:
    """The reasons that hold of two entries, in either order."""

    def holding() -> Iterator[str]:
        for reason, holds in REASONS.items():
            if holds(one, other) or holds(other, one):
                yield reason

    return tuple(holding())
