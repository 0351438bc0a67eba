"""Mixtures of Gaussians in the plane."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.source import Data, Progress
from saddlepoint.streams import Streams


class Mixture(FreshSource):
    """Equal weights, one covariance `std^2 I` for all.

    Args:
        means: of the components, `[k, 2]`, float64.
        std: of each coordinate around its mean.
    """

    def __init__(self, name: str, digest: str, means: Tensor, std: float) -> None:
        super().__init__(name, digest, tuple(f"component {j}" for j in range(len(means))))
        self.means = means
        self.std = std
        self._placed = means

    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        component = streams.integers(f"{stream} component", len(self.means), n)
        if (self._placed.device, self._placed.dtype) != (streams.device, streams.dtype):
            self._placed = self.means.to(streams.device, streams.dtype)
        noise = streams.normal(f"{stream} noise", n, 2)
        means = self._placed.index_select(0, component.flatten()).reshape(noise.shape)
        return torch.add(means, noise, alpha=self.std), component

    def formula(self) -> str:
        return f"{len(self.means)} Gaussians of equal weight, std {self.std:.4g}"


class EightGaussians(Data):
    r"""Eight Gaussians on a circle: `x = radius (cos 2 pi j/8, sin 2 pi j/8) + std e`, `j` uniform, `e ~ N(0, I)`.

    The defaults are the WeGAN paper's, radius 3 and covariance I: neighbouring means are 2.30 apart, so the components melt into
    a ring and counting modes means nothing there. For separate modes take `radius: 2, std: 0.05`.

    Source: Pantazis et al., "Training GANs with weights", section 4; the ring is Metz et al. 2017.

    >>> from saddlepoint.streams import Streams
    >>> source = EightGaussians(radius=2.0, std=0.05).open()
    >>> source.batch(Streams([0, 1]), 5).image.shape
    torch.Size([2, 5, 2])
    """

    name: ClassVar[str] = "8-gaussians"
    bibtex: ClassVar[str] = """@article{pantazis2018training,
  title={Training Generative Adversarial Networks with Weights},
  author={Pantazis, Yannis and Paul, Dipjyoti and Fasoulakis, Michail and Stylianou, Yannis},
  journal={arXiv preprint arXiv:1811.02598},
  year={2018}
}"""

    radius: float = Field(default=3.0, gt=0, description="of the circle the means lie on")
    std: float = Field(default=1.0, gt=0, description="of each coordinate around its mean: the covariance is std^2 I")

    def open(self, progress: Progress | None = None) -> Mixture:
        angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
        means = self.radius * torch.stack([angles.cos(), angles.sin()], dim=1)
        return Mixture(self.name, self.digest_with(self.model_dump()), means, self.std)


class TwentyFiveGaussians(Data):
    r"""Twenty-five Gaussians on a grid: `x = (spacing (a, b) + std e) / divisor`, `a, b` uniform on {-2, …, 2}, `e ~ N(0, I)`.

    Source: the toy code of Gulrajani et al. 2017 (WGAN-GP), whose numbers are the defaults.

    >>> TwentyFiveGaussians().open().means.shape
    torch.Size([25, 2])
    """

    name: ClassVar[str] = "25-gaussians"
    bibtex: ClassVar[str] = """@inproceedings{gulrajani2017improved,
  title={Improved Training of {W}asserstein {GAN}s},
  author={Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent and Courville, Aaron},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017}
}"""

    spacing: float = Field(default=2.0, gt=0, description="between neighbouring means, before the division")
    std: float = Field(default=0.05, gt=0, description="of each coordinate around its mean, before the division")
    divisor: float = Field(default=2.828, gt=0, description="what every point is divided by")

    def open(self, progress: Progress | None = None) -> Mixture:
        steps = torch.arange(-2, 3, dtype=torch.float64) * (self.spacing / self.divisor)
        return Mixture(self.name, self.digest_with(self.model_dump()), torch.cartesian_prod(steps, steps), self.std / self.divisor)
