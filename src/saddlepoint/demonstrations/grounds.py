"""The data in which faults are planted: all its real samples, divided anew for each repeat."""

import math
from dataclasses import dataclass

import torch

from saddlepoint.data.digits import Digits
from saddlepoint.data.gaussians import EightGaussians
from saddlepoint.data.mnist import FashionMnist
from saddlepoint.demonstrations.faults import Ground
from saddlepoint.errors import InputError
from saddlepoint.evaluation.defaults import default_extractor
from saddlepoint.evaluation.reals import Pictures, as_bytes, mixture_of
from saddlepoint.extractors.extractor import FeatureExtractor
from saddlepoint.measures.evidence import GaussianMixture
from saddlepoint.streams import Streams
from saddlepoint.validation import nearest

DATA = ("fashion-mnist", "digits", "8-gaussians")
DEFAULT_COUNT, LEAST = 1000, 50
# A repeat's parts in samples: the real side, the clean set, the training set.
REAL, CLEAN, TRAIN = 1, 1, 2
TAKEN = REAL + TRAIN
# Points are drawn for ever; of so many times n each repeat takes its own.
POINTS = 40
# Standard deviations of a hypergeometric count that are left as a margin.
MARGIN = 4.0


@dataclass(frozen=True)
class World:
    """All real samples of a data set, with its extractor; `notes` say what was chosen because nothing else was asked for."""

    name: str
    samples: Pictures
    classes: tuple[str, ...]
    extractor: FeatureExtractor
    n: int
    mixture: GaussianMixture | None = None
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> bool:
        return self.samples.images.ndim == 2

    def ground(self, n: int, streams: Streams) -> Ground:
        """The samples divided in an order of the streams': n real, n clean, 2 n to train on, the rest fresh."""
        order = streams.order("ground", len(self.samples), len(self.samples))
        ends = [REAL * n, (REAL + CLEAN) * n, (REAL + CLEAN + TRAIN) * n]
        real, clean, train, fresh = (self.samples.rows(rows) for rows in torch.tensor_split(order, ends))
        return Ground(real, clean, train, fresh, len(self.classes))


def opened(data: str | None = None, n: int | None = None) -> World:
    """A data set for a demonstration.

    Args:
        data: `fashion-mnist`, `digits` or `8-gaussians` (radius 2, std .05); None is the first whose files are at hand.
        n: samples a set; None is 1,000, or as many as the data has enough for.

    Raises:
        InputError: the data is not there, or n is out of range.

    >>> opened("digits").n
    110
    """
    if data is not None and data not in DATA:
        raise InputError([f"data: there is no {data!r} to plant faults in{nearest(data, DATA)} (one of {', '.join(DATA)})"])
    if n is not None and n < LEAST:
        raise InputError([f"n: {n} samples are too few to see a fault; give {LEAST} or more"])
    name, samples, classes, mixture, notes = _found(data, n or DEFAULT_COUNT)
    most = most_samples(torch.bincount(samples.labels if samples.labels is not None else torch.zeros(1, dtype=torch.int64)))
    if n is not None and n > most:
        raise InputError([f"n: {name} has samples for {most:,} at most, so that one class alone can fill a set; {n:,} was given"])
    if n is None and most < DEFAULT_COUNT:
        notes = (*notes, f"{name} has samples for n = {most:,} only, so that one class alone can fill a set")
    record, _ = default_extractor(name, mixture is not None)
    return World(name, samples, classes, record.open(), n or min(DEFAULT_COUNT, most), mixture, notes)


def most_samples(counts: torch.Tensor) -> int:
    """The largest n, in tens, for which the rarest class still fills a set once the real and training samples are taken away.

    >>> most_samples(torch.tensor([7000] * 10))
    5270
    """
    total, rarest = int(counts.sum()), int(counts.min())

    def left(n: int) -> float:
        share = TAKEN * n / total
        return rarest * (1 - share) - MARGIN * math.sqrt(rarest * share * (1 - share))

    return max(n for n in range(0, total // (TAKEN + CLEAN) + 1, 10) if left(n) >= n)


def _found(data: str | None, n: int) -> tuple[str, Pictures, tuple[str, ...], GaussianMixture | None, tuple[str, ...]]:
    if data == EightGaussians.name:
        mixture = EightGaussians(radius=2.0, std=0.05).open()
        drawn = mixture.batch(Streams(0), POINTS * n)
        return data, Pictures(as_bytes(drawn.image), drawn.label), mixture.classes, mixture_of(mixture), ()
    notes: tuple[str, ...] = ()
    if data != Digits.name:
        try:
            source = FashionMnist().open()
        except InputError:
            if data is not None:
                raise
            source = Digits().open()
            notes = ("the files of fashion-mnist are not at hand, so faults are planted in digits",)
    else:
        source = Digits().open()
    return source.name, Pictures(source.images, source.labels), source.classes, None, notes
