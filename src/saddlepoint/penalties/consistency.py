"""Consistency under changes of the image: CR (Zhang et al. 2020) and bCR (Zhao et al. 2021)."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Mover, Round, Side, State
from saddlepoint.schedules import Constant
from saddlepoint.streams import Streams

ZHANG = """@inproceedings{zhang2020consistency,
  title={Consistency regularization for generative adversarial networks},
  author={Zhang, Han and Zhang, Zizhao and Odena, Augustus and Lee, Honglak},
  booktitle={International Conference on Learning Representations},
  year={2020}
}"""

ZHAO = """@inproceedings{zhao2021improved,
  title={Improved consistency regularization for {GANs}},
  author={Zhao, Zhengli and Singh, Sameer and Lee, Honglak and Zhang, Zizhao and Odena, Augustus and Zhang, Han},
  booktitle={AAAI Conference on Artificial Intelligence},
  volume={35},
  pages={11033--11041},
  year={2021}
}"""


class CR(Penalty):
    r"""`mean_i (D(x_i) - D(T x_i))^2` over the reals, `T` a random change that leaves what is on an image: another one for each.

    `T` mirrors an image left to right in half of the cases, and shifts it by up to `shift` of its side each way, what comes in at
    the border being the image reflected. Points have neither: they get `N(0, noise^2)` added. The rest of the loss sees unchanged
    images, and the gradient flows through both judgements.

    Source: Zhang, Zhang, Odena, Lee 2020, equation 3 and section 2.2.

    >>> round = Round.of(real=torch.randn(4, 1, 8, 8), fake=torch.randn(4, 1, 8, 8), discriminator=lambda x: x.mean((1, 2, 3)))
    >>> bool(CR(shift=0)(round) < 1e-12), bool(CR()(round) > 1e-12)
    (True, True)
    """

    name: ClassVar[str] = "cr"
    players: ClassVar[tuple[Mover, ...]] = ("discriminator",)
    judges_changed: ClassVar[bool] = True
    needs_scale: ClassVar[bool] = True
    bibtex: ClassVar[str] = ZHANG

    weight: Weight = Field(default=Constant(value=10.0), description="lambda; a schedule of this player's updates")
    flip: bool = Field(default=True, description="whether images are mirrored, left to right, in half of the cases")
    shift: float = Field(default=0.125, ge=0, lt=1, description="of images: the farthest shift each way, as a part of the side")
    noise: float = Field(default=0.1, ge=0, description="of points, in place of flip and shift: the standard deviation added")

    one_for_all: ClassVar[frozenset[str]] = frozenset({"shift"})

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        return self._differences(round, "real").mean(-1)

    def _differences(self, round: Round, side: Side) -> Tensor:
        """`(D(x) - D(T x))^2` of each sample of a side, `[*, n]`; the images are constants for the gradient."""
        judged, example = round.judge(side), round.real if side == "real" else round.fake
        key = round.key_of(self, f"{side}, changed by {self.name}")
        image = round.once(key, lambda: self._changed(example.image.detach(), side, round.streams))
        return in_full_precision(judged.scores - round.judge(key, example._replace(image=image)).scores).square()

    def _changed(self, image: Tensor, side: Side, streams: Streams) -> Tensor:
        batch_axis = len(streams.leading)
        n = image.shape[batch_axis]
        if image.ndim == batch_axis + 2:
            offset = streams.normal(f"{self.name} noise {side}", *image.shape[batch_axis:]).to(image)
            return image + (self.noise * offset.movedim(-1, 0)).movedim(0, -1)
        if self.flip:
            mirrored = streams.uniform(f"{self.name} flip {side}", n) < 0.5
            image = torch.where(mirrored[..., None, None, None], image.flip(-1), image)
        for axis, way in ((-2, "down"), (-1, "right")):
            farthest = math.floor(self.shift * image.shape[axis])
            if farthest > 0:
                steps = streams.integers(f"{self.name} shift {way} {side}", 2 * farthest + 1, n) - farthest
                image = shifted(image, steps, axis)
        return image


class BCR(CR):
    r"""Balanced CR: `mean (D(x) - D(T x))^2` over the reals, and `fakes` times the same over the fakes, which are constants.

    With reals alone a discriminator may learn that what `T` does is a sign of a real image.

    Source: Zhao, Singh, Lee, Zhang, Odena, Zhang 2021, algorithm 1.
    """

    name: ClassVar[str] = "bcr"
    bibtex: ClassVar[str] = ZHAO

    weight: Weight = Field(default=Constant(value=10.0), description="lambda of the reals; a schedule of this player's updates")
    fakes: float = Field(default=1.0, gt=0, description="lambda of the fakes, as a multiple of that of the reals")

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        return self._differences(round, "real").mean(-1) + (self.fakes * self._differences(round, "fake")).mean(-1)


def shifted(image: Tensor, steps: Tensor, axis: int) -> Tensor:
    """Images `[*, n, C, H, W]`, each shifted along `axis` (-1 or -2) by its number of `steps` `[*, n]`, reflected at the border.

    >>> shifted(torch.tensor([[[[1, 2, 3, 4]]]]), torch.tensor([2]), -1)
    tensor([[[[3, 2, 1, 2]]]])
    """
    size = image.shape[axis]
    place = torch.arange(size, device=image.device) - steps.unsqueeze(-1)
    inside = (size - 1) - ((place % (2 * size - 2)) - (size - 1)).abs() if size > 1 else torch.zeros_like(place)
    return image.take_along_dim(inside[..., None, :, None] if axis == -2 else inside[..., None, None, :], dim=axis)
