"""Sliced Wasserstein distance of patches of a Laplacian pyramid (Karras et al. 2018, "Progressive growing of GANs")."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.sliced_wasserstein_distance import along, unit_vectors
from saddlepoint.streams import Streams

PATCH = 7
COARSEST = 16
UNIT = 1000.0
IMAGES_AT_A_TIME = 64
PATCHES_AT_A_TIME = 2**14
BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)

Normalise = Literal["reals", "own"]


def pyramid_sliced_wasserstein(
    real: Tensor, fake: Tensor, streams: Streams, *, normalise: Normalise = "reals", patches: int = 128, directions: int = 512
) -> dict[int, float]:
    r"""1,000 times `SW_1` of random 7 x 7 patches, for each level of the images' Laplacian pyramids: fine texture to coarse shape.

    The pyramid halves the image down to 16 px; a level is what halving it loses, the last is what is left. From each level and
    image `patches` patches are cut, at the same places of image i of both sides; each channel is normalised by mean and standard
    deviation over the *reals'* patches. `own` normalises each side by itself, as the paper does: a wrong colour or contrast is
    then invisible.

    Memory: one level's patches in float32, `196 C patches` bytes an image (75 kB in colour), and about 100 MiB, or one direction's
    sort if that is more.

    Args:
        real, fake: uint8 `[n, C, H, W]` and `[m, C, H, W]`.
        normalise: by the statistics of `reals`, or each side by its `own`.
        patches: of an image and level.
        directions: L; the paper takes 4 x 128.

    Returns:
        By level, named by its height in pixels, finest first.

    Raises:
        InputError: not images of one shape, or below 7 px; or reals whose patches do not vary.

    >>> images = Streams(0).integers("pixels", 256, 4, 1, 32, 32).to(torch.uint8)
    >>> pyramid_sliced_wasserstein(images, images, Streams(0))
    {32: 0.0, 16: 0.0}

    Source: Karras et al. 2018, section 5.
    """
    problems = _problems(real, fake)
    if problems:
        raise InputError(problems)
    found = {}
    for level, (height, width) in enumerate(_sizes(*real.shape[2:])):
        reals, fakes = (_patches(images, level, patches, streams) for images in (real, fake))
        reals, fakes = _normalised(reals, fakes, normalise)
        theta = unit_vectors(streams, "pyramid sliced wasserstein directions", directions, reals.shape[1]).float()
        found[min(height, width)] = UNIT * float(along(reals, fakes, theta, 1).mean())
    return found


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """What each halving of `[n, C, H, W]` loses, finest first, and what is left. Enlarged and summed they are the image.

    >>> [tuple(level.shape[2:]) for level in laplacian_pyramid(torch.zeros(1, 1, 64, 64))]
    [(64, 64), (32, 32), (16, 16)]
    """
    levels = [images]
    for _ in _sizes(*images.shape[2:])[1:]:
        halved = _blurred(levels[-1])[..., ::2, ::2]
        levels[-1] = levels[-1] - enlarged(halved, levels[-1].shape[2:])
        levels.append(halved)
    return levels


def enlarged(images: Tensor, size: torch.Size) -> Tensor:
    """Twice the size: zeros put between the pixels, then four times the blur, which keeps constants."""
    spread = images.new_zeros(*images.shape[:2], *size)
    spread[..., ::2, ::2] = images
    return 4 * _blurred(spread)


def _blurred(images: Tensor) -> Tensor:
    """By the outer product of (1, 4, 6, 4, 1)/16, mirrored at the border without repeating it."""
    row = images.new_tensor(BINOMIAL) / 16
    kernel = (row[:, None] * row).expand(images.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=images.shape[1])


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Of the levels, finest first: halved as long as 16 px remain."""
    sizes = [(height, width)]
    while min(half := (math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2))) >= COARSEST:
        sizes.append(half)
    return sizes


