"""Samples beside the training images nearest to them, for a person who wants to overrule a number."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.measure import Estimate

if TYPE_CHECKING:
    from PIL.Image import Image

GAP, FRAME = 2, 2
BACKGROUND, YELLOW = (128, 128, 128), (255, 210, 0)
READABLE_TILE = 64


def neighbours_picture(evidence: Evidence, estimate: Estimate, path: Path) -> None:
    """Write a PNG: a row a sample, the sample framed in yellow, then its nearest training images, nearest first.

    Args:
        estimate: of `memorisation`, `copying-pixels` or `copying-features`: its `details` say which images.

    Raises:
        InputError: the samples are points, or the estimate carries no neighbours.
    """
    shown = estimate.details.get("neighbours")
    if not shown or evidence.train is None:
        raise InputError(
            ["neighbours_picture: the estimate carries no neighbours; give memorisation's copying-pixels or copying-features"]
        )
    train = evidence.train.images
    rows = [([evidence.fake.images[one["sample"]]], [train[index] for index in one["train"]]) for one in shown]
    _write(_sheet(rows), path)


def pairs_picture(evidence: Evidence, estimate: Estimate, path: Path) -> None:
    """Write a PNG: a row a pair, the two samples framed in yellow, then the training image nearest to each.

    Args:
        evidence: with the generator, which draws the samples again from the numbers of their latents.
        estimate: of `support-size`.

    Raises:
        InputError: the samples are points, or the estimate carries no pairs.
    """
    shown = estimate.details.get("closest pairs")
    if not shown or evidence.train is None or evidence.generator is None:
        raise InputError(["pairs_picture: the estimate carries no pairs; give an estimate of support-size and its evidence"])
    train, generator = evidence.train.images, evidence.generator

    def drawn(number: int) -> Tensor:
        return generator.see(generator.generate(generator.latents(number, number + 1))).images[0]

    rows = [([drawn(number) for number in pair["samples"]], [train[index] for index in pair["train"]]) for pair in shown]
    _write(_sheet(rows), path)


def _sheet(rows: Sequence[tuple[Sequence[Tensor], Sequence[Tensor]]]) -> "Image":
    """Bytes `[C, H, W]` in rows, those of the first part framed."""
    from PIL import Image

    first = rows[0][0][0]
    if first.ndim != 3 or first.shape[0] not in (1, 3):
        raise InputError(
            [f"a picture of neighbours needs images [C, H, W] with C 1 or 3; these samples have shape {tuple(first.shape)}"]
        )
    scale = max(1, -(-READABLE_TILE // first.shape[2]))
    height, width = first.shape[1] * scale, first.shape[2] * scale
    step = 2 * FRAME + GAP
    columns = max(len(framed) + len(plain) for framed, plain in rows)
    size = columns * (width + step) + GAP, len(rows) * (height + step) + GAP
    sheet = Image.new("RGB", size, BACKGROUND)
    for row, (framed, plain) in enumerate(rows):
        for column, image in enumerate([*framed, *plain]):
            left, top = GAP + column * (width + step), GAP + row * (height + step)
            if column < len(framed):
                sheet.paste(YELLOW, (left, top, left + width + 2 * FRAME, top + height + 2 * FRAME))
            pixels = image.expand(3, *image.shape[1:]).to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
            tile = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(tile, (left + FRAME, top + FRAME))
    return sheet


def _write(sheet: "Image", path: Path) -> None:
    """Beside, then renamed: whoever looks sees a whole picture or none."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        sheet.save(beside, "PNG")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError([f"{path}: cannot be written ({error.strerror}); give another place"]) from error
