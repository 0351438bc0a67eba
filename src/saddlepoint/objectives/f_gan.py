"""f-GAN: a bound on any f-divergence (Nowozin, Cseke, Tomioka 2016)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.objectives.vanilla import softplus
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present

Divergence = Literal[
    "kl", "reverse-kl", "pearson", "neyman", "squared-hellinger", "jensen-shannon", "gan", "jeffrey", "total-variation"
]
Parameterization = Literal["own", "log_ratio"]
LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Bound:
    """What a divergence makes of a score v.

    Args:
        of_reals: `T = g(v)`.
        of_fakes: `f*(g(v))`, composed: its parts overflow where it does not.
        boundary: the v at which `T = f'(1)`.
        exponential: whether there is an exponential to clamp.
        log_ratio: whether the best score is the logarithm of the density ratio.
    """

    of_reals: Callable[[Tensor], Tensor]
    of_fakes: Callable[[Tensor], Tensor]
    boundary: float = 0.0
    exponential: bool = False
    log_ratio: bool = False


REVERSE_KL = Bound(lambda v: -(-v).exp(), lambda v: v - 1, exponential=True, log_ratio=True)
JENSEN_SHANNON = Bound(lambda v: LN2 - softplus(-v), lambda v: softplus(v) - LN2, log_ratio=True)
GAN = Bound(lambda v: -softplus(-v), softplus, log_ratio=True)
JEFFREY = Bound(lambda v: v - torch.expm1(-v), lambda v: torch.expm1(v) + v, exponential=True, log_ratio=True)

BOUNDS: Mapping[Parameterization, Mapping[Divergence, Bound]] = {
    "own": {
        "kl": Bound(lambda v: v, lambda v: (v - 1).exp(), boundary=1.0, exponential=True),
        "reverse-kl": REVERSE_KL,
        "pearson": Bound(lambda v: v, lambda v: v.square() / 4 + v),
        "neyman": Bound(lambda v: -torch.expm1(-v), lambda v: -2 * torch.expm1(-v / 2), exponential=True),
        "squared-hellinger": Bound(lambda v: -torch.expm1(-v), torch.expm1, exponential=True),
        "jensen-shannon": JENSEN_SHANNON,
        "gan": GAN,
        "jeffrey": JEFFREY,
        "total-variation": Bound(lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
    },
    # g = f'(e^v) and f*(g) = e^v f'(e^v) - f(e^v).
    "log_ratio": {
        "kl": Bound(lambda v: v + 1, torch.exp, exponential=True, log_ratio=True),
        "reverse-kl": REVERSE_KL,
        "pearson": Bound(lambda v: 2 * torch.expm1(v), lambda v: torch.expm1(2 * v), exponential=True, log_ratio=True),
        "neyman": Bound(lambda v: -torch.expm1(-2 * v), lambda v: -2 * torch.expm1(-v), exponential=True, log_ratio=True),
        "squared-hellinger": Bound(lambda v: -torch.expm1(-v / 2), lambda v: torch.expm1(v / 2), exponential=True, log_ratio=True),
        "jensen-shannon": JENSEN_SHANNON,
        "gan": GAN,
        "jeffrey": JEFFREY,
    },
}


class FGAN(Objective):
    r"""Any f-divergence `D_f(p_r || p_g) = sum p_g f(p_r / p_g)`, bounded from below by a function T of the score.

    Discriminator: `-g(v_r)` and `f*(g(v_f))`, where `T = g(v)` maps scores into the domain of the conjugate `f*`; minus its loss
    is the bound, tight at the best score. Generator: `-g(v_f)`, the paper's alternative, or with `saturating` the bound itself,
    `-f*(g(v_f))`. A sample is called real where `T > f'(1)`.

    | `divergence` | f(u) | g(v) | f*(g(v)) | best v | f'(1) |
    | --- | --- | --- | --- | --- | --- |
    | `kl` | u ln u | v | e^(v-1) | 1 + ln u | 1 |
    | `reverse-kl` | -ln u | -e^-v | v - 1 | ln u | -1 |
    | `pearson` | (u-1)^2 | v | v^2/4 + v | 2(u-1) | 0 |
    | `neyman` | (1-u)^2/u | 1 - e^-v | 2 - 2 e^(-v/2) | 2 ln u | 0 |
    | `squared-hellinger` | (sqrt u - 1)^2 | 1 - e^-v | e^v - 1 | ln(u)/2 | 0 |
    | `jensen-shannon` | u ln u - (u+1) ln((1+u)/2) | ln 2 - sp(-v) | sp(v) - ln 2 | ln u | 0 |
    | `gan` | u ln u - (u+1) ln(u+1) | -sp(-v) | sp(v) | ln u | -ln 2 |
    | `jeffrey` | (u-1) ln u | v + 1 - e^-v | e^v + v - 1 | ln u | 0 |
    | `total-variation` | abs(u-1)/2 | tanh(v)/2 | tanh(v)/2 | +-infinity | 0 |

    With `parameterization: log_ratio`, `g = f'(e^v)` and `f*(g) = e^v f'(e^v) - f(e^v)`: the best score of every divergence is
    `ln u`, so that scores can be compared between them, and are logits. `gan` is `vanilla` to the bit.

    Where there is an exponential, v is clamped to [-clamp, clamp] and a score beyond has no gradient; the log shows the share
    that is, `clamped scores`.

    Source: Nowozin et al. 2016, tables 1, 2 and 6, equations 6 and 7, and section 3.2.

    >>> FGAN(divergence="pearson").discriminator(Sides(real=torch.tensor([2.0]), fake=torch.tensor([2.0])))
    Sides(real=tensor([-2.]), fake=tensor([3.]))
    """

    name: ClassVar[str] = "f-gan"
    bibtex: ClassVar[str] = """@inproceedings{nowozin2016f,
  title={{f-GAN}: training generative neural samplers using variational divergence minimization},
  author={Nowozin, Sebastian and Cseke, Botond and Tomioka, Ryota},
  booktitle={Advances in Neural Information Processing Systems},
  volume={29},
  year={2016}
}"""

    divergence: Divergence = Field(default="kl", description="what is bounded, of the data from the generator")
    parameterization: Parameterization = Field(
        default="own", description="own: the table's g; log_ratio: g = f'(e^v), whose best score is ln(p_r/p_g)"
    )
    saturating: bool = Field(default=False, description="the generator minimises the bound, -f*(g(v)), instead of -g(v)")
    clamp: float = Field(default=15.0, gt=0, description="the largest score inside an exponential")

    @model_validator(mode="after")
    def _sloping(self) -> Self:
        if self.divergence not in BOUNDS[self.parameterization]:
            raise ValueError(f"{self.divergence} is flat but at 0 in {self.parameterization}; choose parameterization: own")
        return self

    @property
    def _bound(self) -> Bound:
        return BOUNDS[self.parameterization][self.divergence]

    @property
    def gives_probability(self) -> bool:
        return self._bound.log_ratio

    @property
    def boundary(self) -> float:
        return self._bound.boundary

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=-self._bound.of_reals(self._clamped(real)), fake=self._bound.of_fakes(self._clamped(fake)))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        fake = self._clamped(present(scores, "fake"))
        return Sides(fake=-(self._bound.of_fakes(fake) if self.saturating else self._bound.of_reals(fake)))

    def watched(self, scores: Sides, state: State = EMPTY) -> Mapping[str, Tensor]:
        if not self._bound.exponential:
            return {}
        judged = torch.cat([side for side in scores if side is not None], -1)
        return {"clamped scores": (judged.abs() > self.clamp).to(judged.dtype).mean(-1)}

    def _clamped(self, scores: Tensor) -> Tensor:
        return scores.clamp(-self.clamp, self.clamp) if self._bound.exponential else scores
