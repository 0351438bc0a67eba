"""What every extractor is: a record that opens into a function from images to features."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol

from torch import Tensor

from saddlepoint.rounds import Record


class Seen(NamedTuple):
    """What an extractor says of images: `features` `[n, d]` float32, and `logits` `[n, K]` where it classifies."""

    features: Tensor
    logits: Tensor | None = None


class FeatureExtractor(Protocol):
    """An extractor with its weights: images to features, preprocessing included."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str:
        """As tables show it: `digits classifier`; a Fréchet distance is called FID for `Inception` alone."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that `features` (first) and `logits` (second, if any) come from."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """What the logits mean; empty when there are none."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over the weights *and* everything done to an image before them: the identity in a card and a cache."""
        ...

    def __call__(self, images: Tensor) -> Seen:
        """Features of a batch.

        Args:
            images: bytes, uint8 `[n, C, H, W]`, C of 1 or 3; or as a generator gives them, float in [-1, 1], and then they are not
                rounded; or points, float `[n, d]`, where the extractor takes them.

        Raises:
            InputError: it does not take images of this shape.
        """
        ...


class Extractor(Record):
    """An extractor by name: its fields say which weights; `open` finds and checks them."""

    name: ClassVar[str]

    @abstractmethod
    def open(self, device: str = "cpu") -> FeatureExtractor:
        """Find the weights, check them, and build the network.

        Raises:
            InputError: one line per thing that is missing or wrong.
        """
