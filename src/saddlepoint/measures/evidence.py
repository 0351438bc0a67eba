"""What a measure is given: sets of samples, and what an extractor, a discriminator or the data said of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from saddlepoint.errors import InputError

if TYPE_CHECKING:
    from saddlepoint.measures.frechet_distance import Moments

Step = Callable[[int], None]
"""Told of so many more steps of something long."""


def unwatched(steps: int) -> None:
    """The step that nobody looks at."""


@dataclass(frozen=True)
class Sample:
    """A set of `n` samples and what was seen of them, row by row.

    Args:
        images: as bytes, uint8 `[n, C, H, W]`; or points, float `[n, d]`.
        features: of the extractor, `[n, d]`.
        logits: of the extractor's classifier, `[n, K]`; None when it has none.
        labels: int64 `[n]`; None when there are none.
        scores: of the run's discriminator in eval mode, `[n]`; None when there is none.
        moments: of exactly these features, where somebody has them already; `rows` drops them.

    Raises:
        InputError: moments of another number of samples.
    """

    images: Tensor
    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None
    scores: Tensor | None = None
    moments: "Moments | None" = None

    def __post_init__(self) -> None:
        if self.moments is not None and self.moments.n != len(self.images):
            raise InputError(
                [f"moments: of {self.moments.n} samples, and there are {len(self.images)}; give those of these samples"]
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def coordinates(self) -> Tensor:
        """What distances are taken between: the points themselves `[n, d]`, or the features of images."""
        return self.images if self.images.ndim == 2 and self.images.is_floating_point() else self.features

    def rows(self, chosen: Tensor | slice) -> "Sample":
        """Some of the samples.

        >>> import torch
        >>> len(Sample(torch.zeros(5, 2), torch.zeros(5, 2)).rows(slice(0, 3)))
        3
        """
        logits, labels, scores = (None if seen is None else seen[chosen] for seen in (self.logits, self.labels, self.scores))
        return Sample(self.images[chosen], self.features[chosen], logits, labels, scores)


class Generating(Protocol):
    """A generator, for the measures that need samples of their own."""

    @property
    def latent(self) -> int:
        """Numbers in a latent."""
        ...

    @property
    def latent_distribution(self) -> str:
        """`normal`, or `uniform` on (-1, 1)."""
        ...

    def latents(self, start: int, stop: int) -> Tensor:
        """Latents number `start` to `stop - 1` of a fixed set of the evaluation's own, `[stop - start, latent]`."""
        ...

    def generate(self, latents: Tensor) -> Tensor:
        """Images in [-1, 1] `[n, C, H, W]`, or points `[n, d]`, in eval mode; differs for latents only."""
        ...

    def see(self, generated: Tensor) -> Sample:
        """What `generate` gave, as bytes and through the extractor."""
        ...

    def features(self, generated: Tensor) -> Tensor:
        """The extractor's features of what `generate` gave *without rounding to bytes*, `[n, d]`.

        Steps of path lengths change a pixel by far less than a byte's step, so through bytes they would be lost.
        """
        ...


class Encoding(Protocol):
    """An encoder, for the measures that judge codes."""

    def encode(self, images: Tensor) -> Tensor:
        """Codes of images in [-1, 1] `[n, C, H, W]`, or of points `[n, d]`, in eval mode: `[n, latent]`."""
        ...


@dataclass(frozen=True)
class GaussianMixture:
    """The law the data was drawn from, where it is known: equal weights, covariance `std^2 I`.

    Args:
        means: `[k, d]`, float64.
        std: of each coordinate.
    """

    means: Tensor
    std: float


@dataclass(frozen=True)
class Evidence:
    """Everything a measure may read; it says in `uses` what it needs.

    Args:
        real: the real samples that the fakes are compared with (which split they are of is in the card).
        fake: the generated samples.
        train: samples that the generator was trained on.
        held_out: real samples that it was not trained on.
        mixture: the law of the data.
        generator: for measures that draw samples of their own.
        encoder: from images to latents, for games that have one.
        progress: told `(done, total)` by what takes long; it changes no value.
    """

    real: Sample
    fake: Sample
    train: Sample | None = None
    held_out: Sample | None = None
    mixture: GaussianMixture | None = None
    generator: Generating | None = None
    encoder: Encoding | None = None
    progress: Callable[[int, int], None] | None = None

    def steps(self, total: int) -> Step:
        """Whom to tell of the steps of something that has `total` of them.

        >>> import torch
        >>> sample = Sample(torch.zeros(2, 1), torch.zeros(2, 1))
        >>> step = Evidence(sample, sample, progress=lambda done, total: print(f"{done} of {total}")).steps(5)
        >>> step(2), step(3)
        2 of 5
        5 of 5
        (None, None)
        """
        progress, done = self.progress, 0
        if progress is None:
            return unwatched

        def step(steps: int) -> None:
            nonlocal done
            done += steps
            progress(done, total)

        return step
