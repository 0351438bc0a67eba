"""f-GAN: every row of the table against the definition of a conjugate, the bound it must reach, and its vanilla row."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.f_gan import BOUNDS, Divergence, Parameterization
from saddlepoint.objectives.objective import Objective
from saddlepoint.rounds import Sides

Row = tuple[Parameterization, Divergence]
ROWS: list[Row] = [(parameterization, name) for parameterization, named in BOUNDS.items() for name in named]
SLOPING = [row for row in ROWS if row[1] != "total-variation"]
every_row = pytest.mark.parametrize("row", ROWS, ids=" ".join)

# f of the table.
F: dict[str, Callable[[float], float]] = {
    "kl": lambda u: u * math.log(u),
    "reverse-kl": lambda u: -math.log(u),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (1 - u) ** 2 / u,
    "squared-hellinger": lambda u: (math.sqrt(u) - 1) ** 2,
    "jensen-shannon": lambda u: -(u + 1) * math.log((1 + u) / 2) + u * math.log(u),
    "gan": lambda u: u * math.log(u) - (u + 1) * math.log(u + 1),
    "jeffrey": lambda u: (u - 1) * math.log(u),
    "total-variation": lambda u: abs(u - 1) / 2,
}
# The best score of the table, in its own parameterization.
BEST: dict[str, Callable[[float], float]] = {
    "kl": lambda u: 1 + math.log(u),
    "reverse-kl": math.log,
    "pearson": lambda u: 2 * (u - 1),
    "neyman": lambda u: 2 * math.log(u),
    "squared-hellinger": lambda u: math.log(u) / 2,
    "jensen-shannon": math.log,
    "gan": math.log,
    "jeffrey": math.log,
    "total-variation": lambda u: 40.0 * (1 if u > 1 else -1),
}


def record(row: Row, **fields: object) -> Objective:
    return OBJECTIVES["f-gan"](parameterization=row[0], divergence=row[1], **fields)


def losses(objective: Objective, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    sides = objective.discriminator(Sides(real, fake))
    assert sides.real is not None
    assert sides.fake is not None
    return sides.real, sides.fake


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def best(row: Row, u: float) -> float:
    return math.log(u) if row[0] == "log_ratio" else BEST[row[1]](u)


def test_how_many() -> None:
    assert {name: len(named) for name, named in BOUNDS.items()} == {"own": 9, "log_ratio": 8}
    assert set(BOUNDS["own"]) == set(F) == set(BEST)


def distributions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed).uniform(0.2, 1.0, (2, 7))
    p, q = draws / draws.sum(1, keepdims=True)
    return p, q


@every_row
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_the_divergence_at_the_best_scores_and_below_it_elsewhere(row: Row, seed: int) -> None:
    """`D_f = sum q f(p / q)` on random distributions of seven symbols; never above it at a thousand other scores."""
    p, q = distributions(seed)
    divergence = sum(float(b) * F[row[1]](float(a / b)) for a, b in zip(p, q, strict=True))

    def bound(scores: Tensor) -> Tensor:
        on_real, on_fake = losses(record(row), scores, scores)
        return -(on_real * torch.tensor(p)).sum(-1) - (on_fake * torch.tensor(q)).sum(-1)

    scores = numbers(*(best(row, float(a / b)) for a, b in zip(p, q, strict=True)))
    assert float(bound(scores)) == pytest.approx(divergence, abs=1e-6)
    others = scores + torch.randn(1000, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert float(bound(others).max()) < divergence + 1e-9


@every_row
def test_the_fakes_loss_is_the_conjugate_of_what_reals_are_given(row: Row) -> None:
    """`f*(t) = max_u (u t - f(u))`, by numerical search at t = g(v)."""
    for score in (-1.7, -0.4, 0.3, 0.9):
        on_real, on_fake = losses(record(row), numbers(score), numbers(score))
        t = -float(on_real)
        found = minimize_scalar(
            lambda x, t=t: F[row[1]](math.exp(x)) - t * math.exp(x), bounds=(-12, 8), method="bounded", options={"xatol": 1e-12}
        )
        # Total variation is linear on both sides of 1: its maximum is at 1, or at 0.
        conjugate = max(-found.fun, t) if row[1] == "total-variation" else -found.fun
        assert float(on_fake) == pytest.approx(conjugate, abs=1e-6)


@pytest.mark.parametrize("row", SLOPING, ids=" ".join)
@pytest.mark.parametrize("u", [0.2, 1.0, 3.0])
def test_at_the_best_score_the_slopes_are_in_the_ratio_of_the_densities(row: Row, u: float) -> None:
    score = numbers(best(row, u)).requires_grad_()
    on_real, on_fake = losses(record(row), score, score)
    slopes = [torch.autograd.grad(loss.sum(), score, retain_graph=True)[0] for loss in (on_real, on_fake)]
    assert float(slopes[1] / -slopes[0]) == pytest.approx(u, rel=1e-9)


@every_row
def test_a_higher_score_is_always_more_real(row: Row) -> None:
    """Pearson's own f*(g(v)) falls below v = -2, where no ratio of densities has its best score."""
    scores = torch.linspace(-2 if row == ("own", "pearson") else -14, 14, 281, dtype=torch.float64)
    on_real, on_fake = losses(record(row), scores, scores)
    assert bool((on_real.diff() <= 0).all())
    assert bool((on_fake.diff() >= 0).all())


