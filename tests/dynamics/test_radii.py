"""What each stabiliser does on the smallest games, in the figures that its paper or exact arithmetic gives."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tests.dynamics.games import BILINEAR, DIRAC, place, players, radii, session_of

MARKS = (500, 1000, 2000)
NON_SATURATING = {**DIRAC, "objective": "vanilla"}


def optimistic(lr: float = 0.1) -> dict[str, Any]:
    return {"optimizers": {"name": "optimistic-mirror-descent", "lr": lr}}


def r1(gamma: float) -> dict[str, Any]:
    return {"penalties.discriminator": [{"name": "r1", "weight": gamma / 2}]}


# Radii after 500, 1,000 and 2,000 updates, to the digits in which they are known; nothing where none is.
FIGURES: dict[str, tuple[Mapping[str, Any], dict[str, Any], tuple[float | None, float | None, float | None]]] = {
    "plain": (BILINEAR, {}, (None, None, 29641)),
    "optimistic": (BILINEAR, optimistic(), (0.113, 0.009, 5.6e-5)),
    "extragradient": (BILINEAR, {"turns": "extragradient"}, (0.118, 0.0098, 6.8e-5)),
    "from the past": (BILINEAR, {"turns": "extragradient-from-the-past"}, (0.112, 0.0088, 5.5e-5)),
    "lookahead": (BILINEAR, {"slow_weights": "lookahead"}, (None, 0.033, None)),
    "lookahead, k 10": (BILINEAR, {"slow_weights": {"k": 10}}, (None, 4e-5, None)),
    "lookahead, alpha .8": (BILINEAR, {"slow_weights": {"alpha": 0.8}}, (None, None, 1.66)),
    "lookahead, alternating": (BILINEAR, {"turns": "alternating", "slow_weights": "lookahead"}, (None, 0.0025, None)),
    "saturating": (DIRAC, {}, (None, 2.76, None)),
    "non-saturating": (NON_SATURATING, {}, (None, 0.47, None)),
    "r1 .1": (DIRAC, r1(0.1), (None, 0.035, None)),
    "r1 .1, non-saturating": (NON_SATURATING, r1(0.1), (None, 0.015, None)),
    "r1 .3": (DIRAC, r1(0.3), (None, 1e-6, None)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_radius_is_the_specifications(name: str) -> None:
    game, fields, figures = FIGURES[name]
    marks = [mark for mark, figure in zip(MARKS, figures, strict=True) if figure is not None]
    wanted = [figure for figure in figures if figure is not None]
    for found, figure in zip(radii(session_of(game, **fields), *marks), wanted, strict=True):
        digits = len(f"{figure:g}".split("e")[0].replace(".", "").lstrip("0"))
        assert float(f"{found:.{digits}g}") == figure


def test_r1_of_1_ends_at_the_equilibrium() -> None:
    """Where the flow's eigenvalues are real."""
    assert radii(session_of(DIRAC, **r1(1.0)), 1000)[0] < 1e-19


@pytest.mark.parametrize("name", ["r2", "gradient"])
def test_every_zero_centred_penalty_is_r1_here(name: str) -> None:
    """The slope is the input gradient wherever one looks."""
    penalty = {"name": "gradient", "centre": 0.0, "at": "interpolates"} if name == "gradient" else {"name": name}
    one, other = session_of(DIRAC, **r1(0.3)), session_of(DIRAC, **{"penalties.discriminator": [{**penalty, "weight": 0.15}]})
    radii(one, 50), radii(other, 50)
    torch.testing.assert_close(place(one), place(other), rtol=1e-12, atol=0)


def test_the_flow_of_the_saturating_game_circles_and_its_steps_run_away() -> None:
    first, second = radii(session_of(DIRAC), 100, 200)
    assert math.sqrt(2) < first < second
    smaller = radii(session_of(DIRAC, optimizers={"name": "sgd", "lr": 0.01}), 1000)[0]
    assert smaller == pytest.approx(math.sqrt(2), rel=0.03), "the smaller the step, the nearer to the circle"


def test_plain_steps_grow_by_exactly_the_root() -> None:
    session = session_of()
    before = math.hypot(*place(session))
    for _ in range(20):
        (after,) = radii(session, 1)
        assert after / before == pytest.approx(math.sqrt(1.01), rel=1e-13)
        before = after


