"""Boundary-seeking GAN: the generator aims at the decision boundary (Hjelm et al. 2018), for continuous samples."""

from typing import ClassVar, Literal

from pydantic import Field

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.objectives.vanilla import softplus
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present


class BGAN(Objective):
    r"""The generator wants its fakes undecided, `D = 1/2`, not taken for certainly real; the discriminator is that of `vanilla`.

    Discriminator: `sp(-s_r)` and `sp(s_f)`. Generator: `s_f^2` (`form: squared`), or the cross-entropy of D with one half,
    `sp(-s_f) + s_f / 2` (`form: cross-entropy`). Both are least exactly at `s_f = 0`, with the slopes `2 s_f` and
    `sig(s_f) - 1/2`: a fake that fools the discriminator too well is pulled back.

    With the optimal discriminator `s = ln p_r - ln p_g`, so `s_f^2` is the squared logarithm of the importance weight.

    Source: Hjelm et al. 2018, section 3 and equation 10, without its factor one half, as in the authors' code.

    >>> import torch
    >>> BGAN().generator(Sides(fake=torch.tensor([-1.0, 0.0, 3.0]))).fake
    tensor([1., 0., 9.])
    """

    name: ClassVar[str] = "bgan"
    gives_probability: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{hjelm2018boundary,
  title={Boundary-seeking generative adversarial networks},
  author={Hjelm, R. Devon and Jacob, Athul Paul and Che, Tong and Trischler, Adam and Cho, Kyunghyun and Bengio, Yoshua},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    form: Literal["squared", "cross-entropy"] = Field(
        default="squared", description="the generator's loss: s^2, or the cross-entropy of D with one half"
    )

    @property
    def boundary(self) -> float:
        return 0.0

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=softplus(-real), fake=softplus(fake))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        fake = present(scores, "fake")
        return Sides(fake=fake.square() if self.form == "squared" else softplus(-fake) + fake / 2)
