"""SVHN: house numbers, 32 x 32 colour, in MATLAB's files."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from saddlepoint.data.published import Published, Wanted
from saddlepoint.errors import InputError

SPLITS = ("train", "test")


class Svhn(Published):
    """73,257 + 26,032 photographs of house numbers cut to their middle digit, 32 x 32. The 531,131 easy extra ones are not read.

    Read from `train_32x32.mat` and `test_32x32.mat`; the digit 0, which the files call 10, is class 0.

    >>> Svhn().classes[0]
    '0'
    """

    name: ClassVar[str] = "svhn"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    bibtex: ClassVar[str] = """@inproceedings{netzer2011reading,
  title={Reading Digits in Natural Images with Unsupervised Feature Learning},
  author={Netzer, Yuval and Wang, Tao and Coates, Adam and Bissacco, Alessandro and Wu, Bo and Ng, Andrew Y.},
  booktitle={NIPS Workshop on Deep Learning and Unsupervised Feature Learning},
  year={2011}
}"""

    def wanted(self) -> list[Wanted]:
        files = [self._torchvision().split_list[split] for split in SPLITS]
        return [Wanted({name: (md5,)}) for _, name, md5 in files]

    def layouts(self, folder: Path) -> list[Path]:
        return [folder / "SVHN", folder / self.name, folder]

    def fetch(self, folder: Path) -> None:
        for split in SPLITS:
            self._torchvision()(folder, split=split, download=True)

    def read(self, files: list[Path], stage: Path) -> tuple[NDArray[np.uint8], list[int], int]:
        for path in files:
            (stage / path.name).symlink_to(path.resolve())
        try:
            splits = [self._torchvision()(stage, split=split) for split in SPLITS]
        except Exception as error:  # damaged files make SciPy raise nearly anything
            reason = " ".join(str(error).split())
            raise InputError([f"{files[0].parent}: the files of {self.name} cannot be read ({reason}); fetch them again"]) from None
        labels = [label for split in splits for label in split.labels.tolist()]
        return np.concatenate([split.data for split in splits]), labels, len(splits[0].data)

    def _torchvision(self) -> Any:
        import torchvision.datasets

        return torchvision.datasets.SVHN
