"""Where real samples come from."""

from saddlepoint.data.binary_digits import BinaryDigits
from saddlepoint.data.celeba import Celeba
from saddlepoint.data.cifar10 import Cifar10, Cifar100
from saddlepoint.data.digits import Digits
from saddlepoint.data.dirac import Dirac
from saddlepoint.data.folder import Folder
from saddlepoint.data.gaussians import EightGaussians, TwentyFiveGaussians
from saddlepoint.data.lsun import Lsun
from saddlepoint.data.mnist import FashionMnist, Kmnist, Mnist
from saddlepoint.data.parallel_lines import ParallelLines
from saddlepoint.data.source import Data, Source, Split
from saddlepoint.data.svhn import Svhn
from saddlepoint.data.swiss_roll import SwissRoll
from saddlepoint.data.symbols import KnownSymbols
from saddlepoint.data.tiny_imagenet import TinyImagenet

DATA: dict[str, type[Data]] = {
    "8-gaussians": EightGaussians,
    "25-gaussians": TwentyFiveGaussians,
    "swiss-roll": SwissRoll,
    "parallel-lines": ParallelLines,
    "dirac": Dirac,
    "symbols": KnownSymbols,
    "digits": Digits,
    "binary-digits": BinaryDigits,
    "fashion-mnist": FashionMnist,
    "mnist": Mnist,
    "kmnist": Kmnist,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "svhn": Svhn,
    "tiny-imagenet": TinyImagenet,
    "celeba": Celeba,
    "lsun": Lsun,
    "folder": Folder,
}

__all__ = ["DATA", "Data", "Source", "Split"]
