"""Adaptive discriminator augmentation (Karras et al. 2020) with bilinear sampling: `ada-lite`."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.rounds import EMPTY, Round, State
from saddlepoint.views.adaptive import Adaptive
from saddlepoint.views.view import of_a_sample
from saddlepoint.views.warping import recoloured, warped

SHIFT = 1 / 8
GEOMETRY = ("flip", "turn", "shift", "scale", "rotation before", "stretch", "rotation after", "fraction")
COLOUR = ("brightness", "contrast", "luma flip", "hue", "saturation")
TRANSFORMS = GEOMETRY + COLOUR
UNIFORM = ("flip", "turn", "shift across", "shift down", "rotation before", "rotation after", "luma flip", "hue")
NORMAL = ("scale", "stretch", "fraction across", "fraction down", "brightness", "contrast", "saturation")

Numbers = Mapping[str, Tensor]


class AdaLite(Adaptive):
    r"""The pipeline `bgc`: each of its transforms is applied to an image with probability p, by the image's own draws.

    In this order, u uniform on [0, 1) and z standard normal: flip (half of the time); a turn by a multiple of 90 degrees; a shift
    by whole pixels, within 1/8 of the size; scale `2^(.2 z)`; rotation by any angle; stretch by `2^(.2 z)` across and `2^(-.2 z)`
    down; again a rotation; a shift by `z/8` of the size; then brightness `+ .2 z`, contrast `2^(.5 z)`, luma flip (half of the
    time), hue by any angle, saturation `2^z`. Each rotation has the probability `1 - sqrt(1 - p)`, so that one or both have p.

    The maps of the plane are joined to one, under which the image is sampled bilinearly and reflected at its edges, where the
    authors use a wavelet filter on an image of twice the size: hence `lite`. An image to which nothing is applied keeps its bits.

    Source: Karras, Aittala, Hellsten, Laine, Lehtinen, Aila 2020, and their code.

    >>> image = torch.ones(4, 3, 8, 8)
    >>> round = Round.of(real=image, fake=image, discriminator=lambda x: x.sum((1, 2, 3)))
    >>> view = AdaLite()
    >>> torch.equal(view(image, round, view.initial_state(())), image)
    True
    """

    name: ClassVar[str] = "ada-lite"
    least_resolution: ClassVar[int | None] = 8
    bibtex: ClassVar[str] = """@inproceedings{karras2020training,
  title={Training generative adversarial networks with limited data},
  author={Karras, Tero and Aittala, Miika and Hellsten, Janne and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo},
  booktitle={Advances in Neural Information Processing Systems},
  volume={33},
  year={2020}
}"""

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        round.record(f"{self.name}/p", state["p"])
        batch_axis = len(round.streams.leading)
        # Drawn whatever p is: a replica's draws do not depend on the others' p.
        uniform = self.uniform("amounts", image, round, len(TRANSFORMS) + len(UNIFORM)).flatten(0, batch_axis)
        normal = self.normal("amounts", image, round, len(NORMAL)).flatten(0, batch_axis)
        chances = _chances(state["p"].to(image), image.shape[batch_axis])
        chosen = dict(zip(TRANSFORMS, (uniform[:, : len(TRANSFORMS)] < chances).unbind(-1), strict=True))
        if not torch.stack(list(chosen.values())).any():
            return image
        amounts = dict(zip(UNIFORM, uniform[:, len(TRANSFORMS) :].unbind(-1), strict=True))
        amounts |= dict(zip([f"{name}, normal" for name in NORMAL], normal.unbind(-1), strict=True))
        flat = image.flatten(0, batch_axis)
        moved = warped(flat, inverse_of_geometry(chosen, amounts, flat.shape[-2:]))
        flat = torch.where(_any(chosen, GEOMETRY, flat), moved, flat)
        flat = torch.where(_any(chosen, COLOUR, flat), recoloured(flat, colour(chosen, amounts)), flat)
        return flat.reshape(image.shape)


def _chances(p: Tensor, n: int) -> Tensor:
    """The probability of each transform for each image, `[* n, transforms]`."""
    of_rotation = 1 - (1 - p).sqrt()
    chances = torch.stack([of_rotation if name.startswith("rotation") else p for name in TRANSFORMS], -1)
    return chances.unsqueeze(-2).expand(*p.shape, n, len(TRANSFORMS)).flatten(0, -2)


def _any(chosen: Numbers, names: tuple[str, ...], image: Tensor) -> Tensor:
    return of_a_sample(torch.stack([chosen[name] for name in names]).any(0), image)


def inverse_of_geometry(chosen: Numbers, amounts: Numbers, size: torch.Size) -> Tensor:
    """From pixels of the result to places in the image, `[n, 3, 3]`: the inverses of the chosen maps, first to last."""
    height, width = size

    def if_chosen(name: str, amount: Tensor, otherwise: float = 0.0) -> Tensor:
        return torch.where(chosen[name], amount, torch.full_like(amount, otherwise))

    def doubled(name: str, of: str, rate: float) -> Tensor:
        return if_chosen(name, torch.exp2(rate * amounts[f"{of}, normal"]), 1.0)

    one = torch.ones_like(amounts["flip"])
    stretch = doubled("stretch", "stretch", 0.2)
    scale = doubled("scale", "scale", 0.2)
    mirrored = if_chosen("flip", 1 - 2 * (2 * amounts["flip"]).floor(), 1.0)
    steps = [
        _scaling(mirrored, one),
        _rotation(if_chosen("turn", (4 * amounts["turn"]).floor()) * (math.pi / 2)),
        _shift(
            if_chosen("shift", ((2 * amounts["shift across"] - 1) * SHIFT * width).round()),
            if_chosen("shift", ((2 * amounts["shift down"] - 1) * SHIFT * height).round()),
        ),
        _scaling(1 / scale, 1 / scale),
        _rotation(if_chosen("rotation before", (2 * amounts["rotation before"] - 1) * math.pi)),
        _scaling(1 / stretch, stretch),
        _rotation(if_chosen("rotation after", (2 * amounts["rotation after"] - 1) * math.pi)),
        _shift(
            if_chosen("fraction", amounts["fraction across, normal"] * SHIFT * width),
            if_chosen("fraction", amounts["fraction down, normal"] * SHIFT * height),
        ),
    ]
    inverse = steps[0]
    for step in steps[1:]:
        inverse = inverse @ step
    return inverse


def colour(chosen: Numbers, amounts: Numbers) -> Tensor:
    """The chosen maps of colour space, joined, `[n, 4, 4]`; the grey axis is (1, 1, 1)."""

    def if_chosen(name: str, amount: Tensor, otherwise: float = 0.0) -> Tensor:
        return torch.where(chosen[name], amount, torch.full_like(amount, otherwise))[:, None, None]

    like = amounts["hue"]
    whole = torch.eye(4, dtype=like.dtype, device=like.device)
    grey = torch.zeros_like(whole)
    grey[:3, :3] = 1 / 3
    # The vector product with the unit grey axis.
    around = torch.zeros_like(whole)
    around[:3, :3] = like.new_tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    lift = torch.zeros_like(whole)
    lift[:3, 3] = 1
    colours = whole.clone()
    colours[3, 3] = 0
    angle = if_chosen("hue", (2 * amounts["hue"] - 1) * math.pi)
    matrix = whole + if_chosen("brightness", 0.2 * amounts["brightness, normal"]) * lift
    contrast = if_chosen("contrast", torch.exp2(0.5 * amounts["contrast, normal"]), 1.0)
    matrix = (whole + (contrast - 1) * colours) @ matrix
    matrix = (whole - 2 * if_chosen("luma flip", (2 * amounts["luma flip"]).floor()) * grey) @ matrix
    matrix = (whole + angle.sin() * around + (angle.cos() - 1) * (colours - grey)) @ matrix
    saturation = if_chosen("saturation", torch.exp2(amounts["saturation, normal"]), 1.0)
    return (whole + (saturation - 1) * (colours - grey)) @ matrix


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _scaling(across: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(across), torch.ones_like(across)
    return _matrix([[across, zero, zero], [zero, down, zero], [zero, zero, one]])


def _rotation(angle: Tensor) -> Tensor:
    zero, one, sine, cosine = torch.zeros_like(angle), torch.ones_like(angle), angle.sin(), angle.cos()
    return _matrix([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])


def _shift(across: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(across), torch.ones_like(across)
    return _matrix([[one, zero, -across], [zero, one, -down], [zero, zero, one]])
