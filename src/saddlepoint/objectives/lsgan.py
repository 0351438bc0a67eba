"""Least squares instead of cross-entropy (Mao et al. 2017)."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present


class LSGAN(Objective):
    r"""Scores are driven to numbers: `a` for fakes, `b` for reals, and `c` is what the generator wants to hear.

    Discriminator: `(s_r - b)^2 / 2` and `(s_f - a)^2 / 2`. Generator: `(s_f - c)^2 / 2`. No sigmoid anywhere.

    The codings of the paper are `fake, real, target` = 0, 1, 1 (the default) and -1, 1, 0; with the second the generator
    minimises Pearson's chi-squared divergence between `p_r + p_g` and `2 p_g`. The optimal score is
    `(b p_r + a p_g) / (p_r + p_g)`.

    Source: Mao et al. 2017, equations 2, 8 and 9.

    >>> import torch
    >>> LSGAN().discriminator(Sides(real=torch.tensor([0.5]), fake=torch.tensor([0.5])))
    Sides(real=tensor([0.1250]), fake=tensor([0.1250]))
    """

    name: ClassVar[str] = "lsgan"
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{mao2017least,
  title={Least squares generative adversarial networks},
  author={Mao, Xudong and Li, Qing and Xie, Haoran and Lau, Raymond Y. K. and Wang, Zhen and Smolley, Stephen Paul},
  booktitle={Proceedings of the IEEE International Conference on Computer Vision},
  pages={2794--2802},
  year={2017}
}"""

    fake: float = Field(default=0.0, description="a: the score the discriminator gives fakes")
    real: float = Field(default=1.0, description="b: the score the discriminator gives reals, above `fake`")
    target: float = Field(default=1.0, description="c: the score the generator wants for its fakes, above `fake`")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.real <= self.fake:
            raise ValueError(f"real = {self.real:g} must lie above fake = {self.fake:g}")
        if self.target <= self.fake:
            raise ValueError(
                f"target = {self.target:g} must lie above fake = {self.fake:g}, or the generator works for the discriminator"
            )
        return self

    @property
    def boundary(self) -> float:
        return (self.real + self.fake) / 2

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=(real - self.real).square() / 2, fake=(fake - self.fake).square() / 2)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Sides(fake=(present(scores, "fake") - self.target).square() / 2)
