"""Conditional batch normalisation: a scale and a shift by class."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchStatistics
from saddlepoint.networks.layer import Layer
from saddlepoint.networks.normalization import Making
from saddlepoint.processes import Rule


class ConditionalBatch(Layer):
    r"""`y = gamma_k (x - mean) / sqrt(var + 1e-5) + beta_k` by channel, k the class of the sample.

    Mean and variance are of all classes together. gamma starts at 1 and beta at 0. It belongs into generators, never into a
    discriminator with an input-gradient penalty.

    Source: Dumoulin et al. 2017, "A learned representation for artistic style", equation 5; Miyato and Koyama 2018, "cGANs with
    projection discriminator", whose generators have it.

    >>> layer = ConditionalBatch(classes=3).layer(4, Making((), torch.device("cpu"), torch.float32))
    >>> layer(torch.randn(5, 4, 2, 2), torch.tensor([0, 1, 2, 0, 1])).shape
    torch.Size([5, 4, 2, 2])
    """

    name: ClassVar[str] = "conditional-batch"
    page: ClassVar[str] = "conditional-batch-normalization"
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = """@inproceedings{dumoulin2017learned,
  title = {A learned representation for artistic style},
  author = {Dumoulin, Vincent and Shlens, Jonathon and Kudlur, Manjunath},
  booktitle = {International Conference on Learning Representations},
  year = {2017}
}"""

    classes: int = Field(default=10, ge=1, description="how many classes have a scale and a shift")

    def layer(self, channels: int, making: Making) -> "ConditionalBatchNorm":
        """The layer for features `[*, n, channels]` or `[n, channels, H, W]`, called with them and the labels `[*, n]`."""
        return ConditionalBatchNorm(channels, self.classes, making.leading, device=making.device, dtype=making.dtype)


class ConditionalBatchNorm(BatchStatistics):
    """Batch normalisation whose scale and shift, `[*, classes, channels]`, are those of each sample's class."""

    def __init__(
        self,
        channels: int,
        classes: int,
        leading: Sequence[int] = (),
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(channels, leading, device=device, dtype=dtype)
        self.classes = classes
        self.weight = nn.Parameter(torch.ones(*leading, classes, channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(*leading, classes, channels, device=device, dtype=dtype))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        normed = self.normalized(x, torch.ones_like(self.running_mean), torch.zeros_like(self.running_var))
        chosen = F.one_hot(labels, self.classes).to(self.weight.dtype)
        scale, shift = (self._by_sample(chosen @ table, x) for table in (self.weight, self.bias))
        return normed * scale + shift

    def _by_sample(self, rows: Tensor, x: Tensor) -> Tensor:
        """`[*, n, channels]` in a shape that broadcasts over `x`."""
        return rows.to(x.dtype).reshape(*rows.shape, *(1,) * (x.ndim - rows.ndim))
