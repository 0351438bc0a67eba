"""Layer normalisation: each sample by its own mean and variance, so critics with gradient penalties may use it."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.processes import Rule

EPS = 1e-5


class LayerNorm(nn.Module):
    r"""`gamma (x - mean) / sqrt(var + 1e-5) + beta`, mean and (biased) variance over all of one sample.

    Images `[n, C, H, W]` are normalised over (C, H, W), features `[*, n, C]` over C. `gamma` and `beta` have one number a channel
    in both, as the authors of WGAN-GP do (for images this is `GroupNorm(1, C)`; torch's `LayerNorm([C, H, W])` has one a pixel).

    Args:
        channels: C.
        leading: replica axes, for features only.

    Source: Ba et al. 2016, "Layer normalization", equation 4; Gulrajani et al. 2017, section 4.

    >>> LayerNorm(2)(torch.tensor([[1.0, 3.0]])).round(decimals=3)
    tensor([[-1.,  1.]], grad_fn=<RoundBackward1>)
    """

    reads: ClassVar[Rule] = "own"

    def __init__(
        self,
        channels: int,
        leading: Sequence[int] = (),
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*leading, channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(*leading, channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.ndim > 1:
            return torch.addcmul(self.bias.unsqueeze(-2), F.layer_norm(x, x.shape[-1:], eps=EPS), self.weight.unsqueeze(-2))
        if x.ndim == 2:
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)
        return F.group_norm(x, 1, self.weight, self.bias, EPS)
