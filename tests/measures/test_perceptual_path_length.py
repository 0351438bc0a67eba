"""Path lengths of linear generators in closed form, quantiles as NumPy's, and the laws of section F.8."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.perceptual_path_length import PerceptualPathLength, between_quantiles, path_lengths, smoothness
from saddlepoint.streams import Streams
from tests.measures.worlds import Linear, generator, image_world, point_world

MATRIX = Streams(0, dtype=torch.float64).normal("matrix", 2, 5)


def ends(n: int, d: int = 5) -> tuple[Tensor, Tensor]:
    streams = Streams(1, dtype=torch.float64)
    return streams.normal("start", n, d), streams.normal("end", n, d)


def evidence(drawing: Linear) -> Evidence:
    points = Sample(torch.zeros(4, 2), torch.zeros(4, 2))
    return Evidence(points, points, generator=drawing)


@pytest.mark.parametrize("epsilon", [1e-1, 1e-3, 1e-4, 1e-5])
def test_a_linear_generator_on_lines_is_exact_for_every_step(epsilon: float) -> None:
    start, end = ends(70)
    t = Streams(0).uniform("t", 70)
    found = path_lengths(lambda z: z @ MATRIX.mT, start, end, t, epsilon=epsilon, spherical=False)
    torch.testing.assert_close(found, ((end - start) @ MATRIX.mT).square().sum(1), rtol=1e-6, atol=0)


def test_an_arc_has_its_radius_and_angle() -> None:
    start, end = (6 * side / side.norm(dim=1, keepdim=True) for side in ends(30))
    angle = ((start * end).sum(1) / 36).arccos()
    found = path_lengths(lambda z: z, start, end, Streams(0).uniform("t", 30), epsilon=1e-4, spherical=True)
    torch.testing.assert_close(found, (6 * angle).square(), rtol=1e-5, atol=0)


def test_constant_scaled_and_finer() -> None:
    start, end = ends(40)
    t = Streams(0).uniform("t", 40)

    def lengths(scale: float, epsilon: float = 1e-4) -> Tensor:
        return path_lengths(lambda z: scale * (z @ MATRIX.mT).sin(), start, end, t, epsilon=epsilon, spherical=True)

    assert lengths(0.0).max() == 0
    torch.testing.assert_close(lengths(3.0), 9 * lengths(1.0))
    assert float(lengths(1.0, 1e-3).mean()) == pytest.approx(float(lengths(1.0).mean()), rel=0.02)


@pytest.mark.parametrize(("n", "low", "high"), [(1000, 0.01, 0.99), (37, 0.1, 0.8), (5, 0.0, 1.0), (2, 0.01, 0.99)])
def test_quantiles_are_numpys(n: int, low: float, high: float) -> None:
    values = Streams(0, dtype=torch.float64).normal("values", n).exp()
    least = np.percentile(values, 100 * low, method="lower")
    most = np.percentile(values, 100 * high, method="higher")
    kept = values[(values >= least) & (values <= most)]
    found = between_quantiles(values, low, high)
    assert found.value == pytest.approx(float(kept.mean()), rel=1e-12)
    assert found.kept == len(kept)
    assert between_quantiles(values.flip(0), low, high).value == pytest.approx(found.value, rel=1e-12)


def test_the_error_of_the_trimmed_mean_is_its_spread() -> None:
    found = [between_quantiles(Streams(seed, dtype=torch.float64).normal("values", 300).exp()) for seed in range(300)]
    assert np.std([length.value for length in found]) == pytest.approx(np.mean([length.error for length in found]), rel=0.15)


def test_smoothness_of_straight_sudden_and_winding_paths() -> None:
    straight = torch.linspace(0, 1, 9, dtype=torch.float64)[None, :, None] * torch.tensor([3.0, 4.0])
    assert smoothness(straight) == pytest.approx(1 / 8)
    sudden = (torch.arange(9.0) > 4)[None, :, None].double()
    assert smoothness(sudden) == pytest.approx(1 / 8)
    winding = torch.tensor([0.0, 5.0, 0.0, 5.0, 1.0])[None, :, None]
    assert smoothness(winding) == pytest.approx((5 + 5 + 5 + 4) / 4)
    for bad in (torch.zeros(3, 1, 2), torch.zeros(3, 2), torch.ones(2, 5, 3)):
        with pytest.raises(InputError):
            smoothness(bad)


def test_points_are_measured_by_coordinates() -> None:
    drawing = Linear(MATRIX)
    found = PerceptualPathLength(pairs=200, path="linear", low=0, high=1)(evidence(drawing), Streams(0))["perceptual-path-length"]
    latents = drawing.latents(0, 400)
    expected = ((latents[1::2] - latents[0::2]) @ MATRIX.mT).square().sum(1).mean()
    assert found.mean == pytest.approx(float(expected), rel=1e-5)
    assert (found.n, found.details["path"]) == (400, "linear")
    assert "coordinates" in found.details["distance"]


def test_the_path_is_the_latents_own() -> None:
    for law, path in (("normal", "slerp"), ("uniform", "linear")):
        drawing = replace(Linear(MATRIX), latent_distribution=law)
        assert PerceptualPathLength(pairs=10)(evidence(drawing), Streams(0))["perceptual-path-length"].details["path"] == path


def test_at_the_end_t_is_0() -> None:
    looked: list[Tensor] = []

    @dataclass(frozen=True)
    class Noted(Linear):
        def generate(self, latents: Tensor) -> Tensor:
            looked.append(latents)
            return super().generate(latents)

    drawing = Noted(MATRIX)
    PerceptualPathLength(pairs=10, sampling="end", rows=1)(evidence(drawing), Streams(0))
    starts = next(seen for seen in looked if len(seen) == 20)[:10]
    torch.testing.assert_close(starts, drawing.latents(0, 20)[0::2])


def test_images_by_unit_features_before_rounding() -> None:
    drawing = generator(images=True)
    world = image_world(4)
    latents = drawing.latents(0, 60)
    found = PerceptualPathLength(pairs=30, low=0, high=1, path="linear", sampling="end")(world, Streams(0))
    exact, step = replace(drawing, matrix=drawing.matrix.double()), 1e-4
    start, end = latents[0::2].double(), latents[1::2].double()
    here, there = (exact.features(exact.generate(z)) for z in (start, start + step * (end - start)))
    expected = (torch.nn.functional.normalize(there) - torch.nn.functional.normalize(here)).square().sum(1) / step**2
    assert found["perceptual-path-length"].mean == pytest.approx(float(expected.mean()), rel=0.01)
    pixels = PerceptualPathLength(pairs=30, distance="pixels")(world, Streams(0))["perceptual-path-length"]
    assert pixels.mean > 10 * found["perceptual-path-length"].mean
    assert 1 / 9 <= found["smoothness"].mean < 0.3


def test_more_pairs_keep_the_first_latents_and_the_law() -> None:
    world = point_world(4)
    few, many = (PerceptualPathLength(pairs=n)(world, Streams(0))["perceptual-path-length"] for n in (500, 2000))
    assert few.error is not None
    assert many.error is not None
    assert abs(few.mean - many.mean) < 4 * few.error
    assert many.error == pytest.approx(few.error / 2, rel=0.2)


def test_a_collapsed_generator_is_0_and_its_smoothness_is_left_out_and_said() -> None:
    found = PerceptualPathLength(pairs=20)(evidence(Linear(0 * MATRIX)), Streams(0))
    assert found["perceptual-path-length"].mean == 0
    assert "smoothness" not in found
    assert "No smoothness" in found["perceptual-path-length"].notes[-1]
    assert "coverage" in found["perceptual-path-length"].notes[0]


@dataclass(frozen=True)
class Dead(Linear):
    """A generator whose features are all 0."""

    images: bool = field(default=True)

    def features(self, generated: Tensor) -> Tensor:
        return torch.zeros(len(generated), 3)


def test_features_of_norm_0_are_no_division_by_0() -> None:
    dead = Dead(generator(images=True).matrix)
    assert PerceptualPathLength(pairs=5)(evidence(dead), Streams(0))["perceptual-path-length"].mean == 0


def test_refusals() -> None:
    with pytest.raises(InputError, match="of 200 pairs are not finite"):
        PerceptualPathLength(pairs=200)(evidence(Linear(MATRIX * math.nan)), Streams(0))
    points = Sample(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="needs generator"):
        PerceptualPathLength()(Evidence(points, points), Streams(0))
    with pytest.raises(ValueError, match="not below high"):
        PerceptualPathLength(low=0.5, high=0.5)
    assert PerceptualPathLength(pairs=7, rows=2, frames=3).generated(evidence(Linear(MATRIX))) == 20
