"""Parallel lines: where the Jensen-Shannon divergence is blind and the Wasserstein distance sees."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.source import Data, Progress
from saddlepoint.streams import Streams


class Line(FreshSource):
    """Points of the lines, drawn as they are asked for."""

    def __init__(self, name: str, digest: str, theta: float) -> None:
        super().__init__(name, digest)
        self.theta = theta

    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        height = streams.uniform(f"{stream} height", n)
        return torch.stack([torch.full_like(height, self.theta), height], dim=-1), None

    def formula(self) -> str:
        return f"the line ({self.theta:g}, Z), Z uniform on [0, 1)"


class ParallelLines(Data):
    r"""`P_theta = (theta, Z)`, `Z ~ U[0, 1)`. Against `P_0`: `W1 = |theta|`; `JS = ln 2` unless theta = 0, then 0.

    Source: Arjovsky et al. 2017, example 1.

    >>> from saddlepoint.streams import Streams
    >>> ParallelLines(theta=0.5).open().batch(Streams(0), 3).image[:, 0]
    tensor([0.5000, 0.5000, 0.5000])
    """

    name: ClassVar[str] = "parallel-lines"
    bibtex: ClassVar[str] = """@inproceedings{arjovsky2017wasserstein,
  title={{W}asserstein Generative Adversarial Networks},
  author={Arjovsky, Martin and Chintala, Soumith and Bottou, L{\\'e}on},
  booktitle={International Conference on Machine Learning},
  year={2017}
}"""

    theta: float = Field(default=0.0, description="where the line stands")

    def open(self, progress: Progress | None = None) -> Line:
        return Line(self.name, self.digest_with(self.model_dump()), self.theta)
