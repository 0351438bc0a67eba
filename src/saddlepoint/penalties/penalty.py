"""What every penalty answers to."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator
from torch import Tensor

from saddlepoint.rounds import EMPTY, Mover, Round, State, Term
from saddlepoint.schedules import Every, Schedule, lowest

Counts = Literal["own", "generator", "discriminator"]


def _not_negative(weight: Schedule) -> Schedule:
    if lowest(weight) < 0:
        raise ValueError(f"{lowest(weight):g} would reward what the penalty punishes; give numbers of 0 or more")
    return weight


Weight = Annotated[Schedule, AfterValidator(_not_negative)]


class Penalty(Term):
    """A term of a player's loss, `weight * penalty(round)`, where the call gives `[*]`, unweighted."""

    name: ClassVar[str]
    # Who may carry it: in another player's loss it would be a constant, or another method.
    players: ClassVar[tuple[Mover, ...]] = ("discriminator", "generator")
    # Whether it compares two judgements of the same samples, which are the same judgement where nothing is dropped.
    needs_dropout: ClassVar[bool] = False
    # Whether it judges changed samples beside the batch, where batch norm would change the judgement of both.
    judges_changed: ClassVar[bool] = False
    # Whether its default weight is for scores that have a scale of their own.
    needs_scale: ClassVar[bool] = False
    # A weight for scores that are logits, where the default would hardly let them apart.
    weight_for_logits: ClassVar[float | None] = None

    weight: Weight

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @property
    def counts(self) -> Counts:
        """Whose updates the weight is a schedule of; "own" is the player that carries the penalty."""
        return "own"

    @property
    def own_turn(self) -> int | None:
        """Updates between two turns of its own; None where it is minimised with the loss, or absent.

        >>> from saddlepoint.penalties import PENALTIES
        >>> PENALTIES["r1"](weight={"name": "every", "period": 16, "value": 5, "turn": "own"}).own_turn
        16
        """
        weight = self.weight
        if isinstance(weight, Every) and weight.turn == "own" and weight.period > 1 and weight.value > 0:
            return weight.period
        return None

    @property
    def draws(self) -> bool:
        """Whether a call draws random numbers, so that where it is absent for some updates its later draws are others."""
        return False

    @abstractmethod
    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        """The penalty of this turn, `[*]`, the mean over the batch, without its weight."""


def in_full_precision(tensor: Tensor) -> Tensor:
    """In float32 if it came in less."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
