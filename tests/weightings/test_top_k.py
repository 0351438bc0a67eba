"""Top-k: the schedule of k by its formula, uniform weights on the chosen, and the base to the bit while all are kept."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.rounds import Sides
from saddlepoint.weightings import WEIGHTINGS
from tests.battery.games import differing, kept, play, recipe_with, session_of


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def weights(scores: Tensor, update: int, **fields: Any) -> Tensor:
    record = WEIGHTINGS["top-k"](**fields)
    return record(scores, record.scheduled({"generator": update, "discriminator": 9 * update}))


@pytest.mark.parametrize("m", [1, 5, 64, 100, 1000])
@pytest.mark.parametrize(("gamma", "nu"), [(0.99, 0.5), (0.5, 0.3), (0.9, 0.75), (1.0, 0.5)])
def test_k_is_the_formula(m: int, gamma: float, nu: float) -> None:
    scores = torch.randn(m, dtype=torch.float64)
    for epoch in (0, 1, 2, 7, 68, 69, 70, 500):
        k = max(math.ceil(round(nu * m, 9)), math.floor(round(m * gamma**epoch, 9)))
        for update in (1000 * epoch, 1000 * epoch + 999):
            found = weights(scores, update, gamma=gamma, nu=nu)
            assert int((found > 0).sum()) == k
            assert torch.equal(found[scores.topk(k).indices], torch.full((k,), m / k, dtype=torch.float64))


def test_the_floor_is_reached_at_epoch_69() -> None:
    scores = torch.randn(100_000)
    shares = {epoch: float((weights(scores, 1000 * epoch) > 0).double().mean()) for epoch in (68, 69, 200)}
    assert shares[68] > 0.5 == shares[69] == shares[200]


def test_periods_begin_at_the_start() -> None:
    scores = torch.randn(64)
    for update, k in ((0, 64), (4999, 64), (5000, 64), (5099, 64), (5100, 32), (5200, 32)):
        assert int((weights(scores, update, gamma=0.5, period=100, start=5000) > 0).sum()) == k


@pytest.mark.parametrize("m", [1, 3, 41, 55, 64, 83, 1000])
def test_all_kept_is_the_plain_mean_to_the_bit(m: int) -> None:
    scores, losses = torch.randn(m), torch.randn(m)
    for found in (weights(scores, 999), WEIGHTINGS["top-k"]()(scores)):
        assert torch.equal(found, torch.ones(m))
        assert torch.equal((found * losses).mean(-1), losses.mean(-1))


def test_ties_go_to_the_first_and_order_does_not_matter_otherwise() -> None:
    tied = torch.tensor([1.0, 2.0, 1.0, 1.0, 0.0, 1.0])
    assert weights(tied, 1000, gamma=0.5).tolist() == [2, 2, 2, 0, 0, 0]
    scores, shuffle = torch.randn(40), torch.randperm(40)
    found = weights(scores, 50_000)
    assert torch.equal(weights(scores[shuffle], 50_000), found[shuffle])
    assert float(found.mean()) == pytest.approx(1.0)


def test_unchosen_fakes_have_no_gradient() -> None:
    scores = torch.randn(16, dtype=torch.float64, requires_grad=True)
    losses = OBJECTIVES["vanilla"]().generator(Sides(fake=scores)).fake
    assert losses is not None
    found = weights(scores, 10**6)
    assert not found.requires_grad
    (gradient,) = torch.autograd.grad((found * losses).mean(), scores)
    assert torch.equal(gradient == 0, found == 0)
    assert int((gradient == 0).sum()) == 8
    (alone,) = torch.autograd.grad(OBJECTIVES["vanilla"]().generator(Sides(fake=scores)).fake[found > 0].mean(), scores)  # type: ignore[index]
    torch.testing.assert_close(gradient, alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("name", "fields"), [("vanilla", {}), ("vanilla", {"saturating": True}), ("hinge", {}), ("wasserstein", {})]
)
def test_the_chosen_lose_no_more_than_all(name: str, fields: dict[str, Any]) -> None:
    scores = 3 * torch.randn(2000, 33, dtype=torch.float64)
    losses = OBJECTIVES[name](**fields).generator(Sides(fake=scores)).fake
    assert losses is not None
    gap = (weights(scores, 10**6) * losses).mean(-1) - losses.mean(-1)
    assert float(gap.max()) <= 1e-12


def test_replicas_choose_by_themselves_and_may_differ() -> None:
    scores = torch.randn(3, 20)
    record = WEIGHTINGS["top-k"](nu=0.1)
    varied = record.model_copy(update={"gamma": torch.tensor([[0.5], [0.9], [1.0]]), "nu": torch.tensor([[0.1], [0.1], [0.9]])})
    found = varied(scores, varied.scheduled({"generator": 2000}))
    for row, (gamma, nu) in enumerate(((0.5, 0.1), (0.9, 0.1), (1.0, 0.9))):
        assert torch.equal(found[row], weights(scores[row], 2000, gamma=gamma, nu=nu))


def test_in_a_game_k_falls_by_rounds_and_before_that_nothing_changes() -> None:
    """Rounds are the generator's updates, whatever the discriminator makes of them."""
    steps = {"schedule.discriminator_steps": 3, "schedule.batch": 8}
    base = session_of(recipe_with(None, steps))
    top = session_of(recipe_with(None, steps | {"weightings.generator": {"name": "top-k", "gamma": 0.5, "nu": 0.25, "period": 2}}))
    play(base, 2)
    play(top, 2)
    assert differing(kept(base), kept(top)) == []
    sizes = [float(top.trainer.update(watched=True)["generator/effective sample size fake"]) for _ in range(5)]
    assert sizes == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.25])
    play(base, 5)
    assert differing(kept(base), kept(top))
