"""Drift fixes the level of the real scores, which the Wasserstein loss leaves open."""

import pytest
import torch
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Round


def round_of(real: Tensor, fake: Tensor) -> Round:
    """A round whose scores are the samples themselves."""
    return Round.of(real=real[:, None], fake=fake[:, None], discriminator=lambda x: x)


@pytest.mark.parametrize("level", [-2.0, 0.0, 3.0])
def test_at_one_level_it_is_its_square(level: float) -> None:
    fake = torch.randn(5, generator=torch.Generator().manual_seed(0))
    assert PENALTIES["drift"]()(round_of(torch.full((4,), level), fake)).item() == level**2


def test_the_fakes_are_free() -> None:
    real, fake = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    PENALTIES["drift"]()(round_of(real, fake)).backward()
    assert fake.grad is None
    assert real.grad is not None


@pytest.mark.parametrize("weight", [0.05, 0.25])
def test_free_real_scores_rest_at_one_over_twice_the_weight(weight: float) -> None:
    penalty = PENALTIES["drift"](weight=weight)
    real = torch.linspace(-3, 3, 8, dtype=torch.float64, requires_grad=True)
    fake = torch.zeros(8, dtype=torch.float64)
    descent = torch.optim.SGD([real], lr=8.0)
    for _ in range(1000):
        descent.zero_grad()
        sides = OBJECTIVES["wasserstein"]().discriminator(round_of(real, fake).scores)
        assert sides.real is not None
        (sides.real.mean() + penalty.weight(0) * penalty(round_of(real, fake))).backward()
        descent.step()
    torch.testing.assert_close(real.detach(), torch.full_like(real, 1 / (2 * weight)), rtol=0, atol=1e-9)
