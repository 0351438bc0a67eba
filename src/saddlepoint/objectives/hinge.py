"""The hinge loss (Lim and Ye 2017; Tran et al. 2017; used by SN-GAN)."""

from typing import ClassVar

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present


class Hinge(Objective):
    r"""The discriminator stops caring about a sample once it is on the right side of the margin.

    Discriminator: `max(0, 1 - s_r)` and `max(0, 1 + s_f)`. Generator: `-s_f`.

    Source: Lim and Ye 2017, equations 7 and 8; Miyato et al. 2018, equations 16 and 17.

    >>> import torch
    >>> Hinge().discriminator(Sides(real=torch.tensor([0.0, 2.0]), fake=torch.tensor([0.0, -2.0])))
    Sides(real=tensor([1., 0.]), fake=tensor([1., 0.]))
    """

    name: ClassVar[str] = "hinge"
    gives_probability: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@article{lim2017geometric,
  title={Geometric {GAN}},
  author={Lim, Jae Hyun and Ye, Jong Chul},
  journal={arXiv preprint arXiv:1705.02894},
  year={2017}
}

@inproceedings{miyato2018spectral,
  title={Spectral normalization for generative adversarial networks},
  author={Miyato, Takeru and Kataoka, Toshiki and Koyama, Masanori and Yoshida, Yuichi},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    @property
    def boundary(self) -> float:
        return 0.0

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=(1 - real).relu(), fake=(1 + fake).relu())

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Sides(fake=-present(scores, "fake"))
