"""Relativistic objectives: how much more real is a real than a fake (Jolicoeur-Martineau 2018)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from saddlepoint.objectives.objective import Objective, both, paired
from saddlepoint.objectives.vanilla import softplus
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Mover, Scores, Side, Sides, State

Form = Literal["standard", "least-squares", "hinge"]
Loss = Callable[[Tensor], Tensor]

BIBTEX = """@inproceedings{jolicoeur2019relativistic,
  title={The relativistic discriminator: a key element missing from standard {GAN}},
  author={Jolicoeur-Martineau, Alexia},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""


class Relativistic(Objective):
    r"""RSGAN, also RpGAN: real i against fake i, by the difference of their scores.

    Discriminator: `sp(-(s_r[i] - s_f[i]))`, one loss a pair, on the real side. Generator: `sp(-(s_f[i] - s_r[i]))`, on the fake
    side. A constant added to all scores changes nothing, so there is no boundary; the players' losses exchange when the roles of
    real and fake do. Which real meets which fake is arbitrary, and there must be as many of both.

    With `r1` and `r2` it is the loss of R3GAN.

    Source: Jolicoeur-Martineau 2018, equations 3 and 4; Huang et al. 2024, equation 2.

    >>> import torch
    >>> Relativistic().discriminator(Sides(real=torch.tensor([1.0, 5.0]), fake=torch.tensor([1.0, -5.0]))).real
    tensor([6.9315e-01, 4.5399e-05])
    """

    name: ClassVar[str] = "relativistic"
    carries: ClassVar[Mapping[Mover, tuple[Side, ...]]] = MappingProxyType({"discriminator": ("real",), "generator": ("fake",)})
    pairs: ClassVar[bool] = True
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = (
        BIBTEX
        + """

@inproceedings{huang2024gan,
  title={The {GAN} is dead; long live the {GAN}! {A} modern {GAN} baseline},
  author={Huang, Yiwen and Gokaslan, Aaron and Kuleshov, Volodymyr and Tompkin, James},
  booktitle={Advances in Neural Information Processing Systems},
  volume={37},
  year={2024}
}"""
    )

    @property
    def boundary(self) -> None:
        return None

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = paired(scores)
        return Sides(real=softplus(fake - real))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = paired(scores)
        return Sides(fake=softplus(real.detach() - fake))


# By form, the loss that wants a margin high; the one that wants it low is that of the negated margin.
WANTS_HIGH: Mapping[Form, Loss] = {
    "standard": lambda margin: softplus(-margin),
    "least-squares": lambda margin: (margin - 1).square(),
    "hinge": lambda margin: (1 - margin).relu(),
}


class RelativisticAverage(Objective):
    r"""RaSGAN, RaLSGAN, RaHinge: a sample against the mean of the other side, `r = s_r - mean(s_f)` and `f = s_f - mean(s_r)`.

    | `form` | discriminator, on r and on f | generator, on f and on r |
    | --- | --- | --- |
    | `standard` (RaSGAN) | `sp(-r)`, `sp(f)` | `sp(-f)`, `sp(r)` |
    | `least-squares` (RaLSGAN) | `(r-1)^2`, `(f+1)^2` | `(f-1)^2`, `(r+1)^2` |
    | `hinge` (RaHinge) | `max(0, 1-r)`, `max(0, 1+f)` | `max(0, 1-f)`, `max(0, 1+r)` |

    Gradients flow through both means. The generator wants the reals low too, and reaches them by `mean(s_f)` alone: its loss of
    fake j is `a(f[j]) + mean_i b(r[i])`, of which a weighting weighs the first part. A constant added to all scores changes
    nothing, so there is no boundary.

    Source: Jolicoeur-Martineau 2018, equations 7, 8 and appendix; the sides are summed, the paper's code halves their sum.

    >>> import torch
    >>> zeros = Sides(real=torch.zeros(2), fake=torch.zeros(2))
    >>> RelativisticAverage(form="hinge").generator(zeros).fake
    tensor([2., 2.])
    """

    name: ClassVar[str] = "relativistic-average"
    reads: ClassVar[Rule] = "everyone"
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = BIBTEX

    form: Form = Field(default="standard", description="of a margin: standard (RaSGAN), least-squares (RaLSGAN), hinge (RaHinge)")

    @property
    def boundary(self) -> None:
        return None

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        high = WANTS_HIGH[self.form]
        of_reals, of_fakes = _margins(real, fake)
        return Sides(real=high(of_reals), fake=high(-of_fakes))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        high = WANTS_HIGH[self.form]
        of_reals, of_fakes = _margins(real.detach(), fake)
        return Sides(fake=high(of_fakes) + high(-of_reals).mean(-1, keepdim=True))


def _margins(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """`r` `[*, n]` and `f` `[*, m]`."""
    return real - fake.mean(-1, keepdim=True), fake - real.mean(-1, keepdim=True)
