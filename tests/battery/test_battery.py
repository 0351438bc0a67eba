"""What every entry of every registry answers to in a game: odd batches, pure losses, and weights of 0."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.games.players import Player
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.recipe.agreement import WEIGHED
from saddlepoint.rounds import Example, Mover, Round
from tests.battery.games import (
    METHODS,
    PARTS,
    Method,
    Passes,
    asked_by,
    differing,
    kept,
    networks_with,
    play,
    recipe_with,
    session_of,
)

every_method = pytest.mark.parametrize("method", METHODS, ids=" ".join)


def test_how_many() -> None:
    assert len(METHODS) == len(set(METHODS)) >= 12 + 5 + 2 + 5 + 3 + 1 + 1 + 1


# Batches


def in_pairs(method: Method) -> bool:
    """Whether it says that it needs as many reals as fakes."""
    room, name = method
    return room == "objectives" and OBJECTIVES[name].pairs


@every_method
@pytest.mark.parametrize(("batch", "generator_batch"), [(1, 1), (1, 3), (5, 2)])
def test_it_trains_on_odd_batches(method: Method, batch: int, generator_batch: int) -> None:
    sizes = {"schedule.batch": batch, "schedule.generator_batch": batch if in_pairs(method) else generator_batch}
    session = session_of(recipe_with(method, sizes))
    before = kept(session)
    play(session, 3)
    after = kept(session)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    moved = set(differing(before, after))
    for player in ("generator", "discriminator"):
        assert any(name.startswith(f"{player}/") for name in moved)


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
@pytest.mark.parametrize(("batch", "generator_batch"), [(1, 1), (1, 3), (5, 2)])
def test_a_part_of_networks_trains_on_odd_batches_or_refuses_them(part: Method, batch: int, generator_batch: int) -> None:
    sizes = {"schedule.batch": batch, "schedule.generator_batch": generator_batch}
    if (part[1] == "minibatch-stddev" and batch == 5) or (part[1] in ("batch", "spectral") and batch == 1):
        with pytest.raises(InputError, match=r"schedule\.batch"):
            load(recipe_with(None, networks_with(part) | {"schedule.batch": 4}), sizes)
        return
    session = session_of(recipe_with(None, networks_with(part) | sizes))
    before = kept(session)
    play(session, 3)
    after = kept(session)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    for player in ("generator", "discriminator"):
        assert any(name.startswith(f"{player}/") for name in differing(before, after))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("sizes", [{"schedule.batch": 1}, {"schedule.generator_batch": 1}])
def test_one_sample_under_batch_norm_of_points_is_refused_by_name(player: str, sizes: dict[str, int]) -> None:
    normalization = {"generator": "none", "discriminator": "none", player: "batch"}
    with pytest.raises(InputError, match="batch"):
        load(recipe_with(), {"networks.normalization": normalization, **sizes})


@pytest.mark.parametrize("name", [name for name, record in OBJECTIVES.items() if record.reads == "own" and not record.pairs])
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


def test_a_batch_of_pairs_costs_the_mean_of_its_pairs_alone() -> None:
    session = session_of(recipe_with(("objectives", "relativistic")))
    real, fake = (session.source.batch(session.streams, 5).image for _ in range(2))
    for player in session.game.players.values():

        def loss(real: Tensor, fake: Tensor, player: Player = player) -> Tensor:
            clock = {"discriminator": 0, "generator": 0}
            round = Round(lambda: Example(real), lambda: Example(fake), session.game.judge, streams=session.streams, clock=clock)
            return player.total(round)

        singly = torch.stack([loss(real[i : i + 1], fake[i : i + 1]) for i in range(5)])
        torch.testing.assert_close(loss(real, fake), singly.mean(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, record in OBJECTIVES.items() if record.pairs])
def test_unequal_sides_of_pairs_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError) as refused:
        load(recipe_with(None, {"objective": name}), ["batch=5", "generator_batch=3"])
    (line,) = refused.value.problems
    assert line.startswith(
        f"schedule.generator_batch: 3 fakes, and {name} compares each with a real of its own, of which there are 5;"
    )
    assert load(recipe_with(None, {"objective": name}), ["batch=5", "generator_batch=5"]).schedule.generator_batch == 5


@pytest.mark.parametrize("name", [name for name, record in OBJECTIVES.items() if record.reads_scores_as == "realness"])
@pytest.mark.parametrize("field", WEIGHED)
def test_a_weighting_of_losses_that_are_not_there_is_refused_in_one_line(name: str, field: str) -> None:
    player, side = WEIGHED[field]
    raw = recipe_with(("objectives", name)) | {"weightings": {field: "wegan"}}
    if side in OBJECTIVES[name].carries[player]:
        session = session_of(raw)
        play(session, 1)
        weighting = dict(load(raw).weightings)[field]
        assert session.game.players[player].weightings == {side: weighting}
        return
    with pytest.raises(InputError) as refused:
        load(raw)
    (line,) = refused.value.problems
    assert line.startswith(f"weightings.{field}: wegan weighs the {player}'s losses of {side}s, and {name} has none there; ")


COMPARING = [name for name, record in OBJECTIVES.items() if record.pairs or record.reads == "everyone"]


@pytest.mark.parametrize("name", [name for name in COMPARING if not OBJECTIVES[name].needs_log_probability])
def test_a_fake_cannot_be_given_the_loss_of_a_real_where_losses_compare_samples(name: str) -> None:
    with pytest.raises(InputError) as refused:
        load(recipe_with(None, {"objective": name}), ["relabelling=fake-can-be-real"])
    (line,) = refused.value.problems
    assert line.startswith(
        f"relabelling: fake-can-be-real gives a fake the loss of a real, and the losses of {name} compare samples"
    )


def test_what_an_objective_shows_is_in_the_log_of_a_watched_update() -> None:
    """PU-GAN's share at each update by its schedule, of the discriminator's updates; f-GAN's clamped scores of both players."""
    share = {"name": "linear", "start": 0.0, "end": 0.8, "last": 8}
    session = session_of(recipe_with(None, {"objective": {"name": "pu-gan", "share": share}, "schedule.discriminator_steps": 2}))
    shown = [float(session.trainer.update(watched=True)["discriminator/share of good fakes"]) for _ in range(5)]
    assert shown == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.8])
    clamped = session_of(recipe_with(None, {"objective": {"name": "f-gan", "clamp": 1e-9}})).trainer.update(watched=True)
    assert {name: float(value) for name, value in clamped.items() if name.endswith("clamped scores")} == {
        "discriminator/clamped scores": 1.0,
        "generator/clamped scores": 1.0,
    }
    assert not any("share of" in name for name in session.trainer.update())


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
            round = session.game.round(turn, session.source.batch(session.streams, 5), session.streams, watched=True)
            losses[-1] += [session.game.players[mover].total(round).detach() for mover in turn.movers for _ in range(2)]
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
CARRIED = [(name, "both") for name in PENALTIES if len(PENALTIES[name].players) == 2]
CARRIED += [(name, player) for name in PENALTIES for player in PENALTIES[name].players]
NOT_CARRIED = [(name, whose) for name in PENALTIES for whose in WHOSE if (name, whose) not in CARRIED]


