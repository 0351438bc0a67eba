"""The extrapolated Fréchet distance: the theory's slope, an intercept near the truth on either side of it, the fit itself."""

from statistics import mean

import pytest
import torch
from scipy.stats import linregress
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES, Moments, frechet_distance, frechet_distance_infinity
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.frechet_distance_infinity import Extrapolation
from saddlepoint.streams import Streams

NAME = "frechet-distance-infinity"
D, N = 16, 1500
REAL = Moments(torch.zeros(D, dtype=torch.float64), torch.eye(D, dtype=torch.float64), 10**9)


def orders(streams: Streams, n: int, count: int = 15) -> Tensor:
    return torch.stack([streams.order("shuffle", n, n) for _ in range(count)])


@pytest.fixture(scope="module")
def lines() -> dict[float, list[Extrapolation]]:
    """By shift of every feature: sixteen sets of fakes."""
    found: dict[float, list[Extrapolation]] = {}
    for shift in (0.0, 0.2):
        for seed in range(16):
            streams = Streams(seed, dtype=torch.float64)
            fake = streams.normal("fake", N, D) + shift
            found.setdefault(shift, []).append(frechet_distance_infinity(REAL, fake, orders(streams, N)))
    return found


def test_the_slope_is_the_theorys(lines: dict[float, list[Extrapolation]]) -> None:
    """Of a standard normal the bias is about `(d + d (d+1)/4) / N`."""
    expected = D + D * (D + 1) / 4
    assert mean(line.slope for line in lines[0.0]) == pytest.approx(expected, rel=0.12)


def test_the_intercept_is_near_the_truth_and_not_clamped(lines: dict[float, list[Extrapolation]]) -> None:
    at_zero = [line.intercept for line in lines[0.0]]
    bias = mean(line.distances[-1] for line in lines[0.0])
    assert abs(mean(at_zero)) < 0.15 * bias
    assert min(at_zero) < 0
    truth = D * 0.2**2
    assert mean(line.intercept for line in lines[0.2]) == pytest.approx(truth, abs=0.6 * bias)
    assert mean(line.distances[-1] for line in lines[0.2]) > truth + 0.6 * bias


def test_the_distances_are_of_the_first_of_each_shuffle_and_the_line_is_least_squares() -> None:
    streams = Streams(1, dtype=torch.float64)
    real, fake = streams.normal("real", 90, 3), streams.normal("fake", 100, 3)
    shuffles = orders(streams, 100)
    line = frechet_distance_infinity(real, fake, shuffles)
    assert line.sizes == (10, 16, 23, 29, 36, 42, 49, 55, 61, 68, 74, 81, 87, 94, 100)
    expected = [frechet_distance(real, fake[order[:size]]) for order, size in zip(shuffles, line.sizes, strict=True)]
    assert line.distances == pytest.approx(expected, rel=1e-12)
    fit = linregress([1 / size for size in line.sizes], expected)
    assert line.intercept == pytest.approx(fit.intercept, rel=1e-9)
    assert line.slope == pytest.approx(fit.slope, rel=1e-9)
    left = [distance - fit.intercept - fit.slope / size for distance, size in zip(expected, line.sizes, strict=True)]
    assert line.residual == pytest.approx((sum(gap**2 for gap in left) / 13) ** 0.5, rel=1e-9)
    assert frechet_distance_infinity(Moments.of(real), fake, shuffles) == line


@pytest.mark.parametrize(
    "shuffles",
    [
        torch.arange(20).repeat(2, 1),
        torch.arange(19).repeat(3, 1),
        torch.zeros(3, 20, dtype=torch.int64),
        torch.arange(20),
    ],
)
def test_refused_orders(shuffles: Tensor) -> None:
    with pytest.raises(InputError, match="3 or more shuffles of the 20 fakes"):
        frechet_distance_infinity(torch.rand(30, 2), torch.rand(20, 2), shuffles)


def evidence(n: int, m: int, d: int = 2) -> Evidence:
    streams = Streams(0)
    real, fake = streams.normal("real", n, d), streams.normal("fake", m, d)
    return Evidence(Sample(real, real), Sample(fake, fake))


def test_the_record() -> None:
    estimates = MEASURES[NAME]()(evidence(300, 200), Streams(0))
    again = MEASURES[NAME]()(evidence(300, 200), Streams(0))
    assert estimates == again
    estimate = estimates[NAME]
    assert estimate.n == 200
    assert estimate.error is None
    assert estimate.notes == ()
    details = estimate.details
    assert details["sizes"][0] == 20
    assert details["sizes"][-1] == 200
    assert len(details["distances"]) == 15
    fit = linregress([1 / size for size in details["sizes"]], details["distances"])
    assert estimate.mean == pytest.approx(fit.intercept, rel=1e-9)
    assert details["slope"] == pytest.approx(fit.slope, rel=1e-9)
    assert MEASURES[NAME]()(evidence(300, 200), Streams(1))[NAME].mean != estimate.mean


def test_every_size_has_a_shuffle_of_its_own() -> None:
    class Watching(Streams):
        drawn: list[Tensor]

        def order(self, name: str, size: int, count: int) -> Tensor:
            found = super().order(name, size, count)
            self.drawn.append(found)
            return found

    streams = Watching(0)
    streams.drawn = []
    MEASURES[NAME](sizes=5)(evidence(40, 40), streams)
    assert len({tuple(order.tolist()) for order in streams.drawn}) == 5
    assert all(sorted(order.tolist()) == list(range(40)) for order in streams.drawn)


def test_the_record_says_when_the_line_is_no_line() -> None:
    (note,) = MEASURES[NAME]()(evidence(300, 40, 4), Streams(0))[NAME].notes
    assert "begins at n = 4 for 4 features" in note
    assert MEASURES[NAME]()(evidence(300, 50, 4), Streams(0))[NAME].notes == ()
    few_reals = MEASURES[NAME]()(evidence(20, 300, 20), Streams(0))[NAME].notes
    assert "20 real samples for 20 features" in few_reals[0]


def test_too_few_fakes_are_refused() -> None:
    with pytest.raises(InputError, match="19 fake samples are too few; give 20 or more"):
        MEASURES[NAME]()(evidence(30, 19), Streams(0))


def test_constant_images() -> None:
    real, fake = torch.zeros(20, 2), torch.ones(30, 2)
    estimate = MEASURES[NAME]()(Evidence(Sample(real, real), Sample(fake, fake)), Streams(0))[NAME]
    assert estimate.mean == pytest.approx(2)
    assert estimate.details["slope"] == pytest.approx(0, abs=1e-9)
