"""Any folder of images."""

import os
import stat as modes
import statistics
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field

from saddlepoint.data.arrays import ArraySource, split_rows
from saddlepoint.data.cache import Writer, key_of, open_or_build
from saddlepoint.data.content import digest_of, digests
from saddlepoint.data.pictures import ENDINGS, NonSquare, Picture, Resize, UnreadableError, bombs_refused, read_picture
from saddlepoint.data.source import Data, Progress
from saddlepoint.errors import InputError

CHUNK_FILES = 256


@dataclass
class Listing:
    """What lies in a folder: image files by relative name, in order; why others are left out; hidden ones, only counted."""

    files: dict[str, Path] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    hidden: int = 0


class Folder(Data):
    """Any folder of images, nested as it may be, grey or colour, of any size.

    First-level folders are classes when every image lies in one. Files that cannot be read are listed by name with the reason and
    left out, or refused when `strict`. Decoded once, into the cache; `docs/data.md` has every rule.

    >>> Folder(path="pictures", resolution=64, flip=True).non_square
    'crop'
    """

    name: ClassVar[str] = "folder"

    path: str = Field(description="the folder")
    resolution: int = Field(default=32, ge=4, le=1024, description="height and width of the images, in pixels")
    channels: Literal["auto", 1, 3] = Field(default="auto", description="1 grey, 3 colour; auto: grey if every image is")
    non_square: NonSquare = Field(
        default="crop", description="cut the middle out of an image that is not square, or pad it with white"
    )
    resize: Resize = Field(default="antialiased-bilinear", description="filter that brings images to the resolution")
    flip: bool = Field(default=False, description="mirror each training image left to right with probability 1/2")
    held_out: float = Field(default=0.1, gt=0, lt=1, description="share of each class that is never trained on")
    strict: bool = Field(default=False, description="refuse a folder with a file that cannot be read, instead of listing it")

    def open(self, progress: Progress | None = None) -> ArraySource:
        root = folder_at(self.path)
        listing = list_folder(root)
        content, unreadable = digests(listing.files, root, progress)
        listing.problems |= unreadable
        if not content:
            raise InputError(
                [f"data.path: no image in {root} or below; images end in {', '.join(ENDINGS)}", *problem_lines(listing.problems)]
            )
        # A class is a part of a name, so names and digests are all of the content.
        key = key_of(self.name, sorted(content.items()), self.resolution, self.resize, self.non_square, self.channels)
        entry = open_or_build(key, lambda writer: self._build(writer, root, content, listing, progress))
        found: dict[str, Any] = entry.found
        problems = problem_lines(listing.problems | found["problems"])
        if self.strict and problems:
            raise InputError([f"data.strict: {problem}; mend it or take it away, or train without strict" for problem in problems])
        classes, labels = classes_of(found["names"])
        lines = _describe(found, listing.hidden, [content[name] for name in found["names"]], self.resolution, classes)
        return ArraySource(
            self.name,
            self.digest_with(key, self.held_out, self.flip),
            entry.images,
            torch.tensor(labels) if labels is not None else None,
            split_rows([content[name] for name in found["names"]], labels, self.held_out),
            classes=classes,
            flip=self.flip,
            found=[f"from {root}", *lines, *([entry.repaired] if entry.repaired else [])],
            problems=problems,
        )

    def _check_enough(self, names: list[str], problems: list[str], root: Path) -> None:
        if not names:
            raise InputError([f"data.path: none of the images in {root} can be read; give 2 or more that can", *problems])
        if len(names) == 1:
            only = f"{shown(names[0])} is the only image in {root} that can be read"
            raise InputError([f"data.path: {only}; give 2 or more, of which one is held out", *problems])

    def _build(
        self, writer: Writer, root: Path, content: dict[str, str], listing: Listing, progress: Progress | None
    ) -> dict[str, Any]:
        channels = 1 if self.channels == 1 else 3
        problems: dict[str, str] = {}
        pictures: list[tuple[str, str, int, int, bool]] = []
        grey = True
        pictures_found = pictures_in(root, content, self.resolution, channels, self.non_square, self.resize, "data.path")
        for done, (name, picture) in enumerate(pictures_found, 1):
            if isinstance(picture, Picture):
                writer.append(picture.pixels[None])
                pictures.append((name, picture.mode, picture.width, picture.height, picture.animated))
                grey = grey and bool((picture.pixels == picture.pixels[:1]).all())
            else:
                problems[name] = picture
            if progress is not None:
                progress(done, len(content))
        self._check_enough([name for name, *_ in pictures], problem_lines(listing.problems | problems), root)
        if self.channels == "auto" and grey:
            writer.keep_first_channel()
        return {
            "names": [name for name, *_ in pictures],
            "problems": problems,
            "modes": dict(Counter(mode for _, mode, *_ in pictures)),
            "widths": [width for _, _, width, *_ in pictures],
            "heights": [height for *_, height, _ in pictures],
            "animated": sum(animated for *_, animated in pictures),
        }


