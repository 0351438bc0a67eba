"""Instance normalisation: each channel of each sample by its own mean and variance over space."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.normalization import Making, Normalization
from saddlepoint.rounds import Mover

EPS = 1e-5


class InstanceNorm(nn.Module):
    r"""`(x - mean) / sqrt(var + 1e-5)`, mean and (biased) variance over (H, W) of one channel of one sample; nothing is learned.

    Raises:
        ValueError: one pixel has no variance.

    Source: Ulyanov et al. 2016, "Instance normalization: The missing ingredient for fast stylization", section 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x, eps=EPS)


class InstanceNormalization(Normalization):
    r"""`y = (x - mean) / sqrt(var + 1e-5)`, mean and variance over space, of one channel of one sample; nothing is learned.

    It erases each image's brightness and contrast by channel, which a critic then cannot see. It has no meaning for vectors.

    Source: Ulyanov et al. 2016, "Instance normalization: The missing ingredient for fast stylization", section 2.
    """

    name: ClassVar[str] = "instance"
    page: ClassVar[str] = "instance-normalization"
    not_of_vectors: ClassVar[str | None] = "normalises over space, which vectors have not; choose layer, or a family of images"
    bibtex: ClassVar[str] = """@article{ulyanov2016instance,
  title = {Instance normalization: The missing ingredient for fast stylization},
  author = {Ulyanov, Dmitry and Vedaldi, Andrea and Lempitsky, Victor},
  journal = {arXiv preprint arXiv:1607.08022},
  year = {2016}
}"""

    def biased(self, player: Mover) -> bool:
        return False

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module:
        return InstanceNorm()
