"""Images to be measured, from a folder, an array file or memory, as the bytes that an extractor sees."""

import os
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from saddlepoint.data.cache import Writer, key_of, open_or_build
from saddlepoint.data.content import digests
from saddlepoint.data.folder import classes_of, folder_at, list_folder, pictures_in, problem_lines
from saddlepoint.data.pictures import ENDINGS, Picture, Resize, resized
from saddlepoint.data.source import Progress
from saddlepoint.errors import InputError

Channels = Literal["auto", 1, 3]
Where = str | os.PathLike[str] | Tensor | NDArray[Any]

FILTER: Resize = "antialiased-bilinear"
ARRAYS = (".npy", ".npz")
DEPTHS = (1, 2, 3, 4)
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Images:
    """Samples as they are measured.

    Args:
        images: uint8 `[n, C, H, W]`, C of 1 or 3, memory-mapped where they come from a folder; or points, float32 `[n, d]`.
        labels: int64 `[n]`, where a folder has classes or an array file has labels.
        classes: what the labels mean; a folder's are the names of its first-level folders.
        names: the files, row by row; none for arrays.
        found: lines to print: what was found, and what was mended.
        problems: files left out, a line each.
        resize: the filter that brought them to the resolution; none when they are as they were.
    """

    images: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    resize: Resize | None = None


def read_images(
    where: Where, *, resolution: int | None = None, channels: Channels = "auto", progress: Progress | None = None
) -> Images:
    """Images, or points, as they are measured.

    A folder is decoded once, into the cache of decoded images, and memory-mapped. Arrays are uint8 or uint16, channels first or
    last; floats are points `[n, d]`, since images as floats have no agreed range. `docs/extractors.md` has every rule.

    Args:
        where: a folder; an `.npy` file; an `.npz` file with `images` (and `labels`), or with one array, or with `arr_0` and labels
            as `arr_1`; a tensor or an array.
        resolution: height and width to bring the images to; without it they stay as they are and must be of one size.
        channels: 1 grey, 3 colour; auto: grey if every image is.

    Raises:
        InputError: one line per thing that is missing or wrong.

    >>> read_images(np.zeros((2, 8, 8, 3), np.uint8)).images.shape
    torch.Size([2, 1, 8, 8])
    """
    if isinstance(where, Tensor):
        return _of_array(where.detach().cpu().numpy(), None, "images", resolution, channels)
    if isinstance(where, np.ndarray):
        return _of_array(where, None, "images", resolution, channels)
    path = Path(where).expanduser()
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        array, labels = _read_arrays(path)
        return _of_array(array, labels, str(path), resolution, channels)
    if path.is_file():
        raise InputError([f"{path}: is a file; give a folder of images, or an array as {' or '.join(ARRAYS)}"])
    return _of_folder(path, resolution, channels, progress)


def holds_colour_files(folder: Path) -> bool:
    """Whether there is a folder in which a file is stored in colour, whatever its pixels; only headers are read."""
    if not folder.is_dir():
        return False
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS):
        try:
            with Image.open(path) as image:
                if image.mode not in GREY_MODES:
                    return True
        except OSError:
            continue
    return False


def _of_folder(path: Path, resolution: int | None, channels: Channels, progress: Progress | None) -> Images:
    root = folder_at(str(path), "images")
    listing = list_folder(root, "images")
    content, unreadable = digests(listing.files, root, progress)
    left_out = listing.problems | unreadable
    if not content:
        lines = problem_lines(left_out)
        raise InputError([f"images: no image in {root} or below; images end in {', '.join(ENDINGS)}", *lines])
    key = key_of("measured", sorted(content.items()), resolution, FILTER, channels)
    entry = open_or_build(key, lambda writer: _decode(writer, root, content, resolution, channels, left_out, progress))
    names: list[str] = entry.found["names"]
    classes, labels = classes_of(names)
    return Images(
        entry.images,
        None if labels is None else torch.tensor(labels),
        classes,
        tuple(names),
        (entry.repaired,) if entry.repaired else (),
        tuple(problem_lines(left_out | entry.found["problems"])),
        None if resolution is None else FILTER,
    )


def _decode(
    writer: Writer,
    root: Path,
    content: dict[str, str],
    resolution: int | None,
    channels: Channels,
    left_out: Mapping[str, str],
    progress: Progress | None,
) -> dict[str, Any]:
    names: list[str] = []
    problems: dict[str, str] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    pictures = pictures_in(root, content, resolution, 1 if channels == 1 else 3, "crop", FILTER, "images")
    for done, (name, picture) in enumerate(pictures, 1):
        if isinstance(picture, Picture):
            height, width = picture.pixels.shape[1:]
            sizes[width, height] += 1
            if len(sizes) == 1:
                writer.append(picture.pixels[None])
            names.append(name)
            grey = grey and _all_grey(picture.pixels[None])
        else:
            problems[name] = picture
        if progress is not None:
            progress(done, len(content))
    if not names:
        raise InputError([f"images: none of the images in {root} can be read", *problem_lines({**left_out, **problems})])
    if len(sizes) > 1:
        raise InputError([_mixed(root, sizes)])
    if channels == "auto" and grey:
        writer.keep_first_channel()
    return {"names": names, "problems": problems}


