"""Feature matching: distances of means, who gets gradients, and the generator's loss that it stands in place of."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Features, Judgement, Round
from saddlepoint.streams import Streams
from tests.battery.games import Passes, play, recipe_with, session_of
from tests.recipe.telling import told


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def identity(example: Example, features: bool) -> Judgement:
    """Its features are the images: as they are, and what enters the last layer is twice that."""
    image = example.image
    return Judgement(image.flatten(1).sum(1), {"first": image, "second": 3 * image} if features else {}, 2 * image.flatten(1))


def matching(real: Tensor, fake: Tensor, **fields: Any) -> Tensor:
    penalty = PENALTIES["feature-matching"](**fields)
    clock = {"discriminator": 0, "generator": 0}
    return penalty(
        Round(lambda: Example(real), lambda: Example(fake), identity, streams=Streams(0), clock=clock, needs=penalty.needs)
    )


@pytest.mark.parametrize("features", ["last", "blocks"])
@pytest.mark.parametrize("distance", ["l2", "l1"])
def test_a_shift_is_its_length(distance: str, features: str) -> None:
    """f the identity (times 2; times 1 and 3), fakes shifted by v: `||v||^2`, or the mean `|v_k|`."""
    real, shift = drawn(5, 4), torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64)
    scales = {"last": [2], "blocks": [1, 3]}[features]
    expected = sum(14 * scale**2 if distance == "l2" else 1.5 * scale for scale in scales)
    assert float(matching(real, real + shift, distance=distance, features=features)) == pytest.approx(expected)
    assert float(matching(real, real.clone(), distance=distance, features=features)) == 0
    permuted = matching(real.flip(0), (real + shift)[[2, 0, 4, 1, 3]], distance=distance, features=features)
    assert float(permuted) == pytest.approx(expected)


def test_only_means_count() -> None:
    """Batches of another size and spread, of the same mean, match: a distance sample by sample would not be 0."""
    real = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    fake = torch.tensor([[-5.0, 0.0], [2.0, 3.0], [9.0, 6.0]])
    assert float(matching(real, fake)) == 0


def test_the_reals_are_constants_and_every_fake_has_the_same_say() -> None:
    real, fake = drawn(4, 3).requires_grad_(), drawn(6, 3, seed=1).requires_grad_()
    on_real, on_fake = torch.autograd.grad(matching(real, fake), [real, fake], allow_unused=True)
    assert on_real is None
    gap = (2 * fake - 0).mean(0) - (2 * real).mean(0)
    torch.testing.assert_close(on_fake, (2 * 2 * gap / 6).expand(6, 3).detach())


def test_gradients_by_finite_differences() -> None:
    fake = drawn(3, 2, seed=1).requires_grad_()
    for distance in ("l2", "l1"):
        assert torch.autograd.gradcheck(lambda fake, distance=distance: matching(drawn(4, 2), fake, distance=distance), (fake,))


def test_without_features_it_says_so() -> None:
    penalty = PENALTIES["feature-matching"]()
    assert penalty.needs == {Features("real"), Features("fake")}
    with pytest.raises(ValueError, match="no features came"):
        penalty(Round.of(real=drawn(3, 2), fake=drawn(3, 2), discriminator=lambda x: x.sum(-1)))


ALONE = {"objective_weights.generator": 0, "penalties.generator": ["feature-matching"]}


def test_in_place_of_the_generators_loss() -> None:
    """The generator's loss is the penalty, to the bit; the discriminator's is what it was."""
    session = session_of(recipe_with(None, ALONE))
    records = session.trainer.update(watched=True)
    assert torch.equal(records["generator/loss"], records["generator/penalty feature-matching"])
    assert "generator/loss fake" not in records
    plain = session_of(recipe_with()).trainer.update()
    assert torch.equal(records["discriminator/loss"], plain["discriminator/loss"])


@pytest.mark.parametrize(("weight", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_the_objectives_weight(weight: float, share: float) -> None:
    with_matching = {"penalties.generator": ["feature-matching"]}
    whole = session_of(recipe_with(None, with_matching)).trainer.update()
    records = session_of(recipe_with(None, with_matching | {"objective_weights.generator": weight})).trainer.update()
    expected = share * whole["generator/loss fake"] + whole["generator/penalty feature-matching"]
    torch.testing.assert_close(records["generator/loss"], expected, rtol=1e-12, atol=0)


def test_the_objective_may_fade() -> None:
    """From all of it to none by the end of the run, which its open end is; its fakes are then judged for the penalty alone."""
    fading = {"objective_weights.generator": {"name": "linear", "start": 1.0, "end": 0.0}}
    session = session_of(recipe_with(None, ALONE | fading | {"schedule.updates": 4}))
    assert session.recipe.objective_weights.generator.model_dump()["last"] == 4
    losses = []
    for _ in range(5):
        records = session.trainer.update()
        losses.append("generator/loss fake" in records)
    assert losses == [True, True, True, True, False]


def test_without_a_loss_or_a_reader_it_is_refused() -> None:
    base = {"data": "8-gaussians"}
    (problem,) = told({**base, "objective_weights": {"generator": 0}})
    assert problem.startswith("objective_weights.generator: the generator would have no loss")
    lazy = {"name": "feature-matching", "weight": {"name": "every", "period": 2, "value": 1.0}}
    (problem,) = told({**base, "objective_weights": {"generator": 0}, "penalties": {"generator": [lazy]}})
    assert problem.startswith("objective_weights.generator: ")
    matched = {**base, "objective_weights": {"generator": 0}, "penalties": {"generator": ["feature-matching"]}}
    (problem,) = told({**matched, "weightings": {"generator": "wegan"}})
    assert problem.startswith("weightings.generator: would not be read")
    (problem,) = told({**matched, "objective_weights": {"generator": -1}})
    assert problem.startswith("objective_weights.generator: ")
    (problem,) = told({**matched, "objective_weights": {"generator": {"name": "linear", "start": 1, "first": 9, "last": 5}}})
    assert problem.startswith("objective_weights.generator.first: ")
    assert load(matched)


def test_one_pass_of_the_reals_more() -> None:
    session = session_of(recipe_with(None, ALONE))
    passes = Passes(session.game)
    play(session, 2)
    assert passes.by_turn == {"discriminator": [10, 10], "generator": [5, 5] * 2}
