"""A turn: who moves, what they minimise, and how they step from the gradient that was taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from saddlepoint.rounds import Mover

Kept = dict[str, dict[str, Tensor]]

START, DISPLACEMENT = "start", "displacement"


class Moving(Protocol):
    """What a move needs of a player: its parameters, steps, and copies it keeps, by what they are and by parameter.

    What is kept from one round to the next is in the checkpoint.
    """

    parameters: Mapping[str, Tensor]
    kept: Kept
    updates: int

    def descend(self, norm: Tensor, update: int) -> None: ...
    def project(self) -> None: ...


class Move:
    """How a player steps. This one: it descends along its gradient, its projections follow, and that was an update.

    `look` is called before the losses are taken, `back` when all gradients are there and no player has stepped, then `step`.
    """

    # Whether it is an update of the player; else the turn belongs to the update beside it.
    counts: ClassVar[bool] = True
    # Whether buffers and what terms remember move after it.
    settles: ClassVar[bool] = True

    def look(self, player: Moving) -> None:
        """Go to where the gradient is taken."""

    def back(self, player: Moving) -> None:
        """Return to where the step begins."""

    def step(self, player: Moving, norm: Tensor, update: int) -> None:
        """Step by the gradient, whose norm is given; the gradients are gone afterwards."""
        player.descend(norm, update)
        player.project()
        player.updates += 1


class Regularize(Move):
    """A step of penalties alone, which belongs to the update before it."""

    counts: ClassVar[bool] = False

    def step(self, player: Moving, norm: Tensor, update: int) -> None:
        player.descend(norm, update)
        player.project()


class Extrapolate(Move):
    """`w' = w - eta u(w)`, to look from there; where it began is kept."""

    counts: ClassVar[bool] = False
    settles: ClassVar[bool] = False

    def step(self, player: Moving, norm: Tensor, update: int) -> None:
        keep(player, START)
        player.descend(norm, update)


class StepFromStart(Move):
    """`w <- w - eta u(w')`: the gradient is that of where the player has looked, the step begins where the round began."""

    def back(self, player: Moving) -> None:
        _put(player, player.kept.pop(START))


class StepAndRemember(StepFromStart):
    """The same, and `-eta u(w')` is kept: the next round looks from `w - eta u(w')`, without a gradient of its own."""

    def look(self, player: Moving) -> None:
        if START not in player.kept:
            keep(player, START)
            with torch.no_grad():
                for name, parameter in player.parameters.items():
                    parameter.add_(player.kept[DISPLACEMENT][name])

    def step(self, player: Moving, norm: Tensor, update: int) -> None:
        before = _copies(player)
        player.descend(norm, update)
        kept = player.kept.setdefault(DISPLACEMENT, _copies(player))
        for name, parameter in player.parameters.items():
            torch.sub(parameter.detach(), before[name], out=kept[name])
        player.project()
        player.updates += 1


UPDATE, REGULARIZE, EXTRAPOLATE, FROM_START, AND_REMEMBER = Move(), Regularize(), Extrapolate(), StepFromStart(), StepAndRemember()


@dataclass(frozen=True)
class Turn:
    """Who moves, how many times in a row, and at which updates (each divisible by `every`, and below `until`).

    Args:
        penalties: numbers of the penalties that alone are minimised, of a turn that they have for themselves; of any other turn
            none, and all is minimised that has no turn of its own.
        move: how the movers step.
    """

    movers: tuple[Mover, ...]
    times: int = 1
    every: int = 1
    until: int | None = None
    penalties: frozenset[int] = frozenset()
    move: Move = UPDATE

    def due(self, update: int) -> bool:
        """Whether it is played in an update."""
        return update % self.every == 0 and (self.until is None or update < self.until)

    @property
    def draws(self) -> bool:
        """Whether new real samples are drawn for it; else it sees the last ones."""
        return "discriminator" in self.movers and not self.penalties


def keep(player: Moving, what: str) -> None:
    """Keep copies of a player's parameters."""
    player.kept[what] = _copies(player)


def _copies(player: Moving) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in player.parameters.items()}


@torch.no_grad()
def _put(player: Moving, tensors: Mapping[str, Tensor]) -> None:
    for name, parameter in player.parameters.items():
        parameter.copy_(tensors[name])
