"""LSUN: photographs of one kind of place, exported from its database into folders."""

from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from saddlepoint.data.folder import list_folder
from saddlepoint.data.pictured import Members, Pictured, refuse_empty

Category = Literal[
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
]


class Lsun(Pictured):
    """Photographs of one category, 3,033,042 of bedrooms; the 300 of its validation split are held out. No labels.

    Read from the folders `CATEGORY_train` and `CATEGORY_val` of exported pictures, nested as they may be; `docs/data.md` says how
    to export them. The names are digests, so the first `limit` by name are a sample of all.

    >>> Lsun(category="tower", limit=100_000).wanted()
    ['tower_train', 'tower_val']
    """

    name: ClassVar[str] = "lsun"
    inside: ClassVar[tuple[str, ...]] = ("lsun", "LSUN")
    from_where: ClassVar[str] = (
        "fetch the databases with https://github.com/fyu/lsun, export each into a folder of that name (docs/data.md says how), "
        "and give the folder they are in as data.root"
    )
    bibtex: ClassVar[str] = """@article{yu2015lsun,
  title={{LSUN}: Construction of a Large-scale Image Dataset using Deep Learning with Humans in the Loop},
  author={Yu, Fisher and Seff, Ari and Zhang, Yinda and Song, Shuran and Funkhouser, Thomas and Xiao, Jianxiong},
  journal={arXiv preprint arXiv:1506.03365},
  year={2015}
}"""

    category: Category = Field(default="bedroom", description="which of the ten kinds of place")
    limit: int | None = Field(default=None, ge=1, description="train on the first so many by name; by default on all")

    def wanted(self) -> list[str]:
        return [f"{self.category}_train", f"{self.category}_val"]

    def members(self, folder: Path) -> Members:
        parts = {part: list_folder(folder / part, "data.root") for part in self.wanted()}
        train, held_out = ({f"{part}/{name}": None for name in listing.files} for part, listing in parts.items())
        refuse_empty(self.name, folder, [(part, files) for part, files in zip(self.wanted(), (train, held_out), strict=True)])
        others = sum(len(listing.problems) for listing in parts.values())
        notes = [
            "the validation split is held out",
            *([f"{others} not pictures by their names, not looked at"] if others else []),
            *([f"the first {self.limit} of {len(train)} training images by name"] if self.limit is not None else []),
        ]
        return Members(dict(islice(train.items(), self.limit)), held_out, notes=tuple(notes))
