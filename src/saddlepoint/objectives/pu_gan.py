"""PU-GAN: fakes are unlabelled, and a share of them counts as real (Guo et al. 2020)."""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.objectives.vanilla import softplus
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Clock, Scores, Sides, State, present
from saddlepoint.schedules import Constant, Schedule


def _is_share(schedule: Schedule) -> Schedule:
    for name, value in schedule:
        if name in ("value", "start", "end") and not 0 <= value <= 1:
            raise ValueError(f"{value:g} is no share of the fakes; give numbers from 0 to 1")
        if name == "step" and value < 0:
            raise ValueError(f"a step of {value:g} ends below 0; give 0 or more, and `most` where it should stop")
    return schedule


class PUGAN(Objective):
    r"""Positive and unlabelled: `L_D = pi E l+(s_r) + max(0, E l-(s_f) - pi E l-(s_r))`, with pi the share of good fakes.

    `l+` and `l-` are what it costs to be taken for good and for bad, at the score s: `sp(-s)` and `sp(s)` (`form: vanilla`), or
    `(s-1)^2` and `(s+1)^2` (`form: least-squares`). If a share pi of the fakes is as good as reals, the second term is what the bad
    ones cost; so good fakes are not pushed down, and the generator need not leave them. Generator: `l+(s_f)`.

    Per sample, with the switch `c = 1[E l-(s_f) >= pi E l-(s_r)]`, one decision for the batch: `pi (l+(s_r) - c l-(s_r))` and
    `c l-(s_f)`. While c is 1 the real side is linear, `-pi s_r` or `-4 pi s_r`: it has no bound without a Lipschitz device.

    The score says, above the boundary 0, that a sample is more likely good than bad: with the best discriminator
    `sig(s) = pi p_r / p_g` (`form: vanilla`), where that is below 1. That is not the probability of a real.

    Source: Guo et al. 2020, equations 8 and 9.

    >>> scores = Sides(real=torch.tensor([0.0, 2.0]), fake=torch.tensor([1.0]))
    >>> PUGAN(share=0.5, form="least-squares").discriminator(scores)
    Sides(real=tensor([ 0., -4.]), fake=tensor([4.]))
    """

    name: ClassVar[str] = "pu-gan"
    reads: ClassVar[Rule] = "everyone"
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{guo2020positive,
  title={On positive-unlabeled classification in {GAN}},
  author={Guo, Tianyu and Xu, Chang and Huang, Jiajun and Wang, Yunhe and Shi, Boxin and Xu, Chao and Tao, Dacheng},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={8385--8393},
  year={2020}
}"""

    share: Annotated[Schedule, AfterValidator(_is_share)] = Field(
        default=Constant(value=0.3),
        description="pi: the share of fakes that are good; a schedule of the discriminator's updates",
    )
    most: float = Field(default=1.0, gt=0, le=1, description="the share grows no further than this")
    form: Literal["vanilla", "least-squares"] = Field(
        default="vanilla", description="vanilla: cross-entropy; least-squares: of the targets 1 and -1"
    )

    @property
    def boundary(self) -> float:
        return 0.0

    def scheduled(self, clock: Clock) -> State:
        return {"share": torch.as_tensor(self.share(clock["discriminator"]), dtype=torch.float64)}

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        share, good, bad = self._share(real, state), *COSTS[self.form]
        switch = self._switch(real, fake, share)
        return Sides(real=share * (good(real) - switch * bad(real)), fake=switch * bad(fake))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        good, _ = COSTS[self.form]
        return Sides(fake=good(present(scores, "fake")))

    def watched(self, scores: Sides, state: State = EMPTY) -> Mapping[str, Tensor]:
        if scores.real is None or scores.fake is None:
            return {}
        share = self._share(scores.real, state)
        return {"share of good fakes": share.squeeze(-1), "fakes count": self._switch(scores.real, scores.fake, share).squeeze(-1)}

    def _share(self, scores: Tensor, state: State) -> Tensor:
        """pi, `[*, 1]`, at the first update where no turn says which it is."""
        share = state["share"] if "share" in state else self.scheduled({"discriminator": 0})["share"]
        return share.to(scores).expand(scores.shape[:-1]).unsqueeze(-1).clamp(max=self.most)

    def _switch(self, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        """c, `[*, 1]`."""
        _, bad = COSTS[self.form]
        costs = bad(fake).mean(-1, keepdim=True) >= share * bad(real).mean(-1, keepdim=True)
        return costs.to(real.dtype)


# By form, what it costs to be taken for good and for bad.
COSTS: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "vanilla": (lambda score: softplus(-score), softplus),
    "least-squares": (lambda score: (score - 1).square(), lambda score: (score + 1).square()),
}
