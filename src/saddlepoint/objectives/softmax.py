"""Softmax GAN: one softmax over the samples of the batch (Lin 2017)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Mover, Scores, Side, Sides, State


class Softmax(Objective):
    r"""The batch is one distribution, `p = e^s / Z` over all its real and fake samples, with `ln Z = lse(s_r ++ s_f)`.

    The discriminator wants it uniform over the n reals: `L_D = ln Z - mean(s_r)`, per real `ln Z - s_r`. The generator wants it
    uniform over all n + m samples: `L_G = ln Z - (sum s_r + sum s_f) / (n + m)`, per fake
    `ln Z - m/(n+m) s_f - n/(n+m) mean(s_r)`. Both are a Kullback-Leibler divergence from the target, plus its entropy.

    The discriminator has no losses on fakes: what it does to them, it does through Z. Weights act on the per-sample losses, not
    inside Z. A constant added to all scores changes nothing, so there is no boundary.

    Source: Lin 2017, equations 3 to 5, with the score `s = -mu`.

    >>> Softmax().discriminator(Sides(real=torch.zeros(2), fake=torch.zeros(2))).real.exp()
    tensor([4., 4.])
    """

    name: ClassVar[str] = "softmax"
    reads: ClassVar[Rule] = "everyone"
    carries: ClassVar[Mapping[Mover, tuple[Side, ...]]] = MappingProxyType({"discriminator": ("real",), "generator": ("fake",)})
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@article{lin2017softmax,
  title={Softmax {GAN}},
  author={Lin, Min},
  journal={arXiv preprint arXiv:1704.06191},
  year={2017}
}"""

    @property
    def boundary(self) -> None:
        return None

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=_log_sum(real, fake) - real)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        real = real.detach()
        fakes = fake.shape[-1] / (real.shape[-1] + fake.shape[-1])
        return Sides(fake=_log_sum(real, fake) - fakes * fake - (1 - fakes) * real.mean(-1, keepdim=True))


def _log_sum(real: Tensor, fake: Tensor) -> Tensor:
    """`ln Z`, `[*, 1]`."""
    return torch.cat([real, fake], -1).logsumexp(-1, keepdim=True)
