"""Generators of a known number of different images, for the birthday test's positive controls."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from saddlepoint.data import DATA
from saddlepoint.data.arrays import ArraySource
from saddlepoint.measures.evidence import Sample
from saddlepoint.streams import Streams

BITS = 24
NOISES = 64


def clothes(count: int, start: int = 0) -> Tensor:
    """Real images of clothes, uint8 `[count, 1, 32, 32]`, shuffled once and for all."""
    source = DATA["fashion-mnist"]().open()
    assert isinstance(source, ArraySource)
    rows = Streams(0).order("clothes", len(source.images), len(source.images))
    return source.images[rows[start : start + count]]


def pooled(images: Tensor) -> Tensor:
    """Small features: means of 4 x 4 pixels, `[n, 64]`."""
    return torch.nn.functional.avg_pool2d(images.float(), 4).flatten(1)


def seen(images: Tensor) -> Sample:
    return Sample(images, pooled(images))


class Replaying:
    """Draws with replacement from `images`, each draw as it is, shifted by a pixel, with noise, or through JPEG.

    A latent's signs are an image's number, so that a little noise on it seldom changes the image.
    """

    latent = BITS + 3
    latent_distribution = "normal"

    def __init__(self, images: Tensor, seed: int, *, perturbed: bool = True) -> None:
        self.images = images
        self.seed = seed
        self.perturbed = perturbed
        self.drawn = 0
        self.noise = 4 * Streams(seed).normal("noise", NOISES, *images.shape[1:])
        self.compressed: dict[int, Tensor] = {}

    def latents(self, start: int, stop: int) -> Tensor:
        return Streams(self.seed).rows("normal", "replaying", start, stop, self.latent)

    def generate(self, latents: Tensor) -> Tensor:
        self.drawn += len(latents)
        powers = 2.0 ** -torch.arange(1, BITS + 1, dtype=torch.float64)
        numbers = ((latents[:, :BITS] > 0).double() @ powers * len(self.images)).long()
        images = self.images[numbers]
        if self.perturbed:
            kinds = (latents[:, BITS] > 0).long() + 2 * (latents[:, BITS + 1] > 0).long()
            detail = (latents[:, -1] / 2**0.5).erf().add(1).div(2).clamp(max=0.999)
            shifts = torch.stack([images.roll(by, axis) for by in (1, -1) for axis in (2, 3)])
            shifted = shifts[(detail * len(shifts)).long(), torch.arange(len(images))]
            noised = (images.float() + self.noise[(detail * NOISES).long()]).round().clamp(0, 255).to(torch.uint8)
            versions = torch.stack([images, shifted, noised, torch.stack([self.jpeg(number) for number in numbers.tolist()])])
            images = versions[kinds, torch.arange(len(images))]
        return images.float() / 127.5 - 1

    def see(self, generated: Tensor) -> Sample:
        return seen(((generated.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))

    def features(self, generated: Tensor) -> Tensor:
        return pooled((generated + 1) * 127.5)

    def jpeg(self, number: int) -> Tensor:
        if number not in self.compressed:
            content = io.BytesIO()
            Image.fromarray(self.images[number, 0].numpy()).save(content, "JPEG", quality=90)
            self.compressed[number] = torch.from_numpy(np.array(Image.open(content)))[None]
        return self.compressed[number]
