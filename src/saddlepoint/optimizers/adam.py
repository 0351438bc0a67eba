"""Adam (Kingma and Ba 2015)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.optimizers.optimizer import Optimizer, Rate
from saddlepoint.optimizers.prompt_adam import PromptAdam
from saddlepoint.schedules import Constant

Beta = Annotated[float, Field(ge=0, lt=1)]


class Adam(Optimizer):
    r"""`m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`.

    The defaults are DCGAN's. The WGAN-GP and SN-GAN papers use betas (0, 0.9) with their ResNets. `weight_decay` adds
    `weight_decay * w` to the gradient (L2, not decoupled). Two records with two rates are the two time-scale update rule.

    Source: Kingma and Ba 2015, algorithm 1.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = Adam(lr=0.1).build({"weight": weight}, fused=False)
    >>> (weight * torch.tensor([3.0, -5.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([-0.1000,  0.1000])
    """

    name: ClassVar[str] = "adam"
    decays: ClassVar[tuple[str, ...]] = ("betas",)
    bibtex: ClassVar[str] = """@inproceedings{kingma2015adam,
  title={Adam: A method for stochastic optimization},
  author={Kingma, Diederik P. and Ba, Jimmy},
  booktitle={International Conference on Learning Representations},
  year={2015}
}"""

    lr: Rate = Field(default=Constant(value=2e-4), description="the rate, a number or a schedule of generator updates")
    betas: tuple[Beta, Beta] = Field(
        default=(0.5, 0.999), description="decay of the mean gradient and of the mean squared gradient"
    )
    eps: float = Field(default=1e-8, gt=0, description="added to the root of the mean squared gradient")
    weight_decay: float = Field(default=0.0, ge=0, description="L2: this times the weight is added to the gradient")

    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        form = PromptAdam if fused else torch.optim.Adam
        return form(parameters.values(), lr=self.lr(0), betas=self.betas, eps=self.eps, weight_decay=self.weight_decay)
