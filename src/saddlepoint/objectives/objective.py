"""What every objective answers to."""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from saddlepoint.rounds import BOTH, EMPTY, Clock, Meaning, Mover, Scores, Side, Sides, State, Term, present


class Objective(Term):
    """The losses of both players, pure in the scores.

    Both methods take scores `[*, n]` by side (`Sides`, or a round's) and return per-sample losses, `[*, n]`, by side; each
    player minimises the mean of each side, then their sum. A side that is needed and absent raises `ValueError` naming it.

    An objective whose losses depend on other samples' scores says `reads = "everyone"`: among several processes it is then given
    everyone's scores.
    """

    name: ClassVar[str]
    reads_scores_as: ClassVar[Meaning | None] = "realness"
    needs_log_probability: ClassVar[bool] = False
    """Whether the generator's loss reads the log-probabilities of its samples, which only a distribution over symbols has."""
    quantities: ClassVar[tuple[str, ...]] = ()
    """What it records in the generator's turn, besides the losses."""
    carries: ClassVar[Mapping[Mover, tuple[Side, ...]]] = MappingProxyType({"discriminator": BOTH, "generator": ("fake",)})
    """The sides on which each player has losses, which a weighting can weigh."""
    pairs: ClassVar[bool] = False
    """Whether real i is compared with fake i, so that there must be as many of both."""

    @property
    @abstractmethod
    def gives_probability(self) -> bool:
        """Whether the sigmoid of a score is the probability that the sample is real."""

    unscaled: ClassVar[bool] = False
    """Whether its losses are linear in the scores, so that nothing in them gives the scores a scale."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @property
    def draws(self) -> int:
        """Samples that the generator's turn draws for each latent."""
        return 1

    @property
    @abstractmethod
    def boundary(self) -> float | None:
        """The score above which the discriminator says "real"; None when it says no such thing."""

    @abstractmethod
    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        """What the discriminator minimises."""

    @abstractmethod
    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        """What the generator minimises."""

    def scheduled(self, clock: Clock) -> State:
        """What its schedules say this turn, `[*]` by name: handed to the losses with the state."""
        return EMPTY

    def watched(self, scores: Sides, state: State = EMPTY) -> Mapping[str, Tensor]:
        """Numbers `[*]` for the monitors, by name, of the scores of the sides that were judged."""
        return {}


def both(scores: Scores) -> tuple[Tensor, Tensor]:
    """The real and the fake scores; raises `ValueError` unless they differ at most in the length of the last axis, the batch."""
    real, fake = present(scores, "real"), present(scores, "fake")
    if real.ndim == 0 or fake.ndim == 0 or real.shape[:-1] != fake.shape[:-1]:
        raise ValueError(
            f"real scores {tuple(real.shape)} and fake scores {tuple(fake.shape)} need the same axes before the batch, [*, n]"
        )
    return real, fake


def paired(scores: Scores) -> tuple[Tensor, Tensor]:
    """The real and the fake scores of pairs; raises `ValueError` unless there are as many of both."""
    real, fake = both(scores)
    if real.shape != fake.shape:
        raise ValueError(f"{real.shape[-1]} real scores and {fake.shape[-1]} fake scores are no pairs: give as many of both")
    return real, fake
