"""Historical averaging: which parameters are averaged, when, and that they hold a game which would circle outwards."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import EMPTY, Example, Judgement, Learned, Mover, Round, State
from saddlepoint.streams import Streams
from saddlepoint.training.checkpoints import read_checkpoint, write_checkpoint
from saddlepoint.training.session import Session
from saddlepoint.turns.turn import Turn
from tests.battery.games import differing, kept, play, recipe_with, session_of


class Point(nn.Module):
    """A player that is a point of the plane and a number; as a discriminator it says nothing."""

    def __init__(self, place: Tensor, number: Tensor) -> None:
        super().__init__()
        self.place, self.number = nn.Parameter(place), nn.Parameter(number)

    def forward(self, image: Tensor) -> Tensor:
        return image.sum(-1)


def walk(turns: int) -> list[tuple[Tensor, Tensor]]:
    """Where a player is as it enters each turn."""
    draws = torch.Generator().manual_seed(3)
    return [
        (torch.randn(2, generator=draws, dtype=torch.float64), torch.randn((), generator=draws, dtype=torch.float64))
        for _ in range(turns)
    ]


def round_with(player: nn.Module) -> Round:
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    return Round.of(real=nothing, fake=nothing, discriminator=player)


def turn(player: Point, state: State, to: tuple[Tensor, Tensor], **fields: object) -> tuple[Tensor, State]:
    """The penalty as the turn's loss has it, and what is remembered once the player has moved."""
    averaging = PENALTIES["historical-averaging"](**fields)
    round = round_with(player)
    value = averaging(round, state)
    with torch.no_grad():
        player.place.copy_(to[0])
        player.number.copy_(to[1])
    return value, averaging.observe(round, state)


@pytest.mark.parametrize("window", [None, 1, 3, 100])
def test_the_mean_is_of_all_turns_so_far_by_loops(window: int | None) -> None:
    """`theta_bar += (theta - theta_bar) / min(t, window)`, before it is used."""
    places = walk(9)
    player, mean = Point(*(tensor.clone() for tensor in places[0])), [tensor.clone() for tensor in places[0]]
    state = PENALTIES["historical-averaging"](window=window).initial_state_from(dict(player.named_parameters()), ())
    for t, (here, there) in enumerate(pairwise(places), 1):
        for which, tensor in enumerate(here):
            mean[which] = mean[which] + (tensor - mean[which]) / min(t, window or t)
        expected = sum(float((tensor - mean[which]).square().sum()) for which, tensor in enumerate(here))
        value, state = turn(player, state, there, window=window)
        assert float(value.detach()) == pytest.approx(expected, abs=1e-12)
        if window is None:
            whole = [torch.stack([place[which] for place in places[:t]]).mean(0) for which in (0, 1)]
            torch.testing.assert_close(mean, whole, rtol=0, atol=1e-12)


def test_the_first_turn_costs_nothing() -> None:
    player = Point(torch.tensor([1.0, 2.0]), torch.tensor(3.0))
    averaging = PENALTIES["historical-averaging"]()
    value = averaging(round_with(player), averaging.initial_state_from(dict(player.named_parameters()), ()))
    torch.autograd.backward(value)
    assert value.item() == 0
    assert torch.equal(player.place.grad, torch.zeros(2))  # type: ignore[arg-type]


def test_its_gradient_is_twice_the_distance() -> None:
    player, (first, second) = Point(*(tensor.clone() for tensor in walk(1)[0])), walk(2)
    averaging = PENALTIES["historical-averaging"](weight=5)
    state = averaging.initial_state_from(dict(player.named_parameters()), ())
    _, state = turn(player, state, second)
    on_place, on_number = torch.autograd.grad(averaging(round_with(player), state), [player.place, player.number])
    torch.testing.assert_close(on_place, second[0] - first[0], rtol=0, atol=1e-12)  # the mean is half-way
    torch.testing.assert_close(on_number, second[1] - first[1], rtol=0, atol=1e-12)


def test_each_replica_has_its_own_sum() -> None:
    parameters = {"weight": torch.randn(3, 4, 2, dtype=torch.float64), "bias": torch.randn(3, dtype=torch.float64)}
    moved = {name: tensor + torch.arange(3.0).reshape(3, *(1,) * (tensor.ndim - 1)) for name, tensor in parameters.items()}
    averaging = PENALTIES["historical-averaging"]()
    round = Round(
        lambda: Example(torch.zeros(3, 1)),
        lambda: Example(torch.zeros(3, 1)),
        lambda example, features: Judgement(example.image, {}),
        streams=Streams([0, 1, 2]),
        clock={"discriminator": 0, "generator": 0},
        needs=averaging.needs,
        learned={"discriminator": Learned(moved, lambda: EMPTY)},
    )
    state = averaging.initial_state_from(parameters, (3,))
    torch.testing.assert_close(averaging(round, state), torch.tensor([0.0, 9.0, 36.0], dtype=torch.float64))
    after = averaging.observe(round, state)
    torch.testing.assert_close(averaging(round, after), torch.tensor([0.0, 9.0, 36.0], dtype=torch.float64) / 4)
    assert after["turns"].tolist() == [2, 2, 2]


