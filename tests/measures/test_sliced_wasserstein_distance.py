"""Sliced distances against SciPy direction by direction, against POT, and by their laws; pyramids against SciPy's filter."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from scipy.stats import wasserstein_distance as by_scipy
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.pyramid_sliced_wasserstein import (
    Normalise,
    PyramidSlicedWasserstein,
    enlarged,
    laplacian_pyramid,
    pyramid_sliced_wasserstein,
)
from saddlepoint.measures.sliced_wasserstein_distance import shift_scale, sliced_wasserstein_distance, unit_vectors
from saddlepoint.measures.wasserstein_distance import Order, wasserstein_distance
from saddlepoint.streams import Streams

DIRECTIONS = "sliced wasserstein directions"
ORDERS: tuple[Order, ...] = (1, 2)


def draws(name: str, n: int, d: int) -> Tensor:
    return Streams(0, dtype=torch.float64).normal(name, n, d)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (25, 10)])
def test_order_1_is_scipys_mean_over_the_same_directions(n: int, m: int) -> None:
    real, fake = draws("real", n, 6), draws("fake", m, 6) + 0.4
    theta = unit_vectors(Streams(0), DIRECTIONS, 32, 6)
    expected = np.mean([by_scipy(real @ direction, fake @ direction) for direction in theta])
    found = sliced_wasserstein_distance(real, fake, Streams(0), directions=32, order=1, scaled=False)
    assert found.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (25, 10)])
def test_order_2_is_pots_on_the_same_directions(n: int, m: int) -> None:
    import ot

    real, fake = draws("real", n, 6), draws("fake", m, 6) + 0.4
    theta = unit_vectors(Streams(0), DIRECTIONS, 32, 6)
    expected = ot.sliced_wasserstein_distance(real.numpy(), fake.numpy(), p=2, projections=theta.mT.numpy())
    assert sliced_wasserstein_distance(real, fake, Streams(0), directions=32).value == pytest.approx(
        math.sqrt(6) * expected, rel=1e-7
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("d", [2, 16])
def test_a_shift_is_its_length(d: int, order: Order) -> None:
    real, shift = draws("real", 50, d), torch.linspace(0.5, 1, d, dtype=torch.float64)
    found = sliced_wasserstein_distance(real, real + shift, Streams(1), directions=2000, order=order)
    assert abs(found.value - float(shift.norm())) < 4 * found.error
    assert found.error < 0.05 * found.value


def test_constants_of_a_shift() -> None:
    assert 1 / shift_scale(16, 1) == pytest.approx(0.2026, abs=5e-5)
    assert shift_scale(1, 1) == pytest.approx(1)
    angles = torch.linspace(0, 2 * math.pi, 10001)[:-1].cos().abs().mean()
    assert 1 / shift_scale(2, 1) == pytest.approx(float(angles), abs=1e-4)


@pytest.mark.parametrize("order", ORDERS)
def test_laws(order: Order) -> None:
    real, fake = draws("real", 30, 4), 2 * draws("fake", 30, 4) + 0.2
    plain = sliced_wasserstein_distance(real, fake, Streams(0), order=order)
    assert sliced_wasserstein_distance(real, real, Streams(0), order=order) == (0, 0)
    assert sliced_wasserstein_distance(real, real.flip(0), Streams(0), order=order).value < 1e-14
    scaled = sliced_wasserstein_distance(-3 * real, -3 * fake, Streams(0), order=order)
    assert scaled.value == pytest.approx(3 * plain.value, rel=1e-12)
    assert scaled.error == pytest.approx(3 * plain.error, rel=1e-9)
    unscaled = sliced_wasserstein_distance(real, fake, Streams(0), order=order, scaled=False).value
    assert unscaled <= wasserstein_distance(real, fake, order)
    assert sliced_wasserstein_distance(real, fake.flip(0), Streams(0), order=order).value == pytest.approx(plain.value, rel=1e-12)
    line = sliced_wasserstein_distance(real[:, :1], fake[:20, :1], Streams(0), order=order)
    assert line.value == pytest.approx(wasserstein_distance(real[:, :1], fake[:20, :1], order), rel=1e-12)
    assert line.error < 1e-9


def test_the_error_is_the_spread_over_draws_of_directions_and_the_expectation_does_not_move() -> None:
    real, fake = draws("real", 20, 32), draws("fake", 20, 32) + 0.5
    streams = Streams(0)
    few = [sliced_wasserstein_distance(real, fake, streams, directions=32) for _ in range(300)]
    values = np.array([found.value for found in few])
    assert values.std() == pytest.approx(np.mean([found.error for found in few]), rel=0.15)
    many = sliced_wasserstein_distance(real, fake, streams, directions=8192)
    assert abs(many.value - values.mean()) < 4 * (values.std() / math.sqrt(300) + many.error) + many.value / (2 * 32) / 4


def test_relative_error_of_a_shift_in_many_dimensions() -> None:
    real = draws("real", 10, 256)
    found = sliced_wasserstein_distance(real, real + 1, Streams(0), directions=512)
    assert found.error / found.value == pytest.approx(0.75 / math.sqrt(512), rel=0.2)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draws("real", 30, 4), draws("fake", 21, 4)
    whole = sliced_wasserstein_distance(real, fake, Streams(0))
    monkeypatch.setattr(import_module("saddlepoint.measures.sliced_wasserstein_distance"), "PROJECTIONS", 7 * 51)
    assert sliced_wasserstein_distance(real, fake, Streams(0)).value == pytest.approx(whole.value, rel=1e-12)


@pytest.mark.parametrize(
    ("real", "said"),
    [
        (torch.full((3, 2), math.nan), "NaN or infinite"),
        (torch.zeros(3), "shape"),
        (torch.zeros(3, 5), "5"),
        (torch.zeros(0, 2), "0 real"),
    ],
)
def test_refusals(real: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sliced_wasserstein_distance(real, torch.zeros(3, 2), Streams(0))


def pictures(name: str, n: int, channels: int = 3, side: int = 32) -> Tensor:
    """Smooth noise, so that levels differ."""
    coarse = Streams(4).uniform(name, n, channels, side // 4, side // 4)
    fine = Streams(4).uniform(f"{name} fine", n, channels, side, side)
    return (200 * torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1) + 55 * fine).to(torch.uint8)


def test_a_level_is_what_halving_loses_by_scipys_filter() -> None:
    image = pictures("image", 1, 1, 64).double()
    row = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(row, row)
    fine, middle, coarse = laplacian_pyramid(image)
    halved = convolve(image[0, 0].numpy(), kernel, mode="mirror")[::2, ::2]
    spread = np.zeros((64, 64))
    spread[::2, ::2] = halved
    np.testing.assert_allclose(fine[0, 0], image[0, 0].numpy() - 4 * convolve(spread, kernel, mode="mirror"), atol=1e-9)
    again = enlarged(enlarged(coarse, middle.shape[2:]) + middle, fine.shape[2:]) + fine
    torch.testing.assert_close(again, image)


@pytest.mark.parametrize(("shape", "levels"), [((64, 64), [64, 32, 16]), ((33, 40), [33, 17]), ((28, 28), [28]), ((8, 8), [8])])
def test_levels_go_down_to_16_px(shape: tuple[int, int], levels: list[int]) -> None:
    image = Streams(0).integers("image", 256, 3, 1, *shape).to(torch.uint8)
    assert list(pyramid_sliced_wasserstein(image, image, Streams(0), directions=8, patches=4)) == levels
    total = laplacian_pyramid(image.double())
    again = total[-1]
    for level in reversed(total[:-1]):
        again = enlarged(again, level.shape[2:]) + level
    torch.testing.assert_close(again, image.double())


@pytest.mark.parametrize("normalise", ["reals", "own"])
def test_one_level_is_scipys_distance_of_normalised_patches(normalise: Normalise) -> None:
    real, fake = pictures("real", 6, 2, 16), pictures("fake", 5, 2, 16)
    found = pyramid_sliced_wasserstein(real, fake, Streams(3), normalise=normalise, patches=9, directions=20)

    def cut(images: Tensor) -> Tensor:
        places = Streams(3).rows("uniform", "pyramid sliced wasserstein 0", 0, len(images), 9, 2).double()
        corners = (places * (16 - 7 + 1)).long().tolist()
        rows = [image[:, y : y + 7, x : x + 7] for image, some in zip(images, corners, strict=True) for y, x in some]
        return torch.stack(rows).double()

    reals, fakes = cut(real), cut(fake)
    moments = {
        side: (p.mean((0, 2, 3), keepdim=True), p.std((0, 2, 3), correction=0, keepdim=True))
        for side, p in (("r", reals), ("f", fakes))
    }
    own = "f" if normalise == "own" else "r"
    reals, fakes = ((p - m) / s for p, (m, s) in ((reals, moments["r"]), (fakes, moments[own])))
    theta = unit_vectors(Streams(3), "pyramid sliced wasserstein directions", 20, 2 * 49)
    expected = np.mean([by_scipy(reals.flatten(1) @ direction, fakes.flatten(1) @ direction) for direction in theta])
    assert found[16] == pytest.approx(1000 * expected, rel=1e-4)


def test_the_same_images_are_0_and_own_statistics_hide_contrast() -> None:
    real = pictures("real", 12)
    dull = (real // 2) + 60
    assert set(pyramid_sliced_wasserstein(real, real, Streams(0), directions=16).values()) == {0.0}
    hidden = pyramid_sliced_wasserstein(real, dull, Streams(0), normalise="own", directions=64)
    shown = pyramid_sliced_wasserstein(real, dull, Streams(0), directions=64)
    assert all(hidden[level] < 0.1 * shown[level] for level in shown)


def test_noise_is_seen_on_the_fine_level() -> None:
    real, other = pictures("real", 40), pictures("other", 40)
    noise = Streams(0).normal("noise", *other.shape) * 10
    noisy = (other + noise).clamp(0, 255).to(torch.uint8)
    clean, dirty = (pyramid_sliced_wasserstein(real, fake, Streams(0), directions=64) for fake in (other, noisy))
    assert dirty[32] - clean[32] > 3 * (dirty[16] - clean[16])
    assert dirty[32] > 2 * clean[32]


def test_pyramids_refuse_by_name() -> None:
    images = pictures("real", 4)
    for fake, said in ((images[:, :1], "one size"), (images[..., :5, :5], "one size"), (images[:0], "one size")):
        with pytest.raises(InputError, match=said):
            pyramid_sliced_wasserstein(images, fake, Streams(0))
    with pytest.raises(InputError, match="7 or more"):
        pyramid_sliced_wasserstein(images[..., :6, :6], images[..., :6, :6], Streams(0))
    with pytest.raises(InputError, match="real images does not vary"):
        pyramid_sliced_wasserstein(torch.zeros_like(images), images, Streams(0))
    with pytest.raises(InputError, match="fake images does not vary"):
        pyramid_sliced_wasserstein(images, torch.zeros_like(images), Streams(0), normalise="own")
    points = Sample(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="give both sides as"):
        PyramidSlicedWasserstein()(Evidence(points, points), Streams(0))


def test_constant_fakes_have_a_number() -> None:
    images = pictures("real", 4)
    found = pyramid_sliced_wasserstein(images, torch.zeros_like(images), Streams(0), directions=8)
    assert all(math.isfinite(value) and value > 0 for value in found.values())
