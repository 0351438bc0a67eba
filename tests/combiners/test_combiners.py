"""Gradients of two sides as one: the properties of the paper's rule, and a step in a game against one taken by hand."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.combiners import COMBINERS
from saddlepoint.combiners.aw_gan import AwGAN
from saddlepoint.combiners.combiner import Products
from saddlepoint.errors import InputError
from saddlepoint.games.gradients import Apart
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.recipe import load
from saddlepoint.rounds import Sides
from saddlepoint.training.session import Session
from saddlepoint.turns.turn import Turn
from tests.battery.games import Passes, differing, kept, play, recipe_with, session_of

SLOT = "gradients.combine.discriminator"
JUDGED = {"reals are judged badly": (0.3, 0.2), "worse than fakes": (0.6, 0.9), "well": (0.9, 0.3), "neither": (0.6, 0.4)}


def gradients(angle: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two random gradients of 40 numbers that disagree (an obtuse angle) or agree."""
    generator = torch.Generator().manual_seed(seed)
    real, other = (torch.randn(40, generator=generator, dtype=torch.float64) for _ in range(2))
    toward = -0.8 if angle == "obtuse" else 0.8
    return 3 * real, 0.2 * (other + toward * real)


def direction(real: Tensor, fake: Tensor, judged: tuple[float, float], **fields: float) -> Tensor:
    products = Products(real @ real, fake @ fake, real @ fake)
    seen = dict(zip(("real", "fake"), map(torch.tensor, judged), strict=True))
    weight_real, weight_fake = COMBINERS["aw-gan"](**fields)(products, seen)
    return weight_real * real + weight_fake * fake


def test_how_many() -> None:
    assert list(COMBINERS) == ["aw-gan"]
    assert all(record.name == name and "@" in record.bibtex for name, record in COMBINERS.items())


@pytest.mark.parametrize("judged", ["reals are judged badly", "worse than fakes"])
def test_where_reals_lead_the_step_spares_them_and_is_orthogonal_to_the_fakes(judged: str) -> None:
    real, fake = gradients("obtuse")
    step = direction(real, fake, JUDGED[judged], epsilon=0)
    assert abs(float(step @ fake)) < 1e-10
    assert float(step @ real) > 0
    real, fake = gradients("acute")
    torch.testing.assert_close(direction(real, fake, JUDGED[judged], epsilon=0), real / real.norm(), rtol=1e-9, atol=0)


