"""Layer normalisation: each sample by its own mean and variance, so critics with gradient penalties may use it."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.normalization import Making, Normalization
from saddlepoint.processes import Rule
from saddlepoint.rounds import Mover

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


class LayerNormalization(Normalization):
    r"""`y_c = gamma_c (x_c - mean) / sqrt(var + 1e-5) + beta_c`, over all of one sample.

    Mean and variance are over (C, H, W) of an image's features, over the C features of a vector. It couples no
    samples, so critics with gradient penalties may use it.

    Source: Ba et al. 2016, "Layer normalization", equation 4; Gulrajani et al. 2017, section 4.

    >>> LayerNormalization().couples_batch("discriminator")
    False
    """

    name: ClassVar[str] = "layer"
    page: ClassVar[str] = "layer-normalization"
    bibtex: ClassVar[str] = """@article{ba2016layer,
  title = {Layer normalization},
  author = {Ba, Jimmy Lei and Kiros, Jamie Ryan and Hinton, Geoffrey E.},
  journal = {arXiv preprint arXiv:1607.06450},
  year = {2016}
}"""

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module:
        return LayerNorm(channels, making.leading, device=making.device, dtype=making.dtype)
