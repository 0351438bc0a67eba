"""Where the files of a published data set are looked for, and where a download goes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from saddlepoint.errors import InputError
from saddlepoint.storage import cache_folder


@dataclass(frozen=True)
class Place:
    """A folder that is looked in, and why."""

    folder: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.folder} ({self.reason})"


def chosen_places(root: str | None) -> list[Place]:
    """The places that are the user's choice: `root`, then `$SADDLEPOINT_DATA`."""
    shared = os.environ.get("SADDLEPOINT_DATA")
    return [
        *([Place(Path(root).expanduser(), "data.root")] if root else []),
        *([Place(Path(shared).expanduser(), "$SADDLEPOINT_DATA")] if shared else []),
    ]


def downloads() -> Place:
    """Where a download goes when the user has chosen no place."""
    return Place(cache_folder() / "downloads", "earlier downloads")


def download(name: str, fetch: Callable[[Path], None], chosen: Sequence[Place]) -> None:
    """Let torchvision fetch the files of the data set `name` into the first chosen place, else into the cache.

    Raises:
        InputError: it could not, and why.
    """
    folder = (chosen[0] if chosen else downloads()).folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(folder)
    except Exception as error:  # the packages that fetch have errors of their own
        reason = " ".join(str(error).split())
        raise InputError(
            [f"data.download: {name} could not be downloaded into {folder} ({reason}); put its files there by hand"]
        ) from None
