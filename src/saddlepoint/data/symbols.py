"""A few symbols with known probabilities: the smallest discrete data."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor

from saddlepoint.alphabets import Symbols
from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.source import Data, Progress
from saddlepoint.streams import Streams


class SymbolSource(FreshSource):
    """Draws a symbol by its probability.

    Args:
        points: where the symbols lie, `[k, 2]`, float64.
        probabilities: of each, `[k]`.
    """

    def __init__(self, name: str, digest: str, points: Tensor, probabilities: Sequence[float]) -> None:
        super().__init__(name, digest, tuple(f"symbol {j}" for j in range(len(points))))
        self.symbols = points
        self.probabilities = tuple(probabilities)

    def points(self, streams: Streams, stream: str, n: int) -> tuple[Tensor, Tensor | None]:
        edges = torch.tensor(self.probabilities, dtype=torch.float64).cumsum(0)[:-1]
        chosen = torch.bucketize(streams.uniform(f"{stream} symbol", n).double().cpu(), edges, right=True)
        return self.symbols[chosen].to(streams.device, streams.dtype), chosen.to(streams.device)

    def formula(self) -> str:
        shares = ", ".join(f"{probability:g}" for probability in self.probabilities)
        return f"{len(self.symbols)} symbols on a circle with probabilities {shares}"


class KnownSymbols(Data):
    r"""K symbols, evenly on the unit circle: `x = (cos 2 pi j/K, sin 2 pi j/K)` with probability `p_j`.

    Any generator may learn these points. One whose objective reads log-probabilities gives a distribution over the K of them.

    >>> from saddlepoint.streams import Streams
    >>> source = KnownSymbols(probabilities=(0.5, 0.5)).open()
    >>> sorted(set(source.batch(Streams(0), 50).image[:, 0].tolist()))
    [-1.0, 1.0]
    """

    name: ClassVar[str] = "symbols"

    probabilities: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.4, 0.3, 0.2, 0.1), description="of each symbol; they sum to 1"
    )

    @field_validator("probabilities")
    @classmethod
    def _sum_to_one(cls, probabilities: tuple[float, ...]) -> tuple[float, ...]:
        if len(probabilities) < 2 or abs(sum(probabilities) - 1) > 1e-6:
            raise ValueError(f"{list(probabilities)} should be two or more probabilities that sum to 1")
        return probabilities

    @property
    def alphabet(self) -> Symbols:
        angles = [2 * math.pi * j / len(self.probabilities) for j in range(len(self.probabilities))]
        return Symbols(tuple((math.cos(angle), math.sin(angle)) for angle in angles))

    def open(self, progress: Progress | None = None) -> SymbolSource:
        points = torch.tensor(self.alphabet.points, dtype=torch.float64)
        return SymbolSource(self.name, self.digest_with(self.model_dump()), points, self.probabilities)
