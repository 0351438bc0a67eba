"""The pixels themselves, or the coordinates of points: no network's opinion."""

import hashlib
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import Extractor, Seen
from saddlepoint.extractors.network import check_images, in_pixels

PREPARATION = "x / 255, flattened; points as they are"


class _Pixels:
    name = "pixels"
    title = "pixels"
    layers = ("pixels",)
    classes: tuple[str, ...] = ()
    digest = hashlib.sha256(PREPARATION.encode()).hexdigest()

    def __call__(self, images: Tensor) -> Seen:
        if images.ndim == 2 and images.is_floating_point():
            if not images.shape[1]:
                raise InputError([f"pixels: points without coordinates, {list(images.shape)}; give [n, d] with d of 1 or more"])
            return Seen(images.detach().to("cpu", torch.float32))
        check_images(images, self.title, tuple(range(1, 5)))
        return Seen((in_pixels(images.detach()) / 255).flatten(1).cpu())


class Pixels(Extractor):
    """Images as vectors: every byte over 255, `[n, C H W]`; points `[n, d]` as they are.

    Distances between pixels say little about what is seen in them; for points it is the only right choice.

    >>> Pixels().open()(torch.full((2, 1, 2, 2), 255, dtype=torch.uint8)).features
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """

    name: ClassVar[str] = "pixels"

    def open(self, device: str = "cpu") -> _Pixels:
        return _Pixels()
