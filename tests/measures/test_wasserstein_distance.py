"""Exact Wasserstein distances against SciPy, POT's one-dimensional solver and linear assignment, and the laws of a metric."""

import math
from importlib import import_module

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance as by_scipy
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import wasserstein_distance as measured
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.wasserstein_distance import Order, WassersteinDistance, coupling, wasserstein_distance
from saddlepoint.streams import Streams

ORDERS: tuple[Order, ...] = (1, 2)


def draws(name: str, n: int, d: int) -> Tensor:
    return Streams(0, dtype=torch.float64).normal(name, n, d)


def by_assignment(real: Tensor, fake: Tensor, order: int) -> float:
    """The cheapest pairing, each point repeated until both sides have the same number; costs by two loops."""
    n = math.lcm(len(real), len(fake))
    reals, fakes = real.repeat_interleave(n // len(real), 0).tolist(), fake.repeat_interleave(n // len(fake), 0).tolist()
    costs = [[math.dist(x, y) ** order for y in fakes] for x in reals]
    rows, columns = linear_sum_assignment(costs)
    return float((sum(costs[i][j] for i, j in zip(rows, columns, strict=True)) / n) ** (1 / order))


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 7), (3, 11), (1, 5)])
def test_in_one_dimension_it_is_scipys(n: int, m: int) -> None:
    real, fake = draws("real", n, 1), 2 * draws("fake", m, 1) + 0.5
    assert wasserstein_distance(real, fake) == pytest.approx(by_scipy(real.flatten(), fake.flatten()), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (12, 8)])
def test_order_2_in_one_dimension_is_pots(n: int, m: int) -> None:
    import ot

    real, fake = draws("real", n, 1), 2 * draws("fake", m, 1) + 0.5
    squared = ot.emd2_1d(real.numpy(), fake.numpy(), metric="sqeuclidean")
    assert wasserstein_distance(real, fake, 2) == pytest.approx(math.sqrt(squared), rel=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("n", "m"), [(50, 50), (6, 4)])
def test_sorting_is_the_solver_on_a_line(n: int, m: int, order: Order) -> None:
    real, fake = draws("real", n, 1), 2 * draws("fake", m, 1) + 0.5
    flat = [torch.cat([side, torch.full_like(side, 3.0)], 1) for side in (real, fake)]
    assert wasserstein_distance(flat[0], flat[1], order) == pytest.approx(wasserstein_distance(real, fake, order), rel=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("n", "m", "d"), [(20, 20, 2), (15, 15, 30), (4, 6, 3), (1, 8, 2)])
def test_it_is_the_cheapest_assignment(n: int, m: int, d: int, order: Order) -> None:
    real, fake = draws("real", n, d), draws("fake", m, d) + 0.3
    assert wasserstein_distance(real, fake, order) == pytest.approx(by_assignment(real, fake, order), rel=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_laws_of_a_metric(order: Order, d: int) -> None:
    x, y, z = draws("x", 30, d), 1.5 * draws("y", 30, d), draws("z", 24, d) + 1
    between = wasserstein_distance(x, y, order)
    assert between == pytest.approx(wasserstein_distance(y, x, order), rel=1e-12)
    assert wasserstein_distance(x, z, order) <= between + wasserstein_distance(y, z, order) + 1e-12
    assert wasserstein_distance(x, x[Streams(1).order("order", 30, 30)], order) == 0
    assert wasserstein_distance(x, torch.cat([x[:-1], x[:1]]), order) > 1e-3, "another multiset"
    assert wasserstein_distance(-3 * x, -3 * y, order) == pytest.approx(3 * between, rel=1e-10)
    shuffled = y[Streams(2).order("order", 30, 30)]
    assert wasserstein_distance(x, shuffled, order) == pytest.approx(between, rel=1e-10)
    shift = torch.linspace(1, 2, d, dtype=torch.float64)
    assert wasserstein_distance(x, x + shift, order) == pytest.approx(float(shift.norm()), rel=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_far_from_the_origin_nothing_is_lost(order: Order) -> None:
    real, fake = draws("real", 30, 3), draws("fake", 30, 3)
    near = wasserstein_distance(real, fake, order)
    assert wasserstein_distance(real + 1e6, fake + 1e6, order) == pytest.approx(near, rel=1e-8)
    assert wasserstein_distance(real, real + 1e-7, order) == pytest.approx(1e-7 * math.sqrt(3), rel=1e-6)


def test_parallel_lines() -> None:
    height = draws("height", 50, 1)
    lines = [torch.cat([torch.full_like(height, theta), height], 1) for theta in (0.0, 0.7)]
    assert wasserstein_distance(lines[0], lines[1]) == pytest.approx(0.7, rel=1e-12)


def test_coupling_has_the_right_margins() -> None:
    for n, m in ((4, 6), (5, 5), (1, 3)):
        plan = coupling(n, m)
        assert len(plan.mass) <= n + m - 1
        for places, count in ((plan.reals, n), (plan.fakes, m)):
            sums = torch.zeros(count, dtype=torch.float64).index_add(0, places, plan.mass)
            torch.testing.assert_close(sums, torch.full_like(sums, 1 / count))


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (torch.zeros(2001, 2), torch.zeros(10, 2), "use sliced-wasserstein-distance"),
        (torch.zeros(10, 2), torch.zeros(2001, 2), "at most 2000"),
        (torch.tensor([[math.nan, 0.0]]), torch.zeros(3, 2), "NaN or infinite"),
        (torch.zeros(3, 1), torch.tensor([[math.inf]]), "NaN or infinite"),
        (torch.zeros(3), torch.zeros(3), "give [n, d]"),
        (torch.zeros(3, 2), torch.zeros(3, 4), "4"),
        (torch.zeros(0, 2), torch.zeros(3, 2), "0 real"),
    ],
)
def test_refusals(real: Tensor, fake: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        wasserstein_distance(real, fake)


def test_a_line_of_any_length_is_exact() -> None:
    real = draws("real", 5000, 1)
    assert wasserstein_distance(real, real + 2) == pytest.approx(2, rel=1e-12)


def test_a_solver_that_stops_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("saddlepoint.measures.wasserstein_distance"), "ITERATIONS", 2)
    with pytest.raises(InputError, match="did not finish"):
        wasserstein_distance(draws("real", 50, 2), draws("fake", 50, 2))


def test_points_by_coordinates_and_images_by_features() -> None:
    points, features = draws("points", 20, 2).float(), draws("features", 20, 6).float()
    images = torch.zeros(20, 1, 4, 4, dtype=torch.uint8)
    of_points = WassersteinDistance()(Evidence(Sample(points, features), Sample(points + 1, features)), Streams(0))
    assert of_points["wasserstein-distance"].mean == pytest.approx(math.sqrt(2), rel=1e-6)
    of_images = WassersteinDistance()(Evidence(Sample(images, features), Sample(images, features + 1)), Streams(0))
    assert of_images["wasserstein-distance"].mean == pytest.approx(math.sqrt(6), rel=1e-6)


def test_the_record_refuses_many_and_takes_the_first() -> None:
    points = draws("points", 2100, 2).float()
    evidence = Evidence(Sample(points, points), Sample(points + 1, points + 1))
    with pytest.raises(InputError, match="samples to 2000 or fewer"):
        WassersteinDistance()(evidence, Streams(0))
    found = WassersteinDistance(samples=50)(evidence, Streams(0))["wasserstein-distance"]
    assert found.n == 50
    assert found.mean == pytest.approx(math.sqrt(2), rel=1e-6)
    assert "floor" in found.notes[0]


def test_it_is_exported() -> None:
    assert measured is wasserstein_distance
