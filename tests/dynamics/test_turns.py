"""How a round goes: who moves, on what batch, from where, and what moves with it; taken up again to the same bits."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.recipe import load
from saddlepoint.training.session import Session
from saddlepoint.turns import TURNS
from saddlepoint.turns.turn import Turn
from tests.battery.games import Passes, differing, kept, play, recipe_with, session_of

PLAYERS = ("generator", "discriminator")
SGD = {"optimizers": {"name": "sgd", "lr": 0.05}}
ADAM = {"optimizers": {"name": "adam", "lr": 1e-2, "betas": [0.5, 0.9]}}
LAZY = {"name": "r1", "weight": {"name": "every", "period": 3, "value": 0.5, "turn": "own"}}
WAYS: dict[str, dict[str, Any]] = {
    "simultaneous": {"turns": "simultaneous"},
    "extragradient": {"turns": "extragradient"},
    "extragradient, adam": {"turns": "extragradient", **ADAM},
    "from the past": {"turns": "extragradient-from-the-past"},
    "lookahead": {"slow_weights": {"k": 3}},
    "lookahead, nested, extragradient": {"turns": "extragradient", "slow_weights": {"k": 2, "nested": 4}},
    "lazy": {"penalties.discriminator.0": LAZY},
    "lazy, simultaneous": {"penalties.discriminator.0": LAZY, "turns": "simultaneous"},
    "optimistic": {"optimizers": {"name": "optimistic-adam", "lr": 1e-3}},
}


def weights(session: Session) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in kept(session).items() if name.split("/")[0] in PLAYERS}


def ways(**fields: Any) -> Session:
    return session_of(recipe_with(None, fields))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("stop", [1, 4])
def test_taken_up_again_it_ends_with_the_same_bits(name: str, stop: int) -> None:
    fields = {"networks.normalization.generator": "batch", **WAYS[name]}
    through, stopped, resumed = ways(**fields), ways(**fields), ways(**fields)
    play(through, 9)
    snapshot = play(stopped, stop).snapshot().clone()
    resumed.restore(snapshot)
    assert differing(kept(stopped), kept(resumed)) == []
    play(resumed, 9 - stop)
    assert differing(kept(through), kept(resumed)) == []
    assert (through.images, through.streams.state()) == (resumed.images, resumed.streams.state())
    assert not any("start" in name for name in snapshot.tensors["training"]), "where the round began is in no checkpoint"


def test_alternating_is_what_it_was() -> None:
    """The first player steps, then the other against it."""
    session, by_hand = ways(**SGD), ways(**SGD)
    play(session, 3)
    for _ in range(3):
        for turn in TURNS["alternating"]().turns(1):
            by_hand.trainer.step(turn)
        by_hand.trainer.average.update(by_hand.trainer.updates) if by_hand.trainer.average is not None else None
        by_hand.trainer.updates += 1
    assert differing(kept(session), kept(by_hand)) == []


def test_simultaneous_steps_are_from_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each player moves as it would if the other did not: only then does the second one's gradient not know the first's step."""
    together = play(ways(turns="simultaneous", **SGD), 1)
    for player in PLAYERS:
        alone = ways(turns="simultaneous", **SGD)
        other = next(name for name in PLAYERS if name != player)
        still = next(player for name, player in alone.game.players.items() if name == other)

        def stay(norm: Tensor, update: int, still: Any = still) -> None:
            for parameter in still.parameters.values():
                parameter.grad = None

        monkeypatch.setattr(still, "descend", stay)
        play(alone, 1)
        moved = set(differing(weights(together), weights(alone)))
        assert all(name.startswith(f"{other}/") for name in moved)
        assert moved


def test_simultaneous_play_judges_once_for_both() -> None:
    session = ways(turns="simultaneous")
    passes = Passes(session.game)
    play(session, 4)
    assert sum(len(sizes) for sizes in passes.by_turn.values()) == 4


def test_extragradient_is_its_two_lines() -> None:
    """Against the gradients taken by hand at w and at w', with the draws of each half-step."""
    session, hand = ways(turns="extragradient", **SGD), ways(turns="extragradient", **SGD)
    play(session, 2)
    game, streams = hand.game, hand.streams
    everything = [parameter for player in game.players.values() for parameter in player.parameters.values()]

    def gradients() -> list[Tensor]:
        turn = game.turns[0]
        round = game.round(turn, hand.source.batch(streams, 5), streams, watched=False)
        found: list[Tensor] = []
        for player in game.players.values():
            found += torch.autograd.grad(player.total(round), [*player.parameters.values()], retain_graph=True)
        return found

    for _ in range(2):
        start = [parameter.detach().clone() for parameter in everything]
        for _ in range(2):
            step = gradients()
            with torch.no_grad():
                for parameter, begun, gradient in zip(everything, start, step, strict=True):
                    parameter.copy_(begun - 0.05 * gradient)
    for name, tensor in weights(session).items():
        torch.testing.assert_close(tensor, weights(hand)[name], rtol=1e-12, atol=1e-14)