def radius(weight: float, steps: int, window: int | None = None) -> float:
    """min over x, max over y of x y, simultaneous steps of .1 from (1, 1)."""
    averaging = PENALTIES["historical-averaging"](weight=weight, window=window)
    players = [Point(torch.zeros(2, dtype=torch.float64), torch.ones((), dtype=torch.float64)) for _ in range(2)]
    states = [averaging.initial_state_from(dict(player.named_parameters()), ()) for player in players]
    for _ in range(steps):
        (x, y), rounds = players, [round_with(player) for player in players]
        product = x.number * y.number
        losses = [
            product * sign + averaging.weight(0) * averaging(round, state)
            for sign, round, state in zip((1, -1), rounds, states, strict=True)
        ]
        slopes = [
            torch.autograd.grad(loss, player.number, retain_graph=True)[0] for loss, player in zip(losses, players, strict=True)
        ]
        with torch.no_grad():
            for player, slope in zip(players, slopes, strict=True):
                player.number.sub_(0.1 * slope)
        states = [averaging.observe(round, state) for round, state in zip(rounds, states, strict=True)]
    return math.hypot(*(float(player.number.detach()) for player in players))


def test_the_bilinear_game_grows_without_it_and_shrinks_with_it() -> None:
    """Plain descent grows by sqrt(1.01) a step; with lambda 1 the radius is about .51 after 2,000."""
    assert radius(0.0, 100) == pytest.approx(math.sqrt(2) * 1.01**50, rel=1e-9)
    assert radius(1.0, 2000) == pytest.approx(0.51, abs=0.01)


# In a game


AVERAGED = {"name": "historical-averaging", "weight": 0.1}


def means_of(session: Session, player: str, number: int = 0) -> dict[str, Tensor]:
    state = session.game.states[f"{player}/penalty {number}"]
    return {name.removeprefix("mean of "): tensor for name, tensor in state.items() if name != "turns"}


def test_each_player_remembers_its_own_parameters() -> None:
    session = session_of(recipe_with(None, {"penalties.both.0": AVERAGED, "schedule.discriminator_steps": 2}))
    seen: dict[Mover, list[dict[str, Tensor]]] = {"generator": [], "discriminator": []}
    for turn in session.game.turns * 3:
        for _ in range(turn.times):
            (mover,) = turn.movers
            seen[mover].append({name: p.detach().clone() for name, p in session.game.players[mover].parameters.items()})
            session.trainer.step(turn)
    for mover, entered in seen.items():
        last = {name: p.detach() for name, p in session.game.players[mover].parameters.items()}
        whole = {name: torch.stack([was[name] for was in [*entered, last]]).mean(0) for name in last}
        torch.testing.assert_close(means_of(session, mover), whole, rtol=0, atol=1e-12)


def test_in_a_turn_of_both_each_remembers_its_own() -> None:
    session = session_of(recipe_with(None, {"penalties.both.0": AVERAGED}))
    entered = {
        mover: {name: p.detach().clone() for name, p in player.parameters.items()} for mover, player in session.game.players.items()
    }
    session.trainer.step(Turn(("discriminator", "generator")))
    for mover, player in session.game.players.items():
        half = {name: (entered[mover][name] + p.detach()) / 2 for name, p in player.parameters.items()}
        torch.testing.assert_close(means_of(session, mover), half, rtol=0, atol=1e-12)


def test_it_remembers_also_in_the_turns_in_which_it_is_not_due() -> None:
    lazy = {"name": "historical-averaging", "weight": {"name": "every", "period": 3, "value": 0.0}}
    absent = session_of(recipe_with(None, {"penalties.discriminator.0": lazy}))
    always = session_of(recipe_with(None, {"penalties.discriminator.0": {**AVERAGED, "weight": 0}}))
    for session in (absent, always):
        play(session, 4)
        assert float(session.game.states["discriminator/penalty 0"]["turns"]) == 5
    torch.testing.assert_close(means_of(absent, "discriminator"), means_of(always, "discriminator"), rtol=0, atol=0)


def test_a_warm_start_begins_at_the_weights_it_was_given() -> None:
    donor = play(session_of(recipe_with(None, {"seed": 5})), 2)
    warm = session_of(recipe_with(None, {"penalties.both.0": AVERAGED}))
    warm.load_weights(donor.snapshot())
    for mover, player in donor.game.players.items():
        expected = {name: p.detach() for name, p in player.parameters.items()}
        torch.testing.assert_close(means_of(warm, mover), expected, rtol=0, atol=0)


def test_what_is_remembered_survives_a_checkpoint(tmp_path: Path) -> None:
    recipe = recipe_with(None, {"penalties.both.0": AVERAGED})
    session, resumed = play(session_of(recipe), 3), session_of(recipe)
    write_checkpoint(tmp_path, session.snapshot(), keep=1)
    resumed.restore(read_checkpoint(tmp_path))
    assert differing(kept(session), kept(resumed)) == []
    assert differing(kept(play(session, 2)), kept(play(resumed, 2))) == []


def test_a_module_without_parameters_is_refused() -> None:
    averaging = PENALTIES["historical-averaging"]()
    nothing = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="the parameters of the discriminator are needed and absent"):
        averaging(Round.of(real=nothing, fake=nothing, discriminator=lambda x: x.sum(-1)))
