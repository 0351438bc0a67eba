"""BEGAN: the errors of an autoencoder, their balance k, the measure of convergence."""

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Judgement, Round, Sides, State
from saddlepoint.streams import Streams
from saddlepoint.turns.turn import Turn
from tests.battery.games import play, recipe_with, session_of

BEGAN = ("objectives", "began")
DISCRIMINATOR, GENERATOR = Turn(("discriminator",)), Turn(("generator",))


def round_of(real: float, fake: float, *movers: str) -> Round:
    """A round whose errors have these means."""
    spread = torch.tensor([[-0.1], [0.1]], dtype=torch.float64)
    return Round(
        lambda: Example(real + spread),
        lambda: Example(fake + spread),
        lambda example, features: judged(example.image),
        streams=Streams(0, dtype=torch.float64),
        clock={"discriminator": 0, "generator": 0},
        movers=[mover for mover in ("discriminator", "generator") if mover in movers],
    )


def judged(image: Tensor) -> Judgement:
    return Judgement(image.squeeze(-1), {})


def observed(state: State, real: float, fake: float, **fields: float) -> tuple[State, Round]:
    """After a turn of the discriminator on these reals, and one of the generator with these fakes."""
    objective = OBJECTIVES["began"](**fields)
    state = objective.observe(round_of(real, 77.0, "discriminator"), state)
    round = round_of(99.0, fake, "generator")
    return objective.observe(round, state), round


def at(k: float) -> State:
    return {"k": torch.tensor(k, dtype=torch.float64), "real": torch.tensor(0.0, dtype=torch.float64)}


def test_without_k_it_is_the_plain_autoencoder_and_fakes_give_no_gradient() -> None:
    real, fake = torch.rand(4, requires_grad=True), torch.rand(3, requires_grad=True)
    objective = OBJECTIVES["began"]()
    for state in (objective.initial_state(()), {}):
        sides = objective.discriminator(Sides(real, fake), state)
        assert sides.real is not None
        assert sides.fake is not None
        assert sides.real.equal(real)
        (slope,) = torch.autograd.grad(sides.fake.sum(), fake)
        assert slope.abs().max() == 0


def test_the_losses() -> None:
    real, fake = torch.tensor([0.5, 1.0]), torch.tensor([0.25, 0.75])
    sides = OBJECTIVES["began"]().discriminator(Sides(real, fake), at(0.4))
    assert sides.real is not None
    assert sides.fake is not None
    torch.testing.assert_close(sides.fake, torch.tensor([-0.1, -0.3]))
    wanted = OBJECTIVES["began"]().generator(Sides(fake=fake), at(0.4))
    assert wanted.real is None
    assert wanted.fake is not None
    assert wanted.fake.equal(fake)


def test_at_the_balance_k_stays_and_the_measure_is_the_reals_error() -> None:
    state, round = observed(at(0.3), real=0.8, fake=0.4)
    assert float(state["k"]) == pytest.approx(0.3, abs=1e-15)
    assert float(round.records["convergence"]) == pytest.approx(0.8)


@pytest.mark.parametrize(("real", "fake", "k"), [(1.0, 0.7, 0.298), (1.0, 0.3, 0.302), (2.0, 0.5, 0.305)])
def test_k_follows_the_gap_of_the_last_reals_and_these_fakes(real: float, fake: float, k: float) -> None:
    """`k + lambda (gamma E(x) - E(x~))` with lambda 0.01, gamma 0.5; `M = E(x) + |gap|`."""
    state, round = observed(at(0.3), real, fake, lambda_k=0.01)
    assert float(state["k"]) == pytest.approx(k, abs=1e-12)
    assert float(round.records["convergence"]) == pytest.approx(real + abs(0.5 * real - fake))


@pytest.mark.parametrize(("k", "fake", "end"), [(0.0, 5.0, 0.0), (1.0, 0.0, 1.0), (0.5, 900.0, 0.0), (0.5, -900.0, 1.0)])
def test_k_stays_between_0_and_1(k: float, fake: float, end: float) -> None:
    assert float(observed(at(k), 1.0, fake, lambda_k=0.1)[0]["k"]) == end


