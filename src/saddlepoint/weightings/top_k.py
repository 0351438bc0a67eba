"""Top-k training: the generator learns from the fakes that score highest (Sinha et al. 2020)."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.rounds import EMPTY, Clock, State
from saddlepoint.weightings.ranking import ranks
from saddlepoint.weightings.weighting import Weighting, in_full_precision

# So that rounding of gamma^e m takes no sample: .29 x 100 is 29.
ROUNDING = 1e-4


class TopK(Weighting):
    r"""`m/k` on the k highest-scored samples of a batch of m, 0 on the others; of equal scores the first are chosen.

    `k_t = max(ceil(nu m), floor(m gamma^e))` with `e = floor((t - start) / period)`, t the generator's updates; k is m before
    `start` and for a period after it, which is the plain mean to the bit. `gamma^e` comes from `scheduled`; without it k is m.

    The mean loss of the chosen is at most that of all for every loss that falls with the score.

    Source: Sinha, Zhao, Goyal, Raffel, Odena 2020. It counts epochs; here, where data may be drawn afresh, rounds are counted.

    >>> top_k = TopK(gamma=0.5, nu=0.25)
    >>> scores = torch.tensor([0.1, 3.0, 2.0, -1.0])
    >>> [top_k(scores, top_k.scheduled({"generator": update})).tolist() for update in (0, 1000, 9000)]
    [[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 2.0, 0.0], [0.0, 4.0, 0.0, 0.0]]
    """

    name: ClassVar[str] = "top-k"
    needs_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{sinha2020top,
  title={Top-k training of {GANs}: Improving {GAN} performance by throwing away bad samples},
  author={Sinha, Samarth and Zhao, Zhengli and Goyal, Anirudh and Raffel, Colin and Odena, Augustus},
  booktitle={Advances in Neural Information Processing Systems},
  volume={33},
  year={2020}
}"""

    gamma: float = Field(default=0.99, gt=0, le=1, description="what k is multiplied with each period")
    nu: float = Field(default=0.5, gt=0, le=1, description="the least share of the batch that is kept")
    period: int = Field(default=1000, ge=1, description="rounds between two steps of k")
    start: int = Field(default=0, ge=0, description="the round from which periods are counted; before it all samples are kept")

    def scheduled(self, clock: Clock) -> State:
        steps = max(0, clock["generator"] - self.start) // self.period
        return {"share": torch.as_tensor(self.gamma).cpu().double() ** steps}

    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        detached = in_full_precision(scores.detach())
        m = detached.shape[-1]
        share = state.get("share", torch.ones((), dtype=torch.float64))
        least = torch.as_tensor(self.nu).cpu().double() * m
        k = torch.maximum((least - ROUNDING).ceil(), (share * m + ROUNDING).floor()).clamp(1, m).to(detached)
        chosen = ranks(detached, descending=True) < k
        # A number over a tensor is its reciprocal times the number, and not 1 where both are equal.
        return (chosen * (torch.full_like(k, m) / k)).to(scores.dtype)
