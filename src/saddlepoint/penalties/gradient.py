"""The gradient penalty: one formula, many names (Gulrajani et al. 2017; Mescheder et al. 2018)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, InputGradient, Need, Round, State, is_zero
from saddlepoint.schedules import Constant

GULRAJANI = """@inproceedings{gulrajani2017improved,
  title={Improved training of {Wasserstein} {GANs}},
  author={Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent and Courville, Aaron C.},
  booktitle={Advances in Neural Information Processing Systems},
  volume={30},
  year={2017}
}"""

MESCHEDER = """@inproceedings{mescheder2018which,
  title={Which training methods for {GANs} do actually converge?},
  author={Mescheder, Lars and Geiger, Andreas and Nowozin, Sebastian},
  booktitle={International Conference on Machine Learning},
  pages={3481--3490},
  year={2018}
}"""


class Gradient(Penalty):
    r"""`mean_i (||g_i|| - centre)^2`, `g_i` the gradient of the score at image i, its norm over all dimensions but the batch.

    `at` says where: the real images, the fakes, or `interpolates`, one random point between each real and its fake.
    `one-sided` counts only norms above the centre, `max(0, ||g|| - centre)^2`. At `centre` 0 both are `mean_i ||g_i||^2`, and
    no root is taken.

    The gradient is that of the batch's summed scores: right only when the discriminator judges each sample by itself (no
    batch norm). A constant discriminator gives exactly `centre^2`, with a zero gradient for its parameters.

    Source: Gulrajani et al. 2017, equation 3; Mescheder et al. 2018, equations 9 and 10.

    >>> critic = torch.nn.Linear(2, 1)
    >>> _ = critic.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
    >>> round = Round.of(real=torch.randn(4, 2), fake=torch.randn(4, 2), discriminator=critic)
    >>> Gradient(centre=1.0, at="interpolates")(round).item()
    4.0
    """

    name: ClassVar[str] = "gradient"
    bibtex: ClassVar[str] = GULRAJANI + "\n\n" + MESCHEDER

    weight: Weight = Field(
        default=Constant(value=10.0), description="lambda; a schedule of this player's updates, lazily by `every`"
    )
    centre: float = Field(default=1.0, ge=0, description="the norm that costs nothing")
    at: Literal["real", "fake", "interpolates"] = Field(default="interpolates", description="where the gradient is taken")
    form: Literal["two-sided", "one-sided"] = Field(
        default="two-sided", description="one-sided: norms below the centre cost nothing"
    )

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({InputGradient(self.at)})

    @property
    def draws(self) -> bool:
        return self.at == "interpolates"

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        batch_axis = round.judge(self.at).scores.ndim - 1
        gradient = in_full_precision(round.input_gradient(self.at)).flatten(batch_axis + 1)
        round.record(f"gradient norm at {self.at}", gradient.detach().norm(dim=-1).mean(-1))
        if is_zero(self.centre):
            return gradient.square().sum(-1).mean(-1)
        norm: Tensor = torch.linalg.vector_norm(gradient, dim=-1)  # its derivative at a zero gradient is 0, not NaN
        excess = norm - self.centre
        if self.form == "one-sided":
            excess = excess.relu()
        return excess.square().mean(-1)


class WGANGP(Gradient):
    r"""The gradient penalty of WGAN-GP: `10 mean_i (||g_i|| - 1)^2` between each real and its fake.

    Source: Gulrajani et al. 2017, equation 3.
    """

    name: ClassVar[str] = "wgan-gp"
    bibtex: ClassVar[str] = GULRAJANI


class R1(Gradient):
    r"""`(gamma / 2) mean_i ||g_i||^2` at the reals. The weight is `gamma / 2`: the paper's gamma of 10 is a weight of 5.

    Source: Mescheder et al. 2018, equation 9.
    """

    name: ClassVar[str] = "r1"
    bibtex: ClassVar[str] = MESCHEDER

    weight: Weight = Field(
        default=Constant(value=5.0), description="gamma / 2; a schedule of this player's updates, lazily by `every`"
    )
    centre: float = Field(default=0.0, ge=0, description="the norm that costs nothing")
    at: Literal["real", "fake", "interpolates"] = Field(default="real", description="where the gradient is taken")


class R2(Gradient):
    r"""`(gamma / 2) mean_i ||g_i||^2` at the fakes. The weight is `gamma / 2`: the paper's gamma of 10 is a weight of 5.

    Source: Mescheder et al. 2018, equation 10.
    """

    name: ClassVar[str] = "r2"
    bibtex: ClassVar[str] = MESCHEDER

    weight: Weight = Field(
        default=Constant(value=5.0), description="gamma / 2; a schedule of this player's updates, lazily by `every`"
    )
    centre: float = Field(default=0.0, ge=0, description="the norm that costs nothing")
    at: Literal["real", "fake", "interpolates"] = Field(default="fake", description="where the gradient is taken")
