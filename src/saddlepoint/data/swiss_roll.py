"""The Swiss roll, seen from the side."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.source import Data, Progress
from saddlepoint.streams import Streams


class Roll(FreshSource):
    """Points of the roll, drawn as they are asked for."""

    def __init__(self, name: str, digest: str, noise: float, divisor: float) -> None:
        super().__init__(name, digest)
        self.noise = noise
        self.divisor = divisor

    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        t = 1.5 * math.pi * (1 + 2 * streams.uniform(f"{stream} angle", n))
        spiral = torch.stack([t * t.cos(), t * t.sin()], dim=-1)
        return (spiral + self.noise * streams.normal(f"{stream} noise", n, 2)) / self.divisor, None

    def formula(self) -> str:
        return f"Swiss roll, noise {self.noise:g}, divided by {self.divisor:g}"


class SwissRoll(Data):
    r"""A spiral: `x = ((t cos t, t sin t) + noise e) / divisor`, `t = 3 pi/2 (1 + 2u)`, `u ~ U[0, 1)`, `e ~ N(0, I)`.

    These are axes 0 and 2 of scikit-learn's `make_swiss_roll`; axis 1, the roll's width, is left out.

    Source: the toy code of Gulrajani et al. 2017 (WGAN-GP), whose numbers are the defaults.

    >>> from saddlepoint.streams import Streams
    >>> SwissRoll().open().batch(Streams(0), 4).image.shape
    torch.Size([4, 2])
    """

    name: ClassVar[str] = "swiss-roll"
    bibtex: ClassVar[str] = """@book{marsland2009machine,
  title={Machine Learning: An Algorithmic Perspective},
  author={Marsland, Stephen},
  publisher={Chapman and Hall/CRC},
  year={2009}
}"""

    noise: float = Field(default=0.25, ge=0, description="standard deviation of the noise, before the division")
    divisor: float = Field(default=7.5, gt=0, description="what every point is divided by")

    def open(self, progress: Progress | None = None) -> Roll:
        return Roll(self.name, self.digest_with(self.model_dump()), self.noise, self.divisor)
