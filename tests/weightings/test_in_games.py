"""Weightings in a game: the sides keep their balance, and weights that are not finite end the run, in plain sight."""

from typing import Any

import pytest
import torch

from saddlepoint.errors import Diverged
from saddlepoint.rounds import Sides, present
from saddlepoint.training.session import Session
from saddlepoint.weightings import WEIGHTINGS
from tests.battery.games import recipe_with, session_of
from tests.replicas.games import replicated
from tests.replicas.games import session_of as stacked_session_of

PRINTED = {"weightings.generator": {"name": "importance", "space": "probability"}}
# From here on the sigmoid is 1 in float64.
SURE = 40.0


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_the_discriminators_sides_keep_their_balance(name: str) -> None:
    """Each side's weights have mean 1, so a side whose losses are all alike costs what it cost without weights."""
    session = session_of(recipe_with(("weightings", name)))
    player = session.game.players["discriminator"]
    player.loss = lambda scores, state: Sides(0 * present(scores, "real") + 2, 0 * present(scores, "fake") + 5)
    turn = session.game.turns[0]
    round = session.game.round(turn, session.source.batch(session.streams, 5), session.streams, watched=True)
    assert float(player.total(round).detach()) == pytest.approx(7.0, abs=1e-12)


def sure_of_fakes(session: Session, rows: Any = ...) -> None:
    """The discriminator scores everything above what a sigmoid can tell from 1."""
    with torch.no_grad():
        session.game.players["discriminator"].parameters["head.layer.bias"][rows] = SURE


def test_printed_importance_weights_end_a_run_that_overflows() -> None:
    session = session_of(recipe_with(None, PRINTED))
    sure_of_fakes(session)
    with pytest.raises(Diverged, match="generator/loss fake"):
        session.trainer.update()


def test_of_replicas_those_that_overflow_are_counted() -> None:
    session = stacked_session_of(replicated(recipe_with(None, PRINTED)))
    sure_of_fakes(session, 1)
    session.trainer.update()
    assert session.frozen is not None
    assert {replica: ended.term for replica, ended in session.frozen.ended.items()} == {1: "generator/loss fake"}


def test_in_log_space_the_same_run_goes_on() -> None:
    session = session_of(recipe_with(None, {"weightings.generator": "importance"}))
    sure_of_fakes(session)
    session.trainer.update()
