"""Consistency under changes of the latent: both halves of zCR (Zhao et al. 2021)."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.consistency import ZHAO
from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Example, Mover, Round, State
from saddlepoint.schedules import Constant


def _near(round: Round, penalty: "ZCR | ZCRGenerator") -> Tensor:
    """What the generator makes of `z + sigma N(0, I)`, z the latents of this turn's fakes."""

    def made() -> Tensor:
        latents = round.latents
        step = round.streams.normal(f"{penalty.name} step", *latents.shape[len(round.streams.leading) :]).to(latents)
        return round.generate(latents + (penalty.sigma * step.movedim(-1, 0)).movedim(0, -1))

    return round.once(round.key_of(penalty, f"fake, made near by {penalty.name}"), made)


class ZCR(Penalty):
    r"""The discriminator's half: `mean_i (D(G(z_i)) - D(G(z_i + sigma N(0, I))))^2`, the images constants for the gradient.

    Source: Zhao, Singh, Lee, Zhang, Odena, Zhang 2021, algorithm 2, `L_dis`.

    >>> import torch
    >>> z = torch.zeros(4, 2)
    >>> round = Round.of(real=z, fake=z, latents=z, generator=lambda z: 3 * z, discriminator=lambda x: x.sum(-1))
    >>> bool(ZCR()(round) > 0), bool(ZCR(sigma=0)(round) == 0)
    (True, True)
    """

    name: ClassVar[str] = "zcr"
    players: ClassVar[tuple[Mover, ...]] = ("discriminator",)
    judges_changed: ClassVar[bool] = True
    needs_scale: ClassVar[bool] = True
    bibtex: ClassVar[str] = ZHAO

    weight: Weight = Field(default=Constant(value=20.0), description="lambda of D; a schedule of this player's updates")
    sigma: float = Field(default=0.05, ge=0, description="the standard deviation of the step from z to z'")

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        near = Example(_near(round, self).detach())
        key = round.key_of(self, f"fake, made near by {self.name}")
        gap = round.judge("fake").scores - round.judge(key, near).scores
        return in_full_precision(gap).square().mean(-1)


class ZCRGenerator(Penalty):
    r"""The generator's half: `-mean_i |G(z_i) - G(z_i + sigma N(0, I))|^2`, the mean over pixels: what lies near is pushed apart.

    It has no lower bound but that of the images: a tanh at the end and a small sigma keep it.

    Source: Zhao, Singh, Lee, Zhang, Odena, Zhang 2021, algorithm 2, `L_gen`.

    >>> import torch
    >>> z = torch.zeros(4, 2)
    >>> round = Round.of(real=z, fake=z, latents=z, generator=lambda z: 3 * z, discriminator=lambda x: x.sum(-1))
    >>> bool(ZCRGenerator()(round) < 0)
    True
    """

    name: ClassVar[str] = "zcr-generator"
    players: ClassVar[tuple[Mover, ...]] = ("generator",)
    bibtex: ClassVar[str] = ZHAO

    weight: Weight = Field(default=Constant(value=0.5), description="lambda of G; a schedule of this player's updates")
    sigma: float = Field(default=0.05, ge=0, description="the standard deviation of the step from z to z'")

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        apart = in_full_precision(round.fake.image - _near(round, self))
        return -apart.flatten(len(round.streams.leading) + 1).square().mean(-1).mean(-1)