def test_extra_adam_counts_both_half_steps() -> None:
    session = play(ways(turns="extragradient", **ADAM), 3)
    steps = [tensor for name, tensor in kept(session).items() if name.endswith(".step")]
    assert steps
    assert {float(step) for step in steps} == {6.0}
    assert {player.updates for player in session.game.players.values()} == {3}


@pytest.mark.parametrize(("turns", "images"), [("alternating", 3 * 5), ("simultaneous", 3 * 5), ("extragradient", 6 * 5)])
def test_each_half_step_has_a_new_batch(turns: str, images: int) -> None:
    assert play(ways(turns=turns), 3).images == images


def test_from_the_past_takes_one_gradient_a_round_but_the_first() -> None:
    assert play(ways(turns="extragradient-from-the-past"), 3).images == (3 + 1) * 5


@pytest.mark.parametrize("turns", ["extragradient", "extragradient-from-the-past"])
def test_under_a_constant_gradient_it_is_plain_descent(turns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [ways(turns=way, **SGD) for way in (turns, "simultaneous")]
    for session in sessions:
        for player in session.game.players.values():
            descend = player.descend

            def constant(norm: Tensor, update: int, player: Any = player, descend: Any = descend) -> None:
                for parameter in player.parameters.values():
                    parameter.grad = torch.full_like(parameter, 0.5)
                descend(norm, update)

            monkeypatch.setattr(player, "descend", constant)
        play(session, 4)
    for name, tensor in weights(sessions[0]).items():
        torch.testing.assert_close(tensor, weights(sessions[1])[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("turns", ["extragradient", "extragradient-from-the-past"])
def test_buffers_and_projections_follow_the_second_half_step_only(turns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clipped = {"projections.discriminator.0": {"name": "weight-clipping", "bound": 0.05}}
    session = ways(turns=turns, **clipped, **SGD)
    calls: list[str] = []
    for name, network in (("D", session.game.discriminator), ("G", session.game.generator)):
        for what in ("observe", "forget"):
            monkeypatch.setattr(network, what, lambda call=f"{name} {what}": calls.append(call))
    for name, player in session.game.players.items():

        def project(name: str = name, project: Any = player.project) -> None:
            calls.append(f"{name} projects")
            project()

        monkeypatch.setattr(player, "project", project)
    play(session, 1)
    assert calls == ["D forget", "G forget", "discriminator projects", "generator projects", "D observe", "G observe"]
    assert max(float(p.detach().abs().max()) for p in session.game.players["discriminator"].parameters.values()) <= 0.05


# Lookahead


@pytest.mark.parametrize("slow", [{"k": 2, "alpha": 1.0}, {"k": 1000}, {"k": 2, "alpha": 1.0, "nested": 4}])
@pytest.mark.parametrize("turns", ["alternating", "extragradient"])
def test_lookahead_that_does_nothing_is_the_base_to_the_bit(slow: dict[str, Any], turns: str) -> None:
    plain, with_slow = play(ways(turns=turns), 8), play(ways(turns=turns, slow_weights=slow), 8)
    assert differing(weights(plain), weights(with_slow)) == []


def test_alpha_0_never_leaves_the_start() -> None:
    session = ways(slow_weights={"k": 3, "alpha": 0.0})
    before = weights(session)
    play(session, 2)
    assert differing(before, weights(session))
    play(session, 1)
    assert differing(before, weights(session)) == []


def test_the_nested_copy_follows_at_its_own_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ways(slow_weights={"k": 2, "alpha": 0.5, "nested": 4})
    (start, *_) = [tensor.clone() for tensor in session.game.generator.parameters()]
    player = session.game.players["generator"]

    def first() -> Tensor:
        return next(iter(player.parameters.values())).detach().clone()

    play(session, 3)
    slow = next(iter(player.kept["slow"].values())).clone()
    moves: list[Tensor] = []

    def end(rounds: int, end: Any = session.game.end) -> bool:
        moves.append(first())
        ended: bool = end(rounds)
        return ended

    monkeypatch.setattr(session.game, "end", end)
    play(session, 1)
    inner = slow + 0.5 * (moves[0] - slow)
    torch.testing.assert_close(first(), start + 0.5 * (inner - start), rtol=1e-12, atol=1e-14)
    assert torch.equal(next(iter(player.kept["slow"].values())), first())


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_samples_are_of_slow_weights(decay: float) -> None:
    session = ways(slow_weights={"k": 3}, **{"average.decay": decay})
    before = [tensor.clone() for tensor in session.sampled.parameters()]
    play(session, 2)
    assert all(torch.equal(now, then) for now, then in zip(session.sampled.parameters(), before, strict=True))
    play(session, 1)
    for now, then, slow in zip(session.sampled.parameters(), before, session.game.generator.parameters(), strict=True):
        torch.testing.assert_close(now, decay * then + (1 - decay) * slow, rtol=1e-12, atol=1e-14)
    play(session, 1)
    assert session.recipe.averaged


# Turns of their own


def test_a_lazy_turn_is_a_step_of_the_penalty_alone() -> None:
    """n times its weight, the rate times c and the betas to the power c, c = n / (n + 1); the loss in the shared turns only."""
    session = ways(**{"penalties.discriminator.0": LAZY, **ADAM})
    player = session.game.players["discriminator"]
    (share,) = player.shares
    c = 3 / 4
    assert share.optimizer.param_groups[0]["betas"] == (0.5**c, 0.9**c)
    assert share.learning_rate(0) == pytest.approx(c * 1e-2)
    assert session.game.players["generator"].shares[0].optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    main, own, _ = session.game.turns
    assert (own.movers, own.every, own.penalties) == (("discriminator",), 3, frozenset({0}))
    round = session.game.round(own, session.source.batch(session.streams, 5), session.streams, watched=False)
    total = player.losses(round, own.penalties).total
    penalty = player.penalties[0](round)
    torch.testing.assert_close(total, 3 * 0.5 * penalty)
    assert player.due({"discriminator": 0, "generator": 0}) == []
    assert main.penalties == frozenset()


def test_lazy_turns_come_every_n_updates_after_their_players_update(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ways(**{"penalties.discriminator.0": LAZY})
    steps: list[tuple[tuple[str, ...], bool]] = []

    def step(turn: Turn, step: Any = session.trainer.step, **more: Any) -> dict[str, Tensor]:
        steps.append((turn.movers, bool(turn.penalties)))
        noted: dict[str, Tensor] = step(turn, **more)
        return noted

    monkeypatch.setattr(session.trainer, "step", step)
    play(session, 4)
    d, lazy, g = (("discriminator",), False), (("discriminator",), True), (("generator",), False)
    assert steps == [d, lazy, g, d, g, d, g, d, lazy, g]
    assert session.images == 4 * 5
    assert session.game.players["discriminator"].updates == 4
    records = session.trainer.update(watched=True)
    assert "discriminator/penalty r1" in records
    assert "discriminator/score held-out" in records


def test_lazy_of_one_is_plain() -> None:
    plain = {"name": "r1", "weight": 0.5}
    lazy = {"name": "r1", "weight": {"name": "every", "period": 1, "value": 0.5, "turn": "own"}}
    one, other = (play(ways(**{"penalties.discriminator.0": penalty}), 4) for penalty in (plain, lazy))
    assert differing(kept(one), kept(other)) == []


def test_lazy_of_weight_0_is_absent() -> None:
    absent = {"name": "r1", "weight": {"name": "every", "period": 2, "value": 0, "turn": "own"}}
    one, other = (play(ways(**{"penalties.discriminator": penalties}), 4) for penalties in ([], [absent]))
    assert differing(weights(one), weights(other)) == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"turns": "extragradient", "schedule.discriminator_steps": 5}, "schedule.discriminator_steps: 5 steps, and under extra"),
        ({"turns": "simultaneous", "schedule.discriminator_steps": 2}, "set it to 1, or turns to alternating"),
        ({"turns": "extragradient", "optimizers": "optimistic-adam"}, "optimizers.discriminator: optimistic-adam looks ahead"),
        ({"turns": "extragradient", "penalties.discriminator.0": LAZY}, "would not be extrapolated"),
        ({"optimizers": "optimistic-adam", "penalties.both.0": LAZY}, "optimistic-adam would take the next step's direction"),
        ({"schedule.discriminator_steps": 2, "penalties.discriminator.0": LAZY}, "the discriminator makes 2 updates in each"),
        ({"slow_weights": {"k": 5, "nested": 7}}, "should be a multiple of k, 5"),
        ({"turns": "extragardient"}, "extragradient"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields: dict[str, Any], wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        load(recipe_with(), fields)
    assert any(wanted in problem for problem in caught.value.problems), caught.value.problems
    assert all("\n" not in problem for problem in caught.value.problems)


def test_replicas_take_their_own_turns_together() -> None:
    listed = [{"name": "every", "period": period, "value": 1.0, "turn": "own"} for period in (2, 3)]
    with pytest.raises(InputError, match="comes at other updates"):
        load(recipe_with(None, {"penalties.discriminator.0": {"name": "r1", "weight": listed}}))
