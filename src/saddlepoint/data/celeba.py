"""CelebA: aligned faces."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from saddlepoint.data.pictured import Members, Pictured, lines_of, refuse_empty
from saddlepoint.data.places import chosen_places, download
from saddlepoint.errors import InputError

PICTURES = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
TRAIN, TEST = "0", "2"


class Celeba(Pictured):
    """162,770 aligned faces to train on; the 19,962 of the test split are held out, the 19,867 of the validation split not read.

    Read from the folder `img_align_celeba`, 178 x 218 pixels each, of which the middle square is taken, and from
    `list_eval_partition.txt`, whose md5 sum is checked. No labels.

    >>> Celeba(root="faces", flip=True).resolution
    64
    """

    name: ClassVar[str] = "celeba"
    inside: ClassVar[tuple[str, ...]] = ("celeba",)
    from_where: ClassVar[str] = (
        "unpack img_align_celeba.zip beside list_eval_partition.txt, both from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and give their folder as data.root, or allow data.download=true"
    )
    bibtex: ClassVar[str] = """@inproceedings{liu2015faceattributes,
  title={Deep Learning Face Attributes in the Wild},
  author={Liu, Ziwei and Luo, Ping and Wang, Xiaogang and Tang, Xiaoou},
  booktitle={IEEE International Conference on Computer Vision},
  year={2015}
}"""

    download: bool = Field(default=False, description="let torchvision download what is nowhere; needs gdown")

    def wanted(self) -> list[str]:
        return [PARTITION, PICTURES]

    def find(self) -> Path:
        try:
            return super().find()
        except InputError:
            if not self.download:
                raise
        download(self.name, lambda folder: self._torchvision()(folder, download=True), chosen_places(self.root))
        return super().find()

    def members(self, folder: Path) -> Members:
        from torchvision.datasets.utils import calculate_md5

        path = folder / PARTITION
        right = next(md5 for _, md5, name in self._torchvision().file_list if name == PARTITION)
        if (found := calculate_md5(path)) != right:
            raise InputError(
                [f"{path}: its md5 sum is {found}, {self.name}'s is {right}; the file is damaged or another: fetch it again"]
            )
        parts: dict[str, dict[str, int | None]] = {TRAIN: {}, TEST: {}}
        for line in lines_of(path):
            name, part = line.split()
            parts.setdefault(part, {})[f"{PICTURES}/{name}"] = None
        refuse_empty(self.name, folder, [("the training split", parts[TRAIN]), ("the test split", parts[TEST])])
        return Members(parts[TRAIN], parts[TEST], notes=("the test split is held out; the validation split is not read",))

    def _torchvision(self) -> Any:
        import torchvision.datasets

        return torchvision.datasets.CelebA
