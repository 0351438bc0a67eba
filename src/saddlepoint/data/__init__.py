"""Where real samples come from."""

from saddlepoint.data.cifar10 import Cifar10
from saddlepoint.data.digits import Digits
from saddlepoint.data.folder import Folder
from saddlepoint.data.gaussians import EightGaussians, TwentyFiveGaussians
from saddlepoint.data.mnist import FashionMnist, Mnist
from saddlepoint.data.parallel_lines import ParallelLines
from saddlepoint.data.source import Data, Source, Split
from saddlepoint.data.swiss_roll import SwissRoll

DATA: dict[str, type[Data]] = {
    "8-gaussians": EightGaussians,
    "25-gaussians": TwentyFiveGaussians,
    "swiss-roll": SwissRoll,
    "parallel-lines": ParallelLines,
    "digits": Digits,
    "fashion-mnist": FashionMnist,
    "mnist": Mnist,
    "cifar10": Cifar10,
    "folder": Folder,
}

__all__ = ["DATA", "Data", "Source", "Split"]
