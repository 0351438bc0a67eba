"""The pictures of a run's samples, made small enough for one page, and the animation of a training in the plane."""

import io
import math
import warnings
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image, ImageDraw, ImageFont

from saddlepoint.report.reading import Reading, frames_in, read_run
from saddlepoint.report.saving import save

MOST_FRAMES = 40
MOST_FRAME_BYTES = 5_000_000
WIDEST = 1200

# Of a run in parts: so many of their pictures stand side by side, fewer where each is of many replicas itself.
MOST_LONE_PARTS, MOST_STACKED_PARTS = 16, 4
LABEL_SHARE = 22

ANIMATION_SIDE, ANIMATION_SIDE_OF_MANY = 480, 720
ANIMATION_MILLISECONDS = 120
LAST_FRAME_MILLISECONDS = 1500

UNREADABLE = (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)

T = TypeVar("T")


class Frame(NamedTuple):
    """A picture of samples as it stands in the page."""

    update: int
    source: str
    width: int
    height: int


class Shot(NamedTuple):
    """The samples at one update: the run's own picture, or those of its parts with their labels, None where one is behind."""

    update: int
    tiles: tuple[tuple[str, Path | None], ...]

    @property
    def name(self) -> str:
        """Where a reader of warnings finds it."""
        paths = [path for _, path in self.tiles if path is not None]
        return f"{'/'.join(paths[0].parts[-2:])}" if len(self.tiles) == 1 else f"parts/*/samples/{paths[0].name}"


def shots(reading: Reading) -> list[Shot]:
    """The pictures of samples, by update; of a run in parts those of its first ones, side by side."""
    if not reading.divided:
        return [Shot(update, (("", path),)) for update, path in reading.frames]
    lone = reading.parts[0].size == 1
    shown = reading.parts[: MOST_LONE_PARTS if lone else MOST_STACKED_PARTS]
    labels = [reading.replicas[part.start].name if part.size == 1 else part.name for part in shown]
    found = [dict(frames_in(part.path)) for part in shown]
    updates = sorted({update for pictures in found for update in pictures})
    return [
        Shot(update, tuple((label, pictures.get(update)) for label, pictures in zip(labels, found, strict=True)))
        for update in updates
    ]


def picture(shot: Shot) -> Image.Image:
    """The picture of a shot.

    Raises:
        OSError, ValueError: a file of it is no picture.
    """
    opened = [(label, None if path is None else _opened(path.read_bytes()).convert("RGB")) for label, path in shot.tiles]
    if len(opened) == 1 and opened[0][1] is not None:
        return opened[0][1]
    there = [tile for _, tile in opened if tile is not None]
    width, height = max(tile.width for tile in there), max(tile.height for tile in there)
    columns = math.ceil(math.sqrt(len(opened)))
    line = max(14, width // LABEL_SHARE)
    whole = Image.new("RGB", (columns * (width + line), math.ceil(len(opened) / columns) * (height + 2 * line)), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(line * 0.8)
    for number, (label, tile) in enumerate(opened):
        left, top = number % columns * (width + line) + line // 2, number // columns * (height + 2 * line)
        draw.text((left, top + line // 4), label if tile is not None else f"{label}: not there yet", fill="#333333", font=font)
        if tile is not None:
            whole.paste(tile, (left, top + line * 3 // 2))
    return whole


def page_frames(reading: Reading) -> tuple[list[Frame], list[str]]:
    """At most 40 pictures, evenly chosen, as data URIs of a few megabytes in all; and what could not be read."""
    chosen = evenly(shots(reading), MOST_FRAMES)
    frames, problems = [], []
    for shot in chosen:
        try:
            frames.append(_frame(shot, MOST_FRAME_BYTES // len(chosen)))
        except UNREADABLE as error:
            problems.append(f"{shot.name}: is no picture that can be shown ({error})")
    return frames, problems


def animation(reading: Reading) -> bytes | None:
    """A GIF of the samples of a 2-D run over its updates; None for images, or with fewer than two pictures."""
    if not reading.points:
        return None
    side = ANIMATION_SIDE_OF_MANY if reading.replicas else ANIMATION_SIDE
    pictures = list(_small_pictures(evenly(shots(reading), MOST_FRAMES), side))
    if len(pictures) < 2:
        return None
    # All frames of a GIF have one size; a part that was behind may have made one smaller.
    pictures = [small.resize(pictures[-1].size) if small.size != pictures[-1].size else small for small in pictures]
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
    return save_animation(run, content)


def save_animation(run: Path, content: bytes) -> Path:
    """Write the animation where it belongs; its path.

    Raises:
        InputError: it cannot be written.
    """
    path = animation_path(run)
    with suppress(OSError):
        # A run in parts may have no samples of its own.
        path.parent.mkdir(exist_ok=True)
    save(path, content)
    return path


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


def _frame(shot: Shot, budget: int) -> Frame:
    content = _content(shot)
    with _opened(content) as stored:
        width, height = stored.size
        if len(content) <= budget and width <= WIDEST:
            return Frame(shot.update, data_uri(content, "png"), width, height)
        shown = stored.convert("RGB")
    if width > WIDEST:
        shown = shown.resize((WIDEST, max(1, round(height * WIDEST / width))), Image.Resampling.LANCZOS)
    return Frame(shot.update, data_uri(_webp(shown, budget), "webp"), *shown.size)


def _content(shot: Shot) -> bytes:
    _, path = shot.tiles[0]
    if len(shot.tiles) == 1 and path is not None:
        return path.read_bytes()
    content = io.BytesIO()
    picture(shot).save(content, "PNG")
    return content.getvalue()


def _webp(picture: Image.Image, budget: int) -> bytes:
    for quality in (90, 75, 50):
        content = io.BytesIO()
        picture.save(content, "WEBP", quality=quality, method=2)
        if content.tell() <= budget:
            return content.getvalue()
    half = (max(1, picture.width // 2), max(1, picture.height // 2))
    return content.getvalue() if min(picture.size) < 64 else _webp(picture.resize(half, Image.Resampling.BOX), budget)


def _small_pictures(found: Sequence[Shot], side: int) -> Iterator[Image.Image]:
    for shot in found:
        try:
            whole = picture(shot)
        except UNREADABLE:
            continue
        scale = side / max(whole.size)
        yield whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(content), formats=["PNG"])
        picture.load()
    return picture
