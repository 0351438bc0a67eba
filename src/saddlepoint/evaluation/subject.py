"""The fake side of an evaluation: samples at hand, or a generator that can draw more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from saddlepoint.evaluation.reals import Pictures, as_bytes, as_range
from saddlepoint.evaluation.watching import Watch
from saddlepoint.extractors.extractor import FeatureExtractor
from saddlepoint.measures.evidence import Encoding, Sample

Judge = Callable[[Tensor], Tensor]
BLOCK = 256


class Drawing(Protocol):
    """A generator as an evaluation needs it."""

    @property
    def latent(self) -> int: ...
    @property
    def latent_distribution(self) -> str: ...
    def latents(self, start: int, stop: int) -> Tensor: ...
    def generate(self, latents: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Args:
        fakes: its samples.
        protocol: raw or averaged weights, batch norm's mode, the rule that chose the checkpoint; unknown of samples at hand.
        provenance: where it is from.
        drawing: its generator, if there is one.
        judge: its discriminator in eval mode, from images in [-1, 1] or points to scores `[n]`.
        boundary: the score above which its objective says "real"; None where it says no such thing.
        encoder: its encoder, if its game has one.
    """

    fakes: Pictures
    protocol: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    drawing: Drawing | None = None
    judge: Judge | None = None
    boundary: float | None = None
    encoder: Encoding | None = None

    def scored(self, sample: Sample) -> Sample:
        """The sample with what the discriminator says of it; as it was where there is none."""
        if self.judge is None:
            return sample
        scores = [self.judge(as_range(sample.images[start : start + BLOCK])) for start in range(0, len(sample), BLOCK)]
        return replace(sample, scores=torch.cat(scores).detach().float().cpu())


class Drawn:
    """A generator that sees what it drew: through bytes, as images are measured, or without rounding.

    `watch` advances a step a sample.
    """

    def __init__(self, drawing: Drawing, extractor: FeatureExtractor, watch: Watch) -> None:
        self._drawing = drawing
        self._extractor = extractor
        self._watch = watch

    @property
    def latent(self) -> int:
        return self._drawing.latent

    @property
    def latent_distribution(self) -> str:
        return self._drawing.latent_distribution

    def latents(self, start: int, stop: int) -> Tensor:
        return self._drawing.latents(start, stop)

    def generate(self, latents: Tensor) -> Tensor:
        generated = self._drawing.generate(latents)
        self._watch.advanced(len(latents))
        return generated

    def see(self, generated: Tensor) -> Sample:
        images = as_bytes(generated)
        seen = self._extractor(images)
        return Sample(images, seen.features, seen.logits)

    def features(self, generated: Tensor) -> Tensor:
        return self._extractor(generated.detach().cpu()).features
