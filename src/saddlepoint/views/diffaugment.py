"""DiffAugment (Zhao et al. 2020): one differentiable policy for reals and fakes, for both players."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.rounds import EMPTY, Round, State
from saddlepoint.views.view import View, of_a_sample

Part = Literal["color", "translation", "cutout"]

SHIFT = 1 / 8
SQUARE = 1 / 2


class DiffAugment(View):
    r"""Each image is changed by its own draws, in the order of `policy`; `u` is uniform on [0, 1), a fresh one each time.

    - `color`: `x + u - 1/2`; then `m + 2 u (x - m)`, m the mean over channels of each pixel; then `m + (u + 1/2) (x - m)`, m the
      mean over the image.
    - `translation`: whole pixels, uniform within 1/8 of the size each way; what comes in is 0.
    - `cutout`: a square of half the size, its centre anywhere in the image, becomes 0.

    An empty policy is the identity.

    Source: Zhao, Liu, Lin, Zhu, Han 2020, and its authors' code.

    >>> import torch
    >>> image = torch.ones(4, 3, 16, 16)
    >>> round = Round.of(real=image, fake=image, discriminator=lambda x: x.sum((1, 2, 3)))
    >>> shares = (DiffAugment(policy=("cutout",))(image, round) == 0).double().mean((1, 2, 3))
    >>> bool(((shares >= 1 / 16) & (shares <= 1 / 4)).all())
    True
    """

    name: ClassVar[str] = "diffaugment"
    least_resolution: ClassVar[int | None] = 8
    bibtex: ClassVar[str] = """@inproceedings{zhao2020differentiable,
  title={Differentiable augmentation for data-efficient {GAN} training},
  author={Zhao, Shengyu and Liu, Zhijian and Lin, Ji and Zhu, Jun-Yan and Han, Song},
  booktitle={Advances in Neural Information Processing Systems},
  volume={33},
  year={2020}
}"""

    policy: tuple[Part, ...] = Field(
        default=("color", "translation", "cutout"), description="what is done, in this order; an empty list does nothing"
    )

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        for part in self.policy:
            image = PARTS[part](self, image, round)
        return image


def _color(view: DiffAugment, image: Tensor, round: Round) -> Tensor:
    shift, saturation, contrast = (of_a_sample(drawn, image) for drawn in view.uniform("color", image, round, 3).unbind(-1))
    image = image + (shift - 0.5)
    grey = image.mean(-3, keepdim=True)
    image = grey + 2 * saturation * (image - grey)
    flat = image.mean((-3, -2, -1), keepdim=True)
    return flat + (contrast + 0.5) * (image - flat)


def _translation(view: DiffAugment, image: Tensor, round: Round) -> Tensor:
    for axis, way in ((-2, "down"), (-1, "across")):
        size = image.shape[axis]
        most = int(size * SHIFT + 0.5)
        shift = view.integers(f"translation {way}", 2 * most + 1, image, round) - most
        image = _shifted(image, shift, axis)
    return image


def _shifted(image: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Images moved by `shift` `[*, n]` pixels along an axis, `-2` or `-1`; what comes in is 0."""
    size = image.shape[axis]
    places = torch.arange(size, device=image.device)
    places = places.reshape((-1,) + (1,) * (-1 - axis)) - of_a_sample(shift, image)
    inside = (places >= 0) & (places < size)
    return image.gather(axis, places.clamp(0, size - 1).expand_as(image)) * inside


def _cutout(view: DiffAugment, image: Tensor, round: Round) -> Tensor:
    inside = []
    for axis, way in ((-2, "down"), (-1, "across")):
        size = image.shape[axis]
        side = int(size * SQUARE + 0.5)
        first = view.integers(f"cutout {way}", size + 1 - side % 2, image, round) - side // 2
        places = torch.arange(size, device=image.device).reshape((-1,) + (1,) * (-1 - axis)) - of_a_sample(first, image)
        inside.append((places >= 0) & (places < side))
    return image * ~(inside[0] & inside[1])


PARTS: Mapping[Part, Callable[[DiffAugment, Tensor, Round], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
