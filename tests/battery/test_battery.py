"""What every entry of every registry answers to in a game: odd batches, pure losses, and weights of 0."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Round
from tests.battery.games import METHODS, Method, Passes, differing, kept, play, recipe_with, session_of

every_method = pytest.mark.parametrize("method", METHODS, ids=" ".join)


def test_how_many() -> None:
    assert len(METHODS) == len(set(METHODS)) >= 4 + 5 + 2 + 3 + 3 + 1 + 1


# Batches


@every_method
@pytest.mark.parametrize(("batch", "generator_batch"), [(1, 1), (1, 3), (5, 2)])
def test_it_trains_on_odd_batches(method: Method, batch: int, generator_batch: int) -> None:
    session = session_of(recipe_with(method, {"schedule.batch": batch, "schedule.generator_batch": generator_batch}))
    before = kept(session)
    play(session, 3)
    after = kept(session)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    moved = set(differing(before, after))
    for player in ("generator", "discriminator"):
        assert any(name.startswith(f"{player}/") for name in moved)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("sizes", [{"schedule.batch": 1}, {"schedule.generator_batch": 1}])
def test_one_sample_under_batch_norm_of_points_is_refused_by_name(player: str, sizes: dict[str, int]) -> None:
    normalization = {"generator": "none", "discriminator": "none", player: "batch"}
    with pytest.raises(InputError, match="batch"):
        load(recipe_with(), {"networks.normalization": normalization, **sizes})


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(("reals", "fakes"), [(1, 1), (1, 4), (5, 3)])
def test_a_batch_costs_the_mean_of_its_samples_alone(name: str, reals: int, fakes: int) -> None:
    """Each side by its own number: a mean over both together, or a broadcast of one over the other, is red."""
    session = session_of(recipe_with(("objectives", name)))
    real, fake = (session.source.batch(session.streams, n).image for n in (reals, fakes))

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        clock = {"discriminator": 0, "generator": 0}
        round = Round(lambda: Example(real), lambda: Example(fake), session.game.judge, streams=session.streams, clock=clock)
        return session.game.players["discriminator"].total(round)

    singly = torch.stack([loss(real[i : i + 1], fake[j : j + 1]) for i in range(reals) for j in range(fakes)])
    torch.testing.assert_close(loss(real, fake), singly.mean(), rtol=1e-12, atol=1e-14)


# Purity


@every_method
def test_a_loss_taken_twice_is_the_same_bits_and_changes_nothing(method: Method) -> None:
    session = play(session_of(recipe_with(method)), 2)
    before, state = kept(session), session.streams.state()
    losses: list[list[Tensor]] = []
    for _ in range(2):
        session.streams.load_state(state)
        losses.append([])
        for turn in session.game.turns:
            (mover,) = turn.movers
            round = session.game.round(turn, session.source.batch(session.streams, 5), session.streams, watched=True)
            losses[-1] += [session.game.players[mover].total(round).detach() for _ in range(2)]
    for first, again, later, last in zip(losses[0][::2], losses[0][1::2], losses[1][::2], losses[1][1::2], strict=True):
        assert torch.equal(first, again)
        assert torch.equal(first, later)
        assert torch.equal(first, last)
    assert differing(before, kept(session)) == []


def test_networks_settle_once_a_turn_in_which_they_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(recipe_with(None, {"schedule.discriminator_steps": 2}))
    calls: list[str] = []
    for name, network in (("D", session.game.discriminator), ("G", session.game.generator)):
        for what in ("observe", "forget"):
            monkeypatch.setattr(network, what, lambda call=f"{name} {what}": calls.append(call))
    play(session, 1)
    assert calls == ["D observe", "G forget", "D observe", "G forget", "D forget", "G observe"]


# Weights of 0


WHOSE = ("discriminator", "generator", "both")


def penalized(name: str, whose: str, weight: Any) -> dict[str, Any]:
    return recipe_with(None, {f"penalties.{whose}.0": {"name": name, "weight": weight}})


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("weight", [0, {"name": "after", "start": 4, "value": 1.0}, {"name": "linear", "start": 0.0, "end": 0.0}])
def test_weight_0_is_absence(name: str, whose: str, weight: Any) -> None:
    """To the bit over four updates, and without one pass more: on points both sides are judged in one."""
    arms = [session_of(recipe) for recipe in (recipe_with(), penalized(name, whose, weight))]
    passes = [Passes(session.game) for session in arms]
    absent, weightless = (kept(play(session, 4)) for session in arms)
    assert differing(absent, weightless) == []
    for mover, player in arms[1].game.players.items():
        assert player.needs({"discriminator": 3, "generator": 3}) == frozenset(), f"the {mover}'s passes are prepared for nothing"
    assert passes[0].by_turn == passes[1].by_turn == {"discriminator": [10] * 4, "generator": [5] * 4}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_weight_above_0_is_no_absence(name: str) -> None:
    absent, present = (kept(play(session_of(recipe), 4)) for recipe in (recipe_with(), penalized(name, "discriminator", 1)))
    assert differing(absent, present)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_third_update_costs_its_pass_every_third_update(name: str) -> None:
    session = session_of(penalized(name, "discriminator", {"name": "every", "period": 3, "value": 0.1}))
    passes = Passes(session.game)
    own = 1 if name in ("gradient", "wgan-gp") else 0  # the others look where the loss has looked
    for update in range(7):
        before = len(passes.by_turn["discriminator"])
        play(session, 1)
        assert len(passes.by_turn["discriminator"]) - before == 1 + (own if update % 3 == 0 else 0)
    assert len(passes.by_turn["discriminator"]) == 7 + own * math.ceil(7 / 3)
