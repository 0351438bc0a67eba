"""The Wasserstein objective (Arjovsky et al. 2017). It needs a Lipschitz critic: weight clipping, or a gradient penalty."""

from typing import ClassVar

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present


class Wasserstein(Objective):
    r"""The critic's mean gap between reals and fakes; for the best 1-Lipschitz critic it is the Wasserstein-1 distance.

    Critic: `-s_r` and `s_f`. Generator: `-s_f`. For a K-Lipschitz critic, minus its loss estimates `K W_1(p_r, p_g)` from below.
    Adding a constant to every score changes nothing, so there is no boundary: a score alone does not say "real".

    Source: Arjovsky et al. 2017, equation 2 and algorithm 1.

    >>> import torch
    >>> Wasserstein().discriminator(Sides(real=torch.tensor([3.0]), fake=torch.tensor([1.0])))
    Sides(real=tensor([-3.]), fake=tensor([1.]))
    """

    name: ClassVar[str] = "wasserstein"
    gives_probability: ClassVar[bool] = False
    unscaled: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{arjovsky2017wasserstein,
  title={{Wasserstein} generative adversarial networks},
  author={Arjovsky, Martin and Chintala, Soumith and Bottou, L{\\'e}on},
  booktitle={International Conference on Machine Learning},
  pages={214--223},
  year={2017}
}"""

    @property
    def boundary(self) -> None:
        return None

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=-real, fake=fake)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Sides(fake=-present(scores, "fake"))
