"""CIFAR-10 and CIFAR-100: 32 x 32 colour. Their files are pickles, so none is opened before its md5 sum was found right."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from saddlepoint.data.published import Published, Wanted
from saddlepoint.errors import InputError


class Cifar10(Published):
    """50,000 + 10,000 colour photographs of ten kinds, 32 x 32.

    Read from the unpacked folder `cifar-10-batches-py` or from `cifar-10-python.tar.gz`.

    >>> Cifar10(flip=True).resolution
    32
    """

    name: ClassVar[str] = "cifar10"
    torchvision_name: ClassVar[str] = "CIFAR10"
    classes: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    bibtex: ClassVar[str] = """@techreport{krizhevsky2009learning,
  title={Learning Multiple Layers of Features from Tiny Images},
  author={Krizhevsky, Alex},
  institution={University of Toronto},
  year={2009}
}"""

    def wanted(self) -> list[Wanted]:
        official = self._torchvision()
        archive = {official.filename: (official.tgz_md5,)}
        batches = [*official.train_list, *official.test_list, (official.meta["filename"], official.meta["md5"])]
        return [Wanted({name: (md5,)} | archive) for name, md5 in batches]

    def layouts(self, folder: Path) -> list[Path]:
        return [folder / self._torchvision().base_folder, folder / self.name, folder]

    def fetch(self, folder: Path) -> None:
        self._torchvision()(folder, download=True)

    def read(self, files: list[Path], stage: Path) -> tuple[NDArray[np.uint8], list[int], int]:
        from torchvision.datasets.utils import extract_archive

        official = self._torchvision()
        archives = [path for path in files if path.name == official.filename]
        if archives:
            extract_archive(archives[0], stage)
        else:
            (stage / official.base_folder).symlink_to(files[0].parent.resolve())
        try:
            train, test = (official(stage, train=train) for train in (True, False))
        except (RuntimeError, FileNotFoundError) as error:
            raise InputError([f"{files[0].parent}: the files of {self.name} cannot be read ({error}); fetch them again"]) from None
        images = np.concatenate([train.data, test.data]).transpose(0, 3, 1, 2)
        return images, [*train.targets, *test.targets], len(train.data)

    def _torchvision(self) -> Any:
        import torchvision.datasets

        return getattr(torchvision.datasets, self.torchvision_name)


class Cifar100(Cifar10):
    """50,000 + 10,000 colour photographs of a hundred kinds, 32 x 32.

    Read from the unpacked folder `cifar-100-python` or from `cifar-100-python.tar.gz`. The labels are the hundred fine ones.

    >>> len(Cifar100().classes)
    100
    """

    name: ClassVar[str] = "cifar100"
    torchvision_name: ClassVar[str] = "CIFAR100"
    # fmt: off
    classes: ClassVar[tuple[str, ...]] = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
        "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
        "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
        "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
        "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
        "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
        "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
        "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
        "willow_tree", "wolf", "woman", "worm",
    )
    # fmt: on
