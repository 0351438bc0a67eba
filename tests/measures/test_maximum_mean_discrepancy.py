"""MMD against double loops, its permutation test against dealing by hand, and its exact form against integration."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad, quad
from scipy.spatial.distance import pdist
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import (
    MEASURES,
    exact_maximum_mean_discrepancy,
    kernel_distance,
    kernels,
    maximum_mean_discrepancy,
    permutation_test,
)
from saddlepoint.measures.blocks import BLOCKED
from saddlepoint.measures.evidence import Evidence, GaussianMixture, Sample
from saddlepoint.measures.kernels import Gaussian, Polynomial, median_distance, squared_distances
from saddlepoint.measures.maximum_mean_discrepancy import gaussian_kernel
from saddlepoint.measures.measure import Estimate
from saddlepoint.streams import Streams

NAME = "maximum-mean-discrepancy"
KERNEL = Gaussian((0.5, 1.0, 2.0))


def normal(seed: int, n: int, d: int = 2, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def gaussian(a: list[float], b: list[float], bandwidths: tuple[float, ...]) -> float:
    square = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    return sum(math.exp(-square / (2 * h * h)) for h in bandwidths) / len(bandwidths)


def by_loops(real: Tensor, fake: Tensor, biased: bool) -> float:
    """The definition, pair by pair."""
    x, y = real.tolist(), fake.tolist()

    def own(z: list[list[float]]) -> float:
        pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if biased or i != j]
        return sum(gaussian(z[i], z[j], KERNEL.bandwidths) for i, j in pairs) / len(pairs)

    return own(x) + own(y) - 2 * sum(gaussian(a, b, KERNEL.bandwidths) for a in x for b in y) / (len(x) * len(y))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (9, 14), (14, 9)])
def test_equals_the_double_loop(n: int, m: int, biased: bool) -> None:
    real, fake = normal(0, n), normal(1, m, shift=0.7)
    assert maximum_mean_discrepancy(real, fake, KERNEL, biased=biased) == pytest.approx(by_loops(real, fake, biased), rel=1e-10)


def test_the_polynomial_kernel_is_the_kernel_distance() -> None:
    real, fake = normal(0, 9), normal(1, 14, shift=0.7)
    assert maximum_mean_discrepancy(real, fake, Polynomial()) == pytest.approx(kernel_distance(real, fake), rel=1e-12)


def test_identical_sets() -> None:
    x = normal(0, 20)
    assert maximum_mean_discrepancy(x, x, KERNEL, biased=True) == pytest.approx(0, abs=1e-13)
    others = [gaussian(a, b, KERNEL.bandwidths) for i, a in enumerate(x.tolist()) for j, b in enumerate(x.tolist()) if i != j]
    expected = -(2 / 20) * (1 - sum(others) / len(others))
    assert maximum_mean_discrepancy(x, x, KERNEL) == pytest.approx(expected, rel=1e-11)


def test_symmetric_blind_to_order_rotation_and_shift() -> None:
    real, fake = normal(0, 30), normal(1, 20, shift=0.7)
    value = maximum_mean_discrepancy(real, fake, KERNEL)
    assert maximum_mean_discrepancy(fake, real, KERNEL) == pytest.approx(value, rel=1e-10)
    assert maximum_mean_discrepancy(real.flip(0), fake.roll(3, 0), KERNEL) == pytest.approx(value, rel=1e-10)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    assert maximum_mean_discrepancy(real @ turn, fake @ turn, KERNEL) == pytest.approx(value, rel=1e-10)
    assert maximum_mean_discrepancy(real + 1e4, fake + 1e4, KERNEL) == pytest.approx(value, rel=1e-8)


def test_unbiased_over_many_draws_and_sometimes_negative() -> None:
    values = np.array([maximum_mean_discrepancy(normal(2 * s, 20), normal(2 * s + 1, 30), KERNEL) for s in range(300)])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / math.sqrt(300)
    assert (values < 0).any()
    biased = [maximum_mean_discrepancy(normal(2 * s, 20), normal(2 * s + 1, 30), KERNEL, biased=True) for s in range(20)]
    assert min(biased) > 0


def test_the_bandwidth_is_the_median_distance() -> None:
    x = normal(0, 31, 3)  # an odd number of pairs
    assert median_distance(x) == pytest.approx(float(np.median(pdist(x.numpy()))), rel=1e-12)
    assert gaussian_kernel(x).bandwidths == pytest.approx([m * np.median(pdist(x.numpy())) for m in (0.25, 0.5, 1, 2, 4)])
    fake = normal(1, 20, 3)
    assert maximum_mean_discrepancy(x, fake) == maximum_mean_discrepancy(x, fake, gaussian_kernel(x))
    assert median_distance(1e5 + x) == pytest.approx(median_distance(x), rel=1e-8)


def test_squared_distances_are_never_below_0() -> None:
    """Of a point to itself they are a difference of large numbers; the root of what rounding leaves would be no number."""
    x = 1e3 * normal(0, 50, 7)
    norms = x.square().sum(1)
    assert (norms[:, None] + norms - 2 * x @ x.T).min() < 0
    assert squared_distances(x, x).min() >= 0
    torch.testing.assert_close(squared_distances(x, x), torch.cdist(x, x).square(), rtol=1e-9, atol=1e-6)


def test_no_bandwidth_is_made_of_rounding() -> None:
    for seed in range(20):
        mostly_one = torch.cat([1e3 * normal(seed, 1, 7).repeat(9, 1), 1e3 * normal(seed + 1, 2, 7)])
        assert median_distance(mostly_one) == 0
        with pytest.raises(InputError, match="half of the real samples are one point"):
            maximum_mean_discrepancy(mostly_one, normal(0, 5, 7))


def shuffles(count: int, total: int, seed: int = 0) -> Tensor:
    streams = Streams(seed)
    return torch.stack([streams.order("shuffle", total, total) for _ in range(count)])


@pytest.mark.parametrize("kernel", [KERNEL, Polynomial()])
@pytest.mark.parametrize("block", [30, 2**22])
def test_the_permutation_test_deals_out_anew(kernel: Gaussian | Polynomial, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "BLOCK", block)
    real, fake = normal(0, 15), normal(1, 11, shift=0.4)
    dealt = shuffles(40, 26)
    test = permutation_test(real, fake, dealt, kernel)
    pooled = torch.cat([real, fake])
    expected = [maximum_mean_discrepancy(pooled[order[:15]], pooled[order[15:]], kernel) for order in dealt]
    assert test.permuted.tolist() == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert test.unbiased == pytest.approx(maximum_mean_discrepancy(real, fake, kernel), rel=1e-10)
    assert test.biased == pytest.approx(maximum_mean_discrepancy(real, fake, kernel, biased=True), rel=1e-10)
    assert test.p == (1 + sum(value >= test.unbiased for value in expected)) / 41


def test_the_p_value_has_its_level_and_its_power() -> None:
    dealt = shuffles(99, 40)
    p = np.array([permutation_test(normal(2 * s, 20), normal(2 * s + 1, 20), dealt, KERNEL).p for s in range(200)])
    assert 0.005 <= (p <= 0.05).mean() <= 0.095  # within three standard errors of .05
    assert 0.4 < p.mean() < 0.6
    apart = [permutation_test(normal(2 * s, 20), normal(2 * s + 1, 20, shift=1.5), dealt, KERNEL).p for s in range(20)]
    assert max(apart) == 0.01


def test_equal_values_are_ties_not_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of samples with two values only, the statistic is a function of how many of one value are dealt to the first side."""
    monkeypatch.setattr(kernels, "BLOCK", 100)
    real, fake = torch.tensor([[0.1]] * 9 + [[0.7]] * 12), torch.tensor([[0.1]] * 10 + [[0.7]] * 7)
    dealt = shuffles(200, 38)
    pooled = torch.cat([real, fake])
    by_count = {
        low: maximum_mean_discrepancy(
            torch.tensor([[0.1]] * low + [[0.7]] * (21 - low)), torch.tensor([[0.1]] * (19 - low) + [[0.7]] * (low - 2)), KERNEL
        )
        for low in range(2, 20)
    }
    counts = [int((pooled[order[:21]] < 0.5).sum()) for order in dealt]
    assert counts.count(9) > 20
    above = sum(by_count[low] > by_count[9] - 1e-9 for low in counts)
    assert permutation_test(real, fake, dealt, KERNEL).p == (1 + above) / 201
    same = torch.full((12, 3), 0.1)
    assert permutation_test(same, same[:9], shuffles(50, 21), KERNEL).p == 1


