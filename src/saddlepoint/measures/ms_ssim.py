"""Diversity as multi-scale structural similarity between samples (Odena, Olah, Shlens 2017): lower is more diverse."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
BRIGHTNESS, CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2
PAIRS_AT_ONCE = 64

Border = Literal["reflected", "valid"]


def ms_ssim(first: Tensor, second: Tensor, border: Border = "reflected") -> Tensor:
    r"""Multi-scale structural similarity of images with images, float64 `[n]` in [0, 1].

        MS-SSIM = SSIM_M^{w_M} prod_{j<M} cs_j^{w_j},    cs = (2 s_xy + C2) / (s_x^2 + s_y^2 + C2),
        SSIM = cs (2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1),

    means of all windows and channels, below 0 taken as 0; windows are Gaussian, 11 x 11 with sigma 1.5, K .01 and .03; a scale is
    the mean over 2 x 2 of the one before. M is the largest of 1 to 5 that leaves the coarsest scale 11 pixels, and the first M of
    the weights .0448, .2856, .3001, .2363, .1333 are divided by their sum.

    Args:
        first: uint8 `[n, C, H, W]`.
        second: likewise.
        border: where the last scale's windows lie. `reflected`: at every pixel of the reflected image, as torchmetrics has it;
            `valid`: wholly inside, as Wang et al. do at every scale.

    Raises:
        InputError: shapes that differ, images smaller than 11 pixels, or values that are no pixels.

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", equation 7.

    >>> image = torch.arange(768, dtype=torch.uint8).reshape(1, 3, 16, 16)
    >>> ms_ssim(image, image)
    tensor([1.], dtype=torch.float64)
    """
    scales = number_of_scales(first.shape)
    if first.shape != second.shape:
        raise InputError([f"ms_ssim: images of shape {tuple(first.shape)} and {tuple(second.shape)}; give two sets alike"])
    if scales == 0:
        raise InputError(
            [f"ms_ssim: shape {tuple(first.shape)} has no scale of {WINDOW} pixels; give images [n, C, H, W] of {WINDOW} or more"]
        )
    outside = [
        f"ms_ssim: the {side} images hold what is no pixel: complex, NaN, or outside 0 … 255; give bytes"
        for side, images in (("first", first), ("second", second))
        if images.is_complex() or not bool(((images >= 0) & (images <= 255)).all())
    ]
    if outside:
        raise InputError(outside)
    parts = zip(first.split(PAIRS_AT_ONCE), second.split(PAIRS_AT_ONCE), strict=True)
    return torch.cat([_similarity(one.double(), other.double(), scales, border) for one, other in parts])


def number_of_scales(shape: Sequence[int]) -> int:
    """How many of the five scales leave images of a shape `[n, C, H, W]` 11 pixels; 0 for what is smaller, or no image.

    >>> [number_of_scales((1, 3, side, side)) for side in (8, 28, 32, 64, 128, 256)]
    [0, 2, 2, 3, 4, 5]
    """
    side = min(shape[2:]) if len(shape) == 4 else 0
    return max((scales for scales in range(1, len(WEIGHTS) + 1) if side >> (scales - 1) >= WINDOW), default=0)


def _similarity(x: Tensor, y: Tensor, scales: int, border: Border) -> Tensor:
    weights = torch.tensor(WEIGHTS[:scales], dtype=torch.float64)
    weights = weights / weights.sum()
    result = torch.ones(len(x), dtype=torch.float64)
    for scale in range(scales):
        last = scale == scales - 1
        if last and border == "reflected":
            x, y = (F.pad(image, (WINDOW // 2,) * 4, mode="reflect") for image in (x, y))
        luminance, contrast = _compared(x, y)
        term = (luminance * contrast if last else contrast).flatten(1).mean(1)
        result = result * term.clamp_min(0) ** weights[scale]
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return result


def _compared(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The luminance and the contrast-structure term at each valid window, `[n, C, h, w]`."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = (_blurred(x * x) - mean_x**2).clamp_min(0), (_blurred(y * y) - mean_y**2).clamp_min(0)
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + BRIGHTNESS) / (mean_x**2 + mean_y**2 + BRIGHTNESS)
    return luminance, (2 * covariance + CONTRAST) / (variance_x + variance_y + CONTRAST)


def _blurred(x: Tensor) -> Tensor:
    """The Gaussian mean over each 11 x 11 window that lies inside, one axis after the other."""
    offsets = torch.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, WINDOW)
    return F.conv2d(F.conv2d(x, kernel, groups=x.shape[1]), kernel.transpose(2, 3), groups=x.shape[1])


def pairs_of_a_class(labels: Tensor | None, n: int, count: int, streams: Streams, name: str) -> Tensor:
    """At most `count` pairs of samples of one class, no sample in two of them, int64 `[p, 2]`: so that values are independent.

    Args:
        labels: int64 `[n]`; None: pairs of any two samples.
        name: of the stream.
    """
    order = streams.order(name, n, n)
    classes = torch.zeros(n, dtype=torch.int64) if labels is None else labels.cpu()[order]
    rows = [order[classes == kind] for kind in classes.unique()]
    pairs = torch.cat([members[: len(members) // 2 * 2].reshape(-1, 2) for members in rows])
    # The classes stand one after the other; which pairs are kept must not depend on that.
    return pairs[streams.order(f"{name} kept", len(pairs), min(count, len(pairs)))] if len(pairs) else pairs


def mean_of_pairs(name: str, values: Tensor, real: Tensor, labelled: bool, wanted: int) -> Estimate:
    """The estimate of a diversity: the mean over independent pairs, its error, and the reals' beside it."""
    notes = []
    if not labelled:
        notes.append("pairs are of any two samples, since labels are missing: what differs between classes counts as diversity")
    if len(values) < wanted:
        notes.append(f"{len(values)} pairs, not {wanted}: each sample is in one pair at most")
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    details = {
        "name": name,
        "pairs": len(values),
        "of one class": labelled,
        "real": float(real.mean()) if len(real) else None,
        "real error": float(real.std() / len(real) ** 0.5) if len(real) > 1 else None,
    }
    return Estimate(float(values.mean()), 2 * len(values), error, notes=tuple(notes), details=details)


