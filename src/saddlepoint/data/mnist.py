"""MNIST, Fashion-MNIST and KMNIST: 28 x 28 grey, in idx files."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from saddlepoint.data.pictures import resized
from saddlepoint.data.places import Place
from saddlepoint.data.published import Published, Wanted
from saddlepoint.errors import InputError

NATIVE = 28
PADDING = 2


class Mnist(Published):
    """60,000 + 10,000 handwritten digits, 28 x 28, padded with 2 black pixels a side to 32 by default.

    `resolution: 28` leaves them as they are; any other resizes the padded images.

    >>> Mnist(root="files", resolution=28).flip
    False
    """

    name: ClassVar[str] = "mnist"
    torchvision_name: ClassVar[str] = "MNIST"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    also: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    bibtex: ClassVar[str] = """@article{lecun1998gradient,
  title={Gradient-Based Learning Applied to Document Recognition},
  author={LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal={Proceedings of the IEEE},
  volume={86},
  number={11},
  pages={2278--2324},
  year={1998}
}"""

    def wanted(self) -> list[Wanted]:
        return [
            Wanted({name: (md5, *self.also.get(name, ())), name.removesuffix(".gz"): ()})
            for name, md5 in self._torchvision().resources
        ]

    def layouts(self, folder: Path) -> list[Path]:
        return [folder / self.torchvision_name / "raw", folder / self.name, folder / "raw", folder]

    def fetch(self, folder: Path) -> None:
        self._torchvision()(folder, download=True)

    def read(self, files: list[Path], stage: Path) -> tuple[NDArray[np.uint8], list[int], int]:
        from torchvision.datasets.utils import extract_archive

        raw = stage / self.torchvision_name / "raw"
        raw.mkdir(parents=True)
        for path in files:
            if path.suffix == ".gz":
                extract_archive(path, raw)
            else:
                shutil.copy(path, raw)
        try:
            splits = [self._torchvision()(stage, train=train) for train in (True, False)]
        except (AssertionError, RuntimeError, TypeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split()) or "not idx files"
            raise InputError([f"{files[0].parent}: the files of {self.name} cannot be read ({reason}); fetch them again"]) from None
        for split in splits:
            images, labels = split.data, split.targets
            if images.shape != (len(labels), NATIVE, NATIVE) or not len(labels) > 0 or int(labels.max()) >= len(self.classes):
                shapes = f"images {tuple(images.shape)} with labels {tuple(labels.shape)}"
                raise InputError([f"{files[0].parent}: {shapes} are not {self.name}'s layout; fetch the files again"])
        images = np.concatenate([split.data.numpy() for split in splits])
        labels = [label for split in splits for label in split.targets.tolist()]
        return images[:, None], labels, len(splits[0].data)

    def sized(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.resolution == NATIVE:
            return images
        padded = np.pad(images, ((0, 0), (0, 0), (PADDING, PADDING), (PADDING, PADDING)))
        return resized(padded, self.resolution, self.resize)

    def _torchvision(self) -> Any:
        import torchvision.datasets

        return getattr(torchvision.datasets, self.torchvision_name)


class FashionMnist(Mnist):
    """60,000 + 10,000 pictures of clothes, 28 x 28, in the layout of MNIST and padded likewise.

    Also found where the Debian package `dataset-fashion-mnist` puts it.

    >>> FashionMnist().resolution
    32
    """

    name: ClassVar[str] = "fashion-mnist"
    torchvision_name: ClassVar[str] = "FashionMNIST"
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    # The Debian package compressed the same contents again, without their names and dates.
    also: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train-images-idx3-ubyte.gz": ("cf8536b0aa1a6ac5fa3f23001093305c",),
        "train-labels-idx1-ubyte.gz": ("10bea18fdb374794d4bb42e356e600c9",),
        "t10k-images-idx3-ubyte.gz": ("f78720b4224f21cce2f2ccf2d7a94c9a",),
        "t10k-labels-idx1-ubyte.gz": ("0d30e22e447f3c33dab9ed536400ac01",),
    }
    packaged: ClassVar[tuple[Place, ...]] = (
        Place(Path("/usr/share/datasets/fashion-mnist"), "the Debian package dataset-fashion-mnist"),
    )
    bibtex: ClassVar[str] = """@article{xiao2017fashion,
  title={Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  author={Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  journal={arXiv preprint arXiv:1708.07747},
  year={2017}
}"""


class Kmnist(Mnist):
    """60,000 + 10,000 cursive Japanese characters (Kuzushiji) of ten kinds, 28 x 28, in the layout of MNIST and padded likewise.

    >>> Kmnist().classes[1]
    'ki'
    """

    name: ClassVar[str] = "kmnist"
    torchvision_name: ClassVar[str] = "KMNIST"
    classes: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    bibtex: ClassVar[str] = """@article{clanuwat2018deep,
  title={Deep Learning for Classical {Japanese} Literature},
  author={Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex and Yamamoto, Kazuaki and Ha, David},
  journal={arXiv preprint arXiv:1812.01718},
  year={2018}
}"""
