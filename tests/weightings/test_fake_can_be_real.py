"""Fake can be real: the loss by plain loops, the base where nothing is moved, what a discriminator then says of one point."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Round, Sides
from saddlepoint.weightings import RELABELLINGS
from saddlepoint.weightings.relabelling import counted
from tests.battery.games import Passes, differing, kept, play, recipe_with, session_of

OWN = [name for name, objective in OBJECTIVES.items() if objective.reads == "own"]


def loss_of(real: Tensor, fake: Tensor, share: Any, objective: str = "vanilla") -> Tensor:
    """The discriminator's loss in a game whose scores are these."""
    session = session_of(recipe_with(("objectives", objective), {"relabelling": {"name": "fake-can-be-real", "share": share}}))
    sides = Round.of(real=real[:, None], fake=fake[:, None], discriminator=lambda x: x[:, 0])
    return session.game.players["discriminator"].total(sides)


def by_loops(real: Tensor, fake: Tensor, moved: int, objective: str) -> Tensor:
    """Mean over the reals and the moved fakes, plus the mean over the others."""
    order = sorted(range(len(fake)), key=lambda i: (float(fake[i].detach()), i))
    chosen, rest = fake[order[:moved]], fake[order[moved:]]
    found = OBJECTIVES[objective]().discriminator(Sides(real=torch.cat([real, chosen]), fake=rest))
    assert found.real is not None
    assert found.fake is not None
    return found.real.mean() + found.fake.mean()


def scores(seed: int, n: int = 6, m: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=generator, dtype=torch.float64), 2 * torch.randn(m, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("objective", ["vanilla", "lsgan", "hinge", "wasserstein"])
@pytest.mark.parametrize(("share", "moved"), [(0.125, 1), (0.33, 3), (0.9, 8), (0.999, 8)])
def test_the_loss_and_its_gradient_by_loops(objective: str, share: float, moved: int) -> None:
    for seed in range(5):
        real, fake = (tensor.requires_grad_() for tensor in scores(seed))
        found, expected = loss_of(real, fake, share, objective), by_loops(real, fake, moved, objective)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        gradients = [torch.autograd.grad(loss, (real, fake)) for loss in (found, expected)]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_the_count_is_the_nearest_whole_number_below_all() -> None:
    assert [int(counted(0.125, m)) for m in (64, 128, 5, 3, 1)] == [8, 16, 1, 0, 0]
    assert int(counted(0.999, 8)) == 7
    assert counted(torch.tensor([0.1, 0.5]), 10).tolist() == [[1.0], [5.0]]


def test_of_equal_scores_the_first_are_moved() -> None:
    record = RELABELLINGS["fake-can-be-real"]()
    assert record(torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]), torch.tensor(2)).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("share", [0, {"name": "after", "start": 4, "value": 0.5}, 0.05])
def test_nothing_moved_is_the_base_to_the_bit(share: Any) -> None:
    """No share, none yet, and one that is rounded to no fake."""
    base = session_of(recipe_with())
    other = session_of(recipe_with(None, {"relabelling": {"name": "fake-can-be-real", "share": share}}))
    passes = Passes(other.game)
    for session in (base, other):
        play(session, 4)
    assert differing(kept(base), kept(other)) == []
    assert passes.by_turn == {"discriminator": [10] * 4, "generator": [5] * 4}
    if share == 0.05:
        return
    default = load({"relabelling": "fake-can-be-real"}).relabelling
    assert default is not None
    assert [default.share(update) for update in (0, 2999, 3000)] == [0, 0, 0.125]


def test_it_changes_the_discriminators_loss_alone_and_costs_no_pass() -> None:
    base = session_of(recipe_with(("objectives", "vanilla")))
    moved = session_of(recipe_with(("objectives", "vanilla"), {"relabelling": {"name": "fake-can-be-real", "share": 0.4}}))
    passes = Passes(moved.game)
    ours, theirs = (session.trainer.update(watched=True) for session in (moved, base))
    assert passes.by_turn == {"discriminator": [5, 10], "generator": [5]}, "the first is of held-out samples, for the log"
    assert float(ours["discriminator/loss"]) != float(theirs["discriminator/loss"])
    parts = [float(ours[f"discriminator/loss{side}"]) for side in ("", " real", " fake")]
    assert parts[0] == pytest.approx(parts[1] + parts[2])
    real, fake = (Example(tensor[:, None]) for tensor in scores(0))
    round = Round.of(real=real, fake=fake, discriminator=lambda x: x[:, 0])
    assert torch.equal(moved.game.players["generator"].total(round), base.game.players["generator"].total(round))


@pytest.mark.parametrize(("n_r", "n_f", "moved"), [(30, 50, 10), (10, 40, 20), (64, 64, 16)])
def test_what_the_best_discriminator_says_of_one_point(n_r: int, n_f: int, moved: int) -> None:
    """All moved fakes lie on one point, with n_r of n reals and n_f of m fakes: the odds there are (n_r + K) / (n_f - K) of
    samples, and each sample of a side weighs one over the size that its side now has."""
    n = m = 100
    real_share, fake_share = (n_r + moved) / (n + moved), (n_f - moved) / (m - moved)
    best = math.log(real_share / fake_share)
    assert best == pytest.approx(math.log((n_r + moved) / (n_f - moved)) + math.log((m - moved) / (n + moved)))

    def loss(score: Tensor) -> Tensor:
        real = torch.cat([score.expand(n_r), torch.full((n - n_r,), 3.0, dtype=torch.float64)])
        fake = torch.cat([score.expand(n_f), torch.full((m - n_f,), 5.0, dtype=torch.float64)])
        return loss_of(real, fake, moved / m)

    score = torch.tensor(best, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(score), score)
    assert float(slope) == pytest.approx(0.0, abs=1e-12)
    for other in (best - 0.1, best + 0.1):
        assert float(loss(torch.tensor(other, dtype=torch.float64))) > float(loss(score).detach())


def test_shares_out_of_range_are_refused() -> None:
    for share in (
        -0.1,
        1,
        {"name": "every", "period": 4, "value": 0.3},
        {"name": "staircase", "start": 0.1, "period": 5, "step": 0.1},
    ):
        with pytest.raises(InputError, match=r"relabelling\.share.*shares of the fakes"):
            load({"relabelling": {"name": "fake-can-be-real", "share": share}})


def test_an_objective_that_compares_samples_is_refused() -> None:
    assert {"vanilla", "lsgan", "hinge", "wasserstein"} <= set(OWN)
    for name, objective in OBJECTIVES.items():
        if objective.reads != "own":
            with pytest.raises(InputError, match=r"^relabelling: fake-can-be-real .* compare samples"):
                load({"objective": name, "relabelling": "fake-can-be-real"})
