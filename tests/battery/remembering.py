"""A penalty that remembers, for tests of what is remembered."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight
from saddlepoint.rounds import EMPTY, Round, State
from saddlepoint.schedules import Constant

DECAY = 0.75


class Drifting(Penalty):
    """The squared distance of the mean fake score from its exponential average; it counts what it observed."""

    name: ClassVar[str] = "drifting"

    weight: Weight = Constant(value=0.5)

    def initial_state(self, leading: Sequence[int]) -> State:
        nothing = torch.zeros(tuple(leading))
        return {"average": nothing, "observed": nothing}  # one tensor twice, as a method's author may write

    def observe(self, round: Round, state: State) -> State:
        mean = round.scores.fake.detach().mean(-1)
        return {"average": DECAY * state["average"] + (1 - DECAY) * mean, "observed": state["observed"] + 1}

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        return (round.scores.fake.mean(-1) - state["average"]).square()
