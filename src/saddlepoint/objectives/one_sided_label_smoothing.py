"""The vanilla loss whose reals are real with probability .9 only (Salimans et al. 2016)."""

from typing import ClassVar

from pydantic import Field

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.objectives.vanilla import softplus
from saddlepoint.rounds import EMPTY, Scores, Sides, State, log, present


class OneSidedLabelSmoothing(Objective):
    r"""Cross-entropy with the target `a` in place of 1 for reals; fakes keep 0, and the generator's loss is that of `vanilla`.

    Discriminator: `a sp(-s_r) + (1 - a) sp(s_r)` and `sp(s_f)`. Generator: `sp(-s_f)`.

    The optimal `D = sig(s)` is `a p_r / (p_r + p_g)`: never above `a`, so the discriminator has no reason to be certain, and no
    longer the probability of a real. Smoothing the fakes as well (target b) would put `p_g` into the numerator, `(a p_r + b p_g) /
    (p_r + p_g)`, which rewards the generator for staying where it is; so there is no field for it. With `a` 1 it is `vanilla`.

    Source: Salimans et al. 2016, section 3.4.

    >>> import torch
    >>> OneSidedLabelSmoothing().discriminator(Sides(real=torch.tensor([0.9]).logit(), fake=torch.zeros(1)))
    Sides(real=tensor([0.3251]), fake=tensor([0.6931]))
    """

    name: ClassVar[str] = "one-sided-label-smoothing"
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title={Improved techniques for training {GANs}},
  author={Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle={Advances in Neural Information Processing Systems},
  volume={29},
  year={2016}
}"""

    target: float = Field(default=0.9, gt=0, le=1, description="a: what the discriminator should say of reals; 1 is vanilla")

    @property
    def boundary(self) -> float:
        best: float = log(self.target / (2 - self.target))
        return best

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=self.target * softplus(-real) + (1 - self.target) * softplus(real), fake=softplus(fake))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Sides(fake=softplus(-present(scores, "fake")))
