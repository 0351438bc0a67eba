"""Path length regularisation (Karras et al. 2020): a step in the latent space moves the image equally far everywhere."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, LatentGradient, Mover, Need, Round, State
from saddlepoint.schedules import Every


class PathLength(Penalty):
    r"""`mean_i (l_i - a)^2`, `l_i = ||J_i^T y_i||` with `J_i` the generator's Jacobian at latent i and `y_i ~ N(0, I / HW)`.

    `a` is the exponential average of the mean length, updated before it is used. It is taken on half of the latents of this turn,
    by a pass of its own, and by default at every fourth update.

    StyleGAN2 takes lengths in its intermediate latent space; here the latent is the generator's own. A linear generator
    `G(z) = M z` has `E l^2 = ||M||_F^2 / (HW)`. Points have `HW` 1.

    Source: Karras, Laine, Aittala, Hellsten, Lehtinen, Aila 2020, section 3.2 and the authors' code.

    >>> z = torch.randn(8, 2)
    >>> round = Round.of(real=z, fake=z, latents=z, generator=lambda z: 3 * z, discriminator=lambda x: x.sum(-1))
    >>> penalty = PathLength()
    >>> state = penalty.initial_state(())
    >>> value, after = penalty(round, state), penalty.observe(round, state)
    >>> bool(value > 0), bool(after["average"] > 0)
    (True, True)
    """

    name: ClassVar[str] = "path-length"
    players: ClassVar[tuple[Mover, ...]] = ("generator",)
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = """@inproceedings{karras2020analyzing,
  title={Analyzing and improving the image quality of {StyleGAN}},
  author={Karras, Tero and Laine, Samuli and Aittala, Miika and Hellsten, Janne and Lehtinen, Jaakko and Aila, Timo},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={8110--8119},
  year={2020}
}"""

    weight: Weight = Field(
        default=Every(period=4, value=2.0), description="a schedule of this player's updates; by default lazily, each fourth"
    )
    rate: float = Field(default=0.01, gt=0, le=1, description="how much of a turn's mean length the average takes up")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({LatentGradient()})

    @property
    def draws(self) -> bool:
        return True

    def initial_state(self, leading: Sequence[int]) -> State:
        return {"average": torch.zeros(tuple(leading))}

    def observe(self, round: Round, state: State) -> State:
        key = round.key_of(self, self.name)
        if not round.computed(key):
            return state
        return {"average": self._average(round.once(key, lambda: self._lengths(round)).detach(), state)}

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        lengths = round.once(round.key_of(self, self.name), lambda: self._lengths(round))
        average = self._average(lengths, state)
        round.record("path length", average)
        return (lengths - average.unsqueeze(-1)).square().mean(-1)

    def _average(self, lengths: Tensor, state: State) -> Tensor:
        before = state["average"].to(lengths).unsqueeze(-1)
        after: Tensor = before + self.rate * (lengths.mean(-1, keepdim=True) - before)
        return after.squeeze(-1)

    def _lengths(self, round: Round) -> Tensor:
        """The lengths of the first half of everyone's latents, `[*, n / 2]`, the same in every process."""
        axis, world = len(round.streams.leading), round.streams.processes.world
        everyones = round.everyone(round.latents.detach())
        half = max(1, everyones.shape[axis] // 2)
        # Each process takes its part, where there are equal ones.
        parted = half % world == 0
        latents = everyones.narrow(axis, 0, half)
        latents = (round.own(latents) if parted else latents).requires_grad_()
        images = round.generate(latents)
        pixels = math.prod(images.shape[axis + 2 :])
        drawn = (round.streams if parted else round.streams.whole).normal(self.name, *images.shape[axis:]).to(images)
        moved = (images * (drawn / math.sqrt(pixels))).sum()
        (gradient,) = torch.autograd.grad(moved, latents, create_graph=True)
        # Its derivative at a zero gradient is 0, not NaN.
        lengths: Tensor = torch.linalg.vector_norm(in_full_precision(gradient), dim=-1)
        return round.everyone(lengths) if parted else lengths
