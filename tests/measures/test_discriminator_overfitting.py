"""Accuracies by their definition, r_v and its error against simulation, and what is undefined is said."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.discriminator_overfitting import DiscriminatorOverfitting, overfitting_ratio
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.streams import Streams


def draws(seed: int, name: str, n: int, mean: float) -> Tensor:
    return Streams(seed, dtype=torch.float64).normal(name, n) + mean


def evidence(train: Tensor, held_out: Tensor, fake: Tensor) -> Evidence:
    sides = [Sample(torch.zeros(len(s), 2), torch.zeros(len(s), 2), scores=s) for s in (train, held_out, fake)]
    return Evidence(sides[1], sides[2], train=sides[0], held_out=sides[1])


def test_ratio_by_hand() -> None:
    assert overfitting_ratio(torch.tensor([4.0, 6.0]), torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0])).value == 0.5


def test_scale_shift_and_order_change_nothing() -> None:
    sides = [draws(0, name, n, mean) for name, n, mean in (("t", 50, 2.0), ("h", 40, 1.0), ("f", 60, -1.0))]
    plain = overfitting_ratio(*sides)
    assert overfitting_ratio(*(3 * side + 7 for side in sides)) == pytest.approx(plain, rel=1e-9)
    assert overfitting_ratio(*(side.flip(0) for side in sides)) == pytest.approx(plain, rel=1e-12)


def test_the_error_is_the_spread_over_draws() -> None:
    found = [overfitting_ratio(draws(s, "t", 100, 2.0), draws(s, "h", 80, 0.5), draws(s, "f", 60, -1.0)) for s in range(400)]
    values = np.array([ratio.value for ratio in found])
    assert values.mean() == pytest.approx(0.5, abs=0.02)
    assert values.std() == pytest.approx(np.mean([ratio.error for ratio in found]), rel=0.12)


def test_ends_of_the_scale() -> None:
    train, fake = draws(0, "t", 100, 3.0), draws(0, "f", 100, -3.0)
    assert overfitting_ratio(train, train.flip(0), fake).value == pytest.approx(0, abs=1e-12)
    assert overfitting_ratio(train, fake.flip(0), fake).value == pytest.approx(1, rel=1e-12)


def test_accuracies_at_both_thresholds() -> None:
    sides = torch.tensor([1.0, 2.0, -1.0, 0.0]), torch.tensor([-3.0, 1.0]), torch.tensor([0.0, -4.0, 5.0, -5.0])
    at_zero = DiscriminatorOverfitting(threshold=0.0)(evidence(*sides), Streams(0))
    assert {name: at_zero[name].mean for name in at_zero} == {
        "train-accuracy": 0.5,
        "held-out-accuracy": 0.5,
        "fake-accuracy": 0.75,
        "overfitting-ratio": pytest.approx((0.5 - -1) / (0.5 - -1)),
    }
    midway = DiscriminatorOverfitting(threshold="midway")(evidence(*(side + 100 for side in sides)), Streams(0))
    assert midway["train-accuracy"].details["threshold"] == pytest.approx(100 + (0.5 - 1) / 2)
    assert midway["train-accuracy"].mean == 0.75
    assert midway["fake-accuracy"].mean == 0.5


def test_the_threshold_is_the_objectives_where_nobody_gives_one() -> None:
    sides = evidence(torch.tensor([0.4, 2.0]), torch.tensor([0.6, 1.0]), torch.tensor([0.2, 0.7]))
    measure = DiscriminatorOverfitting()
    assert measure.of_run(0.5).model_dump() == {"threshold": 0.5}
    assert measure.of_run(None).model_dump() == {"threshold": "midway"}
    assert DiscriminatorOverfitting(threshold=0).of_run(0.5).model_dump() == {"threshold": 0.0}
    assert measure.of_run(0.5)(sides, Streams(0))["train-accuracy"].mean == 0.5
    assert measure.of_run(0.0)(sides, Streams(0))["fake-accuracy"].mean == 0
    # Of no run: midway, (1.2 + 0.45) / 2.
    assert measure(sides, Streams(0))["train-accuracy"].details["threshold"] == pytest.approx(0.825)


def test_a_constant_discriminator_has_no_ratio_and_says_so() -> None:
    constant = [torch.full((n,), 0.1) for n in (7, 11, 13)]
    found = DiscriminatorOverfitting()(evidence(*constant), Streams(0))
    assert "overfitting-ratio" not in found
    assert (found["train-accuracy"].mean, found["fake-accuracy"].mean) == (0, 1)
    assert "r_v is undefined" in found["train-accuracy"].notes[0]
    with pytest.raises(InputError, match="r_v is undefined"):
        overfitting_ratio(*constant)


def test_what_is_rough_is_said() -> None:
    sides = [draws(0, name, 30, 0.0) for name in "thf"]
    assert "alike within error" in DiscriminatorOverfitting()(evidence(*sides), Streams(0))["overfitting-ratio"].notes[0]
    critic = DiscriminatorOverfitting(threshold=0)(
        evidence(*(draws(0, n, 30, m) for n, m in (("t", 60.0), ("h", 59.0), ("f", 50.0)))), Streams(0)
    )
    assert "midway" in critic["fake-accuracy"].notes[-1]


@pytest.mark.parametrize("side", range(3))
def test_refusals(side: int) -> None:
    for bad, said in ((torch.tensor([math.nan, 1.0]), "NaN"), (torch.ones(1), "two or more"), (torch.ones(4, 1), "two or more")):
        sides = [torch.arange(4.0), torch.arange(4.0), -torch.arange(4.0)]
        sides[side] = bad
        with pytest.raises(InputError, match=said):
            overfitting_ratio(*sides)
    sample = Sample(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="needs scores"):
        DiscriminatorOverfitting()(Evidence(sample, sample, train=sample, held_out=sample), Streams(0))