def _mixed(root: Path, sizes: Counter[tuple[int, int]]) -> str:
    shown = ", ".join(f"{width} x {height} ({count})" for (width, height), count in sizes.most_common(3))
    more = ", …" if len(sizes) > 3 else ""
    return f"images: {len(sizes)} sizes in {root}: {shown}{more}; give a resolution (in Python), or images of one size"


def _read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The images, and labels where there are some, of an array file; nothing in it can be code."""
    try:
        held = np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
        if isinstance(held, np.ndarray):
            return held, None
        with held:
            names = _names_in(path, held.files)
            arrays = [held[name] for name in names]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).split("\n")[0]
        raise InputError(
            [f"{path}: cannot be read as an array ({reason}); give a whole file that numpy wrote, without objects"]
        ) from None
    return arrays[0], arrays[1] if len(arrays) > 1 else None


def _names_in(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Which arrays of an `.npz` file are the images and, if any, the labels."""
    if len(names) == 1:
        return (names[0],)
    for images, labels in (("images", "labels"), ("arr_0", "arr_1")):
        if images in names:
            return (images, labels) if labels in names else (images,)
    raise InputError(
        [f"{path}: holds the arrays {', '.join(names) or '(none)'}; name the images 'images' and labels, if any, 'labels'"]
    )


def _of_array(array: NDArray[Any], labels: NDArray[Any] | None, where: str, resolution: int | None, channels: Channels) -> Images:
    if array.ndim == 2 and np.issubdtype(array.dtype, np.floating):
        if not array.size:
            raise InputError([f"{where}: no points, {list(array.shape)}; give [n, d] with n and d of 1 or more"])
        # Far from 0 the differences between points are lost in float32.
        precise = array.astype(np.float64 if array.dtype.itemsize >= 8 else np.float32)
        return Images(torch.from_numpy(precise), _labels(labels, len(array), where))
    pixels = _in_channels(_channels_first(array, where), channels)
    if resolution is not None:
        if pixels.shape[2] != pixels.shape[3]:
            height, width = pixels.shape[2:]
            raise InputError([f"{where}: images of {width} x {height} are not square; leave the resolution out, or cut them first"])
        pixels = resized(pixels, resolution, FILTER)
    images = torch.from_numpy(np.array(pixels))
    return Images(images, _labels(labels, len(images), where), resize=None if resolution is None else FILTER)


def _in_channels(pixels: NDArray[np.uint8], channels: Channels) -> NDArray[np.uint8]:
    """Grey, colour, or grey if every image is, as the user chose."""
    if pixels.shape[1] == 1:
        return np.repeat(pixels, 3, axis=1) if channels == 3 else pixels
    if channels != 3 and _all_grey(pixels):
        return pixels[:, :1]
    return np.stack([_luma(image) for image in pixels]) if channels == 1 else pixels


def _channels_first(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Bytes `[n, C, H, W]` of 1 or 3 channels, transparency shown on white."""
    if array.dtype not in (np.uint8, np.uint16):
        cure = "give bytes, uint8 0 … 255: images as other numbers have no agreed range"
        raise InputError([f"{where}: {array.dtype} {list(array.shape)} are neither images nor points [n, d]; {cure}"])
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or not array.size:
        raise InputError([f"{where}: {list(array.shape)} are no images; give [n, C, H, W], [n, H, W, C] or [n, H, W]"])
    first, last = array.shape[1] in DEPTHS, array.shape[3] in DEPTHS
    if first == last:
        ways = "both channels first and channels last fit" if first else "no axis is the channels', of 1 to 4"
        raise InputError([f"{where}: {list(array.shape)}: {ways}; give [n, C, H, W] or [n, H, W, C] with H and W above 4"])
    pixels = array if first else array.transpose(0, 3, 1, 2)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels if pixels.shape[1] in (1, 3) else np.stack([_on_white(image) for image in pixels])


def _on_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey or colour with transparency as its last channel, `[2 or 4, H, W]`, as files are shown: by Pillow, over white."""
    colour = np.ascontiguousarray(image.transpose(1, 2, 0))
    wide = Image.fromarray(colour, "LA" if colour.shape[2] == 2 else "RGBA").convert("RGBA")
    shown = np.asarray(Image.alpha_composite(Image.new("RGBA", wide.size, "white"), wide))
    return shown[..., : 1 if colour.shape[2] == 2 else 3].transpose(2, 0, 1)


def _luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).convert("L"))[None]


def _all_grey(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == pixels[:, :1]).all())


def _labels(labels: NDArray[Any] | None, n: int, where: str) -> Tensor | None:
    if labels is None:
        return None
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError([f"{where}: labels are {labels.dtype} {list(labels.shape)}; give {n} whole numbers, one for each image"])
    return torch.from_numpy(labels.astype(np.int64))
