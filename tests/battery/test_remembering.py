"""What a term remembers changes once a turn, by `observe` alone, and survives a checkpoint to the bit."""

from pathlib import Path

import pytest
import torch

from saddlepoint.penalties import PENALTIES
from saddlepoint.training.checkpoints import read_checkpoint, write_checkpoint
from saddlepoint.training.session import Session
from tests.battery.games import differing, kept, play, recipe_with, session_of
from tests.battery.remembering import DECAY, Drifting

STEPS = 3


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PENALTIES, Drifting.name, Drifting)


def remembering(steps: int = 1) -> Session:
    return session_of(recipe_with(("penalties", Drifting.name), {"schedule.discriminator_steps": steps}))


def test_a_loss_taken_twice_leaves_it_alone() -> None:
    session = play(remembering(), 2)
    before = kept(session)
    for turn in session.game.turns:
        (mover,) = turn.movers
        round = session.game.round(turn, session.source.batch(session.streams, 5), session.streams, watched=True)
        player = session.game.players[mover]
        assert torch.equal(player.total(round), player.total(round))
    assert differing(before, kept(session)) == []


def test_it_is_observed_once_a_turn_of_its_own_player() -> None:
    session = play(remembering(STEPS), 4)
    observed = {key: int(state["observed"]) for key, state in session.game.states.items() if state}
    assert observed == {"discriminator/penalty 0": 4 * STEPS, "generator/penalty 0": 4}


def test_it_takes_the_scores_that_the_loss_saw() -> None:
    session, average = remembering(), torch.zeros((), dtype=torch.float64)
    for _ in range(3):
        records = session.trainer.update(watched=True)
        average = DECAY * average + (1 - DECAY) * records["discriminator/score fake"]
    torch.testing.assert_close(session.game.states["discriminator/penalty 0"]["average"], average, rtol=0, atol=1e-15)


def test_it_survives_a_checkpoint_to_the_bit(tmp_path: Path) -> None:
    session = play(remembering(), 3)
    write_checkpoint(tmp_path, session.snapshot(), keep=1)
    stopped = kept(session)
    play(session, 3)

    resumed = remembering()
    resumed.restore(read_checkpoint(tmp_path))
    assert differing(stopped, kept(resumed)) == []
    assert sum(name.startswith("training/state/") for name in stopped) == 4
    assert len({float(stopped[name]) for name in stopped if name.startswith("training/state/")}) == 3, "both have observed thrice"
    play(resumed, 3)
    assert differing(kept(session), kept(resumed)) == []
