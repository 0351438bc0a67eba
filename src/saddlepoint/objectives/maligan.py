"""MaliGAN: maximum likelihood of symbols, with importance weights from the discriminator (Che et al. 2017)."""

from typing import Annotated, ClassVar

import torch
from pydantic import AfterValidator, Field

from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Clock, Scores, Sides, State, present, present_log_probability
from saddlepoint.schedules import Linear, Schedule


def _is_share(schedule: Schedule) -> Schedule:
    numbers = [value for name, value in schedule if name in ("value", "start", "end", "step")]
    if min(numbers) < 0 or max(numbers) > 1:
        raise ValueError("a baseline lies between 0 and 1")
    if dict(schedule).get("last", 0) is None:
        raise ValueError("give `last`, the generator's update at which the baseline stays")
    return schedule


class MaliGAN(Objective):
    r"""The likelihood of fakes is raised by how real they look, compared with the rest of the batch.

    Discriminator: the vanilla loss. Generator: `L = -sum_i (r_i / sum_j r_j - b) ln g(x_i | z_i)` over a batch of m, with
    `r = D / (1 - D) = e^s`, constants, and a baseline b that rises from 0 to 1/m. Per sample it is `-(w_i - beta) ln g(x_i | z_i)`
    with weights w of mean 1, `w = m softmax(s)`, and `beta = m b` from 0 to 1; the loss is its mean.

    The baseline changes no expectation, only the variance: without it the likelihood of every sample rises. As it does, the weights
    of a good discriminator tell more.

    Source: Che et al. 2017, "Maximum-likelihood augmented discrete generative adversarial networks", algorithm 1.

    >>> from saddlepoint.rounds import DrawnSides
    >>> drawn = DrawnSides(fake=torch.tensor([0.0, 0.0]), log_probability=torch.tensor([0.5, 0.25]).log())
    >>> MaliGAN().generator(drawn).fake
    tensor([0.6931, 1.3863])
    """

    name: ClassVar[str] = "maligan"
    reads: ClassVar[Rule] = "everyone"
    needs_log_probability: ClassVar[bool] = True
    gives_probability: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@article{che2017maximum,
  title={Maximum-likelihood augmented discrete generative adversarial networks},
  author={Che, Tong and Li, Yanran and Zhang, Ruixiang and Hjelm, R Devon and Li, Wenjie and Song, Yangqiu and Bengio, Yoshua},
  journal={arXiv preprint arXiv:1702.07983},
  year={2017}
}"""

    baseline: Annotated[Schedule, AfterValidator(_is_share)] = Field(
        default=Linear(start=0.0, end=1.0, last=1000), description="beta, m times b: a schedule of the generator's updates"
    )

    @property
    def boundary(self) -> float:
        return 0.0

    def scheduled(self, clock: Clock) -> State:
        return {"baseline": torch.as_tensor(self.baseline(clock["generator"]), dtype=torch.float64)}

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Vanilla().discriminator(scores, state)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        fake, log_probability = present(scores, "fake").detach(), present_log_probability(scores)
        given = state["baseline"] if "baseline" in state else self.scheduled({"generator": 0})["baseline"]
        baseline = given.to(fake).unsqueeze(-1)
        return Sides(fake=-(fake.shape[-1] * fake.softmax(-1) - baseline) * log_probability)
