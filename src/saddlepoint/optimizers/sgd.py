"""Stochastic gradient descent, with momentum."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from saddlepoint.optimizers.optimizer import Optimizer, Rate
from saddlepoint.schedules import Constant


class SGD(Optimizer):
    r"""`u = momentum u + g`, `w -= lr u`; with `nesterov`, `w -= lr (g + momentum u)`.

    Source: Robbins and Monro 1951; momentum as in Sutskever et al. 2013, with the rate outside the velocity.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = SGD(lr=0.1).build({"weight": weight}, fused=False)
    >>> (weight * torch.tensor([3.0, -5.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([-0.3000,  0.5000])
    """

    name: ClassVar[str] = "sgd"
    decays: ClassVar[tuple[str, ...]] = ("momentum",)
    bibtex: ClassVar[str] = """@article{robbins1951stochastic,
  title={A stochastic approximation method},
  author={Robbins, Herbert and Monro, Sutton},
  journal={The Annals of Mathematical Statistics},
  volume={22},
  number={3},
  pages={400--407},
  year={1951}
}

@inproceedings{sutskever2013importance,
  title={On the importance of initialization and momentum in deep learning},
  author={Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey},
  booktitle={International Conference on Machine Learning},
  pages={1139--1147},
  year={2013}
}"""

    lr: Rate = Field(default=Constant(value=1e-2), description="the rate, a number or a schedule of generator updates")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="decay of the velocity")
    nesterov: bool = Field(default=False, description="look ahead along the velocity; needs momentum")
    weight_decay: float = Field(default=0.0, ge=0, description="L2: this times the weight is added to the gradient")

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters.values(),
            lr=self.lr(0),
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=fused or None,
        )
