"""What the published data sets share: torchvision knows their files, checksums and downloads; here is where they are looked for."""

import shutil
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.cache import CHUNK_IMAGES, Writer, key_of, open_or_build, writing
from saddlepoint.data.content import digests
from saddlepoint.data.pictures import Resize, resized
from saddlepoint.data.places import Place, chosen_places, download, downloads
from saddlepoint.data.source import Data, Progress
from saddlepoint.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """A file of a data set: the names it may have, best first, each with the md5 sums it may have, none where none is known."""

    names: Mapping[str, tuple[str, ...]]

    def inside(self, folder: Path) -> Path | None:
        return next((folder / name for name in self.names if (folder / name).is_file()), None)


class Published(Data):
    """A data set with an official test split, which is held out. Its files are the user's, or torchvision's download."""

    packaged: ClassVar[tuple[Place, ...]] = ()
    classes: ClassVar[tuple[str, ...]] = ()

    root: str | None = Field(default=None, description="folder the files are in; $SADDLEPOINT_DATA is looked in next")
    download: bool = Field(default=False, description="let torchvision download files that are nowhere")
    resolution: int = Field(default=32, ge=4, le=1024, description="height and width of the images, in pixels")
    resize: Resize = Field(default="antialiased-bilinear", description="filter, for a resolution that is not the images' own")
    flip: bool = Field(default=False, description="mirror each training image left to right with probability 1/2")

    @abstractmethod
    def wanted(self) -> list[Wanted]:
        """The files, training images first."""

    @abstractmethod
    def layouts(self, folder: Path) -> list[Path]:
        """Where inside a place the files may lie."""

    @abstractmethod
    def read(self, files: list[Path], stage: Path) -> tuple[NDArray[np.uint8], list[int], int]:
        """Images `[N, C, H, H]` of both splits, training first, their labels, and how many are for training.

        The files are checked; `stage` is an empty folder for torchvision to find them in.
        """

    @abstractmethod
    def fetch(self, folder: Path) -> None:
        """Download the files with torchvision into a folder."""

    def sized(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images at the resolution that was asked for."""
        return resized(images, self.resolution, self.resize)

    def open(self, progress: Progress | None = None) -> ArraySource:
        folder, files = self._find()
        content, unreadable = digests({path.name: path for path in files}, folder, progress)
        if unreadable:
            raise InputError([f"{folder / name}: cannot be read ({reason})" for name, reason in unreadable.items()])
        key = key_of(self.name, sorted(content.items()), self.resolution, self.resize)
        entry = open_or_build(key, lambda writer: self._build(writer, files, progress))
        found: dict[str, Any] = entry.found
        count, train = len(entry.images), found["train"]
        unchecked = [path.name for path in files if not self._sums(path)]
        return ArraySource(
            self.name,
            self.digest_with(key, self.flip),
            entry.images,
            torch.tensor(found["labels"]),
            {"train": torch.arange(train), "held-out": torch.arange(train, count)},
            classes=self.classes,
            flip=self.flip,
            found=[
                f"from {folder}; the official test split is held out",
                *([f"no md5 sum is known for {', '.join(unchecked)}; their layout was checked"] if unchecked else []),
                *([entry.repaired] if entry.repaired else []),
            ],
        )

    def places(self) -> list[Place]:
        """Where the files are looked for, in order."""
        return [*chosen_places(self.root), *self.packaged, downloads()]

    def _find(self) -> tuple[Path, list[Path]]:
        complete = self._complete()
        if complete is None and self.download:
            download(self.name, self.fetch, chosen_places(self.root))
            complete = self._complete()
        if complete is None:
            raise InputError(self._missing())
        return complete

    def _complete(self) -> tuple[Path, list[Path]] | None:
        for folder in self._folders():
            files = [path for wanted in self.wanted() if (path := wanted.inside(folder)) is not None]
            if len(files) == len(self.wanted()):
                return folder, files
        return None

    def _folders(self) -> Iterable[Path]:
        return (folder for place in self.places() for folder in self.layouts(place.folder))

    def _missing(self) -> list[str]:
        wanted = {next(iter(file.names)): file for file in self.wanted()}
        for folder in self._folders():
            absent = [name for name, file in wanted.items() if file.inside(folder) is None]
            if len(absent) < len(wanted):
                return [f"data: {name} of {self.name} is missing in {folder}, where its other files are" for name in absent]
        looked = ", ".join(map(str, self.places()))
        return [
            f"data: no files of {self.name} were found ({', '.join(wanted)}); looked in {looked}; "
            f"put them in one of these folders, give theirs as data.root, or allow data.download=true"
        ]

    def _sums(self, path: Path) -> tuple[str, ...]:
        return next(sums for wanted in self.wanted() for name, sums in wanted.names.items() if name == path.name)

    def _build(self, writer: Writer, files: list[Path], progress: Progress | None) -> dict[str, Any]:
        self._check_sums(files)
        stage = writer.folder / "stage"
        with writing(writer.folder), _staged(stage):
            images, labels, train = self.read(files, stage)
        for start in range(0, len(images), CHUNK_IMAGES):
            writer.append(self.sized(images[start : start + CHUNK_IMAGES]))
            if progress is not None:
                progress(min(start + CHUNK_IMAGES, len(images)), len(images))
        return {"labels": labels, "train": train}

    def _check_sums(self, files: list[Path]) -> None:
        from torchvision.datasets.utils import calculate_md5

        sums = {path: (self._sums(path), calculate_md5(path)) for path in dict.fromkeys(files)}
        wrong = [
            f"{path}: its md5 sum is {found}, {self.name}'s is {' or '.join(right)}; the file is damaged or another: fetch it again"
            for path, (right, found) in sums.items()
            if right and found not in right
        ]
        if wrong:
            raise InputError(wrong)


@contextmanager
def _staged(stage: Path) -> Iterator[None]:
    stage.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(stage)
