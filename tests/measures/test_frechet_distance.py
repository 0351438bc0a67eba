"""The Fréchet distance against SciPy's matrix root, against singular values, and every property of its specification."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES, Moments, frechet_distance
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate
from saddlepoint.streams import Streams

D = 12

# Numbers of real and fake samples: both above D, one at it, both below, mixed.
SIZES = [(60, 90), (60, 12), (12, 60), (12, 12), (13, 13), (5, 40), (7, 6), (2, 2)]


def normal(seed: int, n: int, d: int = D) -> Tensor:
    """Correlated features with a mean, float64."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing + torch.randn(d, generator=generator)


def sides(sizes: tuple[int, int], d: int = D) -> tuple[Tensor, Tensor]:
    return normal(1, sizes[0], d), normal(2, sizes[1], d)


def by_matrix_root(real: Tensor, fake: Tensor) -> float:
    """The formula as it stands, with SciPy's root of the product."""
    x, y = real.numpy(), fake.numpy()
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = x.mean(0) - y.mean(0)
    return float(shift @ shift + np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real))


def by_singular_values(real: Tensor, fake: Tensor) -> float:
    """The same trace from the samples themselves: no covariance is formed, so no digits are lost."""

    def centred(features: Tensor) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = features.double().numpy()
        scaled: NDArray[np.float64] = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
        return scaled

    x, y = centred(real), centred(fake)
    shift = real.double().numpy().mean(0) - fake.double().numpy().mean(0)
    roots = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(shift @ shift + np.square(x).sum() + np.square(y).sum() - 2 * roots)


@pytest.mark.parametrize("sizes", [(60, 90), (200, 13)])
def test_equals_the_matrix_root_where_that_is_well_conditioned(sizes: tuple[int, int]) -> None:
    real, fake = sides(sizes)
    assert frechet_distance(real, fake) == pytest.approx(by_matrix_root(real, fake), rel=1e-9)


@pytest.mark.parametrize("sizes", SIZES)
def test_equals_singular_values_of_the_samples(sizes: tuple[int, int]) -> None:
    real, fake = sides(sizes)
    assert frechet_distance(real, fake) == pytest.approx(by_singular_values(real, fake), rel=1e-8)


def dead(features: Tensor) -> Tensor:
    """Half of the features never fire."""
    return features * (torch.arange(features.shape[1]) % 2)


def doubled(features: Tensor) -> Tensor:
    """Features that say the same twice."""
    return torch.cat([features, features], 1)


def faint(features: Tensor) -> Tensor:
    """Scales over ten decades: the covariance has a condition number of 1e20."""
    return features * torch.logspace(0, -10, features.shape[1], dtype=torch.float64)


@pytest.mark.parametrize("damage", [dead, doubled, faint])
@pytest.mark.parametrize("which", ["both", "real", "fake"])
@pytest.mark.parametrize("sizes", [(60, 90), (60, 8), (8, 60)])
def test_singular_covariances(damage: Callable[[Tensor], Tensor], which: str, sizes: tuple[int, int]) -> None:
    real, fake = sides(sizes)
    if damage is doubled and which != "both":
        real, fake = doubled(real), doubled(fake)
        real[:, D:] += 0 if which == "real" else 0.1 * normal(3, len(real))
        fake[:, D:] += 0 if which == "fake" else 0.1 * normal(4, len(fake))
    else:
        real, fake = damage(real) if which != "fake" else real, damage(fake) if which != "real" else fake
    assert frechet_distance(real, fake) == pytest.approx(by_singular_values(real, fake), rel=1e-7)


@pytest.mark.parametrize("m", [40, 400])
def test_fakes_that_vary_where_reals_do_not(m: int) -> None:
    """The reals fill 30 of 100 directions, the fakes all: rounding in the other 70 has a root, which would count."""
    real = normal(1, 500, 30) @ torch.linalg.qr(normal(2, 100, 30)).Q.T
    fake = normal(3, m, 100)
    assert frechet_distance(real, fake) == pytest.approx(by_singular_values(real, fake), rel=1e-11)


def test_a_feature_that_is_the_sum_of_two_others() -> None:
    """Whether the Cholesky factor of a singular covariance exists is then a matter of rounding; either way the value is right."""
    for seed in range(20):
        real, fake = normal(seed, 60), normal(seed + 100, 40)
        real[:, 5] = real[:, 0] + real[:, 1]
        assert frechet_distance(real, fake) == pytest.approx(by_singular_values(real, fake), rel=1e-12)


def test_of_one_feature_it_is_means_and_deviations() -> None:
    real, fake = normal(1, 50, 1), 3 + 2 * normal(2, 70, 1)
    expected = (real.mean() - fake.mean()) ** 2 + (real.std() - fake.std()) ** 2
    assert frechet_distance(real, fake) == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_same_set_is_at_0(sizes: tuple[int, int]) -> None:
    real = normal(1, sizes[0])
    variance = real.var(0).sum().item()
    assert 0 <= frechet_distance(real, real.clone()) < 1e-6 * variance


@pytest.mark.parametrize("sizes", SIZES)
def test_a_shift_is_its_square(sizes: tuple[int, int]) -> None:
    real, shift = normal(1, sizes[0]), torch.linspace(-2, 3, D, dtype=torch.float64)
    assert frechet_distance(real, real + shift) == pytest.approx(shift.square().sum().item(), rel=1e-7)