def sides(measure: str, evidence: Evidence) -> tuple[tuple[Sample, str], tuple[Sample, str]]:
    """Both sides with the names of their streams."""
    return (evidence.fake, f"{measure} fake"), (evidence.real, f"{measure} real")


def chosen_pairs(sample: Sample, labelled: bool, count: int, streams: Streams, name: str) -> tuple[Tensor, Tensor]:
    """The images of the first and of the second half of each pair; none where a class is wanted of a side without labels."""
    if labelled and sample.labels is None:
        return sample.images[:0], sample.images[:0]
    pairs = pairs_of_a_class(sample.labels if labelled else None, len(sample), count, streams, name)
    return sample.images[pairs[:, 0]], sample.images[pairs[:, 1]]


def no_pairs(name: str, evidence: Evidence) -> list[str]:
    """A line when no two generated samples share a class."""
    labels = evidence.fake.labels
    if labels is not None and len(labels) and int(torch.bincount(labels).max()) < 2:
        return [f"{name}: no two of the {len(labels)} generated samples have one label; give more"]
    return []


class MsSsim(Measure):
    """Mean MS-SSIM of pairs of generated samples, of one class where there are labels: 1 when they are all alike.

    Read it beside the reals' value: lower than theirs is noise, not diversity. It does not see classes that are missing.
    """

    name: ClassVar[str] = "ms-ssim"
    quantities: ClassVar[Mapping[str, Quantity]] = {"ms-ssim": Quantity("MS-SSIM between samples", higher_is_better=False)}
    bibtex: ClassVar[str] = """@inproceedings{odena2017conditional,
  title={Conditional Image Synthesis with Auxiliary Classifier {GANs}},
  author={Odena, Augustus and Olah, Christopher and Shlens, Jonathon},
  booktitle={International Conference on Machine Learning},
  year={2017}
}
@inproceedings{wang2003multiscale,
  title={Multiscale structural similarity for image quality assessment},
  author={Wang, Zhou and Simoncelli, Eero P and Bovik, Alan C},
  booktitle={Asilomar Conference on Signals, Systems \\& Computers},
  year={2003}
}"""

    pairs: int = Field(default=1000, ge=1, description="of samples, at most; each sample is in one at most")
    border: Border = Field(
        default="reflected", description="of the coarsest scale: reflected, as torchmetrics, or valid windows only"
    )

    def problems(self, evidence: Evidence) -> list[str]:
        problems = super().problems(evidence)
        shape = tuple(evidence.fake.images.shape)
        if number_of_scales(shape) == 0:
            what = f"{shape[3]} x {shape[2]} pixels are too few" if len(shape) == 4 else "the samples are points"
            problems.append(f"{self.name}: {what}; it needs images of {WINDOW} pixels or more a side")
        return problems + no_pairs(self.name, evidence)

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        labelled = evidence.fake.labels is not None
        fake, real = (chosen_pairs(side, labelled, self.pairs, streams, name) for side, name in sides(self.name, evidence))
        scales = number_of_scales(evidence.fake.images.shape)
        values = [ms_ssim(*both, self.border) if len(both[0]) else torch.empty(0) for both in (fake, real)]
        return {"ms-ssim": mean_of_pairs(f"ms-ssim-{scales}", values[0], values[1], labelled, self.pairs)}
