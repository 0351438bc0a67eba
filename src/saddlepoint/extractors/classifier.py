"""Small classifiers that ship with their weights: of the digits, and of Fashion-MNIST."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import Extractor, Seen
from saddlepoint.extractors.network import NetworkExtractor, digest_of, refused_shapes

FOLDER = Path(__file__).parent
NATIVE_MNIST, BORDER = 28, 2
LAYERS = ("features", "logits")
PREPARATION = "28 x 28 padded with 2 black pixels a side; bilinear, antialiased, to {side} x {side}; x / 127.5 - 1"


@dataclass(frozen=True)
class Plan:
    """A classifier's shape: the `side` of its images, the `channels` of its blocks (each halves the side), its `features`."""

    title: str
    side: int
    channels: tuple[int, ...]
    features: int
    classes: tuple[str, ...]


DIGITS = Plan("digits classifier", 16, (32, 64), 64, tuple("0123456789"))
FASHION_MNIST = Plan(
    "Fashion-MNIST classifier",
    32,
    (16, 32, 64),
    128,
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class Classifier(nn.Module):
    """Blocks of a 3 x 3 convolution, ReLU and maximum over 2 x 2; a linear layer, whose outputs are the features; ReLU; logits.

    Features are taken before their ReLU, which gives 0 throughout for most of what is of no class, and so could not tell two
    such images apart. Its parameters are on no device (`meta`) until they are loaded or drawn.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        widths = (1, *plan.channels)
        side = plan.side // 2 ** len(plan.channels)
        with torch.device("meta"):
            self.blocks = nn.ModuleList([nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(widths)])
            self.features = nn.Linear(plan.channels[-1] * side**2, plan.features)
            self.logits = nn.Linear(plan.features, len(plan.classes))

    def forward(self, images: Tensor) -> Seen:
        for block in self.blocks:
            images = F.max_pool2d(F.relu(block(images)), 2)
        features = self.features(images.flatten(1))
        return Seen(features, self.logits(F.relu(features)))


def prepared(pixels: Tensor, side: int) -> Tensor:
    """Grey pixels 0 … 255 as the classifiers take them, in [-1, 1], `[n, 1, side, side]`.

    28 x 28 gets a border of 2 black pixels, as the data has it; then any other size is resized by bilinear interpolation,
    antialiased when it shrinks; then `x / 127.5 - 1`.

    >>> prepared(torch.full((1, 1, 8, 8), 255.0), 16).unique()
    tensor([1.])
    """
    if pixels.shape[-2:] == (NATIVE_MNIST, NATIVE_MNIST):
        pixels = F.pad(pixels, [BORDER] * 4)
    if pixels.shape[-2:] != (side, side):
        pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return pixels / 127.5 - 1


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a shipped file, and what it states of itself: its data, its accuracy, what it was trained with."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            stated: dict[str, Any] = json.loads(file.metadata()["saddlepoint"])
            return {name: file.get_tensor(name) for name in file.keys()}, stated  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(
            [f"{path}: not the classifier that ships with saddlepoint ({reason}); install saddlepoint again"]
        ) from None


def _open(name: str, plan: Plan, device: str) -> NetworkExtractor:
    path = FOLDER / f"{name}.safetensors"
    tensors, _ = read_weights(path)
    network = Classifier(plan)
    with refused_shapes(str(path), name):
        network.load_state_dict(tensors, assign=True)

    def see(network: nn.Module, pixels: Tensor) -> Seen:
        seen: Seen = network(prepared(pixels, plan.side))
        return seen

    return NetworkExtractor(
        name,
        plan.title,
        LAYERS,
        plan.classes,
        digest_of(tensors, name, LAYERS, PREPARATION.format(side=plan.side)),
        network.requires_grad_(False).eval().to(device),
        see,
        channels=(1,),
        device=device,
    )


class DigitsClassifier(Extractor):
    """A convolutional network of 85,000 parameters for the grey digits, 64 features.

    Trained on scikit-learn's digits at 8, 16 and 32 pixels, and to be unsure of noise and of two digits laid over one another. Its
    accuracy on the held-out tenth stands in the file and in `docs/extractors.md`.

    >>> DigitsClassifier().open().title
    'digits classifier'
    """

    name: ClassVar[str] = "digits-classifier"

    def open(self, device: str = "cpu") -> NetworkExtractor:
        return _open(self.name, DIGITS, device)


class FashionMnistClassifier(Extractor):
    """A convolutional network of 156,000 parameters for Fashion-MNIST, 128 features.

    Trained on the 60,000 training images, and to be unsure of noise and of two pictures laid over one another. Its accuracy on the
    10,000 test images stands in the file and in `docs/extractors.md`.

    >>> FashionMnistClassifier().open().classes[9]
    'Ankle boot'
    """

    name: ClassVar[str] = "fashion-mnist-classifier"

    def open(self, device: str = "cpu") -> NetworkExtractor:
        return _open(self.name, FASHION_MNIST, device)
