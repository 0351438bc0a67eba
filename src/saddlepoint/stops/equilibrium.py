"""WeGAN's stop rule: even weights, and a discriminator that cannot tell."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.rounds import Meaning, Round, State
from saddlepoint.stops.stop import Stop


class Equilibrium(Stop):
    r"""Stop after `rounds` rounds in a row in which the weights of the generator's fakes are even and the discriminator undecided:

    `ESS/m > size`, and `|mean D - 1/2| < margin` on the reals and on the fakes of the discriminator's last turn, `D = sig(s)`.

    Even weights alone are no equilibrium: they are as even under a perfect discriminator, which is constant on the fakes.

    Source: Pantazis, Paul, Fasoulakis, Stylianou 2018, who propose even weights as the criterion; the second half is ours.

    >>> rule = Equilibrium(rounds=2)
    >>> bool(rule.over({"met": torch.tensor(2.0)}))
    True
    """

    name: ClassVar[str] = "equilibrium"
    needs_probability: ClassVar[bool] = True
    needs_weights: ClassVar[bool] = True
    reads_scores_as: ClassVar[Meaning | None] = "realness"
    follows_batch: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@article{pantazis2018training,
  title={Training generative adversarial networks with weights},
  author={Pantazis, Yannis and Paul, Dipjyoti and Fasoulakis, Michail and Stylianou, Yannis},
  journal={arXiv preprint arXiv:1811.02598},
  year={2018}
}"""

    rounds: int = Field(default=500, ge=1, description="how many in a row")
    size: float = Field(
        default=0.99, ge=0, le=1, description="weights are even above this effective sample size, a share of the batch"
    )
    margin: float = Field(default=0.05, gt=0, le=0.5, description="how far from 1/2 the mean of D may be, on either side")

    def initial_state(self, leading: Sequence[int]) -> State:
        return {name: torch.zeros(tuple(leading)) for name in ("undecided", "met")}

    def observe(self, round: Round, state: State) -> State:
        undecided, met = state["undecided"], state["met"]
        if "discriminator" in round.movers:
            judged = [round.scores.real.detach().sigmoid().mean(-1), round.scores.fake.detach().sigmoid().mean(-1)]
            gaps = [(mean - 0.5).abs() for mean in round.streams.processes.mean(judged)]
            undecided = torch.maximum(*gaps) < self.margin
        if "generator" in round.movers:
            weights = round.weights["generator", "fake"].detach()
            size = weights.sum(-1).square() / weights.square().sum(-1) / weights.shape[-1]
            met = (met + 1) * (size > self.size) * undecided
        return {"undecided": undecided.to(state["met"]), "met": met}

    def over(self, state: State) -> Tensor:
        return state["met"] >= self.rounds
