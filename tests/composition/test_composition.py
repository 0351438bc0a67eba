"""Any objective, penalty, weighting, normalisation and view combine, in four modes, or are refused by what they declare."""

from collections.abc import Mapping

import pytest
import torch

from saddlepoint.recipe import Recipe
from saddlepoint.training.session import Session
from tests.composition.covering import Level, covered, pairs
from tests.composition.reasons import reasons
from tests.composition.rows import FACTORS, described, refusal, rows, rows_of
from tests.processes.games import farthest, play, play_alone
from tests.processes.group import Group
from tests.replicas.games import everything, played, too_far

UPDATES = 3
MOST = 1e-10
PLACES = {"objective", "penalties", "weightings", "networks", "views", "schedule"}

LEVELS: list[tuple[Level, Level]] = list(pairs(FACTORS))


def test_every_allowed_pair_stands_in_a_row_and_no_refused_one() -> None:
    held = {pair for row in rows() for pair in covered(row)}
    assert held == {pair for pair in LEVELS if not refusal(*pair)}
    assert {len(row) for row in rows()} == {len(FACTORS)}


def test_the_refused_pairs_are_those_that_the_declarations_explain() -> None:
    explained = {pair for pair in LEVELS if reasons(*pair)}
    assert explained == {pair for pair in LEVELS if refusal(*pair)}


def test_a_refusal_is_one_line_a_place_for_each_reason() -> None:
    for pair in [pair for pair in LEVELS if refusal(*pair)]:
        lines = refusal(*pair)
        assert all(line.isprintable() for line in lines)
        assert {line.partition(": ")[0].split(".")[0] for line in lines} <= PLACES
        # An entry that may stand in several places is refused in each, in the same words.
        assert len({line.partition(": ")[2] for line in lines}) == len(reasons(*pair)), pair


def lone(row: Mapping[str, str]) -> Recipe:
    return Recipe.from_mapping(described(row))


def beside(row: Mapping[str, str], **more: object) -> Recipe:
    """The row's games of several replicas, the first of which is the lone one."""
    return Recipe.from_mapping(described(row) | {"seed": 0, "seeds": [3, 11]} | more)


@pytest.mark.parametrize("objective", FACTORS["objective"])
def test_rows_train_in_four_modes(objective: str, pair: Group) -> None:
    """Alone, side by side, by two processes, and side by side with rates that differ: what the first replica does is the same."""
    faults: dict[str, str] = {}
    for row in rows_of(objective):
        try:
            trains_in_four_modes(row, pair)
        except Exception as error:
            faults[" ".join(row.values())] = repr(error)
    assert faults == {}


def trains_in_four_modes(row: Mapping[str, str], pair: Group) -> None:
    """Alone, side by side, by two processes, and side by side with rates that differ: what the first replica does is the same."""
    recipe = lone(row)
    session = Session(recipe, recipe.data.open())
    before = everything(session)
    records = played(session, UPDATES)
    after = everything(session)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in [*after.values(), *records.values()])
    moved = {name.partition("/")[0] for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert {"generator", "discriminator", "average"} <= moved

    for more in ({}, {"vary": {"how": "zip", "fields": {"optimizers.generator.lr": [1e-2, 3e-2]}}}):
        stacked = beside(row, **more)
        if not recipe.networks.stacks:
            assert stacked.part(0, 1).to_mapping() == recipe.to_mapping(), "its parts are lone runs"
            continue
        many = Session(stacked, session.source)
        played(many, UPDATES)
        own = {name: tensor[:1] for name, tensor in everything(many).items() if "optimizer" not in name}
        assert too_far(own, [{name: after[name] for name in own}], MOST) == {}

    alone = play_alone(described(row), UPDATES)
    for answer in pair(play, described(row), UPDATES):
        assert not isinstance(answer, Exception), answer
        assert farthest(answer, alone) < MOST
