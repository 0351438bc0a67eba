"""A point mass at 0 on the line: the data of the smallest game."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.source import Data, Progress
from saddlepoint.streams import Streams


class PointMass(FreshSource):
    """One number over and over, `[*, n, 1]`; nothing is drawn."""

    shape: tuple[int, ...] = (1,)

    def __init__(self, name: str, digest: str, at: float) -> None:
        super().__init__(name, digest)
        self.at = at

    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        return torch.full((*streams.leading, n, 1), self.at, device=streams.device, dtype=streams.dtype), None

    def formula(self) -> str:
        return f"a point mass at {self.at:g}"


class Dirac(Data):
    r"""`x = at` always: the data of the Dirac-GAN, whose networks are the family `dirac`.

    A generator that is one point theta has `W1 = |theta|` and, with `at` 0, its equilibrium at 0. The smallest game in which a
    method's claim to converge can be seen.

    Source: Mescheder et al. 2018, definition 2.1.

    >>> from saddlepoint.streams import Streams
    >>> Dirac().open().batch(Streams(0), 3).image
    tensor([[0.],
            [0.],
            [0.]])
    """

    name: ClassVar[str] = "dirac"
    dimensions: ClassVar[int] = 1
    bibtex: ClassVar[str] = """@inproceedings{mescheder2018which,
  title={Which training methods for {GANs} do actually converge?},
  author={Mescheder, Lars and Geiger, Andreas and Nowozin, Sebastian},
  booktitle={International Conference on Machine Learning},
  pages={3481--3490},
  year={2018}
}"""

    at: float = Field(default=0.0, description="where the mass is")

    def open(self, progress: Progress | None = None) -> PointMass:
        return PointMass(self.name, self.digest_with(self.model_dump()), self.at)
