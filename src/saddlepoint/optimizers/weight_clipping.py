"""Weight clipping (Arjovsky et al. 2017)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.optimizers.optimizer import Projection


class WeightClipping(Projection):
    r"""Every parameter is clipped to `[-bound, bound]`: weights, biases, and the gains of normalisation.

    Source: Arjovsky et al. 2017, algorithm 1, line 7.

    >>> weight = torch.nn.Parameter(torch.tensor([-1.0, 0.25, 3.0]))
    >>> WeightClipping(bound=0.5)({"weight": weight})
    >>> weight.data
    tensor([-0.5000,  0.2500,  0.5000])
    """

    name: ClassVar[str] = "weight-clipping"
    bibtex: ClassVar[str] = """@inproceedings{arjovsky2017wasserstein,
  title={{Wasserstein} generative adversarial networks},
  author={Arjovsky, Martin and Chintala, Soumith and Bottou, L{\\'e}on},
  booktitle={International Conference on Machine Learning},
  pages={214--223},
  year={2017}
}"""

    bound: float = Field(default=0.01, gt=0, description="c: no parameter is larger in absolute value")

    @torch.no_grad()
    def __call__(self, parameters: Mapping[str, Tensor]) -> None:
        for parameter in parameters.values():
            parameter.clamp_(-self.bound, self.bound)
