"""scikit-learn's digits: real scans that need no download."""

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from saddlepoint.data.arrays import ArraySource, split_rows
from saddlepoint.data.content import digest_of
from saddlepoint.data.pictures import Resize, resized
from saddlepoint.data.source import Data, Progress


class Digits(Data):
    """1,797 grey 8 x 8 scans of handwritten digits (the test half of UCI's "optical recognition of handwritten digits").

    Their 17 levels 0 … 16 become bytes, `round(255 v / 16)`; above 8 pixels they are enlarged by `resize`.

    >>> Digits(resolution=8).open().shape
    (1, 8, 8)
    """

    name: ClassVar[str] = "digits"
    bibtex: ClassVar[str] = """@misc{alpaydin1998optical,
  title={Optical Recognition of Handwritten Digits},
  author={Alpaydin, E. and Kaynak, C.},
  howpublished={UCI Machine Learning Repository},
  year={1998}
}"""

    resolution: Literal[8, 16, 32] = Field(default=16, description="height and width of the images, in pixels")
    resize: Resize = Field(default="bicubic", description="filter that enlarges them")
    flip: bool = Field(default=False, description="mirror each training image left to right with probability 1/2")
    held_out: float = Field(default=0.1, gt=0, lt=1, description="share of each class that is never trained on")

    def open(self, progress: Progress | None = None) -> ArraySource:
        from sklearn.datasets import load_digits

        scans, labels = load_digits(return_X_y=True)
        pixels = np.round(scans.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
        images = resized(pixels, self.resolution, self.resize)
        ranks = [digest_of(scan.tobytes()) for scan in pixels]
        return ArraySource(
            self.name,
            self.digest_with(digest_of(images.tobytes()), self.held_out, self.flip),
            torch.from_numpy(images),
            torch.from_numpy(labels.astype(np.int64)),
            split_rows(ranks, labels.tolist(), self.held_out),
            classes=tuple("0123456789"),
            flip=self.flip,
            found=["scikit-learn's 8 x 8 scans" + (f", enlarged with the {self.resize} filter" if self.resolution > 8 else "")],
        )
