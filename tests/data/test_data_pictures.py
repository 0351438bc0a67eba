"""One image file by the stated rules: every mode, filter and shape, and what is wrong with those that cannot be read."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.data.pictures import FILTERS, Picture, Resize, UnreadableError, bombs_refused, read_picture, resized
from tests.data.drawing import noise

SIDE = 12


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def read(data: bytes, **changes: Any) -> Picture:
    settings: dict[str, Any] = {"resolution": SIDE, "channels": 3, "non_square": "crop", "resize": "box"}
    return read_picture(data, **(settings | changes))


def grey(seed: int = 0) -> NDArray[np.uint8]:
    return noise(SIDE, SIDE, seed=seed)


def colour(seed: int = 0) -> NDArray[np.uint8]:
    return noise(SIDE, SIDE, 3, seed=seed)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read(encoded(Image.fromarray(colour()), format, **options))
    assert np.array_equal(picture.pixels, colour().transpose(2, 0, 1))
    assert (picture.mode, picture.width, picture.height) == ("RGB", SIDE, SIDE)


def test_jpeg_comes_back_nearly() -> None:
    smooth = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint8) * 9
    picture = read(encoded(Image.fromarray(smooth), "JPEG", quality=98))
    assert picture.mode == "L"
    assert np.abs(picture.pixels[0].astype(int) - smooth).max() <= 3


def test_grey_and_colour_are_what_was_asked_for() -> None:
    data = encoded(Image.fromarray(colour()))
    luma = colour() @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(data, channels=1).pixels[0] - luma).max() <= 1
    assert np.array_equal(read(encoded(Image.fromarray(grey()))).pixels, np.stack([grey()] * 3))


def test_sixteen_bits_are_divided_by_257() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE)).astype(np.uint16)
    values[0, :2] = 0, 65535
    picture = read(encoded(Image.fromarray(values)), channels=1)
    assert picture.mode.startswith("I;16")
    assert np.array_equal(picture.pixels[0], np.round(values / 257))


def test_dark_sixteen_bits_stay_dark() -> None:
    picture = read(encoded(Image.fromarray(np.full((SIDE, SIDE), 2570, np.uint16))), channels=1)
    assert (picture.pixels == 10).all()


def test_transparency_is_shown_on_white() -> None:
    values, alpha = colour(), noise(SIDE, SIDE, seed=9)
    picture = read(encoded(Image.fromarray(np.dstack([values, alpha]))))
    share = alpha[..., None] / 255
    assert picture.mode == "RGBA"
    assert np.abs(picture.pixels.transpose(1, 2, 0) - (share * values + (1 - share) * 255)).max() <= 1
    both = read(encoded(Image.fromarray(np.dstack([grey(), alpha]))), channels=1)
    assert both.mode == "LA"
    assert np.abs(both.pixels[0] - (share[..., 0] * grey() + (1 - share[..., 0]) * 255)).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palettes_and_their_transparency(format: str) -> None:
    image = Image.fromarray((np.arange(SIDE * SIDE) % 3).reshape(SIDE, SIDE).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = read(encoded(image, format, transparency=1))
    assert picture.mode == "P"
    assert [tuple(int(value) for value in picture.pixels[:, 0, x]) for x in range(3)] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]


def test_one_bit() -> None:
    picture = read(encoded(Image.fromarray(grey() > 127)), channels=1)
    assert picture.mode == "1"
    assert np.array_equal(picture.pixels[0], 255 * (grey() > 127))


def test_print_colours() -> None:
    picture = read(encoded(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "TIFF"))
    assert picture.mode == "CMYK"
    assert picture.pixels[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_frame_counts(format: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), shade) for shade in ("red", "blue", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert picture.animated
    assert picture.pixels[:, 5, 5].tolist() == [255, 0, 0]


def test_pictures_stand_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(colour())
    turned = read(encoded(image, exif=exif)).pixels
    assert np.array_equal(turned, np.rot90(colour(), -1).transpose(2, 0, 1))


@pytest.mark.parametrize(("width", "height"), [(20, SIDE), (SIDE, 21), (13, SIDE)])
def test_cutting_and_padding(width: int, height: int) -> None:
    values = noise(height, width)
    data = encoded(Image.fromarray(values))
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    assert np.array_equal(read(data, channels=1).pixels[0], values[top : top + SIDE, left : left + SIDE])
    side = max(width, height)
    padded = read(data, channels=1, non_square="pad", resolution=side).pixels[0].copy()
    assert (padded == 255).sum() >= side * (side - SIDE)
    x, y = -((width - side) // 2), -((height - side) // 2)
    assert np.array_equal(padded[y : y + height, x : x + width], values)
    padded[y : y + height, x : x + width] = 255
    assert (padded == 255).all()


def weights(size: int, resolution: int, kernel: Any, reach: float) -> NDArray[np.float64]:
    """A filter's matrix `[resolution, size]`: the kernel, widened by the reduction, at the centres of pixels, normalised."""
    scale = size / resolution
    widened = max(scale, 1.0)
    centres = (np.arange(resolution) + 0.5) * scale
    distance = (np.arange(size) + 0.5 - centres[:, None]) / widened
    matrix = np.where(np.abs(distance) < reach, kernel(distance), 0.0)
    normalised: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normalised


def cubic(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.abs(t)
    return np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)


KERNELS: dict[Resize, tuple[Any, float]] = {
    "antialiased-bilinear": (lambda t: 1 - np.abs(t), 1),
    "bicubic": (cubic, 2),
    "lanczos": (lambda t: np.sinc(t) * np.sinc(t / 3), 3),
    "box": (lambda t: np.ones_like(t), 0.5 + 1e-9),
}


@pytest.mark.parametrize("resolution", [8, 32])
@pytest.mark.parametrize("resize", FILTERS)
def test_filters(resize: Resize, resolution: int) -> None:
    values = noise(1, 3, 24, 24)
    ours = resized(values, resolution, resize)[0]
    if resize == "nearest":
        expected = F.interpolate(torch.from_numpy(values), size=(resolution, resolution), mode="nearest-exact")[0].numpy()
        assert np.array_equal(ours, expected)
        return
    matrix = weights(24, resolution, *KERNELS[resize])
    wide = np.clip(values[0] @ matrix.T, 0, 255)
    expected = np.clip(np.swapaxes(np.swapaxes(wide, 1, 2) @ matrix.T, 1, 2), 0, 255)
    assert np.abs(ours - expected).max() <= 1.5
    assert len(KERNELS) + 1 == len(FILTERS)


def png_header(width: int, height: int) -> bytes:
    """A whole PNG of one bit a pixel, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width // 8 + 1) * height), 1)
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


whole = encoded(Image.fromarray(noise(64, 64)))
flipped_bit = bytearray(whole)
flipped_bit[len(whole) // 2] ^= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"once upon a time\n", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (whole[: len(whole) // 2], "truncated"),
        (whole[:20], ""),
        (bytes(flipped_bit), ""),
        (encoded(Image.fromarray(noise(64, 64)), "JPEG")[:-900], "truncated"),
        (png_header(20_000, 20_000), "exceeds limit"),
        (png_header(10_000, 10_000), "exceeds limit"),
        (encoded(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"), "floating point"),
        (encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"), "32-bit integers"),
    ],
    ids=["empty", "text", "postscript", "half", "header", "bit", "half-jpeg", "bomb", "half-bomb", "float", "int32"],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with bombs_refused(), pytest.raises(UnreadableError) as caught:
        read(data)
    assert reason in str(caught.value)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