def test_a_perfect_discriminator_is_at_rest() -> None:
    state, round = observed(at(0.3), real=0.0, fake=0.0)
    assert (float(state["k"]), float(round.records["convergence"])) == pytest.approx((0.3, 0.0))


def test_a_turn_of_both_moves_k_once() -> None:
    objective = OBJECTIVES["began"](lambda_k=0.01)
    state = objective.observe(round_of(1.0, 0.3, "discriminator", "generator"), at(0.3))
    assert float(state["k"]) == pytest.approx(0.302, abs=1e-12)


def test_replicas_have_their_own() -> None:
    state = {"k": torch.tensor([0.0, 0.5]), "real": torch.tensor([0.0, 0.0])}
    sides = OBJECTIVES["began"]().discriminator(Sides(torch.ones(2, 3), torch.ones(2, 4)), state)
    assert sides.fake is not None
    assert sides.fake.tolist() == [[-0.0] * 4, [-0.5] * 4]


# In a game


def test_k_and_the_measure_are_those_of_the_games_own_errors() -> None:
    """Three discriminator turns for each of the generator's: the last reals count, k moves once an update."""
    session = session_of(recipe_with(BEGAN, {"schedule.discriminator_steps": 3, "objective.lambda_k": 0.1}))
    k = 0.0
    for _ in range(4):
        records = session.trainer.update(watched=True)
        real, fake = float(records["discriminator/loss real"]), float(records["generator/loss fake"])
        k = min(max(k + 0.1 * (0.5 * real - fake), 0.0), 1.0)
        assert float(session.game.states["objective"]["k"]) == pytest.approx(k, abs=1e-7)
        assert float(records["generator/convergence"]) == pytest.approx(real + abs(0.5 * real - fake), abs=1e-6)
    assert k > 0


def test_the_target_is_a_constant_for_the_discriminator_and_not_for_the_generator() -> None:
    session = play(session_of(recipe_with(BEGAN)), 1)
    game, streams = session.game, session.streams
    example = session.source.batch(streams, 5)
    for turn in (DISCRIMINATOR, GENERATOR):
        (mover,) = turn.movers
        round = game.round(turn, example, streams, watched=False)
        assert round.fake.image.requires_grad == (mover == "generator")
        game.players[mover].total(round).backward()
        (other,) = [player for name, player in game.players.items() if name != mover]
        assert all(parameter.grad is None for parameter in other.parameters.values())
        for parameter in game.players[mover].parameters.values():
            parameter.grad = None
    fake = game.generate(torch.randn(6, 2, dtype=torch.float64))
    (through_both,) = torch.autograd.grad(game.judge(Example(fake), False).scores.sum(), fake)
    copied = fake.detach().requires_grad_()
    code = copied
    for block in game.discriminator.blocks:
        code = block(code, False)
    (through_target,) = torch.autograd.grad((copied - game.discriminator.head(code).detach()).abs().mean(-1).sum(), copied)
    assert not torch.allclose(through_both, through_target)


# Refused


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        ({"objective": "began"}, "objective"),
        ({"networks": "autoencoder"}, "objective"),
        ({"data": "8-gaussians", "networks": "mlp-autoencoder", "objective": "hinge"}, "objective"),
        ({"networks": "autoencoder", "objective": "began", "weightings": {"generator": "wegan"}}, "weightings.generator"),
        ({"networks": "autoencoder", "objective": "began", "penalties": {"both": ["sdp"]}}, "penalties.both.0"),
        (
            {"networks": "autoencoder", "objective": "began", "gradients": {"combine": {"discriminator": "aw-gan"}}},
            "gradients.combine.discriminator",
        ),
    ],
)
def test_who_reads_a_score_otherwise_is_refused_in_a_line(recipe: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        load(recipe)
    (line,) = caught.value.problems
    assert line.startswith(f"{field}: ")


def test_what_it_goes_with() -> None:
    for recipe in (
        {"networks": "autoencoder", "objective": "began"},
        {"data": "8-gaussians", "networks": "mlp-autoencoder", "objective": "began", "penalties": {"both": ["r1", "r2"]}},
    ):
        assert load(recipe).objective.name == "began"
