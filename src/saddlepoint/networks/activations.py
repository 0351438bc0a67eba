"""ReLU and leaky ReLU in two forms with the same values and derivatives, one of them cheap to differentiate twice.

The double backward of torch's own ReLUs hands explicit zeros to the whole graph below, and the convolutions there run on them.
`where` hands nothing down. The fused forms are the faster ones for an ordinary pass.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def relu(x: Tensor, *, twice: bool = False) -> Tensor:
    """`max(x, 0)`, elementwise; `twice` says that the graph will be differentiated twice (the result is identical).

    >>> x = torch.tensor([-1.0, 0.0, 2.0])
    >>> relu(x, twice=True).equal(relu(x))
    True
    """
    return torch.where(x <= 0, 0.0, x) if twice else F.relu(x)


def leaky_relu(x: Tensor, slope: float = 0.2, *, twice: bool = False) -> Tensor:
    """`x` where `x > 0`, else `slope x`; `twice` says that the graph will be differentiated twice (the result is identical).

    >>> leaky_relu(torch.tensor([-1.0, 0.0, 2.0]), twice=True)
    tensor([-0.2000,  0.0000,  2.0000])
    """
    return torch.where(x > 0, x, slope * x) if twice else F.leaky_relu(x, slope)
