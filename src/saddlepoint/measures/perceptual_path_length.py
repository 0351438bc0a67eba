"""Perceptual path length (Karras et al. 2019), and how smooth paths between latents look."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.latents import interpolate, slerp
from saddlepoint.measures.evidence import Evidence, Generating
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams

STREAM = "perceptual path length"
AT_A_TIME = 64

Path = Literal["auto", "slerp", "linear"]


class Length(NamedTuple):
    """A mean between quantiles, its standard error (that of the winsorised values), and how many values were in between."""

    value: float
    error: float
    kept: int


def path_lengths(
    look: Callable[[Tensor], Tensor], starts: Tensor, ends: Tensor, t: Tensor, *, epsilon: float, spherical: bool
) -> Tensor:
    r"""`|f(z_t) - f(z_{t+eps})|^2 / eps^2` for each pair of latents: `[n]`, float64.

    `z_t` is on the sphere's arc between the ends, norm kept, or on the line. Steps are taken in float64 and given to `look` in the
    latents' own dtype: let both be float64 where the generator can. 64 pairs at a time.

    Args:
        look: from latents `[n, latent]` to what is compared, `[n, *]`; each by itself, whatever else is in the batch.
        starts, ends: `[n, latent]`.
        t: in [0, 1], `[n]`.
        epsilon: the step, above 0.
        spherical: whether paths are arcs.

    Raises:
        InputError: what was looked at is not finite.

    >>> turn = torch.tensor([[0.0, 2.0], [-1.0, 0.0]], dtype=torch.float64)
    >>> starts, ends = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    >>> round(path_lengths(lambda z: z @ turn.mT, starts, ends, torch.tensor([0.3]), epsilon=1e-4, spherical=False).item(), 6)
    5.0

    Source: Karras et al. 2019, equation 2; its `slerp` gives unit vectors, which only a generator that rescales latents allows.
    """
    lengths = []
    for first, last, place in zip(*(side.split(AT_A_TIME) for side in (starts, ends, t)), strict=True):
        at = [_on_path(first.double(), last.double(), place.double() + step, spherical).to(starts.dtype) for step in (0.0, epsilon)]
        here, there = look(torch.cat(at)).double().flatten(1).chunk(2)
        lengths.append((there - here).square().sum(1) / epsilon**2)
    found = torch.cat(lengths).cpu()
    bad = int((~torch.isfinite(found)).sum())
    if bad:
        raise InputError(
            [f"perceptual-path-length: {bad} of {len(found)} pairs are not finite; the generator or its extractor gives NaN"]
        )
    return found


def between_quantiles(values: Tensor, low: float = 0.01, high: float = 0.99) -> Length:
    """The mean of the values between two quantiles: of the sorted n the lower one rounded down, the upper one up, both kept.

    >>> between_quantiles(torch.tensor([0.0, 1.0, 2.0, 99.0]), 0.25, 0.75).kept
    4
    """
    ordered = values.double().sort().values
    first, last = math.floor(low * (len(ordered) - 1)), math.ceil(high * (len(ordered) - 1))
    held = (ordered >= ordered[first]) & (ordered <= ordered[last])
    kept = int(held.sum())
    winsorised = ordered.clamp(float(ordered[first]), float(ordered[last]))
    error = float(winsorised.std()) / ((high - low) * math.sqrt(len(ordered))) if len(ordered) > 1 else 0.0
    return Length(float(ordered[held].mean()), error, kept)


def smoothness(paths: Tensor) -> float:
    r"""Mean distance of neighbouring frames over the mean distance of the paths' ends, which are random pairs.

    Straight and even paths of T frames have `1 / (T - 1)`, nothing has less; one sudden change has that too, and detours more.

    Args:
        paths: features of frames `[rows, T, d]`, T of 2 or more.

    Raises:
        InputError: no frames, or ends that all look alike.

    >>> smoothness(torch.arange(5.0).reshape(1, 5, 1))
    0.25

    Source: ours; White 2016 draws such rows.
    """
    if paths.ndim != 3 or paths.shape[0] < 1 or paths.shape[1] < 2:
        raise InputError(
            [f"perceptual-path-length: frames of the shape {tuple(paths.shape)}; give [rows, frames, d], two frames or more"]
        )
    problems = value_problems("perceptual-path-length", paths)
    if problems:
        raise InputError(problems)
    frames = paths.double()
    apart = float((frames[:, -1] - frames[:, 0]).norm(dim=-1).mean())
    if not apart > 0:
        raise InputError(["perceptual-path-length: the ends of all paths look alike; smoothness is undefined"])
    return float((frames[:, 1:] - frames[:, :-1]).norm(dim=-1).mean()) / apart


def _on_path(start: Tensor, end: Tensor, t: Tensor, spherical: bool) -> Tensor:
    return slerp(start, end, t) if spherical else torch.lerp(start, end, t[:, None])


def _unit(features: Tensor) -> Tensor:
    """Features over their norm; 0 stays 0."""
    flat = features.double().flatten(1)
    length: Tensor = flat.norm(dim=1, keepdim=True)
    unit: Tensor = flat / torch.where(length > 0, length, torch.ones_like(length))
    return unit


class PerceptualPathLength(Measure):
    r"""The mean of `path_lengths` between two quantiles, and `smoothness`, from latents of the generator.

    `features` compares images by `|u - v|^2`, u and v their features divided by their norms, taken before rounding to bytes;
    `pixels` by the squared distance of the values in [-1, 1]. Points are always compared by their coordinates.
    """

    name: ClassVar[str] = "perceptual-path-length"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "perceptual-path-length": Quantity("path length ({extractor})", higher_is_better=False),
        "smoothness": Quantity("neighbouring frames over random pairs ({extractor})", higher_is_better=False),
    }
    uses = frozenset({"generator"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{karras2019style,
  title={A style-based generator architecture for generative adversarial networks},
  author={Karras, Tero and Laine, Samuli and Aila, Timo},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2019}
}"""

    pairs: int = Field(default=5000, ge=2, description="of latents, each with one step on the path between them")
    epsilon: float = Field(default=1e-4, gt=0, lt=1, description="the step, as a share of the path")
    sampling: Literal["full", "end"] = Field(default="full", description="t uniform on [0, 1], or 0")
    path: Path = Field(default="auto", description="slerp, linear, or auto: slerp for normal latents, linear for uniform ones")
    distance: Literal["features", "pixels"] = Field(default="features", description="what of an image is compared")
    low: float = Field(default=0.01, ge=0, le=1, description="quantile below which lengths are left out")
    high: float = Field(default=0.99, ge=0, le=1, description="quantile above which lengths are left out")
    rows: int = Field(default=64, ge=1, description="paths for the smoothness")
    frames: int = Field(default=10, ge=2, description="of each of these paths, ends included")

    @model_validator(mode="after")
    def _ordered(self) -> "PerceptualPathLength":
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}; give two quantiles in their order")
        return self

    def generated(self, evidence: Evidence) -> int:
        return 2 * self.pairs + self.rows * self.frames

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        generator = evidence.generator
        assert generator is not None
        spherical = self.path == "slerp" or (self.path == "auto" and generator.latent_distribution == "normal")
        lengths = self._lengths(generator, streams, spherical)
        length = between_quantiles(lengths, self.low, self.high)
        details: dict[str, Any] = {
            "distance": "squared, of coordinates" if _of_points(generator) else _NAMED[self.distance],
            "path": "slerp" if spherical else "linear",
            "pairs": self.pairs,
            "pairs kept": length.kept,
        }
        notes: tuple[str, ...] = ("A collapsed generator has the shortest paths: read it beside coverage or recall.",)
        estimates = {}
        try:
            smooth = smoothness(self._frames(generator, spherical))
            estimates["smoothness"] = Estimate(
                smooth, self.rows * self.frames, notes=notes, details={"least": 1 / (self.frames - 1)}
            )
        except InputError as error:
            notes += (f"No smoothness: {error.problems[0].split(': ', 1)[1]}.",)
        estimates["perceptual-path-length"] = Estimate(length.value, 2 * self.pairs, length.error, notes=notes, details=details)
        return estimates

    def _lengths(self, generator: Generating, streams: Streams, spherical: bool) -> Tensor:
        """Pair i has latents 2i and 2i + 1, whatever the number of pairs."""
        latents = generator.latents(0, 2 * self.pairs)
        t = streams.uniform(STREAM, self.pairs).to(latents.device) if self.sampling == "full" else latents.new_zeros(self.pairs)
        look = self._look(generator)
        return path_lengths(look, latents[0::2], latents[1::2], t, epsilon=self.epsilon, spherical=spherical)

    def _look(self, generator: Generating) -> Callable[[Tensor], Tensor]:
        if _of_points(generator) or self.distance == "pixels":
            return generator.generate
        return lambda latents: _unit(generator.features(generator.generate(latents)))

    def _frames(self, generator: Generating, spherical: bool) -> Tensor:
        """Features of the frames of `rows` paths, row i from latent 2i to 2i + 1: `[rows, frames, d]`."""
        latents = generator.latents(0, 2 * self.rows)
        steps = interpolate(latents[0::2], latents[1::2], self.frames, spherical=spherical).flatten(0, 1)
        seen = [generator.see(generator.generate(part)).coordinates.double() for part in steps.split(AT_A_TIME)]
        return torch.cat(seen).reshape(self.rows, self.frames, -1)


_NAMED = {"features": "squared, of unit-normalised features", "pixels": "squared, of pixels in [-1, 1]"}


def _of_points(generator: Generating) -> bool:
    return generator.generate(generator.latents(0, 1)).ndim == 2
