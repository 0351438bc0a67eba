"""From images to features: the networks whose opinion the measures ask."""

from saddlepoint.extractors.classifier import DigitsClassifier, FashionMnistClassifier
from saddlepoint.extractors.dinov2 import DinoV2
from saddlepoint.extractors.efficientnet_lite import EfficientNetLite0
from saddlepoint.extractors.extractor import Extractor, FeatureExtractor, Seen
from saddlepoint.extractors.inception import Inception
from saddlepoint.extractors.module import ModuleExtractor
from saddlepoint.extractors.network import features_of
from saddlepoint.extractors.pixels import Pixels

EXTRACTORS: dict[str, type[Extractor]] = {
    "inception": Inception,
    "dinov2": DinoV2,
    "efficientnet-lite0": EfficientNetLite0,
    "digits-classifier": DigitsClassifier,
    "fashion-mnist-classifier": FashionMnistClassifier,
    "pixels": Pixels,
}

__all__ = ["EXTRACTORS", "Extractor", "FeatureExtractor", "ModuleExtractor", "Seen", "features_of"]
