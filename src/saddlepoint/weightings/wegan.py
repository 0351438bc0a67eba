"""WeGAN: fakes that fool the discriminator best weigh most (Pantazis et al., "Training GANs with weights")."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.rounds import EMPTY, State, log
from saddlepoint.weightings.weighting import Weighting, in_full_precision, softmax_of_mean_one

Squash = Literal["sigmoid", "standardized", "minmax", "identity", "clamp"]


def _standardized(scores: Tensor) -> Tensor:
    deviation = scores.std(-1, correction=0, keepdim=True)
    return ((scores - scores.mean(-1, keepdim=True)) / _not_zero(deviation)).sigmoid()


def _minmax(scores: Tensor) -> Tensor:
    lowest, highest = scores.amin(-1, keepdim=True), scores.amax(-1, keepdim=True)
    return (scores - lowest) / _not_zero(highest - lowest)


def _identity(scores: Tensor) -> Tensor:
    return scores


def _clamp(scores: Tensor) -> Tensor:
    return scores.clamp(0.0, 1.0)


def _not_zero(spread: Tensor) -> Tensor:
    return spread.clamp_min(torch.finfo(spread.dtype).tiny)


SQUASHES: dict[Squash, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "standardized": _standardized,
    "minmax": _minmax,
    "identity": _identity,
    "clamp": _clamp,
}


class WeGAN(Weighting):
    r"""Multiplicative weights `w_i = eta^(1 - D_i) / sum_j eta^(1 - D_j)`, which are `softmax_i(D_i ln(1/eta))`; here times m.

    `max w / min w <= 1/eta`, so the effective sample size `(sum w)^2 / sum w^2` stays at or above `4 eta m / (1 + eta)^2`:
    unlike importance weights these never degenerate. (That holds for every squash into [0, 1]; with `identity` there is no bound.)

    `D` comes from the score by `squash`: `sigmoid` (the paper's D); for a critic, whose score is no probability, also
    `standardized`, `sig((s - mean) / std)` over the batch, and `minmax`, `(s - min) / (max - min)`; `clamp` to [0, 1] for LSGAN;
    `identity` is `softmax(s ln(1/eta))`.

    Source: Pantazis, Paul, Fasoulakis, Stylianou 2018, algorithm 1.

    >>> WeGAN(eta=0.25, squash="identity")(torch.tensor([0.0, 1.0]))
    tensor([0.4000, 1.6000])
    >>> WeGAN(eta=1.0)(torch.tensor([-3.0, 0.0, 5.0]))
    tensor([1., 1., 1.])
    """

    name: ClassVar[str] = "wegan"
    needs_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@article{pantazis2018training,
  title={Training generative adversarial networks with weights},
  author={Pantazis, Yannis and Paul, Dipjyoti and Fasoulakis, Michail and Stylianou, Yannis},
  journal={arXiv preprint arXiv:1811.02598},
  year={2018}
}"""

    eta: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="how unequal: the largest weight is at most 1/eta times the smallest; 1 is the plain mean",
    )
    squash: Squash = Field(default="sigmoid", description="from the score to D in [0, 1]")
    prefers: Literal["high", "low"] = Field(
        default="high",
        description="high: samples that look real weigh more; low: eta^D, for the discriminator's real side, reals it doubts",
    )
    attached: bool = Field(default=False, description="let the gradient flow through the weights; the paper does not")

    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        judged = SQUASHES[self.squash](in_full_precision(scores if self.attached else scores.detach()))
        rate = -log(self.eta) if self.prefers == "high" else log(self.eta)
        return softmax_of_mean_one(rate * judged).to(scores.dtype)