def test_where_fakes_lead_it_is_the_mirror_image() -> None:
    real, fake = gradients("obtuse")
    step = direction(real, fake, JUDGED["well"], epsilon=0)
    assert abs(float(step @ real)) < 1e-10
    assert float(step @ fake) > 0
    real, fake = gradients("acute")
    torch.testing.assert_close(direction(real, fake, JUDGED["well"], epsilon=0), fake / fake.norm(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("angle", ["obtuse", "acute"])
def test_else_it_halves_the_angle(angle: str) -> None:
    real, fake = gradients(angle)
    step = direction(real, fake, JUDGED["neither"], epsilon=0)
    on_real, on_fake = float(step @ real / real.norm()), float(step @ fake / fake.norm())
    assert on_real == pytest.approx(on_fake, rel=1e-9)
    assert on_real > 0


@pytest.mark.parametrize("judged", JUDGED)
@pytest.mark.parametrize("angle", ["obtuse", "acute"])
def test_the_scale_of_a_loss_leaves_the_direction(judged: str, angle: str) -> None:
    real, fake = gradients(angle)
    one, other = (direction(r, f, JUDGED[judged], epsilon=0) for r, f in ((real, fake), (7 * real, 0.01 * fake)))
    torch.testing.assert_close(one / one.norm(), other / other.norm(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("judged", "leads"),
    [
        ((0.49, 0.1), "real"),
        ((0.50, 0.1), "both"),
        ((0.75, 0.1), "both"),
        ((0.76, 0.1), "fake"),
        ((0.76, 0.82), "real"),
        ((0.76, 0.80), "fake"),
    ],
)
def test_the_thresholds_are_the_papers(judged: tuple[float, float], leads: str) -> None:
    """By the defaults: with orthogonal unit gradients a side that does not lead keeps epsilon alone."""
    ones = Products(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(0.0))
    weights = COMBINERS["aw-gan"]()(ones, {"real": torch.tensor(judged[0]), "fake": torch.tensor(judged[1])})
    expected = {"real": (1.05, 0.05), "both": (1.05, 1.05), "fake": (0.05, 1.05)}[leads]
    assert [float(weight) for weight in weights] == pytest.approx(expected, abs=1e-6)


def test_a_side_without_gradient_is_no_division_by_zero() -> None:
    nothing = Products(torch.tensor(0.0), torch.tensor(4.0), torch.tensor(0.0))
    for judged in JUDGED.values():
        seen = {"real": torch.tensor(judged[0]), "fake": torch.tensor(judged[1])}
        assert all(bool(weight.isfinite()) for weight in COMBINERS["aw-gan"]()(nothing, seen))


def test_what_it_looks_at_is_the_mean_probability() -> None:
    real, fake = torch.tensor([[0.0, 2.0], [1.0, -1.0]]), torch.tensor([[0.5], [3.0]])
    seen = COMBINERS["aw-gan"]().look(Sides(real, fake))
    torch.testing.assert_close(seen["real"], torch.stack([row.sigmoid().mean() for row in real]))
    torch.testing.assert_close(seen["fake"], fake.sigmoid().squeeze(1))


# In a game


def combined(fields: dict[str, Any]) -> Session:
    """A discriminator that steps by plain descent, under a penalty, so that its step is its gradient."""
    step = {"optimizers": {"name": "sgd", "lr": 1.0}, "penalties.discriminator": [{"name": "r1", "weight": 0.5}]}
    return session_of(recipe_with(("combiners", "aw-gan"), {**step, **fields}))


def by_hand(session: Session, batches: int) -> dict[str, Tensor]:
    """The gradient of a discriminator's turn: `torch.autograd.grad` of each side, the paper's rule in plain numbers."""
    player = session.game.players["discriminator"]
    parameters = list(player.parameters.values())
    sums: dict[str, Tensor] = {}
    judged: dict[str, float] = {"real": 0.0, "fake": 0.0}
    for _ in range(batches):
        example = session.source.batch(session.streams, 5)
        round = session.game.round(Turn(("discriminator",)), example, session.streams, watched=False)
        sides = OBJECTIVES["vanilla"]().discriminator(round.scores)
        losses = {"real": sides.real, "fake": sides.fake, "penalty": 0.5 * player.penalties[0](round)}
        for name, loss in losses.items():
            assert loss is not None
            found = torch.autograd.grad(loss.mean(), parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            flat = torch.cat([gradient.flatten() for gradient in found])
            sums[name] = sums.get(name, torch.zeros_like(flat)) + flat / batches
        for side, scores in (("real", round.scores.real), ("fake", round.scores.fake)):
            judged[side] += float(scores.detach().sigmoid().mean()) / batches
    real, fake = sums["real"], sums["fake"]
    assert judged["real"] < 1, "with `low` 1 the reals lead"
    against = max(0.0, -float(real @ fake)) / float(fake @ fake * real.norm())
    whole = (1 / real.norm() + 0.05) * real + (0.05 + against) * fake + sums["penalty"]
    parts = whole.split([parameter.numel() for parameter in parameters])
    return {name: part.view_as(p) for (name, p), part in zip(player.parameters.items(), parts, strict=True)}


@pytest.mark.parametrize("batches", [1, 3])
def test_the_step_of_a_game_is_the_rule_by_hand(batches: int) -> None:
    """Over accumulated batches both gradients are kept apart to the end; the penalty is added with weight 1."""
    fields = {"gradients.accumulation": batches, f"{SLOT}.low": 1.0}
    one, other = combined(fields), combined(fields)
    expected = by_hand(one, batches)
    before = {name: parameter.detach().clone() for name, parameter in other.game.players["discriminator"].parameters.items()}
    other.trainer.step(Turn(("discriminator",)))
    for name, parameter in other.game.players["discriminator"].parameters.items():
        torch.testing.assert_close(before[name] - parameter, expected[name], rtol=1e-9, atol=1e-12)


class Equal(AwGAN):
    """Ones, whatever the gradients are."""

    def __call__(self, products: Products, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return torch.ones_like(products.real), torch.ones_like(products.fake)


def test_equal_weights_are_the_sum() -> None:
    """Two backward passes against the one of a game without a combiner, under a penalty."""
    plain, equal = session_of(recipe_with(("penalties", "r1"))), session_of(recipe_with(("penalties", "r1")))
    equal.game.players["discriminator"].apart = Apart(Equal())
    one, other = kept(play(plain, 5)), kept(play(equal, 5))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-9, atol=1e-12)
    assert combined({}).game.players["generator"].apart is None


def test_two_backward_passes_and_one_forward_pass() -> None:
    session = session_of(recipe_with(("combiners", "aw-gan")))
    passes = Passes(session.game)
    play(session, 4)
    assert passes.by_turn == {"discriminator": [10] * 4, "generator": [5] * 4}


def test_gradients_lie_in_memory_as_their_parameters() -> None:
    """Fused optimisers ignore strides: channels-last weights must come with channels-last gradients."""
    fields = {"networks.normalization": {"generator": "none", "discriminator": "none"}, "precision": "float32"}
    recipe = recipe_with(("networks", "dcgan"), {**fields, SLOT: "aw-gan", "gradients.accumulation": 2})
    session = session_of(recipe)
    seen: list[bool] = []
    player = session.game.players["discriminator"]
    step = player.descend

    def watched(norm: Tensor, update: int) -> None:
        seen.extend(p.grad is not None and p.grad.stride() == p.stride() for p in player.parameters.values())
        step(norm, update)

    player.descend = watched  # type: ignore[method-assign]
    play(session, 2)
    assert any(p.ndim == 4 and not p.is_contiguous() for p in player.parameters.values())
    assert seen
    assert all(seen)


def test_the_monitors_show_the_weights() -> None:
    records = session_of(recipe_with(("combiners", "aw-gan"))).trainer.update(watched=True)
    assert {name for name in records if "gradient weight" in name} == {
        "discriminator/gradient weight real",
        "discriminator/gradient weight fake",
    }


def test_another_objective_is_another_game() -> None:
    plain, weighted = (kept(play(session_of(recipe_with(method)), 3)) for method in (None, ("combiners", "aw-gan")))
    assert any(name.startswith("discriminator/") for name in differing(plain, weighted))


@pytest.mark.parametrize("objective", ["wasserstein", "lsgan"])
def test_scores_without_a_boundary_at_0_are_refused_in_a_line(objective: str) -> None:
    with pytest.raises(InputError) as caught:
        load("gan", {"objective": objective, SLOT: "aw-gan"})
    (line,) = caught.value.problems
    assert line.startswith(f"{SLOT}: aw-gan asks on which side of 0 a score lies, and those of {objective} ")
    assert "vanilla, hinge" in line or "vanilla, " in line
    assert load("gan", {"objective": {"name": "lsgan", "fake": -1, "target": 0}, SLOT: "aw-gan"})
