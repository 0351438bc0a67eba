"""Evidence to judge measures by: a linear generator and encoder, images or points, with everything that any measure uses."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Evidence, GaussianMixture, Sample
from saddlepoint.streams import Streams

CLASSES = 4
SIDE = 16
LATENT = 5


@dataclass(frozen=True)
class Linear:
    """`G(z) = M z`, seen as points, or through tanh as grey images of `SIDE` px; `E` is its pseudo-inverse."""

    matrix: Tensor
    images: bool = False
    latent_distribution: str = "normal"

    @property
    def latent(self) -> int:
        return self.matrix.shape[1]

    def latents(self, start: int, stop: int) -> Tensor:
        return Streams(11, dtype=self.matrix.dtype).rows("normal", "latents of the evaluation", start, stop, self.latent)

    def generate(self, latents: Tensor) -> Tensor:
        flat = latents @ self.matrix.mT
        return flat.tanh().reshape(-1, 1, SIDE, SIDE) if self.images else flat

    def see(self, generated: Tensor) -> Sample:
        if self.images:
            return seen(((generated + 1) * 127.5).round().to(torch.uint8))
        return Sample(generated, generated.float())

    def features(self, generated: Tensor) -> Tensor:
        return features_of(generated.flatten(1)) if self.images else generated

    def encode(self, images: Tensor) -> Tensor:
        flat = images.flatten(1).to(self.matrix.dtype)
        flat = flat.clamp(-0.999, 0.999).atanh() if self.images else flat
        codes: Tensor = flat @ torch.linalg.pinv(self.matrix).mT
        return codes


def features_of(flat: Tensor) -> Tensor:
    """Six features of images in [-1, 1]: fixed projections, bent."""
    directions = Streams(5, dtype=flat.dtype).normal("features", flat.shape[1], 6) / math.sqrt(flat.shape[1])
    features: Tensor = (flat @ directions).tanh() + 1.5
    return features


def seen(images: Tensor) -> Sample:
    """Bytes through an extractor whose classifier has `CLASSES` classes."""
    features = features_of(images.flatten(1).float() / 127.5 - 1)
    return Sample(images, features, logits=3 * (features[:, :CLASSES] - 1.5))


def with_all(sample: Sample, name: str) -> Sample:
    """The sample with labels and scores."""
    n = len(sample)
    labels = torch.arange(n) % CLASSES
    return Sample(sample.images, sample.features, sample.logits, labels, Streams(2).normal(f"scores {name}", n) + 0.3)


def generator(images: bool) -> Linear:
    outputs = SIDE * SIDE if images else 2
    return Linear(Streams(3).normal("matrix", outputs, LATENT) / math.sqrt(LATENT), images)


def image_world(n: int) -> Evidence:
    """`n` samples of each set; bytes of 16 px, alike in law but for the fakes' larger latents."""
    drawing = generator(images=True)

    def drawn(name: str, scale: float = 1.0) -> Sample:
        return with_all(drawing.see(drawing.generate(scale * Streams(1).normal(name, n, LATENT))), name)

    train, held_out = drawn("train"), drawn("held-out")
    return Evidence(drawn("real"), drawn("fake", 1.3), train, held_out, generator=drawing, encoder=drawing)


def point_world(n: int) -> Evidence:
    """`n` points of each set, of four Gaussians; the fakes are of three."""
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]], dtype=torch.float64)
    drawing = generator(images=False)

    def drawn(name: str, modes: int) -> Sample:
        streams = Streams(1)
        points = means[streams.integers(f"{name} mode", modes, n)].float() + 0.1 * streams.normal(name, n, 2)
        return with_all(Sample(points, points), name)

    train, held_out = drawn("train", 4), drawn("held-out", 4)
    mixture = GaussianMixture(means, 0.1)
    return Evidence(drawn("real", 4), drawn("fake", 3), train, held_out, mixture, drawing, drawing)