MIXTURE = GaussianMixture(torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64), 0.4)


def density(x: float) -> float:
    means = MIXTURE.means.flatten().tolist()
    return sum(math.exp(-((x - m) ** 2) / (2 * 0.4**2)) for m in means) / (3 * 0.4 * math.sqrt(2 * math.pi))


def test_the_exact_form_equals_integrals() -> None:
    bandwidths = (0.3, 1.1)
    points = normal(0, 6, 1)

    def k(a: float, b: float) -> float:
        return gaussian([a], [b], bandwidths)

    law = dblquad(lambda a, b: k(a, b) * density(a) * density(b), -4, 5, -4, 5, epsabs=1e-8)[0]
    cross = np.mean([quad(lambda a, y=y: k(a, y) * density(a), -5, 6, epsabs=1e-11)[0] for y in points.flatten().tolist()])
    y = points.flatten().tolist()
    own = sum(k(y[i], y[j]) for i in range(6) for j in range(6) if i != j) / 30
    found = exact_maximum_mean_discrepancy(MIXTURE, points, bandwidths)
    assert found == pytest.approx(law + own - 2 * cross, abs=1e-7)


def test_the_exact_form_equals_its_double_sums_in_two_dimensions() -> None:
    means, std = [[0.0, 1.0], [2.0, -1.0], [-1.0, -1.0], [3.0, 3.0]], 0.7
    mixture = GaussianMixture(torch.tensor(means, dtype=torch.float64), std)
    fake = normal(3, 25)
    total = 0.0
    for h in KERNEL.bandwidths:
        wide, wider = h * h + std * std, h * h + 2 * std * std
        law = sum(gaussian(a, b, (math.sqrt(wider),)) for a in means for b in means) / 16 * h * h / wider
        cross = sum(gaussian(a, y, (math.sqrt(wide),)) for a in means for y in fake.tolist()) / 100 * h * h / wide
        rows = fake.tolist()
        own = sum(gaussian(rows[i], rows[j], (h,)) for i in range(25) for j in range(25) if i != j) / 600
        total += (law + own - 2 * cross) / 3
    assert exact_maximum_mean_discrepancy(mixture, fake, KERNEL.bandwidths) == pytest.approx(total, rel=1e-10)