def penalized(name: str, whose: str, weight: Any) -> dict[str, Any]:
    asked = asked_by(("penalties", name))
    return recipe_with(None, {f"penalties.{whose}.0": {"name": name, "weight": weight}, **asked})


@pytest.mark.parametrize(("name", "whose"), NOT_CARRIED)
def test_a_player_who_may_not_carry_it_is_told_who_may(name: str, whose: str) -> None:
    with pytest.raises(InputError) as refused:
        penalized(name, whose, 1)
    (owner,) = PENALTIES[name].players
    assert refused.value.problems == (f"penalties.{whose}.0: {name} is a term of the {owner}'s loss; list it in penalties.{owner}",)


@pytest.mark.parametrize(("name", "whose"), CARRIED)
@pytest.mark.parametrize("weight", [0, {"name": "after", "start": 4, "value": 1.0}, {"name": "linear", "start": 0.0, "end": 0.0}])
def test_weight_0_is_absence(name: str, whose: str, weight: Any) -> None:
    """To the bit over four updates, and without one pass more: on points both sides are judged in one."""
    plain = recipe_with(None, asked_by(("penalties", name)))
    arms = [session_of(recipe) for recipe in (plain, penalized(name, whose, weight))]
    passes = [Passes(session.game) for session in arms]
    absent, weightless = (kept(play(session, 4)) for session in arms)
    # A term may remember what it saw while it was absent, and shows nobody.
    assert [what for what in differing(absent, weightless) if not what.startswith("training/state/")] == []
    for mover, player in arms[1].game.players.items():
        assert player.needs({"discriminator": 3, "generator": 3}) == frozenset(), f"the {mover}'s passes are prepared for nothing"
    sides = [5, 5] if arms[0].game.discriminator.drops else [10]
    assert passes[0].by_turn == passes[1].by_turn == {"discriminator": sides * 4, "generator": [5] * 4}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_weight_above_0_is_no_absence(name: str) -> None:
    plain, (whose, *_) = recipe_with(None, asked_by(("penalties", name))), PENALTIES[name].players
    absent, present = (kept(play(session_of(recipe), 4)) for recipe in (plain, penalized(name, whose, 1)))
    assert differing(absent, present)


# Samples of each pass that a penalty costs, in a batch of 5: in the discriminator's turn, and in the generator's.
COSTS: dict[str, tuple[list[int], list[int]]] = {
    "gradient": ([5], [5]),
    "wgan-gp": ([5], [5]),
    "r1": ([], [5]),
    "r2": ([], []),
    "0-gp": ([5], [5]),
    "dragan": ([5], [5]),
    "sdp": ([], [5]),
    "ct": ([5], []),
    "drift": ([], []),
    "lecam": ([], []),
    "historical-averaging": ([], []),
    "orthogonal": ([], []),
    "cr": ([5], []),
    "bcr": ([5, 5], []),
    "zcr": ([5], []),
    "zcr-generator": ([], []),
    "feature-matching": ([], [5]),
    "path-length": ([], []),
}
# Judged are only the reals that it chose.
FEWER = ("sdp",)


def test_what_every_penalty_costs_is_known() -> None:
    assert list(COSTS) == list(PENALTIES)


@pytest.mark.parametrize(("name", "turn"), [(name, turn) for name in COSTS for turn in PENALTIES[name].players])
def test_it_costs_its_passes_when_it_is_due(name: str, turn: Mover) -> None:
    """Every third update, in the turn of the player that carries it: beside one pass a side, on points one for both."""
    session = session_of(penalized(name, turn, {"name": "every", "period": 3, "value": 0.1}))
    passes = Passes(session.game)
    sides = [5, 5] if session.game.discriminator.drops else [10]
    for update in range(7):
        for judged in passes.by_turn.values():
            judged.clear()
        play(session, 1)
        expected = {"discriminator": sides, "generator": [5]}
        own = COSTS[name][0 if turn == "discriminator" else 1] if update % 3 == 0 else []
        if own and name in FEWER:
            own = [passes.by_turn[turn][-1]]
            assert own[0] <= 5
        expected[turn] = expected[turn] + own
        assert passes.by_turn == expected, update
