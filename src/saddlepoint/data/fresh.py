"""What the data of points share: points drawn for ever, so nothing is ever seen twice."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor

from saddlepoint.data.source import Split
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams

# Held-out points are further draws, from streams of their own.
STREAM: dict[Split, str] = {"train": "data", "held-out": "held-out data"}


class FreshSource(ABC):
    """Points `[*, n, d]` drawn from the streams, of the plane by default; `points` is the distribution."""

    shape: tuple[int, ...] = (2,)
    size: int | None = None
    held_out_size: int | None = None
    problems: tuple[str, ...] = ()

    def __init__(self, name: str, digest: str, classes: tuple[str, ...] = ()) -> None:
        self.name = name
        self.digest = digest
        self.classes = classes

    @abstractmethod
    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        """`n` points `[*, n, d]` and the components they came from, `[*, n]`, if there are any."""

    @abstractmethod
    def formula(self) -> str:
        """The distribution in a line."""

    def batch(self, streams: Streams, n: int, split: Split = "train") -> Example:
        return Example(*self.points(streams, STREAM[split], n))

    def all(self, split: Split, n: int = 256) -> Iterator[Example]:
        raise ValueError(f"{self.name} is drawn fresh for ever: there is no end to walk to; ask for a batch")

    def describe(self) -> list[str]:
        where = "line" if self.shape == (1,) else "plane"
        return [f"{self.name}: {self.formula()}; points of the {where}, drawn fresh for ever; held-out points are further draws"]