@every_row
def test_the_boundary_is_where_t_is_the_slope_of_f_at_1(row: Row) -> None:
    objective = record(row)
    assert objective.boundary is not None
    on_real, _ = losses(objective, numbers(objective.boundary), numbers(0))
    slope = (F[row[1]](1 + 1e-6) - F[row[1]](1 - 1e-6)) / 2e-6
    assert -float(on_real) == pytest.approx(slope, abs=1e-8)
    assert objective.boundary == pytest.approx(0.0 if row[1] == "total-variation" else best(row, 1.0), abs=1e-12)


@every_row
def test_it_gives_probabilities_where_the_best_score_is_the_log_ratio(row: Row) -> None:
    logits = all(best(row, u) == pytest.approx(math.log(u)) for u in (0.3, 1.0, 4.0))
    assert record(row).gives_probability == logits


@pytest.mark.parametrize("parameterization", BOUNDS)
@pytest.mark.parametrize("saturating", [False, True])
def test_the_gan_row_is_vanilla_to_the_bit(parameterization: Parameterization, saturating: bool) -> None:
    ours, vanilla = record((parameterization, "gan"), saturating=saturating), OBJECTIVES["vanilla"](saturating=saturating)
    scores = torch.linspace(-60, 60, 1001, requires_grad=True)
    for player in ("discriminator", "generator"):
        for one, other in zip(*(getattr(objective, player)(Sides(scores, scores)) for objective in (ours, vanilla)), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                assert torch.equal(one, other)
                assert torch.equal(*(torch.autograd.grad(loss.sum(), scores)[0] for loss in (one, other)))


@every_row
def test_the_generators_of_both_forms(row: Row) -> None:
    """The bound itself, or what reals are given."""
    fake = numbers(-1.4, -0.2, 0.6, 1.9)
    on_real, on_fake = losses(record(row), fake, fake)
    assert torch.equal(record(row).generator(Sides(fake=fake)).fake, on_real)  # type: ignore[arg-type]
    assert torch.equal(record(row, saturating=True).generator(Sides(fake=fake)).fake, -on_fake)  # type: ignore[arg-type]


@every_row
def test_gradients_by_finite_differences(row: Row) -> None:
    real, fake = numbers(-2.1, 0.4, 3.3).requires_grad_(), numbers(-1.7, 0.2, 2.9, 5.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, f: losses(record(row), r, f), (real, fake))


@every_row
def test_far_scores_are_finite_and_the_log_says_how_many_are_clamped(row: Row) -> None:
    far = torch.tensor([-1e4, -15.5, 1.0, 15.0, 16.0])
    objective = record(row)
    for side in losses(objective, far, far):
        assert bool(torch.isfinite(side).all())
    shown = {name: float(value) for name, value in objective.watched(Sides(fake=far)).items()}
    clamps = not torch.equal(losses(objective, far, far)[0][-2:], losses(record(row, clamp=1e6), far, far)[0][-2:])
    exponential = BOUNDS[row[0]][row[1]].exponential
    assert shown == ({"clamped scores": pytest.approx(3 / 5)} if exponential else {})
    assert exponential or not clamps
    if exponential:
        scores = far.clone().requires_grad_()
        slopes = [torch.autograd.grad(side.sum(), scores, retain_graph=True)[0] for side in losses(objective, scores, scores)]
        assert all(bool((slope[[0, 1, 4]] == 0).all()) and bool((slope[[2]] != 0).all()) for slope in slopes)


def test_total_variation_of_log_ratios_has_no_slope_and_is_refused() -> None:
    with pytest.raises(ValueError, match="total-variation is flat but at 0 in log_ratio; choose parameterization: own"):
        record(("log_ratio", "total-variation"))
