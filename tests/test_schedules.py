"""Schedules: values, the lazy mean, what a number or a mapping becomes, and back."""

import math
from typing import Any

import pytest
from pydantic import BaseModel

from saddlepoint.schedules import SCHEDULES, After, Constant, Cosine, Every, Linear, Schedule, Staircase

EXAMPLES: dict[str, dict[str, Any]] = {
    "constant": {"value": 3.0},
    "after": {"start": 5, "value": 0.5},
    "every": {"period": 4, "value": 2.0},
    "linear": {"start": 1.0, "end": 0.2, "first": 10, "last": 30},
    "cosine": {"start": 1.0, "end": 0.2, "first": 10, "last": 30},
    "staircase": {"start": 5, "step": 2, "period": 7},
}


class Holder(BaseModel):
    weight: Schedule


def test_how_many() -> None:
    assert SCHEDULES.keys() == EXAMPLES.keys()
    assert len(SCHEDULES) == 6


@pytest.mark.parametrize("name", SCHEDULES)
def test_from_yaml_and_back(name: str) -> None:
    fields = {"name": name, **EXAMPLES[name]}
    held = Holder.model_validate({"weight": fields})
    assert type(held.weight) is SCHEDULES[name]
    assert Holder.model_validate(held.model_dump()) == held
    assert Holder.model_validate_json(held.model_dump_json()) == held
    assert SCHEDULES[name](**EXAMPLES[name]) == held.weight


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_pure_function_of_the_update(name: str) -> None:
    schedule = SCHEDULES[name](**EXAMPLES[name])
    forward = [schedule(update) for update in range(100)]  # type: ignore[operator]
    assert forward == [schedule(update) for update in reversed(range(100))][::-1]  # type: ignore[operator]
    assert all(isinstance(value, float) for value in forward)


def test_a_number_is_a_constant_and_stays_a_number() -> None:
    assert Holder.model_validate({"weight": 3}).weight == Constant(value=3.0)
    assert Holder.model_validate({"weight": 0.5}).model_dump() == {"weight": 0.5}
    assert Holder.model_validate({"weight": Constant(value=2)}).weight(7) == 2


NOT_SCHEDULES: list[object] = [
    True,
    "fast",
    None,
    [1],
    math.nan,
    math.inf,
    {"name": "sometimes"},
    {"value": 1},
    {"name": "every", "period": 0, "value": 1},
    {"name": "after", "start": -1, "value": 1},
    {"name": "constant", "value": 1, "speed": 2},
    {"name": "linear"},
    {"name": "cosine", "start": 1, "last": 0},
]


@pytest.mark.parametrize("value", NOT_SCHEDULES)
def test_what_is_no_schedule_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="weight"):
        Holder.model_validate({"weight": value})


def test_constant() -> None:
    assert {Constant(value=0.1)(update) for update in (0, 1, 10**9)} == {0.1}


def test_after() -> None:
    assert [After(start=3, value=2)(update) for update in (0, 2, 3, 4)] == [0, 0, 2, 2]
    assert After(start=0, value=2)(0) == 2


@pytest.mark.parametrize("period", [1, 4, 16])
def test_every_keeps_the_mean(period: int) -> None:
    values = [Every(period=period, value=5)(update) for update in range(16 * 3)]
    assert sum(values) / len(values) == 5
    assert [update for update, value in enumerate(values) if value] == list(range(0, 48, period))
    assert set(values) <= {0.0, 5.0 * period}


def test_linear() -> None:
    schedule = Linear(start=2, end=1, first=10, last=20)
    assert [schedule(update) for update in (0, 10, 15, 20, 99)] == [2, 2, 1.5, 1, 1]
    rates = [Linear(start=0.3, last=50)(update) for update in range(50)]
    assert sum(rates) == pytest.approx(0.3 * 51 / 2), "over T updates: lr (T + 1) / 2"
    assert rates[-1] > 0, "the last update is not wasted at a rate of 0"


def test_cosine() -> None:
    schedule = Cosine(start=2, end=1, first=10, last=20)
    assert [schedule(update) for update in (0, 10, 20, 99)] == [2, 2, 1, 1]
    assert schedule(15) == pytest.approx(1.5)
    assert schedule(12) == pytest.approx(1 + (1 + math.cos(math.pi * 0.2)) / 2)
    assert sum(Cosine(start=0.3, last=50)(update) for update in range(50)) == pytest.approx(0.3 * 51 / 2)


@pytest.mark.parametrize("schedule", [Linear(start=1), Cosine(start=1)])
def test_an_open_end_is_named(schedule: Linear | Cosine) -> None:
    with pytest.raises(ValueError, match="`last` is open"):
        schedule(3)


def test_staircase() -> None:
    stairs = Staircase(start=5, step=1, period=5000)
    assert [stairs(update) for update in (0, 4999, 5000, 9999, 10_000)] == [5, 5, 6, 6, 7]


def test_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Constant(value=1).value = 2