def test_alternating_steps_stay_on_an_ellipse() -> None:
    """`theta^2 + psi^2 + lr theta psi` is conserved: x' = x - lr y, then y' = y + lr x'."""
    session = session_of(turns="alternating")
    for _ in range(5):
        radii(session, 100)
        psi, theta = place(session)
        assert psi**2 + theta**2 - 0.1 * psi * theta == pytest.approx(1.9, rel=1e-9)


@pytest.mark.parametrize(("turns", "factor"), [("extragradient", abs(1 - 0.1j - 0.01)), ("simultaneous", abs(1 - 0.1j))])
def test_a_round_multiplies_the_radius_by_its_factor(turns: str, factor: float) -> None:
    session = session_of(turns=turns)
    before = math.hypot(*place(session))
    for _ in range(10):
        (after,) = radii(session, 1)
        assert after / before == pytest.approx(factor, rel=1e-12)
        before = after


@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.25)])
def test_a_return_multiplies_the_radius_by_its_factor(k: int, alpha: float) -> None:
    session, factor = session_of(slow_weights={"k": k, "alpha": alpha}), abs(1 - alpha + alpha * (1 - 0.1j) ** k)
    before = math.hypot(*place(session))
    for _ in range(10):
        (after,) = radii(session, k)
        assert after / before == pytest.approx(factor, rel=1e-12)
        before = after


def test_weight_clipping_holds_the_slope() -> None:
    """The critic swings between its bounds, and the point within reach of them."""
    session = session_of(turns="alternating", projections={"discriminator": [{"name": "weight-clipping", "bound": 0.1}]})
    places = [place(session) for _ in range(1000) if session.trainer.update()]
    assert max(abs(psi) for psi, _ in places) == 0.1
    assert max(abs(theta) for _, theta in places[500:]) < 0.2


def test_a_clipped_gradient_makes_no_step_longer() -> None:
    session = session_of(**{"gradients.clip": {"generator": 0.5, "discriminator": 0.5}})
    for _ in range(50):
        before = [tensor.detach().clone() for tensor in players(session)]
        radii(session, 1)
        assert all(float((now - then).detach().abs()) <= 0.05 + 1e-6 for now, then in zip(players(session), before, strict=True))


def test_the_average_of_circles_is_their_centre() -> None:
    """While the players run around, the average of the generator's weights stays near the equilibrium."""
    session = session_of(turns="alternating", average={"decay": 0.99})
    radii(session, 1000)
    assert session.average is not None
    (averaged,) = session.average.network.parameters()
    assert abs(averaged.item()) < 0.15
    assert math.hypot(*place(session)) > 1


# Off and flipped: what a wrong sign or an absent half-step would do.


def test_extragradient_without_its_half_step_or_with_it_backwards_runs_away(monkeypatch: pytest.MonkeyPatch) -> None:
    right = radii(session_of(turns="extragradient"), 200)[0]
    without = session_of(turns="extragradient")
    without.game.turns = session_of(turns="simultaneous").game.turns
    assert right < math.sqrt(2) < radii(without, 200)[0]
    backwards = session_of(turns="extragradient")
    for player in backwards.game.players.values():
        descend = player.descend

        def away(norm: torch.Tensor, update: int, player: Any = player, descend: Any = descend) -> None:
            if "start" in player.kept:
                for gradient in player.gradients():
                    gradient.neg_()
            descend(norm, update)

        monkeypatch.setattr(player, "descend", away)
    assert radii(backwards, 200)[0] > radii(without, 200)[0] > right


def _negate_the_previous(optimizer: torch.optim.Optimizer, given: object, named: object) -> None:
    for state in optimizer.state.values():
        state["previous"].neg_()


def test_optimism_of_the_wrong_sign_runs_away() -> None:
    from saddlepoint.optimizers.optimistic import Optimistic

    pessimist = session_of(**optimistic())
    for player in pessimist.game.players.values():
        (share,) = player.shares
        assert isinstance(share.optimizer, Optimistic)
        share.optimizer.register_step_post_hook(_negate_the_previous)
    assert radii(pessimist, 200)[0] > 10 > radii(session_of(**optimistic()), 200)[0]
