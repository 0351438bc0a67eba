"""The gradient penalty: one formula, many names (Gulrajani et al. 2017; Mescheder et al. 2018; Kodali et al. 2017; …)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, InputGradient, Need, Noise, Round, State, is_zero
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


PETZKA = """@inproceedings{petzka2018regularization,
  title={On the regularization of {Wasserstein} {GANs}},
  author={Petzka, Henning and Fischer, Asja and Lukovnikov, Denis},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

THANH_TUNG = """@inproceedings{thanhtung2019improving,
  title={Improving generalization and stability of generative adversarial networks},
  author={Thanh-Tung, Hoang and Tran, Truyen and Venkatesh, Svetha},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""

KODALI = """@misc{kodali2017convergence,
  title={On convergence and stability of {GANs}},
  author={Kodali, Naveen and Abernethy, Jacob and Hays, James and Kira, Zsolt},
  eprint={1705.07215},
  archivePrefix={arXiv},
  year={2017}
}"""

Place = Literal["real", "fake", "interpolates", "around"]


class Gradient(Penalty):
    r"""`mean_i (||g_i|| - centre)^2`, `g_i` the gradient of the score at image i, its norm over all dimensions but the batch.

    `at` says where: the real images, the fakes, `interpolates`, one random point between each real and its fake, or `around`, one
    random point near each real. `one-sided` counts only norms above the centre, `max(0, ||g|| - centre)^2`. At `centre` 0 both are
    `mean_i ||g_i||^2`, and no root is taken.

    The gradient is that of the batch's summed scores: right only when the discriminator judges each sample by itself (no
    batch norm). A constant discriminator gives exactly `centre^2`, with a zero gradient for its parameters.

    Source: Gulrajani et al. 2017, equation 3; Mescheder et al. 2018, equations 9 and 10; one-sided: Petzka et al. 2018.

    >>> critic = torch.nn.Linear(2, 1)
    >>> _ = critic.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
    >>> round = Round.of(real=torch.randn(4, 2), fake=torch.randn(4, 2), discriminator=critic)
    >>> Gradient(centre=1.0, at="interpolates")(round).item()
    4.0
    """

    name: ClassVar[str] = "gradient"
    bibtex: ClassVar[str] = GULRAJANI + "\n\n" + MESCHEDER + "\n\n" + PETZKA

    weight: Weight = Field(
        default=Constant(value=10.0), description="lambda; a schedule of this player's updates, lazily by `every`"
    )
    centre: float = Field(default=1.0, ge=0, description="the norm that costs nothing")
    at: Place = Field(default="interpolates", description="where the gradient is taken")
    form: Literal["two-sided", "one-sided"] = Field(
        default="two-sided", description="one-sided: norms below the centre cost nothing"
    )

    @property
    def key(self) -> str:
        """The pass in whose images the gradient is taken."""
        return self.at

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({InputGradient(self.key)})

    @property
    def draws(self) -> bool:
        return self.at in ("interpolates", "around")

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        batch_axis = round.judge(self.key).scores.ndim - 1
        gradient = in_full_precision(round.input_gradient(self.key)).flatten(batch_axis + 1)
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
    at: Place = Field(default="real", description="where the gradient is taken")


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
    at: Place = Field(default="fake", description="where the gradient is taken")


class ZeroGP(Gradient):
    r"""The zero-centred penalty between reals and fakes: `10 mean_i ||g_i||^2` at one random point between each real and its fake.

    A batch pairs reals with fakes by chance, so over the turns every fake is joined with every real. The weight is our choice: the
    paper's authors use it for all their penalties.

    Source: Thanh-Tung et al. 2019.

    >>> critic = torch.nn.Linear(2, 1)
    >>> _ = critic.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
    >>> ZeroGP()(Round.of(real=torch.randn(4, 2), fake=torch.randn(4, 2), discriminator=critic)).item()
    9.0
    """

    name: ClassVar[str] = "0-gp"
    bibtex: ClassVar[str] = THANH_TUNG

    centre: float = Field(default=0.0, ge=0, description="the norm that costs nothing")


class DRAGAN(Gradient):
    r"""The gradient penalty of DRAGAN: `10 mean_i (||g_i|| - 1)^2` at one random point near each real.

    The point is `x + a (s / 2) u`, with one `a ~ U[0, 1)` a sample, `u ~ U[0, 1)` a pixel, and `s` the standard deviation of all
    pixels of the real batch, everyone's where several processes share it. `noise: normal` draws `u ~ N(0, 1)`.

    Source: Kodali et al. 2017, and its authors' code, whose noise is uniform.

    >>> critic = torch.nn.Linear(2, 1)
    >>> _ = critic.weight.data.copy_(torch.tensor([[0.0, 3.0]]))
    >>> DRAGAN()(Round.of(real=torch.randn(4, 2), fake=torch.randn(4, 2), discriminator=critic)).item()
    4.0
    """

    name: ClassVar[str] = "dragan"
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = KODALI

    at: Place = Field(default="around", description="where the gradient is taken")
    noise: Noise = Field(default="uniform", description="of each pixel, around: U[0, 1) as in the code, or N(0, 1) as in the paper")

    @property
    def key(self) -> str:
        return "around, normal" if self.at == "around" and self.noise == "normal" else self.at
