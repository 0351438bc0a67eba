"""Boundary seeking over symbols (Hjelm et al. 2018): the generator learns by the log-probabilities of its samples."""

from typing import ClassVar

from pydantic import Field

from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present, present_log_probability


class BGANDiscrete(Objective):
    r"""Of each latent several samples are drawn; the likelihood of those that look real is raised.

    Discriminator: the vanilla loss. Generator, of the N samples `x_n` of one latent: `w_n = softmax_n(s(x_n))`, constants, and
    `l = -sum_n w_n ln g(x_n | z)`. Per sample it is `-N w_n ln g(x_n | z)`: the mean of these is the mean of l over latents.

    With the best discriminator `w_n` is the importance weight of `p_r` against `g`, and the expected gradient that of
    `KL(p_r || p_g)` but for a bias of order 1/N. With N = 1 there is nothing to compare, and the expected gradient is 0.

    Source: Hjelm et al. 2018, algorithm 1, "Boundary-seeking generative adversarial networks".

    >>> import torch
    >>> from saddlepoint.rounds import DrawnSides
    >>> drawn = DrawnSides(fake=torch.zeros(2), log_probability=torch.tensor([0.5, 0.25]).log())
    >>> BGANDiscrete(samples=2).generator(drawn).fake
    tensor([0.6931, 1.3863])
    """

    name: ClassVar[str] = "bgan-discrete"
    needs_log_probability: ClassVar[bool] = True
    gives_probability: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{hjelm2018boundary,
  title={Boundary-seeking generative adversarial networks},
  author={Hjelm, R Devon and Jacob, Athul Paul and Che, Tong and Trischler, Adam and Cho, Kyunghyun and Bengio, Yoshua},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    samples: int = Field(default=20, ge=1, le=4096, description="N: samples of each latent in the generator's turn")

    @property
    def draws(self) -> int:
        return self.samples

    @property
    def boundary(self) -> float:
        return 0.0

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        return Vanilla().discriminator(scores, state)

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        fake, log_probability = present(scores, "fake").detach(), present_log_probability(scores)
        if fake.shape[-1] % self.samples:
            raise ValueError(f"{fake.shape[-1]} fakes are not {self.samples} of each latent")
        weights = fake.unflatten(-1, (-1, self.samples)).softmax(-1).flatten(-2)
        return Sides(fake=-self.samples * weights * log_probability)