def folder_at(path: str, where: str = "data.path") -> Path:
    """A folder that the user named in `where`, which is what a problem starts with.

    Raises:
        InputError: it does not exist, or is a file.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise InputError([f"{where}: {root} does not exist; give a folder of images"])
    if not root.is_dir():
        raise InputError([f"{where}: {root} is a file; give the folder the images are in"])
    return root


def pictures_in(
    root: Path, content: dict[str, str], resolution: int | None, channels: int, non_square: NonSquare, resize: Resize, where: str
) -> Iterator[tuple[str, Picture | str]]:
    """The images of a folder, by the names in `content` and in their order, decoded; or why one cannot be.

    Args:
        content: the digest of each file: one that changed since is refused.
        resolution: None leaves every image as large as it is.
    """

    def one(name: str) -> tuple[str, Picture | str]:
        try:
            data = (root / name).read_bytes()
        except OSError as error:
            raise _changed(name, where) from error
        if digest_of(data) != content[name]:
            raise _changed(name, where)
        try:
            return name, read_picture(data, resolution, channels, non_square, resize)
        except UnreadableError as error:
            return name, str(error)

    # Pillow imports its readers when first needed, which threads had better not do at once.
    Image.init()
    # A chunk at a time: handing over all names at once would hold all decoded images in memory.
    names = iter(content)
    with bombs_refused(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(names, CHUNK_FILES)):
            yield from pool.map(one, chunk)


def _changed(name: str, where: str) -> InputError:
    return InputError([f"{where}: {shown(name)} changed while it was being read; start again when nothing writes to the folder"])


def list_folder(root: Path, where: str = "data.path") -> Listing:
    """The images in a folder and below, in order of their names.

    Raises:
        InputError: the folder cannot be read.
    """
    listing = Listing()
    try:
        _walk(root, "", listing, {_identity(root.stat())})
    except OSError as error:
        raise InputError([f"{where}: {root} cannot be read ({error.strerror}); give a folder you may read"]) from None
    except RecursionError:
        raise InputError([f"{where}: {root} is nested too deep to be read; give a folder nearer to the images"]) from None
    return listing


def _walk(folder: Path, prefix: str, listing: Listing, above: set[tuple[int, int]]) -> None:
    for path in sorted(folder.iterdir()):
        name = f"{prefix}{path.name}"
        if path.name.startswith(".") or path.name in ("__MACOSX", "Thumbs.db", "desktop.ini"):
            listing.hidden += 1
            continue
        try:
            stat = path.stat()
            if modes.S_ISDIR(stat.st_mode):
                if _identity(stat) in above:
                    raise UnreadableError("a link to a folder it lies in")
                _walk(path, f"{name}/", listing, above | {_identity(stat)})
            elif not modes.S_ISREG(stat.st_mode):
                raise UnreadableError("not a regular file")
            elif path.suffix.lower() not in ENDINGS:
                raise UnreadableError("not an image by its name")
            else:
                listing.files[name] = path
        except OSError as error:
            listing.problems[name] = "a link to nothing" if not os.path.exists(path) else error.strerror or str(error)
        except UnreadableError as error:
            listing.problems[name] = str(error)


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def problem_lines(problems: dict[str, str]) -> list[str]:
    """Why files are left out, a line each, by name."""
    return [f"{shown(name)}: {reason}" for name, reason in sorted(problems.items())]


def shown(name: str) -> str:
    """A name that prints on one line, whatever bytes it is made of."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def classes_of(names: list[str]) -> tuple[tuple[str, ...], list[int] | None]:
    """First-level folders as classes, and each image's number, when every image lies in one."""
    if not all("/" in name for name in names):
        return (), None
    folders = [name.split("/")[0] for name in names]
    classes = tuple(sorted(set(folders)))
    number = {name: index for index, name in enumerate(classes)}
    return tuple(map(shown, classes)), [number[name] for name in folders]


def _describe(found: dict[str, Any], hidden: int, content: list[str], resolution: int, classes: tuple[str, ...]) -> list[str]:
    lines = [
        f"widths {_spread(found['widths'])}, heights {_spread(found['heights'])} (smallest, median, largest)",
        "modes: " + ", ".join(f"{mode} {count}" for mode, count in sorted(found["modes"].items())),
    ]
    sides = np.minimum(found["widths"], found["heights"])
    loose = sum("/" not in name for name in found["names"])
    copies = len(content) - len(set(content))
    empty = {shown(name.split("/")[0]) for name in found["problems"] if "/" in name} - set(classes)
    notes = [
        (int((sides < resolution).sum()), f"smaller than {resolution} x {resolution} pixels and enlarged"),
        (found["animated"], "with several frames, of which the first was taken"),
        (copies, "the same, byte for byte, as another"),
        (loose if loose < len(content) else 0, "in no first-level folder, so there are no classes"),
        (hidden, "hidden files or folders, not looked at"),
    ]
    lines += [f"{count} {note}" for count, note in notes if count]
    return lines + [f"no image of {name} can be read, so it is no class" for name in sorted(empty) if classes]


def _spread(sizes: list[int]) -> str:
    return f"{min(sizes)}, {statistics.median(sizes):g}, {max(sizes)}"
