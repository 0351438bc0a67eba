"""How strongly a view acts, led by how sure the discriminator is of the reals (Karras et al. 2020)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field

from saddlepoint.rounds import Meaning, Round, State
from saddlepoint.views.view import View


class Adaptive(View):
    r"""A strength `p` in its state, 0 at first, that follows `r = mean sign(s_r)`, the discriminator's excess of sure reals.

    After every `every` turns of the discriminator, `p += sign(r - target) every m / images` for batches of m reals, r over all
    scores of reals since the last change; then p is held between 0 and `most`. A discriminator that knows its training images says
    "real" of nearly all of them, r goes to 1, and p rises. Where several processes share a batch, r is of everyone's reals.
    """

    reads_scores_as: ClassVar[Meaning | None] = "realness"
    follows_batch: ClassVar[bool] = True

    target: float = Field(default=0.6, ge=-1, le=1, description="the r at which p stays")
    every: int = Field(default=4, ge=1, description="discriminator turns between two changes of p")
    images: float = Field(default=500_000, gt=0, description="real images shown in which p moves by 1")
    most: float = Field(default=0.85, ge=0, le=1, description="the largest p; above it what a view does may leak into the samples")

    def initial_state(self, leading: Sequence[int]) -> State:
        return {name: torch.zeros(tuple(leading)) for name in ("p", "signs", "turns")}

    def observe(self, round: Round, state: State) -> State:
        scores = round.judge("real").scores.detach()
        processes = round.streams.processes
        (sign,) = processes.mean([scores.sign().mean(-1)])
        turns, signs = state["turns"] + 1, state["signs"] + sign
        step = self.every * scores.shape[-1] * processes.world / self.images
        # With the axis on which a replica's own numbers lie.
        moved = state["p"].unsqueeze(-1) + step * torch.sign((signs / turns).unsqueeze(-1) - self.target)
        held = moved.clamp_min(0.0).clamp_max(self.most).squeeze(-1)
        due = turns >= self.every
        return {
            "p": torch.where(due, held, state["p"].to(held)),
            "signs": torch.where(due, torch.zeros_like(signs), signs),
            "turns": torch.where(due, torch.zeros_like(turns), turns),
        }