@pytest.mark.parametrize("sizes", SIZES)
def test_symmetric_and_blind_to_rotation_and_order(sizes: tuple[int, int]) -> None:
    real, fake = sides(sizes)
    value = frechet_distance(real, fake)
    assert frechet_distance(fake, real) == pytest.approx(value, rel=1e-9)
    rotation = torch.linalg.qr(normal(5, D)).Q
    assert frechet_distance(real @ rotation, fake @ rotation) == pytest.approx(value, rel=1e-9)
    assert frechet_distance(real.flip(0), fake[Streams(0).order("order", len(fake), len(fake))]) == pytest.approx(value, rel=1e-10)


def test_halves_of_one_set_have_a_positive_floor() -> None:
    real = normal(1, 200)
    assert frechet_distance(real[:100], real[100:]) > 1e-3


def test_moments_stand_for_their_features() -> None:
    for sizes in SIZES:
        real, fake = sides(sizes)
        value = frechet_distance(real, fake)
        assert frechet_distance(Moments.of(real), fake) == value
        assert frechet_distance(Moments.of(real), Moments.of(fake)) == value


def test_moments_of_many_samples_in_parts() -> None:
    features = (1000 + normal(1, 9000, 3)).float()
    moments = Moments.of(features)
    rows = features.double().numpy()
    np.testing.assert_allclose(moments.mean.numpy(), rows.mean(0), rtol=1e-14)
    np.testing.assert_allclose(moments.spread.numpy(), np.cov(rows, rowvar=False), rtol=1e-10)
    assert moments.variance == pytest.approx(np.cov(rows, rowvar=False).trace(), rel=1e-10)


def test_float32_features_far_from_0_lose_nothing() -> None:
    real, fake = (1000 + side for side in sides((40, 50)))
    real, fake = real.float(), fake.float()
    assert frechet_distance(real, fake) == pytest.approx(by_matrix_root(real.double(), fake.double()), rel=1e-9)


@pytest.mark.parametrize("sizes", SIZES)
def test_constant_images(sizes: tuple[int, int]) -> None:
    real, fake = torch.full((sizes[0], D), 0.1), torch.full((sizes[1], D), 2.1)
    assert frechet_distance(real, fake) == pytest.approx(4 * D, rel=1e-6)
    spread = normal(1, sizes[0])
    expected = (spread.mean(0) - fake[0].double()).square().sum() + spread.var(0).sum()
    assert frechet_distance(spread, fake) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), ["1 fake samples are too few; give 2 or more"]),
        (torch.zeros(0, 2), torch.zeros(1, 2), ["0 real samples", "1 fake samples"]),
        (torch.zeros(3, 2), torch.zeros(3, 4), ["real samples have 2 features, fake ones 4"]),
        (torch.zeros(3), torch.zeros(3, 1), ["the real features have the shape (3,)"]),
        (torch.tensor([[1.0], [torch.nan], [torch.inf]]), torch.zeros(3, 1), ["2 of 3 real samples", "NaN or infinite"]),
    ],
)
def test_refused(real: Tensor, fake: Tensor, said: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        frechet_distance(real, fake)
    for part in said:
        assert part in str(refusal.value)


def test_refused_moments() -> None:
    with pytest.raises(InputError, match="2 features, fake 3"):
        frechet_distance(Moments.of(torch.rand(9, 2)), Moments.of(torch.rand(9, 3)))
    with pytest.raises(InputError, match=r"the spread is \(2, 2\); got \(9, 2\)"):
        Moments(torch.zeros(2), torch.zeros(9, 2), 9)
    with pytest.raises(InputError, match="1 samples are too few"):
        Moments.of(torch.rand(1, 3))


def measured(real: Tensor, fake: Tensor) -> Estimate:
    estimates = MEASURES["frechet-distance"]()(Evidence(Sample(real, real), Sample(fake, fake)), Streams(0))
    assert list(estimates) == ["frechet-distance"]
    return estimates["frechet-distance"]


def test_the_record_says_when_n_is_below_d() -> None:
    real, fake = sides((60, 12))
    estimate = measured(real, fake)
    assert estimate.mean == frechet_distance(real, fake)
    assert estimate.n == 12
    assert estimate.error is None
    (note,) = estimate.notes
    assert "12 fake samples for 12 features" in note
    assert "biased upward" in note
    assert measured(*sides((60, 13))).notes == ()
    assert len(measured(*sides((5, 5))).notes) == 2


def test_the_record_shows_the_parts() -> None:
    real, fake = sides((60, 90))
    parts = measured(real, fake).details
    assert parts["features"] == D
    assert parts["of the means"] == pytest.approx((real.mean(0) - fake.mean(0)).square().sum().item())
    assert parts["variance of the reals"] == pytest.approx(real.var(0).sum().item())
    assert parts["variance of the fakes"] == pytest.approx(fake.var(0).sum().item())


def test_the_record_refuses_features_that_are_not_finite() -> None:
    with pytest.raises(InputError, match="1 of 3 fake samples"):
        measured(torch.zeros(3, 1), torch.tensor([[0.0], [1.0], [torch.nan]]))
