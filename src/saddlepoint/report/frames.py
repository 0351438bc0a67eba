"""The pictures of a run's samples, made small enough for one page, and the animation of a training in the plane."""

import io
import warnings
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from saddlepoint.report.reading import Reading, read_run
from saddlepoint.report.saving import save

MOST_FRAMES = 40
MOST_FRAME_BYTES = 5_000_000
WIDEST = 1200

ANIMATION_SIDE = 480
ANIMATION_MILLISECONDS = 120
LAST_FRAME_MILLISECONDS = 1500

T = TypeVar("T")


class Frame(NamedTuple):
    """A picture of samples as it stands in the page."""

    update: int
    source: str
    width: int
    height: int


def page_frames(reading: Reading) -> tuple[list[Frame], list[str]]:
    """At most 40 pictures, evenly chosen, as data URIs of a few megabytes in all; and what could not be read."""
    chosen = evenly(reading.frames, MOST_FRAMES)
    frames, problems = [], []
    for update, path in chosen:
        try:
            frames.append(_frame(update, path, MOST_FRAME_BYTES // len(chosen)))
        except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            problems.append(f"samples/{path.name}: is no picture that can be shown ({error})")
    return frames, problems


def animation(reading: Reading) -> bytes | None:
    """A GIF of the samples of a 2-D run over its updates; None for images, or with fewer than two pictures."""
    if not reading.points:
        return None
    pictures = list(_small_pictures(evenly(reading.frames, MOST_FRAMES)))
    if len(pictures) < 2:
        return None
    # One palette for all, taken from the last picture: the background does not flicker, and unchanged pixels cost nothing.
    palette = pictures[-1].quantize(96, dither=Image.Dither.NONE)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [ANIMATION_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return content.getvalue()


def write_animation(run: Path) -> Path | None:
    """Write `samples/training.gif` of a 2-D run; its path, or None where there is nothing to animate.

    Raises:
        InputError: not a run folder, or it cannot be written.
    """
    content = animation(read_run(run))
    if content is None:
        return None
    save(animation_path(run), content)
    return animation_path(run)


def animation_path(run: Path) -> Path:
    """Where the animation of a 2-D run is."""
    return run / "samples" / "training.gif"


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly chosen, the first and the last among them.

    >>> evenly(range(100), 4)
    [0, 33, 66, 99]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def data_uri(content: bytes, kind: str) -> str:
    """A picture as an address that holds it: the page loads nothing."""
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def _frame(update: int, path: Path, budget: int) -> Frame:
    content = path.read_bytes()
    with _opened(content) as picture:
        width, height = picture.size
        if len(content) <= budget and width <= WIDEST and picture.format == "PNG":
            return Frame(update, data_uri(content, "png"), width, height)
        shown = picture.convert("RGB")
    if width > WIDEST:
        shown = shown.resize((WIDEST, max(1, round(height * WIDEST / width))), Image.Resampling.LANCZOS)
    return Frame(update, data_uri(_webp(shown, budget), "webp"), *shown.size)


def _webp(picture: Image.Image, budget: int) -> bytes:
    for quality in (90, 75, 50):
        content = io.BytesIO()
        picture.save(content, "WEBP", quality=quality, method=2)
        if content.tell() <= budget:
            return content.getvalue()
    half = (max(1, picture.width // 2), max(1, picture.height // 2))
    return content.getvalue() if min(picture.size) < 64 else _webp(picture.resize(half, Image.Resampling.BOX), budget)


def _small_pictures(frames: Sequence[tuple[int, Path]]) -> Iterator[Image.Image]:
    for _, path in frames:
        try:
            with _opened(path.read_bytes()) as picture:
                small = picture.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            continue
        yield small.resize((ANIMATION_SIDE, ANIMATION_SIDE), Image.Resampling.LANCZOS)


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(content), formats=["PNG"])
        picture.load()
    return picture
