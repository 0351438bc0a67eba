"""LeCam regularisation (Tseng et al. 2021): each side's scores are drawn to a moving average of the other's."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.processes import Rule
from saddlepoint.rounds import BOTH, EMPTY, Mover, Round, Side, State
from saddlepoint.schedules import After


class LeCam(Penalty):
    r"""`mean_i max(0, s_r[i] - a_fake)^2 + mean_j max(0, a_real - s_f[j])^2`, `[*]`.

    `a_real` and `a_fake` are moving averages of the mean scores of the two sides, numbers without gradient, everyone's where
    several processes share the batch. They take in this turn's means before they are used: `a <- decay a + (1 - decay) mean`.
    Before turn `start` they are the turn's own means. With `debias` what an average has taken in since then is divided by the sum
    of its weights, `1 - decay^t`, so that it begins anew; without it, it goes on from the mean of the turn before `start`.

    Without a state it is asked as in its first turn.

    With the Wasserstein loss and settled averages, scores that are free to move rest at a gap of `1 / (2 weight)`: so the right
    weight is of the scores' scale.

    Source: Tseng et al. 2021, and its authors' code, which takes the maxima.

    >>> round = Round.of(real=torch.full((8, 1), 2.0), fake=torch.full((8, 1), -1.0), discriminator=lambda x: x)
    >>> LeCam()(round).item()
    18.0
    """

    name: ClassVar[str] = "lecam"
    players: ClassVar[tuple[Mover, ...]] = ("discriminator",)
    weight_for_logits: ClassVar[float | None] = 1e-6
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = """@inproceedings{tseng2021regularizing,
  title={Regularizing generative adversarial networks under limited data},
  author={Tseng, Hung-Yu and Jiang, Lu and Liu, Ce and Yang, Ming-Hsuan and Yang, Weilong},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={7921--7931},
  year={2021}
}"""

    weight: Weight = Field(
        default=After(start=1000, value=0.3), description="lambda, of the scores' scale; by default 0.3 from update 1000 on"
    )
    decay: float = Field(default=0.9, ge=0, lt=1, description="of the averages, a turn")
    start: int = Field(default=1000, ge=0, description="turns after which the averages remember; before, they are the turn's means")
    debias: bool = Field(default=False, description="divide an average by the sum of its weights, as the StyleGAN2 version does")

    def initial_state(self, leading: Sequence[int]) -> State:
        zero = torch.zeros(tuple(leading))
        return {"real": zero, "fake": zero, "turns": zero}

    def observe(self, round: Round, state: State) -> State:
        # What nobody judged before the update would be judged by the weights after it.
        if not all(round.judged(side) for side in BOTH):
            return state
        averages = self._averages(round, state)
        return {"real": averages["real"], "fake": averages["fake"], "turns": state["turns"] + 1}

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        averages = self._averages(round, state)
        for side, average in averages.items():
            round.record(f"lecam/average {side}", average)
        above = in_full_precision(round.scores.real) - averages["fake"].unsqueeze(-1)
        below = averages["real"].unsqueeze(-1) - in_full_precision(round.scores.fake)
        return above.relu().square().mean(-1) + below.relu().square().mean(-1)

    def _averages(self, round: Round, state: State) -> Mapping[Side, Tensor]:
        """Both averages with this turn's means in them, `[*]`."""
        state = state or self.initial_state(round.streams.leading)
        scores: Mapping[Side, Tensor] = {"real": round.scores.real, "fake": round.scores.fake}
        means = {side: in_full_precision(round.everyone(own.detach())).mean(-1, keepdim=True) for side, own in scores.items()}
        keep = self._kept(state["turns"].unsqueeze(-1).to(means["real"]))
        return {side: (keep * state[side].unsqueeze(-1) + (1 - keep) * mean).squeeze(-1) for side, mean in means.items()}

    def _kept(self, turns: Tensor) -> Tensor:
        """How much of an average is kept in a turn, after `turns` others, `[*, 1]`."""
        remembered = (turns - self.start).clamp(min=0)
        if self.debias:
            return self.decay * (1 - self.decay**remembered) / (1 - self.decay ** (remembered + 1))
        return self.decay * (turns >= max(self.start, 1)).to(turns)