def _patches(images: Tensor, level: int, count: int, streams: Streams) -> Tensor:
    """`count` patches of every image's level, flat: `[n count, C 49]`. Where they lie depends on the image's number only."""
    blocks = []
    for start in range(0, len(images), IMAGES_AT_A_TIME):
        block = laplacian_pyramid(images[start : start + IMAGES_AT_A_TIME].float())[level]
        stop = start + len(block)
        places = streams.rows("uniform", f"pyramid sliced wasserstein {level}", start, stop, count, 2).to("cpu", torch.float64)
        windows = block.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
        rows, columns = ((places[..., axis] * windows.shape[2 + axis]).long() for axis in (0, 1))
        blocks.append(windows[torch.arange(len(block))[:, None], :, rows, columns].flatten(0, 1).flatten(1))
    return torch.cat(blocks)


def _normalised(reals: Tensor, fakes: Tensor, normalise: Normalise) -> tuple[Tensor, Tensor]:
    """Each channel with mean 0 and standard deviation 1: over the reals' patches, or over each side's own."""
    scales = [_moments(side) for side in ((reals, reals) if normalise == "reals" else (reals, fakes))]
    for side, (_, deviation) in zip(("real", "fake"), scales, strict=True):
        if bool((deviation == 0).any()):
            raise InputError([f"pyramid-sliced-wasserstein: a channel of the {side} images does not vary; it cannot be normalised"])
    reals, fakes = (side.sub_(mean).div_(deviation) for side, (mean, deviation) in zip((reals, fakes), scales, strict=True))
    return reals, fakes


def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, in float64, for each of the patch's numbers `[C 49]`."""
    chunks = patches.unflatten(1, (-1, PATCH * PATCH)).split(PATCHES_AT_A_TIME)
    count = len(patches) * PATCH * PATCH
    mean = torch.stack([chunk.sum((0, 2), dtype=torch.float64) for chunk in chunks]).sum(0) / count
    square = torch.stack([(chunk.double() - mean[:, None]).square().sum((0, 2)) for chunk in chunks]).sum(0) / count
    return mean.float().repeat_interleave(PATCH * PATCH), square.sqrt().float().repeat_interleave(PATCH * PATCH)


def _problems(real: Tensor, fake: Tensor) -> list[str]:
    shapes = f"{tuple(real.shape)} and {tuple(fake.shape)}"
    if real.ndim != 4 or fake.ndim != 4 or real.shape[1:] != fake.shape[1:] or 0 in (len(real), len(fake)):
        return [f"pyramid-sliced-wasserstein: images of the shapes {shapes}; give both sides as [n, C, H, W] of one size"]
    if min(real.shape[2:]) < PATCH:
        return [f"pyramid-sliced-wasserstein: images of {real.shape[2]} x {real.shape[3]} px; patches need {PATCH} or more"]
    return []


class PyramidSlicedWasserstein(Measure):
    """`pyramid_sliced_wasserstein` of the images themselves: the mean over the levels, each level in the details."""

    name: ClassVar[str] = "pyramid-sliced-wasserstein"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "pyramid-sliced-wasserstein": Quantity("sliced Wasserstein distance of patches x 1000", higher_is_better=False)
    }
    bibtex: ClassVar[str] = """@inproceedings{karras2018progressive,
  title={Progressive growing of {GAN}s for improved quality, stability, and variation},
  author={Karras, Tero and Aila, Timo and Laine, Samuli and Lehtinen, Jaakko},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    normalise: Normalise = Field(default="reals", description="channels by the statistics of the reals, or each side by its own")
    patches: int = Field(default=128, ge=1, description="of an image and level")
    directions: int = Field(default=512, ge=1, description="drawn on the sphere, anew for each level")

    def problems(self, evidence: Evidence) -> list[str]:
        return super().problems(evidence) + _problems(evidence.real.images, evidence.fake.images)

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = evidence.real.images, evidence.fake.images
        levels = pyramid_sliced_wasserstein(
            real, fake, streams, normalise=self.normalise, patches=self.patches, directions=self.directions
        )
        details = {"levels": {f"{size} px": value for size, value in levels.items()}, "n_real": len(real)}
        notes = ("Patches of 7 px at every scale: it does not see how parts are put together.",)
        return {"pyramid-sliced-wasserstein": Estimate(sum(levels.values()) / len(levels), len(fake), notes=notes, details=details)}
