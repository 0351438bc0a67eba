"""What measures of generators, encoders and pictures must say of those that are known."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.generalisation_gap import GeneralisationGap
from saddlepoint.measures.lpips import Lpips
from saddlepoint.measures.ms_ssim import MsSsim
from saddlepoint.measures.nearest_neighbour_accuracy import NearestNeighbourAccuracy
from saddlepoint.measures.perceptual_path_length import PerceptualPathLength
from saddlepoint.measures.pyramid_sliced_wasserstein import PyramidSlicedWasserstein
from saddlepoint.measures.reconstruction import Reconstruction
from saddlepoint.measures.support_size import SupportSize
from saddlepoint.streams import Streams
from saddlepoint.verification.cases import Case, one, pinned, sample
from saddlepoint.verification.probe import Slip


@dataclass(frozen=True)
class Plain:
    """`G(z) = scale z` in the plane, and `E(x) = x + offset`; latents are (0, 0) and (3, 4) in turn."""

    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)
    latent: int = 2
    latent_distribution: str = "normal"

    def latents(self, start: int, stop: int) -> Tensor:
        return torch.tensor([3.0, 4.0], dtype=torch.float64) * (torch.arange(start, stop) % 2)[:, None]

    def generate(self, latents: Tensor) -> Tensor:
        return self.scale * latents

    def see(self, generated: Tensor) -> Sample:
        return sample(generated)

    def features(self, generated: Tensor) -> Tensor:
        return generated

    def encode(self, images: Tensor) -> Tensor:
        return images + torch.tensor(self.offset, dtype=images.dtype)


def drawn(name: str, n: int) -> Tensor:
    """Generic points of the plane, float32."""
    return Streams(0).normal(f"verification {name}", n, 2)


def perceptual_path_length(record: PerceptualPathLength) -> Iterator[Case]:
    """A linear generator: every step has one length."""
    points = sample(drawn("points", 4))
    yield Case(
        "a generator that doubles",
        "G(z) = 2 z from (0, 0) to (3, 4) on a line: 4 x 25, and frames at equal steps",
        pinned(record, pairs=6, rows=2, path="linear"),
        Evidence(points, points, generator=Plain(scale=2.0)),
        {"smoothness": 1 / (record.frames - 1), "perceptual-path-length": 100.0},
        (
            Slip("the step is not squared away: divide by epsilon^2", lambda came: came[1] < 1),
            Slip("the length is not squared", lambda came: abs(came[1] - 10) < 1e-3),
        ),
    )


def reconstruction(record: Reconstruction) -> Iterator[Case]:
    """An encoder that is always 5 off."""
    points = sample(drawn("points", 4))
    world = Plain(offset=(3.0, -4.0))
    yield Case(
        "an encoder that is 5 off",
        "G(z) = z and E(x) = x + (3, -4): samples, features and latents come back 5 away",
        pinned(record, latents=4),
        Evidence(points, points, generator=world, encoder=world),
        {"pixel-reconstruction": 5.0, "feature-reconstruction": 5.0, "latent-reconstruction": 5.0},
        (Slip("the squared distance is given", (25.0,) * 3), Slip("it is the sum of absolute differences", (7.0,) * 3)),
    )


def nearest_neighbour_accuracy(record: NearestNeighbourAccuracy) -> Iterator[Case]:
    """A test sample that lies in the other class."""
    train = sample([(0, 0), (0, 1), (9, 0), (9, 1)], labels=torch.tensor([0, 0, 1, 1]))
    test = sample([(1, 0), (8, 0), (8, 1), (1, 1)], labels=torch.tensor([0, 1, 1, 1]))
    yield Case(
        "three of four",
        "codes in two clusters, and a test sample that lies in the other class's: 3 of 4",
        pinned(record, k=1),
        Evidence(train, test, train, test, encoder=Plain()),
        {"nearest-neighbour-accuracy": 0.75},
        one(("the farthest neighbour votes", 0.25), ("a count or a percentage is given", 75.0)),
    )


def generalisation_gap(record: GeneralisationGap) -> Iterator[Case]:
    """Fakes that are the training set, held-out data that is shifted."""
    train = drawn("gap", 40)
    held_out = train + torch.tensor([3.0, -4.0])
    yield Case(
        "fakes that are the training set",
        "40 training points, fakes the same, held-out the same shifted by (3, -4): 25 - 0 of the Fréchet distance",
        pinned(record, repeats=1, updates=2),
        Evidence(sample(held_out), sample(train), sample(train), sample(held_out)),
        {"frechet-gap": 25.0},
        one(("the sign is flipped: held-out minus train", -25.0), ("the root is given", 5.0)),
        tolerance=1e-4,
    )


def support_size(record: SupportSize) -> Iterator[Case]:
    """A generator of one sample."""
    yield Case(
        "a generator of one sample",
        "G(z) = 0 against 120 held-out points: every batch of 2 holds a duplicate, so fewer than 2",
        pinned(record, batches=10),
        Evidence(
            sample(drawn("real", 120)),
            sample(torch.zeros(4, 2)),
            sample(drawn("train", 120)),
            sample(drawn("held-out", 120)),
            generator=Plain(scale=0.0),
        ),
        {"support-size-pixels": 2.0, "support-size-features": 2.0},
    )


def _pictures(shape: tuple[int, ...], same: bool) -> Sample:
    images = Streams(0).integers("verification pictures", 256, *((1, *shape[1:]) if same else shape)).to(torch.uint8)
    images = images.expand(shape).contiguous()
    return Sample(images, images.flatten(1).float())


def ms_ssim(record: MsSsim) -> Iterator[Case]:
    """Copies of one picture."""
    alike = _pictures((6, 1, 16, 16), same=True)
    yield Case(
        "pictures that are one",
        "6 copies of a picture: similarity 1",
        record,
        Evidence(alike, alike),
        {"ms-ssim": 1.0},
        one(("it is a distance, 1 - similarity", 0.0)),
    )


def lpips(record: Lpips) -> Iterator[Case]:
    """Copies of one picture; left out where the weights are not at hand."""
    alike = _pictures((4, 3, 64, 64), same=True)
    evidence = Evidence(alike, alike)
    absent = [line for line in record.problems(evidence) if " is not there" in line]
    yield Case(
        "pictures that are one",
        "4 copies of a picture: distance 0",
        record,
        evidence,
        {"lpips": 0.0},
        unasked=absent[0] if absent else None,
    )


def pyramid_sliced_wasserstein(record: PyramidSlicedWasserstein) -> Iterator[Case]:
    """Equal sets."""
    pictures = _pictures((4, 1, 16, 16), same=False)
    yield Case(
        "equal sets of pictures",
        "4 pictures on both sides: 0",
        pinned(record, patches=8, directions=16),
        Evidence(pictures, pictures),
        {"pyramid-sliced-wasserstein": 0.0},
        (Slip("reals and fakes are cut at different places", lambda came: came[0] > 1e-3),),
    )
