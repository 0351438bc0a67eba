"""The adaptive weighted discriminator (Zadorozhnyy, Cheng, Ye 2021)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.combiners.combiner import Combiner, Products
from saddlepoint.rounds import Scores, present

LEAST_NORM = 1e-12


class AwGAN(Combiner):
    r"""A step of the discriminator that never hurts the side that does worse.

    `g_r, g_f` are the gradients of the mean losses of the two sides, `p_r, p_f` the mean `sig(s)` of each. With the unit vectors
    `u = g / |g|` and eps = 0, the step is

    - `u_r` made orthogonal to `g_f` where the two disagree, if `p_r < p_f - delta` or `p_r < low`: reals are judged badly;
    - `u_f` made orthogonal to `g_r` where the two disagree, else if `p_r > p_f - delta` and `p_r > high`: reals are judged well;
    - `u_r + u_f`, the bisector, otherwise.

    Orthogonal: `-<g_r, g_f> / (|g_f|^2 |g_r|)` times `g_f` is added when `<g_r, g_f> < 0`, else nothing. eps is added to both
    weights, so that no side is ever left out. Norms get `+ 1e-12`.

    Source: Zadorozhnyy, Cheng, Ye 2021, algorithm 1 (aw-method with normalised gradients).

    >>> combine = AwGAN(epsilon=0.0)
    >>> sides = Products(real=torch.tensor(4.0), fake=torch.tensor(1.0), between=torch.tensor(-1.0))
    >>> combine(sides, {"real": torch.tensor(0.6), "fake": torch.tensor(0.4)})
    (tensor(0.5000), tensor(1.))
    >>> combine(sides, {"real": torch.tensor(0.3), "fake": torch.tensor(0.6)})
    (tensor(0.5000), tensor(0.5000))
    """

    name: ClassVar[str] = "aw-gan"
    needs_boundary: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{zadorozhnyy2021adaptive,
  title={Adaptive weighted discriminator for training generative adversarial networks},
  author={Zadorozhnyy, Vasily and Cheng, Qiang and Ye, Qiang},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={4781--4790},
  year={2021}
}"""

    low: float = Field(default=0.5, ge=0, le=1, description="alpha_1: below this mean probability of reals their side leads")
    high: float = Field(default=0.75, ge=0, le=1, description="alpha_2: above it the fakes' side leads")
    delta: float = Field(default=0.05, ge=0, le=1, description="how far the reals' probability may lie below the fakes'")
    epsilon: float = Field(default=0.05, ge=0, description="added to both weights")

    def look(self, scores: Scores) -> Mapping[str, Tensor]:
        return {
            "real": present(scores, "real").detach().sigmoid().mean(-1),
            "fake": present(scores, "fake").detach().sigmoid().mean(-1),
        }

    def __call__(self, products: Products, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        # With an axis more: numbers that differ between replicas are [*, 1].
        between = products.between.unsqueeze(-1)
        norm_real, norm_fake = (square.unsqueeze(-1).sqrt() + LEAST_NORM for square in (products.real, products.fake))
        real, fake = seen["real"].unsqueeze(-1), seen["fake"].unsqueeze(-1)
        real_leads = (real < fake - self.delta) | (real < self.low)
        fake_leads = ~real_leads & (real > fake - self.delta) & (real > self.high)
        against = (-between).relu()
        weight_real = torch.where(fake_leads, against / (norm_real.square() * norm_fake), 1 / norm_real)
        weight_fake = torch.where(real_leads, against / (norm_fake.square() * norm_real), 1 / norm_fake)
        return (weight_real + self.epsilon).squeeze(-1), (weight_fake + self.epsilon).squeeze(-1)
