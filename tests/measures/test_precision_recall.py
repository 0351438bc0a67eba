"""Precision, recall, density and coverage against torch-fidelity and prdc, and every property of their specification."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch import Tensor
from torch_fidelity.metric_prc import calculate_precision_recall_full, calculate_precision_recall_part

from saddlepoint.errors import InputError
from saddlepoint.measures import neighbours
from saddlepoint.measures.density_coverage import DensityAndCoverage, density_coverage, expected_coverage
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.precision_recall import ImprovedPrecisionRecall, precision_recall
from saddlepoint.streams import Streams


def normal(name: str, n: int, d: int) -> Tensor:
    return Streams(3).normal(name, n, d)


def evidence(real: Tensor, fake: Tensor) -> Evidence:
    return Evidence(Sample(real, real), Sample(fake, fake))


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(400, 400, 16), (300, 500, 64), (60, 50, 300), (500, 300, 2)])
def test_counts_are_those_of_torch_fidelity(n: int, m: int, d: int, k: int) -> None:
    real, fake = normal("real", n, d), 0.9 * normal("fake", m, d) + 0.1
    ours = precision_recall(real, fake, k)
    for theirs in (calculate_precision_recall_full, calculate_precision_recall_part):
        precision, recall = theirs(fake.double(), real.double(), k)
        assert round(precision * m) == round(ours.precision * m)
        assert round(recall * n) == round(ours.recall * n)
        assert (precision, recall) == pytest.approx(ours, abs=1e-7)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(400, 400, 16), (300, 500, 64), (60, 50, 300)])
def test_counts_are_those_of_prdc(n: int, m: int, d: int, k: int) -> None:
    real, fake = normal("real", n, d), 0.9 * normal("fake", m, d) + 0.1
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real.double().numpy(), fake.double().numpy(), nearest_k=k)
    ours = density_coverage(real, fake, k)
    assert ours.density == pytest.approx(theirs["density"], abs=1e-12)
    assert ours.coverage == pytest.approx(theirs["coverage"], abs=1e-12)


def test_fakes_that_are_the_reals() -> None:
    real = normal("real", 300, 20)
    assert precision_recall(real, real.clone()) == (1, 1)
    assert density_coverage(real, real.clone()) == (1, 1)


def test_far_fakes() -> None:
    real = normal("real", 300, 20)
    assert precision_recall(real, real + 1e4) == (0, 0)
    assert density_coverage(real, real + 1e4) == (0, 0)


def test_swapping_the_sides_swaps_precision_and_recall() -> None:
    real, fake = normal("real", 300, 20), 0.8 * normal("fake", 250, 20)
    assert precision_recall(real, fake) == precision_recall(fake, real)[::-1]


@pytest.mark.parametrize("scale", [1e-12, 3.0, 1e12])
def test_rotation_and_scale_change_nothing(scale: float) -> None:
    real, fake = normal("real", 300, 20).double(), 0.9 * normal("fake", 250, 20).double()
    turn = torch.linalg.qr(normal("turn", 20, 20).double()).Q * scale
    assert precision_recall(real @ turn, fake @ turn) == precision_recall(real, fake)
    assert density_coverage(real @ turn, fake @ turn) == density_coverage(real, fake)


def test_order_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal("real", 300, 20), 0.9 * normal("fake", 250, 20)
    before = precision_recall(real, fake), density_coverage(real, fake)
    monkeypatch.setattr(neighbours, "CHUNK", 37)
    real, fake = real[torch.randperm(300)], fake[torch.randperm(250)]
    assert (precision_recall(real, fake), density_coverage(real, fake)) == before


@pytest.mark.parametrize("d", [2, 16, 64])
@pytest.mark.parametrize(("n", "m", "k"), [(1000, 1000, 5), (1000, 500, 5), (1000, 1000, 3)])
def test_coverage_of_equal_distributions_is_the_formula_in_any_dimension(n: int, m: int, k: int, d: int) -> None:
    found = density_coverage(normal("real", n, d), normal("fake", m, d), k)
    assert found.coverage == pytest.approx(expected_coverage(n, m, k), abs=4 * 0.012)
    assert found.density == pytest.approx(1, abs=0.1)


def test_the_formula_is_the_average_over_draws() -> None:
    values = [density_coverage(normal(f"real {i}", 200, 3), normal(f"fake {i}", 100, 3), 2).coverage for i in range(60)]
    error = np.std(values, ddof=1) / 60**0.5
    assert abs(np.mean(values) - expected_coverage(200, 100, 2)) < 4 * error < 0.03


@pytest.mark.parametrize("modes", [7, 6, 4, 1])
def test_dropped_modes_are_seen_by_coverage_and_recall_only(modes: int) -> None:
    def eight(name: str, n: int, kept: int) -> Tensor:
        return normal(name, n, 8) + 100 * torch.eye(8)[torch.arange(n) % kept]

    real, fake = eight("real", 800, 8), eight("fake", 800, modes)
    assert density_coverage(real, fake).coverage == pytest.approx(expected_coverage(800, 800, 5) * modes / 8, abs=0.04)
    assert precision_recall(real, fake).recall <= modes / 8
    assert precision_recall(real, fake).precision == pytest.approx(
        precision_recall(real, eight("fake", 800, 8)).precision, abs=0.05
    )


def test_duplicates_are_counted_by_the_published_inequalities() -> None:
    """Closed balls for precision and recall, open ones for density and coverage: with radius 0 they differ."""
    real = torch.zeros(10, 4)
    assert precision_recall(real, real.clone()) == (1, 1)
    assert density_coverage(real, real.clone()) == (0, 0)
    found = DensityAndCoverage()(evidence(real, real.clone()), Streams(0))
    assert "10 of 10 reals have 5 exact duplicates" in found["coverage"].notes[0]


def test_the_measures_carry_their_functions() -> None:
    real, fake = normal("real", 200, 8), normal("fake", 150, 8)
    both = ImprovedPrecisionRecall(k=4)(evidence(real, fake), Streams(0))
    assert (both["precision"].mean, both["recall"].mean) == precision_recall(real, fake, 4)
    assert "200 real and 150 generated" in both["recall"].notes[0]
    found = DensityAndCoverage(k=4)(evidence(real, fake), Streams(0))
    assert (found["density"].mean, found["coverage"].mean) == density_coverage(real, fake, 4)
    assert found["coverage"].details["for equal distributions"] == expected_coverage(200, 150, 4)
    assert both["precision"].n == found["density"].n == 150


@pytest.mark.parametrize("measure", [ImprovedPrecisionRecall(), DensityAndCoverage()])
def test_bad_input_is_named_all_at_once(measure: ImprovedPrecisionRecall | DensityAndCoverage) -> None:
    good = evidence(normal("real", 20, 4), normal("fake", 20, 4))
    few = replace(good, fake=good.fake.rows(slice(0, measure.k)))
    with pytest.raises(InputError, match=f"{measure.k} fake samples are too few; give {measure.k + 1}"):
        measure(few, Streams(0))
    broken = normal("fake", 20, 4)
    broken[3, 1] = torch.nan
    with pytest.raises(InputError, match="1 of 20 fake samples"):
        measure(evidence(good.real.features, broken), Streams(0))
    for function in (precision_recall, density_coverage):
        with pytest.raises(InputError) as caught:
            function(torch.zeros(2, 3), broken)
        assert len(caught.value.problems) == 3
