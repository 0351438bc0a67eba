"""scikit-learn's digits in black and white."""

from typing import ClassVar

import torch

from saddlepoint.alphabets import Signs
from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.digits import Digits
from saddlepoint.data.source import Progress


class BinaryDigits(Digits):
    """The scans of `digits`, each pixel -1 or 1: white from the middle grey on, after they were enlarged.

    Any generator may learn these images. One whose objective reads log-probabilities gives a probability for each pixel.

    >>> source = BinaryDigits(resolution=8).open()
    >>> sorted(set(next(source.all("train")).image.flatten().tolist()))
    [-1.0, 1.0]
    """

    name: ClassVar[str] = "binary-digits"

    @property
    def alphabet(self) -> Signs:
        return Signs((1, self.resolution, self.resolution))

    def open(self, progress: Progress | None = None) -> ArraySource:
        source = super().open(progress)
        source.images = torch.where(source.images >= 128, 255, 0).to(torch.uint8)
        return source
