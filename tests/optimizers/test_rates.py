"""Rules of the rates: when they fall, that both players obey, that replicas have their own, that a checkpoint keeps them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from saddlepoint.errors import InputError
from saddlepoint.optimizers import RATES
from saddlepoint.recipe import load
from saddlepoint.training.checkpoints import read_checkpoint, write_checkpoint
from tests.battery.games import differing, kept, play, recipe_with, session_of
from tests.replicas.games import replicated
from tests.replicas.games import session_of as stacked_session


def factors(values: Sequence[float], **fields: float) -> list[float]:
    """The factor after each value."""
    rule = RATES["plateau"](**fields)
    state, found = rule.initial_state(()), []
    for value in values:
        state = rule.observe(torch.tensor(value), state)
        found.append(float(state["factor"]))
    return found


def test_how_many() -> None:
    assert list(RATES) == ["plateau"]
    assert all(record.name == name and "@" in record.bibtex for name, record in RATES.items())


def test_it_halves_at_the_end_of_a_window_whose_mean_did_not_fall() -> None:
    values = [3.0, 1.0, 1.5, 1.5, 9.0, -6.0, 2.0, 2.0]  # means 2, 1.5, 1.5, 2
    assert factors(values, window=2) == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("second", "factor"), [(0.99, 1.0), (0.91, 1.0), (1.0, 0.5), (1.1, 0.5)])
def test_a_fall_must_be_a_share_of_the_mean(second: float, factor: float) -> None:
    assert factors([1.0, second], window=1, least_fall=0.005)[-1] == factor
    assert factors([1.0, 0.9], window=1, least_fall=0.2)[-1] == 0.5


def test_a_negative_quantity_may_fall_too() -> None:
    assert factors([-1.0, -2.0, -2.0], window=1, factor=0.1) == pytest.approx([1, 1, 0.1])


def test_the_first_window_only_looks() -> None:
    assert factors([5.0, 5.0, 5.0], window=3) == [1, 1, 1]


def test_replicas_have_their_own() -> None:
    rule = RATES["plateau"](window=1)
    state = rule.initial_state((2,))
    for values in ([1.0, 1.0], [0.5, 2.0]):
        state = rule.observe(torch.tensor(values), state)
    assert state["factor"].tolist() == [1.0, 0.5]


# In a game

STALLED = {"name": "plateau", "window": 2, "least_fall": 100.0}


def test_both_players_obey_and_the_log_shows_it() -> None:
    session = session_of(recipe_with(None, {"rates": STALLED, "optimizers.generator.lr": 1e-3}))
    before = {name: player.learning_rates(0) for name, player in session.game.players.items()}
    play(session, 6)
    for name, player in session.game.players.items():
        assert player.learning_rates(6) == pytest.approx([rate / 4 for rate in before[name]])


def test_a_step_is_taken_with_the_rate_that_is_said() -> None:
    """Plain descent: the third window's steps are a quarter of what the same gradient would have moved."""
    sgd = {"optimizers": {"name": "sgd", "lr": 0.1}}
    ruled = session_of(recipe_with(None, {"rates": STALLED | {"window": 1}, **sgd}))
    play(ruled, 3)
    player = ruled.game.players["discriminator"]
    weight = next(iter(player.parameters.values()))
    before = weight.detach().clone()
    gradients = []
    step = player.descend

    def watched(norm: torch.Tensor, update: int) -> None:
        assert weight.grad is not None
        gradients.append(weight.grad.clone())
        step(norm, update)

    player.descend = watched  # type: ignore[method-assign]
    play(ruled, 1)
    torch.testing.assert_close(before - weight, 0.1 / 4 * gradients[0], rtol=1e-9, atol=1e-12)


def test_each_replica_falls_by_itself() -> None:
    recipe = recipe_with(None, {"rates": {"name": "plateau", "window": 2, "quantity": "generator/loss"}, "precision": "float64"})
    session = play(stacked_session(replicated(recipe)), 12)
    factor = session.game.states["rates"]["factor"]
    assert len(set(factor.tolist())) > 1
    for player in session.game.players.values():
        rates = player.learning_rates(0)
        assert rates == pytest.approx([2e-4 * float(one) for one in factor])


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    recipe = recipe_with(None, {"rates": STALLED})
    session = play(session_of(recipe), 5)
    write_checkpoint(tmp_path, session.snapshot(), keep=1)
    play(session, 4)
    resumed = session_of(recipe)
    resumed.restore(read_checkpoint(tmp_path))
    play(resumed, 4)
    assert differing(kept(session), kept(resumed)) == []
    assert float(resumed.game.states["rates"]["factor"]) == 0.125


def test_what_is_not_recorded_is_refused_by_its_name() -> None:
    with pytest.raises(InputError) as caught:
        load("gan", {"rates": {"name": "plateau", "quantity": "generator/convergence"}})
    (line,) = caught.value.problems
    assert line.startswith("rates.quantity: generator/convergence is not recorded at every update with vanilla")
    began = {"networks": "autoencoder", "objective": "began", "rates": {"name": "plateau", "quantity": "generator/convergence"}}
    assert load(began).rates is not None