def draw(mixture: GaussianMixture, seed: int, n: int) -> Tensor:
    streams = Streams(seed, dtype=torch.float64)
    component = streams.integers("component", len(mixture.means), n)
    return mixture.means[component] + mixture.std * streams.normal("noise", n, mixture.means.shape[1])


def test_the_exact_form_is_what_samples_estimate() -> None:
    fake = draw(MIXTURE, 9, 50) * 1.3
    exact = exact_maximum_mean_discrepancy(MIXTURE, fake, (0.5, 1.0))
    sampled = np.array([maximum_mean_discrepancy(draw(MIXTURE, s, 200), fake, Gaussian((0.5, 1.0))) for s in range(100)])
    assert abs(sampled.mean() - exact) < 3 * sampled.std(ddof=1) / 10
    of_the_law = np.array([exact_maximum_mean_discrepancy(MIXTURE, draw(MIXTURE, s, 50), (0.5, 1.0)) for s in range(200)])
    assert abs(of_the_law.mean()) < 3 * of_the_law.std(ddof=1) / math.sqrt(200)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), "1 fake samples are too few"),
        (torch.zeros(3, 2), torch.zeros(3, 4), "real samples have 2 features, fake ones 4"),
        (torch.zeros(3, 1), torch.tensor([[1.0], [torch.inf]]), "1 of 2 fake samples have features that are NaN"),
        (torch.zeros(3, 1), torch.ones(3, 1), "half of the real samples are one point"),
    ],
)
def test_refused(real: Tensor, fake: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        maximum_mean_discrepancy(real, fake)


def test_refused_permutations_and_mixtures() -> None:
    with pytest.raises(InputError, match=r"permutations \(2, 5\) must be shuffles \[P, 6\]"):
        permutation_test(normal(0, 3), normal(1, 3), torch.arange(5).repeat(2, 1), KERNEL)
    with pytest.raises(InputError, match="the mixture is in 1 dimensions, the fakes in 2"):
        exact_maximum_mean_discrepancy(MIXTURE, normal(0, 5), (1.0,))
    with pytest.raises(InputError, match="1 fake samples are too few"):
        exact_maximum_mean_discrepancy(MIXTURE, normal(0, 1, 1), (1.0,))


def evidence(real: Tensor, fake: Tensor, held_out: Tensor | None = None, mixture: GaussianMixture | None = None) -> Evidence:
    held = None if held_out is None else Sample(held_out, held_out)
    return Evidence(Sample(real, real), Sample(fake, fake), held_out=held, mixture=mixture)


def measured(given: Evidence, seed: int = 0, **fields: Any) -> dict[str, Estimate]:
    return dict(MEASURES[NAME](**{"permutations": 60, **fields})(given, Streams(seed)))


def test_the_record() -> None:
    real, fake, held_out = normal(0, 60), normal(1, 45, shift=0.3), normal(2, 80) * 2
    found = measured(evidence(real, fake, held_out))
    assert list(found) == [NAME, f"{NAME}-biased", f"{NAME}-p"]
    kernel = gaussian_kernel(held_out)
    value = found[NAME]
    assert value.mean == pytest.approx(maximum_mean_discrepancy(real, fake, kernel), rel=1e-10)
    assert found[f"{NAME}-biased"].mean == pytest.approx(maximum_mean_discrepancy(real, fake, kernel, biased=True), rel=1e-10)
    assert value.details["bandwidths"] == pytest.approx(list(kernel.bandwidths))
    assert value.n == 45
    assert value.notes == (BLOCKED,)
    blocks = np.array(value.details["blocks"])
    assert value.error == pytest.approx(blocks.std(ddof=1) / math.sqrt(10))
    assert value.interval is not None
    assert sum(value.interval) / 2 == pytest.approx(blocks.mean())
    p = found[f"{NAME}-p"]
    assert 1 / 61 <= p.mean <= 1
    assert p.error == pytest.approx(math.sqrt(p.mean * (1 - p.mean) / 60))
    assert measured(evidence(real, fake, held_out)) == found
    assert measured(evidence(real, fake, held_out), seed=1)[NAME].details["blocks"] != value.details["blocks"]


def test_the_records_kernels() -> None:
    real, fake = normal(0, 60), normal(1, 45, shift=0.3)
    note, blocked = measured(evidence(real, fake))[NAME].notes
    assert "no held-out reals" in note
    assert blocked == BLOCKED
    fixed = measured(evidence(real, fake), bandwidth=2.0, multiples=(0.5, 1.0))[NAME]
    assert fixed.mean == pytest.approx(maximum_mean_discrepancy(real, fake, Gaussian((1.0, 2.0))), rel=1e-10)
    assert fixed.notes == (BLOCKED,)
    polynomial = measured(evidence(real, fake), kernel="polynomial")[NAME]
    assert polynomial.mean == pytest.approx(kernel_distance(real, fake), rel=1e-10)
    assert "bandwidths" not in polynomial.details


def test_the_bandwidth_of_many_held_out_reals_is_of_a_draw() -> None:
    held_out = normal(2, 2500, 1)
    found = measured(evidence(normal(0, 30, 1), normal(1, 30, 1), held_out), permutations=1)[NAME].details["bandwidths"]
    assert found[2] == pytest.approx(float(np.median(pdist(held_out.numpy()))), rel=0.05)
    assert found[2] != pytest.approx(median_distance(held_out[:2000]), rel=1e-9)


def test_few_samples_give_values_and_no_error() -> None:
    found = measured(evidence(normal(0, 60), normal(1, 19)))
    assert found[NAME].error is None
    assert found[NAME].notes[-1] == "fewer than 20 samples of a side: its error cannot be said"
    with pytest.raises(InputError, match="1 fake samples are too few"):
        measured(evidence(normal(0, 60), normal(1, 1)))


def test_constant_images() -> None:
    real, fake = torch.zeros(30, 2), torch.ones(25, 2)
    with pytest.raises(InputError, match="half of the real samples are one point"):
        measured(evidence(real, fake))
    found = measured(evidence(real, fake), bandwidth=1.0, multiples=(1.0,))
    assert found[NAME].mean == pytest.approx(2 - 2 * math.exp(-1))
    assert found[f"{NAME}-p"].mean == 1 / 61
    same = measured(evidence(real, real), bandwidth=1.0)
    assert same[NAME].mean == pytest.approx(0, abs=1e-12)
    assert same[f"{NAME}-p"].mean == 1


def test_the_exact_record() -> None:
    name = f"exact-{NAME}"
    real, fake = draw(MIXTURE, 0, 60), draw(MIXTURE, 1, 47) + 0.5
    record = MEASURES[name]()
    estimate = record(evidence(real, fake, real, MIXTURE), Streams(0))[name]
    bandwidths = gaussian_kernel(real).bandwidths
    assert estimate.mean == pytest.approx(exact_maximum_mean_discrepancy(MIXTURE, fake, bandwidths), rel=1e-10)
    blocks = np.array(estimate.details["blocks"])
    assert len(blocks) == 10
    assert estimate.error == pytest.approx(blocks.std(ddof=1) / math.sqrt(10))
    assert record(evidence(real, fake, real, MIXTURE), Streams(0))[name] == estimate
    with pytest.raises(InputError, match="needs mixture; the data is not a known mixture of Gaussians"):
        record(evidence(real, fake), Streams(0))
    assert record(evidence(real, fake[:19], real, MIXTURE), Streams(0))[name].error is None
