"""One image file into pixels, and the rules by which it is read."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Resize = Literal["antialiased-bilinear", "bicubic", "lanczos", "box", "nearest"]
NonSquare = Literal["crop", "pad"]

ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm")

# Only these readers are tried, whatever a file is called: Pillow's others may start outside programs (EPS) or read no pictures.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")

# Pillow's filters widen with the reduction, so bilinear does not alias when it shrinks.
FILTERS: dict[Resize, Image.Resampling] = {
    "antialiased-bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Picture:
    """A decoded file: `pixels` uint8 `[C, H, W]`, and what the file was like."""

    pixels: NDArray[np.uint8]
    mode: str
    width: int
    height: int
    animated: bool


class UnreadableError(Exception):
    """Why a file gives no picture, in a few words."""


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Pillow warns above its pixel limit and refuses above twice that; here both are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_picture(data: bytes, resolution: int | None, channels: int, non_square: NonSquare, resize: Resize) -> Picture:
    """Decode the bytes of a file: the first frame, upright, on white, square, resized, `[channels, resolution, resolution]`.

    Without a resolution it stays as wide and as high as it is.

    Raises:
        UnreadableError: the reason, whatever is wrong with the bytes.
    """
    if not data:
        raise UnreadableError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            mode, (width, height) = image.mode, image.size
            animated = bool(getattr(image, "is_animated", False))
            image.load()
            plain = _on_white(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise UnreadableError("not an image, whatever its name says") from None
    except UnreadableError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise UnreadableError(str(error).split("\n")[0] or type(error).__name__) from None
    pixels = _pixels_of(plain) if resolution is None else to_pixels(_square(plain, non_square), resolution, resize)
    return Picture(pixels, mode, width, height, animated)


def to_pixels(image: Image.Image, resolution: int, resize: Resize) -> NDArray[np.uint8]:
    """A square grey or RGB image at `resolution`, uint8 `[C, resolution, resolution]`."""
    if image.size != (resolution, resolution):
        image = image.resize((resolution, resolution), FILTERS[resize])
    return _pixels_of(image)


def _pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def resized(pixels: NDArray[np.uint8], resolution: int, resize: Resize) -> NDArray[np.uint8]:
    """Square images `[N, C, H, H]` at another resolution, `[N, C, resolution, resolution]`, by the same filters as files."""
    if pixels.shape[-1] == resolution:
        return pixels
    images = (Image.fromarray(one[0] if len(one) == 1 else np.ascontiguousarray(one.transpose(1, 2, 0))) for one in pixels)
    return np.stack([to_pixels(image, resolution, resize) for image in images])


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _eight_bits(image)
    if image.mode == "F":
        raise UnreadableError("32-bit floating point has no agreed range; save it with 8 or 16 bits")
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey: 0 … 65535 becomes 0 … 255, rounded; never stretched to the file's own extremes."""
    values: NDArray[Any] = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UnreadableError("32-bit integers beyond 0 … 65535; save it with 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _square(image: Image.Image, non_square: NonSquare) -> Image.Image:
    width, height = image.size
    if width == height:
        return image
    side = min(width, height) if non_square == "crop" else max(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if non_square == "crop":
        return image.crop((left, top, left + side, top + side))
    square = Image.new(image.mode, (side, side), "white")
    square.paste(image, (-left, -top))
    return square
