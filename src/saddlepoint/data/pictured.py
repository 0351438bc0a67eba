"""What the published sets of image files share: a folder of pictures, and lists that say which is for training."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.cache import Writer, key_of, open_or_build
from saddlepoint.data.content import digests
from saddlepoint.data.folder import pictures_in, shown
from saddlepoint.data.pictures import Picture, Resize
from saddlepoint.data.places import Place, chosen_places, downloads
from saddlepoint.data.source import Data, Progress
from saddlepoint.errors import InputError


@dataclass(frozen=True)
class Members:
    """The pictures of a data set by their names in its folder, with their labels, or None; and lines to print."""

    train: Mapping[str, int | None]
    held_out: Mapping[str, int | None]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Pictured(Data):
    """A data set of image files with an official split, whose test or validation part is held out.

    The files are the user's, unpacked. No sums are published for pictures outside their archive, so each is checked by
    decoding it; one that is missing or damaged is refused, since the set would be another one.
    """

    inside: ClassVar[tuple[str, ...]] = ()
    from_where: ClassVar[str] = ""

    root: str | None = Field(default=None, description="folder the pictures are in; $SADDLEPOINT_DATA is looked in next")
    resolution: int = Field(default=64, ge=4, le=1024, description="height and width of the images, in pixels")
    resize: Resize = Field(default="antialiased-bilinear", description="filter that brings images to the resolution")
    flip: bool = Field(default=False, description="mirror each training image left to right with probability 1/2")

    @abstractmethod
    def wanted(self) -> list[str]:
        """What its folder must hold: files and folders, by name."""

    @abstractmethod
    def members(self, folder: Path) -> Members:
        """Which pictures belong to it, as its own lists say.

        Raises:
            InputError: the lists are not its layout.
        """

    def open(self, progress: Progress | None = None) -> ArraySource:
        folder = self.find()
        members = self.members(folder)
        names = [*members.train, *members.held_out]
        content, unreadable = digests({name: folder / name for name in names}, folder, progress)
        self._refuse(unreadable, len(names), folder)
        # The order of the rows is the lists', so it belongs to the key.
        key = key_of(self.name, [(name, content[name]) for name in names], self.resolution, self.resize)
        entry = open_or_build(key, lambda writer: self._build(writer, folder, content, progress))
        labels = [*members.train.values(), *members.held_out.values()]
        count = len(members.train)
        return ArraySource(
            self.name,
            self.digest_with(key, count, labels, self.flip),
            entry.images,
            torch.tensor(labels) if members.classes else None,
            {"train": torch.arange(count), "held-out": torch.arange(count, len(names))},
            classes=members.classes,
            flip=self.flip,
            found=[f"from {folder}", *members.notes, *([entry.repaired] if entry.repaired else [])],
        )

    def places(self) -> list[Place]:
        """Where the folder is looked for, in order."""
        return [*chosen_places(self.root), downloads()]

    def find(self) -> Path:
        """The folder of the data set.

        Raises:
            InputError: where was looked, or what is missing in it.
        """
        wanted = self.wanted()
        folders = [folder for place in self.places() for folder in (*(place.folder / name for name in self.inside), place.folder)]
        absent = {folder: [name for name in wanted if not (folder / name).exists()] for folder in folders}
        for folder, names in absent.items():
            if not names:
                return folder
        for folder, names in absent.items():
            if len(names) < len(wanted):
                where = f"is missing in {folder}, where the rest of it is"
                raise InputError([f"data: {name} of {self.name} {where}; {self.from_where}" for name in names])
        looked = ", ".join(map(str, self.places()))
        raise InputError([f"data: no {' or '.join(wanted)} of {self.name} was found; looked in {looked}; {self.from_where}"])

    def _build(self, writer: Writer, folder: Path, content: dict[str, str], progress: Progress | None) -> dict[str, Any]:
        damaged: dict[str, str] = {}
        pictures = pictures_in(folder, content, self.resolution, 3, "crop", self.resize, "data.root")
        for done, (name, picture) in enumerate(pictures, 1):
            if isinstance(picture, Picture):
                writer.append(picture.pixels[None])
            else:
                damaged[name] = picture
            if progress is not None:
                progress(done, len(content))
        self._refuse(damaged, len(content), folder)
        return {}

    def _refuse(self, damaged: Mapping[str, str], count: int, folder: Path) -> None:
        if damaged:
            name, reason = min(damaged.items())
            which = f"{len(damaged)} of the {count} pictures of {self.name} in {folder} cannot be read"
            raise InputError([f"data: {which}, the first is {shown(name)} ({reason}); {self.from_where}"])


def lines_of(path: Path) -> list[str]:
    """The lines of a list that belongs to a data set, without empty ones.

    Raises:
        InputError: it is not text.
    """
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([f"{path}: cannot be read ({' '.join(str(error).split())}); unpack it again"]) from None


def refuse_empty(name: str, folder: Path, parts: Iterable[tuple[str, Mapping[str, int | None]]]) -> None:
    """Raise when a part of a data set has no picture."""
    empty = [part for part, pictures in parts if not pictures]
    if empty:
        raise InputError([f"data: no picture of {name} in {folder} is in {part}; unpack it again" for part in empty])
