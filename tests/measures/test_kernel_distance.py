"""The kernel distance against a double loop, on subsets, in blocks, and its error against simulation."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import (
    MEASURES,
    kernel_distance,
    kernel_distance_over_subsets,
    kernels,
    maximum_mean_discrepancy,
    permutation_test,
)
from saddlepoint.measures.blocks import block_error
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.kernels import Polynomial
from saddlepoint.measures.measure import Estimate
from saddlepoint.streams import Streams

NAME = "kernel-distance"


def normal(seed: int, n: int, d: int = 3, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def by_loops(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]], degree: int = 3, offset: float = 1.0) -> float:
    """The definition, pair by pair."""

    def k(a: Sequence[float], b: Sequence[float]) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + offset) ** degree

    def own(z: Sequence[Sequence[float]]) -> float:
        return sum(k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / (len(z) * (len(z) - 1))

    return own(x) + own(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 11), (11, 7)])
def test_equals_the_double_loop(n: int, m: int) -> None:
    real, fake = normal(0, n), normal(1, m, shift=0.5)
    assert kernel_distance(real, fake) == pytest.approx(by_loops(real.tolist(), fake.tolist()), rel=1e-12)
    other = kernel_distance(real, fake, Polynomial(2, None, 0.5))
    assert other == pytest.approx(by_loops(real.tolist(), fake.tolist(), 2, 0.5), rel=1e-12)


@pytest.mark.parametrize("block", [1, 20, 64])
def test_how_much_is_held_changes_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(0, 37), normal(1, 23, shift=0.5)
    subsets = torch.stack([Streams(0).order("subset", 23, 9), torch.arange(9)])
    whole = kernel_distance(real, fake), kernel_distance_over_subsets(real, fake, subsets, subsets)
    monkeypatch.setattr(kernels, "BLOCK", block)
    assert kernel_distance(real, fake) == pytest.approx(whole[0], rel=1e-10)
    torch.testing.assert_close(kernel_distance_over_subsets(real, fake, subsets, subsets), whole[1], rtol=1e-10, atol=0)


def by_fractions(x: Tensor, y: Tensor, degree: int) -> float:
    """The definition in exact arithmetic, of the very numbers given."""

    def power(one: list[Fraction], other: list[Fraction]) -> Fraction:
        base, value = sum((p * q for p, q in zip(one, other, strict=True)), Fraction(0)) / len(one) + 1, Fraction(1)
        for _ in range(degree):
            value *= base
        return value

    def mean(a: list[list[Fraction]], b: list[list[Fraction]], same: bool) -> Fraction:
        values = [power(one, other) for i, one in enumerate(a) for j, other in enumerate(b) if not (same and i == j)]
        return sum(values, Fraction(0)) / len(values)

    real, fake = ([[Fraction(number) for number in row] for row in side.tolist()] for side in (x, y))
    return float(mean(real, real, True) + mean(fake, fake, True) - 2 * mean(real, fake, False))


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_an_offset_of_both_sides_costs_no_digits(degree: int, offset: float, shift: float) -> None:
    """Against fractions: summed as it is written, the cubic kernel has no right digit left at an offset of 1e9."""
    real, fake = normal(0, 9) + offset, normal(1, 8) + offset + shift
    kernel = Polynomial(degree)
    assert kernel_distance(real, fake, kernel) == pytest.approx(by_fractions(real, fake, degree), rel=1e-9)
    assert maximum_mean_discrepancy(real, fake, kernel) == kernel_distance(real, fake, kernel)
    subsets = torch.stack([torch.arange(8), torch.arange(8).flip(0)])
    expected = by_fractions(real[:8], fake, degree)
    assert kernel_distance_over_subsets(real, fake, subsets, subsets, kernel).tolist() == pytest.approx([expected] * 2, rel=1e-9)


def test_the_permutation_test_of_an_offset_is_that_of_the_definition() -> None:
    real, fake = normal(0, 9) + 1e7, normal(1, 8) + 1e7
    shuffles = torch.stack([Streams(number).order("shuffle", 17, 17) for number in range(6)])
    found = permutation_test(real, fake, shuffles, Polynomial())
    both = torch.cat([real, fake])
    expected = [by_fractions(both[order[:9]], both[order[9:]], 3) for order in shuffles]
    assert found.permuted.tolist() == pytest.approx(expected, rel=1e-9)
    assert found.unbiased == pytest.approx(by_fractions(real, fake, 3), rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 0.4, 1e3])
def test_products_of_float32_features_lose_nothing_that_matters(offset: float) -> None:
    """As in a KID: the same features in float64 give the same values, far within what subsets differ by."""
    scale = (1 + torch.arange(256)).rsqrt()
    real, fake = (((normal(seed, 600, 256) * scale) + offset).float() for seed in (0, 1))
    subsets = torch.stack([Streams(number).order("subset", 600, 600)[:100] for number in range(20)])
    lean = kernel_distance_over_subsets(real, fake, subsets, subsets)
    whole = kernel_distance_over_subsets(real.double(), fake.double(), subsets, subsets)
    assert 0 < (lean - whole).abs().max() < 1e-5 * whole.std()


def test_features_whose_kernel_is_no_number_are_refused() -> None:
    real, fake = normal(0, 5) * 1e60, normal(1, 5) * 1e60
    subsets = torch.arange(5)[None]
    for refused in (
        lambda: kernel_distance(real, fake),
        lambda: kernel_distance_over_subsets(real, fake, subsets, subsets),
        lambda: maximum_mean_discrepancy(real, fake, Polynomial()),
        lambda: maximum_mean_discrepancy(real, fake, Polynomial(), biased=True),
        lambda: permutation_test(real, fake, torch.arange(10)[None], Polynomial()),
    ):
        with pytest.raises(InputError, match="the kernel of features so large is beyond float64; divide both sides by one number"):
            refused()


def test_order_and_sides_change_nothing() -> None:
    real, fake = normal(0, 37), normal(1, 23, shift=0.5)
    assert kernel_distance(real.flip(0), fake.roll(5, 0)) == pytest.approx(kernel_distance(real, fake), rel=1e-10)
    assert kernel_distance(fake, real) == pytest.approx(kernel_distance(real, fake), rel=1e-10)


def test_subsets_are_distances_of_their_samples() -> None:
    real, fake = normal(0, 40), normal(1, 30, shift=0.5)
    streams = Streams(0)
    mine = torch.stack([streams.order("real", 40, 40)[:12] for _ in range(5)])
    other = torch.stack([streams.order("fake", 30, 30)[:9] for _ in range(5)])
    values = kernel_distance_over_subsets(real, fake, mine, other)
    expected = [kernel_distance(real[rows], fake[columns]) for rows, columns in zip(mine, other, strict=True)]
    assert values.tolist() == pytest.approx(expected, rel=1e-10)


def test_a_subset_may_hold_a_sample_twice() -> None:
    real, fake = normal(0, 5), normal(1, 5, shift=0.5)
    rows = torch.tensor([[0, 0, 3, 0], [1, 2, 3, 4]])
    expected = [by_loops(real[mine].tolist(), fake[mine].tolist()) for mine in rows]
    assert kernel_distance_over_subsets(real, fake, rows, rows).tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (
            torch.arange(4)[None],
            torch.arange(5)[None],
            r"fake subsets \(1, 5\) must be \[S, k\], k of 2 or more, of positions 0 … 3",
        ),
        (torch.tensor([[0, -1]]), torch.tensor([[0, 1]]), "real subsets"),
        (torch.tensor([[0]]), torch.tensor([[0, 1]]), "real subsets"),
        (torch.tensor([0, 1]), torch.tensor([[0, 1]]), "real subsets"),
        (torch.tensor([[0, 1]]), torch.tensor([[0, 1], [1, 2]]), "1 real subsets and 2 fake ones"),
    ],
)
def test_refused_subsets(real: Tensor, fake: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        kernel_distance_over_subsets(torch.zeros(4, 1), torch.zeros(4, 1), real, fake)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), "1 fake samples are too few"),
        (torch.zeros(3, 2), torch.zeros(3, 4), "real samples have 2 features, fake ones 4"),
        (torch.tensor([[1.0], [torch.nan]]), torch.zeros(3, 1), "1 of 2 real samples have features that are NaN"),
    ],
)
def test_refused(real: Tensor, fake: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        kernel_distance(real, fake)


def measured(real: Tensor, fake: Tensor, seed: int = 0, **fields: Any) -> Estimate:
    return MEASURES[NAME](**fields)(Evidence(Sample(real, real), Sample(fake, fake)), Streams(seed))[NAME]


def test_the_record_is_the_full_statistic_with_an_error_from_disjoint_blocks() -> None:
    real, fake = normal(0, 104), normal(1, 57, shift=0.2)
    estimate = measured(real, fake)
    assert estimate.mean == kernel_distance(real, fake)
    assert estimate.n == 57
    values = np.array(estimate.details["blocks"])
    assert len(values) == 10
    error = values.std(ddof=1) / np.sqrt(10)
    assert estimate.error == pytest.approx(error)
    assert estimate.interval == pytest.approx((values.mean() - t.ppf(0.975, 9) * error, values.mean() + t.ppf(0.975, 9) * error))
    streams = Streams(0)
    orders = streams.order(f"{NAME} real", 104, 104), streams.order(f"{NAME} fake", 57, 57)
    expected = [kernel_distance(real[orders[0][10 * b :][:10]], fake[orders[1][5 * b :][:5]]) for b in range(10)]
    assert values == pytest.approx(expected, rel=1e-10)
    assert measured(real, fake) == estimate
    assert measured(real, fake, seed=1).details["blocks"] != estimate.details["blocks"]
    assert measured(real, fake, degree=2).mean == kernel_distance(real, fake, Polynomial(2))


def test_a_block_error_of_independent_values() -> None:
    values = normal(0, 10, 1).flatten().tolist()
    found = block_error(values)
    assert found.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(10))
    assert found.interval == pytest.approx(t.interval(0.95, 9, np.mean(values), found.error))


def test_the_error_and_the_interval_hold() -> None:
    """Over 100 pairs of sets of one law: unbiased, about 95 % of intervals hold 0, and the error is at least the spread's size."""
    found = [measured(normal(2 * seed, 100), normal(2 * seed + 1, 100), seed) for seed in range(100)]
    values = np.array([estimate.mean for estimate in found])
    assert abs(values.mean()) < 3 * values.std() / 10
    assert (values < 0).any()
    covered = sum(low <= 0 <= high for low, high in (estimate.interval or (1.0, -1.0) for estimate in found))
    assert 88 <= covered <= 100
    errors = np.array([estimate.error for estimate in found])
    assert np.median(errors) > 0.8 * values.std()


def test_few_samples_give_the_value_and_no_error() -> None:
    real, fake = normal(0, 40), normal(1, 19)
    estimate = measured(real, fake)
    assert estimate.mean == kernel_distance(real, fake)
    assert estimate.error is None
    assert estimate.interval is None
    assert estimate.notes == ("fewer than 20 samples of a side: its error cannot be said",)
    assert measured(real, normal(1, 20)).error is not None
    with pytest.raises(InputError, match="1 fake samples are too few"):
        measured(real, fake[:1])


def test_constant_images() -> None:
    estimate = measured(torch.zeros(30, 2), torch.ones(40, 2))
    assert estimate.mean == pytest.approx(7)
    assert estimate.error == pytest.approx(0, abs=1e-12)
    assert measured(torch.ones(30, 2), torch.ones(40, 2)).mean == pytest.approx(0, abs=1e-12)
