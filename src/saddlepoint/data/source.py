"""What every data set is: a record that opens into a source of real samples."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, Protocol

from saddlepoint.alphabets import Alphabet
from saddlepoint.rounds import Example, Record
from saddlepoint.streams import Streams

Split = Literal["train", "held-out"]
Progress = Callable[[int, int], None]


class Source(Protocol):
    """Real samples of two splits. A finite source walks through shuffles; a fresh one draws for ever."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: `(C, H, W)`, or `(d,)` for points."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels mean; empty when there are none."""
        ...

    @property
    def digest(self) -> str:
        """The identity of the data: of its content and of everything done to it before a discriminator sees it."""
        ...

    @property
    def size(self) -> int | None:
        """Training samples; `None` when they are drawn fresh for ever."""
        ...

    @property
    def held_out_size(self) -> int | None: ...

    @property
    def problems(self) -> tuple[str, ...]:
        """Files left out, a line each: name and reason."""
        ...

    def describe(self) -> list[str]:
        """What was found, lines to print."""
        ...

    def batch(self, streams: Streams, n: int, split: Split = "train") -> Example:
        """The next `n` samples of a split, `[*, n, C, H, W]` in [-1, 1] or `[*, n, d]`, as the streams' dtype on their device."""
        ...

    def all(self, split: Split, n: int = 256) -> Iterator[Example]:
        """Every sample of a split once, in a fixed order, `n` at a time, unflipped, float32 on the CPU.

        Raises `ValueError` for a source that draws for ever.
        """
        ...


class Data(Record):
    """A data set: its fields say which samples; `open` finds them."""

    name: ClassVar[str]
    # Coordinates of an example, where the data are points.
    dimensions: ClassVar[int] = 2

    @property
    def alphabet(self) -> Alphabet | None:
        """What a sample may be, of discrete data; None of all others."""
        return None

    @abstractmethod
    def open(self, progress: Progress | None = None) -> Source:
        """Find, check and decode the data.

        Args:
            progress: called with (files done, files in all), through once for reading and once for decoding.

        Raises:
            InputError: one line per thing that is missing or wrong.
        """

    def digest_with(self, *parts: object) -> str:
        """Digest of the record's name and of whatever else decides the samples."""
        return hashlib.sha256(json.dumps([self.name, *parts], sort_keys=True).encode()).hexdigest()


def gives_images(data: type[Data]) -> bool:
    """Whether a data set holds images, which have a resolution, or points."""
    return "resolution" in data.model_fields
