"""RMSProp (Tieleman and Hinton 2012)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.optimizers.optimizer import Optimizer, Rate
from saddlepoint.schedules import Constant


class RMSProp(Optimizer):
    r"""`v = alpha v + (1 - alpha) g^2`, `w -= lr g / (sqrt(v) + eps)`.

    The default rate is that of WGAN with weight clipping, where an optimizer with momentum is unstable. torch has no fused form
    of it.

    Source: Tieleman and Hinton 2012, lecture 6.5.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = RMSProp(lr=0.1, alpha=0.99).build({"weight": weight}, fused=False)
    >>> (weight * torch.tensor([3.0, -5.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([-1.,  1.])
    """

    name: ClassVar[str] = "rmsprop"
    decays: ClassVar[tuple[str, ...]] = ("alpha", "momentum")
    bibtex: ClassVar[str] = """@misc{tieleman2012lecture,
  title={Lecture 6.5, {RMSProp}: Divide the gradient by a running average of its recent magnitude},
  author={Tieleman, Tijmen and Hinton, Geoffrey},
  howpublished={COURSERA: Neural Networks for Machine Learning},
  year={2012}
}"""

    lr: Rate = Field(default=Constant(value=5e-5), description="the rate, a number or a schedule of generator updates")
    alpha: float = Field(default=0.99, ge=0, lt=1, description="decay of the mean squared gradient")
    eps: float = Field(default=1e-8, gt=0, description="added to the root of the mean squared gradient")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="decay of the velocity")
    weight_decay: float = Field(default=0.0, ge=0, description="L2: this times the weight is added to the gradient")

    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            parameters.values(),
            lr=self.lr(0),
            alpha=self.alpha,
            eps=self.eps,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
