"""Tiny ImageNet: 200 classes of ImageNet at 64 x 64."""

from pathlib import Path
from typing import ClassVar

from saddlepoint.data.pictured import Members, Pictured, lines_of, refuse_empty
from saddlepoint.data.pictures import ENDINGS
from saddlepoint.errors import InputError


class TinyImagenet(Pictured):
    """100,000 photographs of 200 kinds at 64 x 64 to train on; the 10,000 of the validation split are held out.

    Read from the unpacked folder `tiny-imagenet-200`. The official test split has no labels and is not read.

    >>> TinyImagenet().resolution
    64
    """

    name: ClassVar[str] = "tiny-imagenet"
    inside: ClassVar[tuple[str, ...]] = ("tiny-imagenet-200", "tiny-imagenet")
    from_where: ClassVar[str] = "unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip and give its folder as data.root"
    bibtex: ClassVar[str] = """@techreport{le2015tiny,
  title={Tiny {ImageNet} Visual Recognition Challenge},
  author={Le, Ya and Yang, Xuan S.},
  institution={Stanford University, CS 231N},
  year={2015}
}"""

    def wanted(self) -> list[str]:
        return ["wnids.txt", "words.txt", "train", "val"]

    def members(self, folder: Path) -> Members:
        numbers = {wnid: number for number, wnid in enumerate(sorted(lines_of(folder / "wnids.txt")))}
        words = dict(line.split("\t", 1) for line in lines_of(folder / "words.txt") if "\t" in line)
        train: dict[str, int | None] = {}
        for wnid, number in numbers.items():
            paths = sorted((folder / "train" / wnid / "images").glob("*"))
            train |= {str(path.relative_to(folder)): number for path in paths if path.suffix.lower() in ENDINGS}
        held_out: dict[str, int | None] = {}
        annotations = folder / "val" / "val_annotations.txt"
        for line in lines_of(annotations):
            name, wnid = [*line.split("\t"), ""][:2]
            if wnid not in numbers:
                raise InputError([f"{annotations}: {name} is of no class of wnids.txt; {self.from_where}"])
            held_out[f"val/images/{name}"] = numbers[wnid]
        refuse_empty(self.name, folder, [("train", train), ("val/val_annotations.txt", held_out)])
        # The first of the words that mean a class; its number of WordNet where the list has none.
        classes = tuple(f"{words.get(wnid, wnid).split(',')[0]} ({wnid})" for wnid in numbers)
        return Members(train, held_out, classes, ("the validation split is held out",))
