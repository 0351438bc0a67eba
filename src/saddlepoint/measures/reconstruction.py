"""What an encoder and a generator lose between them (Donahue et al. 2017; Dumoulin et al. 2017)."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Encoding, Evidence, Generating
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

AT_A_TIME = 64


def reconstruction_errors(original: Tensor, reconstructed: Tensor) -> Tensor:
    r"""`||x - x^||`, the Euclidean distance of each sample from its reconstruction: `[n]`, float64.

    Args:
        original, reconstructed: images, points, features or latents of one shape `[n, *]`, in one unit.

    Raises:
        InputError: different shapes, no samples, or values that are not finite.

    >>> reconstruction_errors(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 1.0]])).tolist()
    [5.0, 0.0]
    """
    if original.shape != reconstructed.shape or original.ndim < 2 or len(original) == 0:
        shapes = f"{tuple(original.shape)} and {tuple(reconstructed.shape)}"
        raise InputError([f"reconstruction: originals and reconstructions have the shapes {shapes}; give both as one [n, …]"])
    problems = value_problems("reconstruction", original, "original") + value_problems(
        "reconstruction", reconstructed, "reconstructed"
    )
    if problems:
        raise InputError(problems)
    gap = original.double().flatten(1) - reconstructed.double().flatten(1)
    distances: Tensor = gap.norm(dim=1)
    return distances


class Reconstruction(Measure):
    r"""Mean `||x - G(E(x))||` over the reals, in pixels and in features, and mean `||z - E(G(z))||` over latents.

    Pixels are in [-1, 1], points in their own unit; a reconstruction's features are seen through bytes, like a real's. Beside each
    stands the mean distance of two random originals: an encoder that ignores its input does no better than about that.
    """

    name: ClassVar[str] = "reconstruction"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "pixel-reconstruction": Quantity("reconstruction error, pixels", higher_is_better=False),
        "feature-reconstruction": Quantity("reconstruction error ({extractor})", higher_is_better=False),
        "latent-reconstruction": Quantity("reconstruction error, latents", higher_is_better=False),
    }
    uses = frozenset({"encoder", "generator"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{donahue2017adversarial,
  title={Adversarial feature learning},
  author={Donahue, Jeff and Kr{\\"a}henb{\\"u}hl, Philipp and Darrell, Trevor},
  booktitle={International Conference on Learning Representations},
  year={2017}
}"""

    latents: int = Field(default=1000, ge=2, description="that are generated from and encoded again")

    def generated(self, evidence: Evidence) -> int:
        return len(evidence.real) + self.latents

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        generator, encoder = evidence.generator, evidence.encoder
        assert generator is not None
        assert encoder is not None
        images = as_generated(evidence.real.images)
        again, features = _reconstructed(images, encoder, generator)
        latents = generator.latents(0, self.latents)
        codes = torch.cat([encoder.encode(generator.generate(part)).cpu() for part in latents.split(AT_A_TIME)])
        return {
            "pixel-reconstruction": _estimate(images, again, len(again)),
            "feature-reconstruction": _estimate(evidence.real.features, features, len(again)),
            "latent-reconstruction": _estimate(latents.cpu(), codes, self.latents),
        }


def as_generated(images: Tensor) -> Tensor:
    """Bytes as a generator gives images, `x / 127.5 - 1`; points as they are.

    >>> as_generated(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    return images if images.is_floating_point() else images.float() / 127.5 - 1


def _reconstructed(images: Tensor, encoder: Encoding, generator: Generating) -> tuple[Tensor, Tensor]:
    """Reconstructions of images and their features, 64 at a time."""
    again, features = [], []
    for part in images.split(AT_A_TIME):
        made = generator.generate(encoder.encode(part))
        again.append(made.cpu())
        features.append(generator.see(made).features)
    return torch.cat(again), torch.cat(features)


def _estimate(original: Tensor, reconstructed: Tensor, n: int) -> Estimate:
    errors = reconstruction_errors(original, reconstructed)
    apart = reconstruction_errors(original, original.roll(1, 0))
    error = float(errors.std()) / math.sqrt(len(errors))
    return Estimate(float(errors.mean()), n, error, details={"two random originals": float(apart.mean())})
