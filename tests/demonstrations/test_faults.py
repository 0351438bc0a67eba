"""Each fault does what it says, and only that: exact counts, copies to the bit, a clean set at dose 0, nested doses."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from saddlepoint.demonstrations.faults import FAULTS, Ground
from saddlepoint.demonstrations.grounds import TAKEN, most_samples, opened
from saddlepoint.errors import InputError
from saddlepoint.evaluation.reals import Pictures
from saddlepoint.streams import Streams

N = 100
DOSES = (0.1, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def digits() -> Ground:
    return opened("digits", N).ground(N, Streams(3))


@pytest.fixture(scope="module")
def points() -> Ground:
    return opened("8-gaussians", N).ground(N, Streams(3))


def planted(ground: Ground, fault: str, dose: float, seed: int = 0) -> Pictures:
    return FAULTS[fault].plant(ground, dose, Streams(seed))


def counts(pictures: Pictures, classes: int = 10) -> Tensor:
    assert pictures.labels is not None
    return torch.bincount(pictures.labels, minlength=classes)


def rows(pictures: Pictures) -> list[bytes]:
    return [image.numpy().tobytes() for image in pictures.images]


def test_the_parts_are_disjoint_and_whole() -> None:
    world = opened("digits", N)
    ground = world.ground(N, Streams(3))
    parts = (ground.real, ground.clean, ground.train, ground.fresh)
    assert [len(part) for part in parts] == [N, N, 2 * N, 1797 - 4 * N]
    together = sorted(row for part in parts for row in rows(part))
    assert together == sorted(rows(world.samples))
    other = world.ground(N, Streams(4))
    assert rows(other.clean) != rows(ground.clean)


@pytest.mark.parametrize("fault", FAULTS)
def test_dose_0_is_the_clean_set(digits: Ground, fault: str) -> None:
    found = planted(digits, fault, 0.0)
    assert rows(found) == rows(digits.clean)
    assert torch.equal(counts(found), counts(digits.clean))


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.points])
def test_dose_0_is_the_clean_set_of_points(points: Ground, fault: str) -> None:
    assert rows(planted(points, fault, 0.0)) == rows(points.clean)
    assert len(planted(points, fault, 0.5)) == N


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dose", DOSES)
def test_a_set_has_n_samples_and_none_of_the_real_side(digits: Ground, fault: str, dose: float) -> None:
    found = planted(digits, fault, dose)
    assert len(found) == N
    assert found.images.dtype == torch.uint8
    assert int(counts(found).sum()) == N
    assert not set(rows(found)) & set(rows(digits.real))
    assert rows(found) == rows(planted(digits, fault, dose))


@pytest.mark.parametrize(("dose", "dropped"), list(zip(DOSES, (1, 2, 5, 7, 9), strict=True)))
def test_dropped_modes_are_absent_and_the_others_keep_their_proportions(digits: Ground, dose: float, dropped: int) -> None:
    found, clean = counts(planted(digits, "dropped-modes", dose)), counts(digits.clean)
    assert int((found == 0).sum()) == dropped
    kept = found > 0
    exact = N * clean[kept].double() / clean[kept].sum()
    assert bool(((found[kept] - exact).abs() < 1).all())
    assert len(set(rows(planted(digits, "dropped-modes", dose)))) == N
    assert not set(rows(planted(digits, "dropped-modes", dose))) & set(rows(digits.train))


def test_what_a_small_dose_drops_a_larger_one_drops_and_another_seed_drops_others(digits: Ground) -> None:
    lost = [set((counts(planted(digits, "dropped-modes", dose)) == 0).nonzero().flatten().tolist()) for dose in DOSES]
    assert all(fewer < more for fewer, more in pairwise(lost))
    first = {int(counts(planted(digits, "dropped-modes", 0.1, seed)).argmin()) for seed in range(8)}
    assert len(first) > 1


@pytest.mark.parametrize("dose", DOSES)
def test_class_shares_are_tilted_by_100_to_the_dose(digits: Ground, dose: float) -> None:
    found, clean = counts(planted(digits, "reweighted-modes", dose)), counts(digits.clean)
    order = Streams(0).apart("classes").order("fault", 10, 10)
    weights = torch.tensor([float(clean[label]) * 100 ** (-dose * place / 9) for place, label in enumerate(order.tolist())])
    assert bool(((found[order] - N * weights / weights.sum()).abs() < 1).all())
    assert float(weights[0] / clean[order[0]]) / float(weights[-1] / clean[order[-1]]) == pytest.approx(100**dose)


@pytest.mark.parametrize(("dose", "distinct"), list(zip(DOSES, (90, 75, 50, 25, 5), strict=True)))
def test_duplicates_are_copies_of_a_twentieth(digits: Ground, dose: float, distinct: int) -> None:
    found = rows(planted(digits, "duplicates", dose))
    assert len(set(found)) == distinct
    assert set(found) <= set(rows(digits.clean))
    repeated = [found.count(row) for row in set(found) if found.count(row) > 1]
    assert len(repeated) == 5
    assert max(repeated) - min(repeated) <= 1


@pytest.mark.parametrize(("dose", "copies"), list(zip(DOSES, (10, 25, 50, 75, 100), strict=True)))
def test_the_memorised_are_training_images_each_once(digits: Ground, dose: float, copies: int) -> None:
    found = rows(planted(digits, "memorised", dose))
    assert len(set(found) & set(rows(digits.train))) == copies
    assert len(set(found)) == N
    assert len(set(found) & set(rows(digits.clean))) == N - copies


def test_blur_is_the_gaussian_of_its_width() -> None:
    """One bright pixel becomes the sampled Gaussian; its variance along an axis is sigma squared."""
    image = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    image[..., 16, 16] = 255
    one = Pictures(image, torch.zeros(1, dtype=torch.int64))
    found = FAULTS["blur"].plant(Ground(one, one, one, one, 1), 0.25, Streams(0)).images.double()[0, 0]
    at = torch.arange(32, dtype=torch.float64) - 16
    kernel = torch.exp(-(at**2) / 2)
    kernel /= kernel.sum()
    torch.testing.assert_close(found, (255 * kernel[:, None] * kernel).round(), atol=1, rtol=0)
    assert abs(float((found.sum(0) * at**2).sum() / found.sum()) - 1) < 0.1


def test_blur_and_noise_grow(digits: Ground) -> None:
    clean = digits.clean.images.float()
    for fault, sign in (("blur", -1), ("noise", 1)):
        images = [clean, *(planted(digits, fault, dose).images.float() for dose in DOSES)]
        distance = [float((image - clean).square().mean()) for image in images]
        assert distance == sorted(distance)
        sharp = [float(image.diff(dim=-1).abs().mean()) * sign for image in images]
        assert sharp == sorted(sharp)


@pytest.mark.parametrize("dose", DOSES)
def test_noise_has_its_standard_deviation(dose: float, points: Ground) -> None:
    grey = Pictures(torch.full((40, 1, 32, 32), 128, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64))
    found = FAULTS["noise"].plant(Ground(grey, grey, grey, grey, 1), dose, Streams(0)).images.double()
    wanted = math.sqrt((64 * dose) ** 2 + 1 / 12)
    # The widest noise is cut at two standard deviations, where bytes end.
    assert float(found.std()) == pytest.approx(wanted, rel=0.02) if dose <= 0.5 else 0.85 * wanted < float(found.std()) < wanted
    moved = planted(points, "noise", dose).images - points.clean.images
    assert float((moved / points.clean.images.std(0)).std()) == pytest.approx(dose / 10, rel=0.15)


def test_how_many_samples_are_enough() -> None:
    counts = torch.tensor([7000] * 10)
    n = most_samples(counts)
    share = TAKEN * n / 70000
    assert 7000 * (1 - share) > n
    assert most_samples(torch.tensor([7000] * 9 + [700])) < n / 5
    assert opened("digits").n == most_samples(counts_of_digits())
    for seed in range(5):
        planted(opened("digits").ground(110, Streams(seed)), "dropped-modes", 1.0, seed)


def counts_of_digits() -> Tensor:
    return counts(opened("digits", N).samples)


@pytest.mark.parametrize(
    ("data", "n", "said"),
    [("cifar10", None, "there is no 'cifar10'"), ("digits", 500, "for 110 at most"), ("digits", 49, "give 50 or more")],
)
def test_data_that_cannot_be_had(data: str, n: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        opened(data, n)
