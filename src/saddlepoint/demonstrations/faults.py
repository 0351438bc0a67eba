"""Known faults, planted into real samples at a dose: 0 leaves the clean set as it is, 1 is the whole fault.

Each is nested: what a small dose spoils, a larger one spoils too. Which classes lose and what noise is drawn is the streams'.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.evaluation.reals import Pictures
from saddlepoint.streams import Streams

# One image in twenty is what a set of duplicates repeats.
ORIGINALS = 20
# Of blur at dose 1, as a share of an image's height: 4 pixels at 32.
BLUR = 1 / 8
# Of noise at dose 1: a quarter of the range of bytes; of points, a tenth of each coordinate's standard deviation.
NOISE_BYTES, NOISE_POINTS = 64.0, 0.1
# How much rarer the rarest class is than the most frequent at dose 1.
TILT = 100.0


@dataclass(frozen=True)
class Ground:
    """Real samples of one repeat, no sample in two of the parts, all labelled.

    Args:
        real: what a set is compared with, `n` samples.
        clean: `n` others: the set without a fault.
        train: `n` or more others, which a generator would have been trained on.
        fresh: others, which take the place of what a fault removes; with `clean` they hold `n` or more of each class.
        classes: how many there are.
    """

    real: Pictures
    clean: Pictures
    train: Pictures
    fresh: Pictures
    classes: int


Plant = Callable[[Ground, float, Streams], Pictures]


def dropped_modes(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """`dose (K - 1)` of the K classes, rounded, are absent; fresh samples of the others fill up, in their clean proportions.

    >>> from saddlepoint.demonstrations.measures import opened
    >>> ground = opened("digits", 60).ground(60, Streams(0))
    >>> len(dropped_modes(ground, 1.0, Streams(0)).labels.unique())
    1
    """
    lost = _order_of_classes(ground, streams)[: _rounded(dose * (ground.classes - 1))]
    weights = _counts(ground.clean, ground.classes).double()
    weights[lost] = 0
    return _with_counts(ground, _apportioned(weights, len(ground.clean)))


def duplicates(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """`dose n` samples, rounded, are exact copies of `n / 20` others of the set; at dose 1 there is nothing but these few.

    >>> from saddlepoint.demonstrations.measures import opened
    >>> ground = opened("digits", 60).ground(60, Streams(0))
    >>> len(duplicates(ground, 0.5, Streams(0)).images.unique(dim=0))
    30
    """
    n = len(ground.clean)
    few = max(1, n // ORIGINALS)
    copies = min(_rounded(dose * n), n - few)
    rows = torch.arange(n)
    rows[n - copies :] = torch.arange(copies) % few
    return ground.clean.rows(rows)


def blur(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """Every image under a Gaussian of standard deviation `dose H / 8` pixels, H its height; then bytes again."""
    from scipy.ndimage import gaussian_filter

    images = ground.clean.images
    sigma = dose * BLUR * images.shape[-2]
    blurred = gaussian_filter(images.to(torch.float32).numpy(), (0, 0, sigma, sigma))
    return Pictures(_bytes(torch.from_numpy(blurred)), ground.clean.labels)


def noise(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """Gaussian noise: `64 dose` bytes of standard deviation on every pixel, then bytes again; on points, `dose / 10` of the data's.

    The same draws at every dose.
    """
    clean = ground.clean.images
    drawn = streams.apart("noise").normal("fault", *clean.shape)
    if clean.is_floating_point():
        return Pictures(clean + dose * NOISE_POINTS * clean.std(0) * drawn, ground.clean.labels)
    return Pictures(_bytes(clean + dose * NOISE_BYTES * drawn), ground.clean.labels)


def reweighted_modes(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """Class shares tilted evenly, in an order of the streams': the last class is made `100^dose` times rarer than the first.

    No class is lost on purpose; fresh samples fill up what grows.
    """
    ranks = _order_of_classes(ground, streams).argsort().double()
    tilt = TILT ** (-dose * ranks / (ground.classes - 1))
    return _with_counts(ground, _apportioned(_counts(ground.clean, ground.classes) * tilt, len(ground.clean)))


def memorised(ground: Ground, dose: float, streams: Streams) -> Pictures:
    """`dose n` samples, rounded, are training samples to the bit, each of them once; the rest stays."""
    copies = _rounded(dose * len(ground.clean))
    return _joined(ground.train.rows(slice(0, copies)), ground.clean.rows(slice(copies, None)))


@dataclass(frozen=True)
class Fault:
    """A fault that can be planted.

    Args:
        title: as a picture heads it.
        images: what it is at dose 1, in a few words.
        points: the same of points; None where they cannot have it.
    """

    title: str
    images: str
    plant: Plant
    points: str | None = None

    def full(self, points: bool) -> str:
        """What it is at dose 1."""
        return self.points if points and self.points is not None else self.images


FAULTS: Mapping[str, Fault] = {
    "dropped-modes": Fault("dropped modes", "one class is left", dropped_modes, "one component is left"),
    "reweighted-modes": Fault("re-weighted modes", "a class 100 x rarer", reweighted_modes, "a component 100 x rarer"),
    "duplicates": Fault("duplicates", "n / 20 different images", duplicates, "n / 20 different points"),
    "blur": Fault("blur", "std of 1/8 of the height", blur),
    "noise": Fault("noise", "std of 1/4 of the range", noise, "std of 1/10 of the data's"),
    "memorised": Fault("memorised", "all are training images", memorised),
}


def _order_of_classes(ground: Ground, streams: Streams) -> Tensor:
    return streams.apart("classes").order("fault", ground.classes, ground.classes)


def _counts(pictures: Pictures, classes: int) -> Tensor:
    return torch.bincount(_labels(pictures), minlength=classes)


def _labels(pictures: Pictures) -> Tensor:
    if pictures.labels is None:
        raise ValueError("faults are planted into samples whose classes are known")
    return pictures.labels


def _apportioned(weights: Tensor, n: int) -> Tensor:
    """Whole numbers in proportion to the weights with the sum n: the largest remainders are rounded up."""
    shares = n * weights / weights.sum()
    counts = shares.floor().long()
    up = (shares - counts).argsort(descending=True, stable=True)[: n - int(counts.sum())]
    counts[up] += 1
    return counts


def _with_counts(ground: Ground, counts: Tensor) -> Pictures:
    """So many of each class: the clean set's first, then fresh ones."""
    kept = _first_of_each(_labels(ground.clean), counts)
    added = _first_of_each(_labels(ground.fresh), counts - torch.bincount(_labels(ground.clean)[kept], minlength=len(counts)))
    if len(kept) + len(added) < int(counts.sum()):
        raise ValueError("there are too few fresh samples of a class")
    return _joined(ground.clean.rows(kept), ground.fresh.rows(added))


def _first_of_each(labels: Tensor, counts: Tensor) -> Tensor:
    """Rows, ascending, of the first so many samples of each class."""
    found = [(labels == label).nonzero().flatten()[:count] for label, count in enumerate(counts.tolist())]
    return torch.cat(found).sort().values


def _joined(first: Pictures, second: Pictures) -> Pictures:
    return Pictures(torch.cat([first.images, second.images]), torch.cat([_labels(first), _labels(second)]))


def _rounded(number: float) -> int:
    """Halves go up."""
    return int(number + 0.5)


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
