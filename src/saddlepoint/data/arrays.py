"""Images held as one uint8 array: batches by index, transformed whole in torch; and the held-out split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from saddlepoint.data.source import Split
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams

# Held-out images are walked by a stream of their own, so asking for them never shifts the training order.
STREAM: dict[Split, str] = {"train": "data", "held-out": "held-out data"}


def to_range(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes 0 … 255 to [-1, 1]: `x / 127.5 - 1`.

    >>> to_range(torch.tensor([0, 255], dtype=torch.uint8), torch.float32)
    tensor([-1.,  1.])
    """
    return pixels.to(dtype).div_(127.5).sub_(1.0)


def split_rows(ranks: Sequence[str], labels: Sequence[int] | None, fraction: float) -> dict[Split, Tensor]:
    """Rows of the two splits, ascending: of each class the `fraction` with the lowest ranks is held out.

    A class gives `fraction` of its images, rounded, but at least one, and always keeps one to train on. Where all classes are of
    a single image the lowest rank of all is held out. Ranks are digests of content, so the split depends on nothing else, and a
    new image moves none but the one at the border.

    >>> split_rows(["b", "a", "d", "c"], [0, 0, 1, 1], 0.1)["held-out"]
    tensor([1, 3])
    """
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(len(ranks)):
        members[labels[row] if labels is not None else 0].append(row)
    held: set[int] = set()
    for rows in members.values():
        count = min(len(rows) - 1, max(1, int(fraction * len(rows) + 0.5)))
        held.update(sorted(rows, key=lambda row: ranks[row])[:count])
    if not held:
        held = {min(range(len(ranks)), key=lambda row: ranks[row])}
    return {
        "train": torch.tensor([row for row in range(len(ranks)) if row not in held]),
        "held-out": torch.tensor(sorted(held)),
    }


class ArraySource:
    """A finite data set.

    Args:
        images: uint8 `[N, C, H, W]`, usually memory-mapped.
        labels: int64 `[N]`, or `None`.
        rows: which of the N belong to each split.
        flip: mirror each training image left to right with probability 1/2.
        found: lines for `describe`.
        problems: files left out, a line each.
    """

    def __init__(
        self,
        name: str,
        digest: str,
        images: Tensor,
        labels: Tensor | None,
        rows: dict[Split, Tensor],
        *,
        classes: tuple[str, ...] = (),
        flip: bool = False,
        found: Sequence[str] = (),
        problems: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.digest = digest
        self.images = images
        self.labels = labels
        self.rows = rows
        self.classes = classes
        self.flip = flip
        self.problems = tuple(problems)
        self.shape: tuple[int, ...] = tuple(images.shape[1:])
        self.size: int | None = len(rows["train"])
        self.held_out_size: int | None = len(rows["held-out"])
        self._found = tuple(found)

    def batch(self, streams: Streams, n: int, split: Split = "train") -> Example:
        rows = self.rows[split]
        chosen = rows[streams.order(STREAM[split], len(rows), n)]
        pixels = self.images.index_select(0, chosen.flatten()).reshape(*chosen.shape, *self.shape)
        image = to_range(pixels.to(streams.device), streams.dtype)
        if self.flip and split == "train":
            mirrored = streams.uniform("flips", n) < 0.5
            image = torch.where(mirrored[..., None, None, None], image.flip(-1), image)
        return Example(image, self.labels[chosen].to(streams.device) if self.labels is not None else None)

    def all(self, split: Split, n: int = 256) -> Iterator[Example]:
        for start in range(0, len(self.rows[split]), n):
            rows = self.rows[split][start : start + n]
            label = self.labels[rows] if self.labels is not None else None
            yield Example(to_range(self.images[rows], torch.float32), label)

    def describe(self) -> list[str]:
        channels, height, width = self.shape
        lines = [
            f"{self.name}: {len(self.images)} images, {self.size} to train on and {self.held_out_size} held out, "
            f"{width} x {height}, {'grey' if channels == 1 else 'colour'}"
        ]
        if self.labels is not None and self.classes:
            counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
            lines.append(f"{len(counts)} classes: " + ", ".join(f"{c} {k}" for c, k in zip(self.classes, counts, strict=True)))
        lines += self._found
        if self.problems:
            lines.append(f"{len(self.problems)} left out:")
            lines += [f"  {problem}" for problem in self.problems]
        return lines
