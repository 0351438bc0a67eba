"""The real side of an evaluation: which samples, in which order, from a data source or from images at hand."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.data.gaussians import Mixture
from saddlepoint.data.source import Source, Split
from saddlepoint.errors import InputError
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.measures.evidence import GaussianMixture
from saddlepoint.streams import Streams

MOST_IMAGES = 10_000
DEFAULT_POINTS = 2000
READ = 256


@dataclass(frozen=True)
class Pictures:
    """Samples as they are measured, with their labels where they have them.

    Args:
        images: uint8 `[n, C, H, W]`; or points, float32 `[n, d]`.
        labels: int64 `[n]`.
    """

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: Tensor | slice) -> "Pictures":
        """Some of them."""
        return Pictures(self.images[chosen], None if self.labels is None else self.labels[chosen])


@dataclass(frozen=True)
class Reals:
    """What the fakes are compared with.

    Args:
        name: as people call the data.
        digest: of their content and of what was done to it.
        split: `train`, `held-out`, or `all` where nobody trained on them.
        real: the samples of the comparison.
        floor: as many others of the split, for the floor; fewer when the split is too small, none when it is spent.
        train: everything that a generator was trained on, where a measure asks for it.
        held_out: real samples that it was not trained on, where a measure asks for them.
        rows: where the samples of `real`, then those of `floor`, stand in `train` or `held_out`, when all of that split is there.
        mixture: the law of the data, where it is known.
        preprocessing: of the samples before any extractor.
    """

    name: str
    digest: str
    split: str
    real: Pictures
    floor: Pictures
    train: Pictures | None = None
    held_out: Pictures | None = None
    rows: Tensor | None = None
    mixture: GaussianMixture | None = None
    preprocessing: str = ""


def as_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as bytes, `round(127.5 (x + 1))`; points `[n, d]` as they are, in float32; both on the CPU.

    >>> as_bytes(torch.tensor([[[[-1.0, 0.0, 1.0, 1.7]]]])).flatten().tolist()
    [0, 128, 255, 255]
    """
    if images.ndim == 2:
        return images.detach().to("cpu", torch.float32)
    return images.detach().add(1).mul(127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def as_range(images: Tensor) -> Tensor:
    """Bytes as a discriminator takes them, float32 in [-1, 1]; points as they are."""
    return images.to(torch.float32) / 127.5 - 1 if images.dtype == torch.uint8 else images


def default_count(source: Source, split: Split) -> int:
    """How many samples a side: half of the split, so that its two halves give the floor at the same number; at most 10,000.

    Points, which are drawn for ever, are 2,000.
    """
    size = split_size(source, split)
    return DEFAULT_POINTS if size is None else max(1, min(MOST_IMAGES, size // 2))


def split_size(source: Source, split: Split) -> int | None:
    """Samples of a split; None when they are drawn for ever."""
    return source.size if split == "train" else source.held_out_size


def reals_of_source(
    source: Source,
    n: int,
    *,
    split: Split,
    seed: int,
    uses: frozenset[str] = frozenset(),
    floor: bool = True,
    watch: Watch | None = None,
) -> Reals:
    """`n` real samples of a source in an order of the seed's, as many again for the floor, and what the measures use beside.

    A measure that uses `train` gets the whole training split: its nearest neighbour may be any of them.

    Raises:
        InputError: the split holds fewer than `n`.
    """
    watch = watch or Unwatched()
    size = split_size(source, split)
    if size is None:
        return _fresh_reals(source, n, split, seed, uses, floor)
    if n > size:
        raise InputError([f"n: {n} is more than the {size} {split} samples of {source.name}; give {size} or fewer"])
    spare = size - n if floor and size - n > 1 else 0
    order = _shuffled(source, split, seed)[: n + min(n, spare)]
    whole = split in uses
    read = _read(source, split, None if whole else order, watch)
    chosen = read.rows(order) if whole else read
    real = chosen.rows(slice(0, n))

    def beside(name: Split) -> Pictures | None:
        if name in uses:
            return read if name == split else _read(source, name, None, watch)
        if "scores" in uses:
            return real if name == split else _read(source, name, _shuffled(source, name, seed)[:n], watch)
        return None

    return Reals(
        name=source.name,
        digest=source.digest,
        split=split,
        real=real,
        floor=chosen.rows(slice(n, None)),
        train=beside("train"),
        held_out=beside("held-out"),
        rows=order if whole else None,
        mixture=mixture_of(source),
        preprocessing=size_of(source.shape),
    )


def size_of(shape: tuple[int, ...]) -> str:
    """What samples of a shape are to an extractor.

    >>> size_of((3, 16, 32)), size_of((2,))
    ('bytes, 32 x 16 x 3', 'points')
    """
    return "points" if len(shape) == 1 else f"bytes, {shape[2]} x {shape[1]} x {shape[0]}"


def _shuffled(source: Source, split: Split, seed: int) -> Tensor:
    size = split_size(source, split) or 0
    return Streams(seed).order(f"evaluation {split}", size, size)


def _fresh_reals(source: Source, n: int, split: Split, seed: int, uses: frozenset[str], floor: bool) -> Reals:
    streams = Streams(seed)
    example = source.batch(streams, 2 * n if floor else n, split)
    drawn = Pictures(as_bytes(example.image), example.label)
    others: dict[Split, Pictures | None] = {"train": None, "held-out": None}
    for name in others:
        if name in uses or "scores" in uses:
            # The streams go on, so these are further draws.
            more = source.batch(streams, n, name)
            others[name] = Pictures(as_bytes(more.image), more.label)
    return Reals(
        name=source.name,
        digest=source.digest,
        split=split,
        real=drawn.rows(slice(0, n)),
        floor=drawn.rows(slice(n, None)),
        train=others["train"],
        held_out=others["held-out"],
        mixture=mixture_of(source),
        preprocessing=size_of(source.shape),
    )


def reals_at_hand(name: str, digest: str, pictures: Pictures, n: int | None, *, seed: int, preprocessing: str) -> Reals:
    """The real side from images that are in memory: all of them, or `n` in an order of the seed's.

    Raises:
        InputError: there are fewer than `n`.
    """
    count = len(pictures) if n is None else n
    shuffled = some(pictures, len(pictures), "real", seed, name)
    chosen = some(pictures, count, "real", seed, name)
    spare = shuffled.rows(slice(count, 2 * count if len(pictures) - count > 1 else count))
    return Reals(name=name, digest=digest, split="all", real=chosen, floor=spare, preprocessing=preprocessing)


def some(pictures: Pictures, n: int, side: str, seed: int, name: str) -> Pictures:
    """`n` of the samples in an order of the seed's.

    Raises:
        InputError: there are fewer.
    """
    if n > len(pictures):
        raise InputError([f"n: {n} is more than the {len(pictures)} {side} samples in {name}; give {len(pictures)} or fewer"])
    return pictures.rows(Streams(seed).order(f"evaluation {side}", len(pictures), len(pictures))[:n])


def content_digest(pictures: Pictures) -> str:
    """SHA-256 over the samples' kind, shape and bytes, and their labels."""
    digest = hashlib.sha256(f"{pictures.images.dtype} {tuple(pictures.images.shape)}".encode())
    for tensor in (pictures.images, pictures.labels):
        if tensor is not None:
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _read(source: Source, split: Split, order: Tensor | None, watch: Watch) -> Pictures:
    """The samples of a split, all, or those of `order` in its order."""
    size = split_size(source, split) or 0
    watch.stage(f"reading {split} samples", size)
    wanted = torch.arange(size) if order is None else order.sort().values
    images, labels = zip(*_walked(source, split, wanted, watch), strict=True)
    read = Pictures(torch.cat(images), None if labels[0] is None else torch.cat(labels))
    return read if order is None else read.rows(order.argsort().argsort())


def _walked(source: Source, split: Split, wanted: Tensor, watch: Watch) -> Iterator[tuple[Tensor, Tensor | None]]:
    start = 0
    for example in source.all(split, READ):
        stop = start + len(example.image)
        here = wanted[(wanted >= start) & (wanted < stop)] - start
        if len(here):
            yield as_bytes(example.image[here]), None if example.label is None else example.label[here]
        watch.advanced(stop - start)
        start = stop


def mixture_of(source: Source) -> GaussianMixture | None:
    """The law of a source that is a mixture of Gaussians."""
    return GaussianMixture(source.means, source.std) if isinstance(source, Mixture) else None
