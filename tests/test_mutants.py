"""A method that is switched off or flipped turns its training test red. The table is printed at the end, as `make mutants` does."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saddlepoint.combiners import COMBINERS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.penalties import PENALTIES
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS
from tests.mutants.machine import ROW, Method, examine, methods, without_a_test
from tests.mutants.toys import SEEDS, Toy
from tests.mutants.training_tests import TRAINING_TESTS, TrainingTest, rounds, toy

NORMALIZATIONS = 8


def test_every_method_has_a_training_test() -> None:
    assert not without_a_test()
    registries = (OBJECTIVES, PENALTIES, WEIGHTINGS, RELABELLINGS, VIEWS, PROJECTIONS, OPTIMIZERS, COMBINERS, RATES)
    sizes = [len(registry) for registry in registries]
    assert len(methods()) == len(set(methods())) == len(TRAINING_TESTS) == sum(sizes) + NORMALIZATIONS


def test_a_method_without_one_is_told_where_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRAINING_TESTS, ("penalties", "r1"))
    assert without_a_test() == [
        "penalties r1: no training test; add a line to TRAINING_TESTS in tests/mutants/training_tests.py",
    ]


@pytest.mark.parametrize("method", methods(), ids=" ".join)
def test_off_or_flipped_it_is_red(method: Method, record_property: Callable[[str, object], None]) -> None:
    assert method in TRAINING_TESTS, without_a_test()
    result = examine(method, TRAINING_TESTS[method])
    record_property(ROW, result.row())
    assert not result.faults()


def blind(toy: Toy) -> Tensor:
    return torch.zeros(len(SEEDS))


def of_another_term(toy: Toy) -> Tensor:
    return torch.full((len(SEEDS),), float(toy.game.players["generator"].updates))


@pytest.mark.parametrize("look", [blind, of_another_term])
def test_a_training_test_that_does_not_see_its_method_is_caught(look: Callable[[Toy], Tensor]) -> None:
    """The machine itself: both mutants of a penalty survive a look that does not depend on it."""
    recipe = toy(objective="hinge", penalties={"discriminator": ["r1"]})
    result = examine(("penalties", "r1"), TrainingTest(recipe, look, least=0.0, most=2.0, play=rounds(2)))
    assert len(result.faults()) == 2
    assert all("stays green" in fault for fault in result.faults())


def test_a_method_that_does_not_work_is_caught() -> None:
    recipe = toy(objective="hinge")
    result = examine(("objectives", "hinge"), TrainingTest(recipe, blind, least=1.0, play=rounds(1)))
    assert result.faults() == ["objectives hinge: red as it is, 0, 0, 0"]


def test_looking_twice_gives_the_same_bits() -> None:
    method = ("weightings", "wegan")
    first, second = (examine(method, TRAINING_TESTS[method]) for _ in range(2))
    assert first == second
