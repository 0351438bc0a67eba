"""BEGAN: an equilibrium between the reconstruction errors of reals and fakes (Berthelot et al. 2017)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.rounds import EMPTY, Meaning, Round, Scores, Sides, State, present


class BEGAN(Objective):
    r"""The discriminator is an autoencoder, and its score `E` the error of a sample's reconstruction.

    Discriminator: `E(x)` and `-k E(x~)`. Generator: `E(x~)`. After each of the generator's turns
    `k <- min(max(k + lambda_k (gamma E(x) - E(x~)), 0), 1)`, from 0 on, with the mean errors of the last reals and of these fakes.
    So k grows while the fakes' error is below `gamma` times the reals', and the balance `E(x~) = gamma E(x)` is held.

    The measure of convergence `M = E(x) + |gamma E(x) - E(x~)|` is recorded as `generator/convergence`; it falls as the game goes
    well, and the rule of the rates may watch it.

    Source: Berthelot et al. 2017, section 3.3 and equation 5.

    >>> import torch
    >>> errors = Sides(real=torch.tensor([0.5]), fake=torch.tensor([0.2]))
    >>> BEGAN().discriminator(errors, {"k": torch.tensor(0.1), "real": torch.tensor(0.0)})
    Sides(real=tensor([0.5000]), fake=tensor([-0.0200]))
    """

    name: ClassVar[str] = "began"
    reads_scores_as: ClassVar[Meaning | None] = "error"
    follows_batch: ClassVar[bool] = True
    quantities: ClassVar[tuple[str, ...]] = ("convergence",)
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@article{berthelot2017began,
  title={{BEGAN}: Boundary equilibrium generative adversarial networks},
  author={Berthelot, David and Schumm, Thomas and Metz, Luke},
  journal={arXiv preprint arXiv:1703.10717},
  year={2017}
}"""

    gamma: float = Field(default=0.5, gt=0, le=1, description="the diversity ratio: fakes' error over reals' at the balance")
    lambda_k: float = Field(default=0.001, ge=0, description="how fast k follows")

    @property
    def boundary(self) -> None:
        return None

    def initial_state(self, leading: Sequence[int]) -> State:
        return {"k": torch.zeros(tuple(leading)), "real": torch.zeros(tuple(leading))}

    def observe(self, round: Round, state: State) -> State:
        real = round.mean(round.scores.real) if "discriminator" in round.movers else state["real"]
        if "generator" not in round.movers:
            return {**state, "real": real}
        # With an axis more: numbers that differ between replicas are [*, 1].
        gap = self.gamma * real.unsqueeze(-1) - round.mean(round.scores.fake).unsqueeze(-1)
        round.record("convergence", real + gap.squeeze(-1).abs())
        return {"k": (state["k"] + (self.lambda_k * gap).squeeze(-1)).clamp(0, 1), "real": real}

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        k = state["k"].unsqueeze(-1).to(fake) if state else 0.0
        return Sides(real=real, fake=-k * fake)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Sides(fake=present(scores, "fake"))
