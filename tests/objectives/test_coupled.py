"""Objectives whose losses look at other samples: against loops in plain numbers, and the papers' claims."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.rounds import Sides

FORMS: dict[str, Objective] = {
    "softmax": OBJECTIVES["softmax"](),
    "relativistic": OBJECTIVES["relativistic"](),
    "average": OBJECTIVES["relativistic-average"](),
    "average least-squares": OBJECTIVES["relativistic-average"](form="least-squares"),
    "average hinge": OBJECTIVES["relativistic-average"](form="hinge"),
    "pu-gan": OBJECTIVES["pu-gan"](),
    "pu-gan least-squares": OBJECTIVES["pu-gan"](form="least-squares", share=0.6),
}
AVERAGES = ["average", "average least-squares", "average hinge"]
SHIFTING = [form for form in FORMS if not form.startswith("pu-gan")]
TRADING = [form for form in SHIFTING if form != "softmax"]
every_form = pytest.mark.parametrize("form", FORMS)

REAL, FAKE = [-1.2, 0.1, 2.0, 0.4], [-0.7, 1.1, 0.3, -2.5]


def drawn(n: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def present(side: Tensor | None) -> Tensor:
    assert side is not None
    return side


def total(sides: Sides) -> Tensor:
    return torch.stack([side.mean() for side in sides if side is not None]).sum()


def of_discriminator(form: str, real: Tensor, fake: Tensor) -> Tensor:
    return total(FORMS[form].discriminator(Sides(real, fake)))


def of_generator(form: str, real: Tensor, fake: Tensor) -> Tensor:
    return total(FORMS[form].generator(Sides(real, fake)))


def sp(s: float) -> float:
    return math.log(1 + math.exp(s))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# The players' losses of the papers, each mean written out.


def softmax_of_discriminator(r: Sequence[float], f: Sequence[float]) -> float:
    partition = sum(math.exp(s) for s in [*r, *f])
    return -sum(1 / len(r) * math.log(math.exp(s) / partition) for s in r)


def softmax_of_generator(r: Sequence[float], f: Sequence[float]) -> float:
    partition = sum(math.exp(s) for s in [*r, *f])
    return -sum(1 / (len(r) + len(f)) * math.log(math.exp(s) / partition) for s in [*r, *f])


def averaged(high: Callable[[float], float], low: Callable[[float], float]) -> Callable[[Sequence[float], Sequence[float]], float]:
    def loss(r: Sequence[float], f: Sequence[float]) -> float:
        return mean([high(s - mean(f)) for s in r]) + mean([low(s - mean(r)) for s in f])

    return loss


def positive_unlabelled(
    good: Callable[[float], float], bad: Callable[[float], float], pi: float
) -> Callable[[Sequence[float], Sequence[float]], float]:
    def loss(r: Sequence[float], f: Sequence[float]) -> float:
        return pi * mean([good(s) for s in r]) + max(0.0, mean([bad(s) for s in f]) - pi * mean([bad(s) for s in r]))

    return loss


Paper = Callable[[Sequence[float], Sequence[float]], float]
STANDARD = averaged(lambda m: sp(-m), sp)
SQUARES = averaged(lambda m: (m - 1) ** 2, lambda m: (m + 1) ** 2)
HINGE = averaged(lambda m: max(0, 1 - m), lambda m: max(0, 1 + m))
PAPERS: dict[str, tuple[Paper, Paper]] = {
    "softmax": (softmax_of_discriminator, softmax_of_generator),
    "relativistic": (
        lambda r, f: mean([sp(-(a - b)) for a, b in zip(r, f, strict=True)]),
        lambda r, f: mean([sp(-(b - a)) for a, b in zip(r, f, strict=True)]),
    ),
    "average": (STANDARD, lambda r, f: STANDARD(f, r)),
    "average least-squares": (SQUARES, lambda r, f: SQUARES(f, r)),
    "average hinge": (HINGE, lambda r, f: HINGE(f, r)),
    "pu-gan": (positive_unlabelled(lambda s: sp(-s), sp, 0.3), lambda r, f: mean([sp(-s) for s in f])),
    "pu-gan least-squares": (
        positive_unlabelled(lambda s: (s - 1) ** 2, lambda s: (s + 1) ** 2, 0.6),
        lambda r, f: mean([(s - 1) ** 2 for s in f]),
    ),
}


@every_form
@pytest.mark.parametrize("fakes", [4, 3, 1])
def test_the_mean_is_the_papers_loss(form: str, fakes: int) -> None:
    if FORMS[form].pairs:
        fakes = len(REAL)
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE[:fakes], dtype=torch.float64)
    discriminator, generator = PAPERS[form]
    assert float(of_discriminator(form, real, fake)) == pytest.approx(discriminator(REAL, FAKE[:fakes]), abs=1e-13)
    assert float(of_generator(form, real, fake)) == pytest.approx(generator(REAL, FAKE[:fakes]), abs=1e-13)


@every_form
def test_one_loss_a_sample_on_the_sides_it_names(form: str) -> None:
    """`[*, n]`; rows keep apart; a half of the batch is not the loss of that half alone."""
    objective = FORMS[form]
    real, fake = drawn(3 * 5).reshape(3, 5), drawn(3 * 5, 1).reshape(3, 5)
    for player in ("discriminator", "generator"):
        losses = getattr(objective, player)
        together = losses(Sides(real, fake))
        carried = tuple(side for side, found in zip(("real", "fake"), together, strict=True) if found is not None)
        assert carried == objective.carries[player]
        for number, found in enumerate(together):
            if found is None:
                continue
            assert found.shape == (3, 5)
            rows = torch.stack([losses(Sides(r, f))[number] for r, f in zip(real, fake, strict=True)])
            torch.testing.assert_close(found, rows, rtol=1e-13, atol=1e-14)


@every_form
def test_gradients_by_finite_differences(form: str) -> None:
    """Of the discriminator by both sides, of the generator by the fakes; the reals are a constant to the generator."""
    real, fake = drawn(4).requires_grad_(), drawn(4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, f: of_discriminator(form, r, f), (real, fake))
    assert torch.autograd.gradcheck(lambda f: of_generator(form, real.detach(), f), (fake,))
    (none,) = torch.autograd.grad(of_generator(form, real, fake), real, allow_unused=True)
    assert none is None


@every_form
def test_far_scores_are_finite(form: str) -> None:
    real, fake = torch.tensor([-1e3, 1e3]), torch.tensor([1e3, -1e3])
    assert bool(torch.isfinite(of_discriminator(form, real, fake)))
    assert bool(torch.isfinite(of_generator(form, real, fake)))


@every_form
def test_what_could_broadcast_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"real scores \(4,\) and fake scores \(4, 1\)"):
        FORMS[form].discriminator(Sides(torch.zeros(4), torch.zeros(4, 1)))
    with pytest.raises(ValueError, match="real scores are needed and absent"):
        FORMS[form].discriminator(Sides(fake=torch.zeros(4)))
    with pytest.raises(ValueError, match="fake scores are needed and absent"):
        FORMS[form].generator(Sides(real=torch.zeros(4)))


@pytest.mark.parametrize("form", SHIFTING)
def test_a_constant_added_to_all_scores_changes_nothing(form: str) -> None:
    real, fake = drawn(6, scale=2.0), drawn(6, 1, scale=2.0)
    for loss in (of_discriminator, of_generator):
        assert float(loss(form, real + 17, fake + 17)) == pytest.approx(float(loss(form, real, fake)), abs=1e-12)
    assert FORMS[form].boundary is None


@pytest.mark.parametrize("form", TRADING)
def test_the_losses_exchange_when_the_roles_of_real_and_fake_do(form: str) -> None:
    real, fake = drawn(6), drawn(6, 1)
    assert float(of_generator(form, real, fake)) == pytest.approx(float(of_discriminator(form, fake, real)), abs=1e-14)


EQUAL = {"relativistic": math.log(2), "average": 2 * math.log(2), "average least-squares": 2.0, "average hinge": 2.0}


@pytest.mark.parametrize(("form", "value"), EQUAL.items())
def test_equal_scores(form: str, value: float) -> None:
    scores = torch.full((5,), 1.7, dtype=torch.float64)
    assert float(of_discriminator(form, scores, scores)) == pytest.approx(value, abs=1e-14)
    assert float(of_generator(form, scores, scores)) == pytest.approx(value, abs=1e-14)


@pytest.mark.parametrize("form", SHIFTING)
def test_the_slopes_of_the_batch_sum_to_nothing(form: str) -> None:
    real, fake = drawn(6).requires_grad_(), drawn(6 if FORMS[form].pairs else 3, 1).requires_grad_()
    slopes = torch.autograd.grad(of_discriminator(form, real, fake), [real, fake])
    assert float(sum(slope.sum() for slope in slopes)) == pytest.approx(0.0, abs=1e-15)
    assert float(slopes[0].abs().max()) > 0.01


def test_pairs_need_as_many_of_both() -> None:
    for loss in (FORMS["relativistic"].discriminator, FORMS["relativistic"].generator):
        with pytest.raises(ValueError, match="4 real scores and 3 fake scores are no pairs"):
            loss(Sides(torch.zeros(4), torch.zeros(3)))


# Softmax


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 2), (1, 7)])
def test_softmax_of_equal_scores(n: int, m: int) -> None:
    real, fake = torch.full((n,), 3.0, dtype=torch.float64), torch.full((m,), 3.0, dtype=torch.float64)
    assert float(of_discriminator("softmax", real, fake)) == pytest.approx(math.log(n + m), abs=1e-14)
    assert float(of_generator("softmax", real, fake)) == pytest.approx(math.log(n + m), abs=1e-14)
    assert float(of_discriminator("softmax", real, fake - 200)) == pytest.approx(math.log(n), abs=1e-14)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 2), (2, 7)])
def test_softmax_slopes_are_p_minus_the_target(n: int, m: int) -> None:
    real, fake = drawn(n).requires_grad_(), drawn(m, 1).requires_grad_()
    p = torch.cat([real, fake]).detach().softmax(-1)
    on_real, on_fake = torch.autograd.grad(of_discriminator("softmax", real, fake), [real, fake])
    torch.testing.assert_close(torch.cat([on_real, on_fake]), p - torch.tensor([1 / n] * n + [0.0] * m, dtype=torch.float64))
    (of_fake,) = torch.autograd.grad(of_generator("softmax", real, fake), fake)
    torch.testing.assert_close(of_fake, p[n:] - 1 / (n + m))


def test_softmax_is_a_divergence_from_its_target() -> None:
    """`L_D - ln n` and `L_G - ln(n + m)` are `KL(target || p)`: never negative, 0 at p = target alone."""
    real, fake = drawn(4, scale=2.0), drawn(3, 1, scale=2.0)
    p = torch.cat([real, fake]).softmax(-1).numpy()
    target = np.array([1 / 4] * 4)
    assert float(of_discriminator("softmax", real, fake)) - math.log(4) == pytest.approx((target * np.log(target / p[:4])).sum())
    uniform = np.full(7, 1 / 7)
    assert float(of_generator("softmax", real, fake)) - math.log(7) == pytest.approx((uniform * np.log(uniform / p)).sum())
    assert float(of_generator("softmax", real, fake)) > math.log(7)


# PU-GAN


LINEAR = {"pu-gan": lambda real, pi: -pi * real.mean(), "pu-gan least-squares": lambda real, pi: -4 * pi * real.mean()}


@pytest.mark.parametrize("form", LINEAR)
def test_where_the_fakes_count_the_real_side_is_linear(form: str) -> None:
    real, fake = drawn(6), drawn(5, 1) + 3
    bad = fake.exp().log1p() if form == "pu-gan" else (fake + 1) ** 2
    pi = 0.3 if form == "pu-gan" else 0.6
    assert float(of_discriminator(form, real, fake)) == pytest.approx(float(bad.mean() + LINEAR[form](real, pi)), abs=1e-13)


@pytest.mark.parametrize("form", LINEAR)
def test_where_they_do_not_no_gradient_reaches_them(form: str) -> None:
    real, fake = (drawn(6) + 3).requires_grad_(), torch.full((5,), -1.0 if form.endswith("squares") else -9.0, requires_grad=True)
    on_real, on_fake = torch.autograd.grad(of_discriminator(form, real, fake.double()), [real, fake])
    assert bool((on_fake == 0).all())
    assert bool((on_real != 0).all())


@pytest.mark.parametrize("form", ["vanilla", "least-squares"])
def test_a_share_of_nothing_is_fakes_only(form: str) -> None:
    objective = OBJECTIVES["pu-gan"](share=0, form=form)
    real, fake = drawn(6).requires_grad_(), drawn(5, 1).requires_grad_()
    loss = total(objective.discriminator(Sides(real, fake)))
    expected = fake.exp().log1p().mean() if form == "vanilla" else ((fake + 1) ** 2).mean()
    torch.testing.assert_close(loss, expected)
    on_real, on_fake = torch.autograd.grad(loss, [real, fake])
    assert bool((on_real == 0).all())
    assert bool((on_fake != 0).any())


@pytest.mark.parametrize("form", LINEAR)
def test_it_is_continuous_at_the_switch(form: str) -> None:
    """Fakes fall until their cost is pi times that of reals taken for bad: on both sides of that score the loss is the same."""
    real = drawn(6) + 2
    pi = 0.3 if form == "pu-gan" else 0.6
    cost = pi * float((real.exp().log1p() if form == "pu-gan" else (real + 1) ** 2).mean())
    at = math.log(math.expm1(cost)) if form == "pu-gan" else math.sqrt(cost) - 1
    below, above = (torch.full((3,), at + side * 1e-9, dtype=torch.float64) for side in (-1, 1))
    sides = [FORMS[form].discriminator(Sides(real, fake)) for fake in (below, above)]
    assert bool((present(sides[0].fake) == 0).all())
    assert bool((present(sides[1].fake) > 0).all())
    assert float(total(sides[0])) == pytest.approx(float(total(sides[1])), abs=1e-7)


def test_the_share_follows_its_schedule_of_the_discriminators_updates() -> None:
    """The paper's slow schedule, from .3 by .1 each 100,000 steps up to .6."""
    objective = OBJECTIVES["pu-gan"](share={"name": "staircase", "start": 0.3, "step": 0.1, "period": 100_000}, most=0.6)
    real, fake = torch.zeros(4, dtype=torch.float64), torch.full((4,), 2.0, dtype=torch.float64)
    for update, pi in ((0, 0.3), (99_999, 0.3), (100_000, 0.4), (300_000, 0.6), (900_000, 0.6)):
        state = objective.scheduled({"discriminator": update, "generator": 7})
        loss = total(objective.discriminator(Sides(real, fake), state))
        assert float(loss) == pytest.approx(sp(2.0), abs=1e-12)
        (slope,) = torch.autograd.grad(
            total(objective.discriminator(Sides(leaf := real.clone().requires_grad_(), fake), state)), leaf
        )
        assert float(slope.sum()) == pytest.approx(-pi, abs=1e-12)
    alone, first = (each.discriminator(Sides(real + 1, fake)).real for each in (objective, FORMS["pu-gan"]))
    assert torch.equal(present(alone), present(first))


FALLING = {"name": "staircase", "start": 0.3, "step": -0.1, "period": 5}


@pytest.mark.parametrize("share", [-0.1, 1.1, {"name": "linear", "start": 0.3, "end": 2}, FALLING])
def test_what_is_no_share_is_refused(share: object) -> None:
    with pytest.raises(ValueError, match=r"share of the fakes|ends below 0"):
        OBJECTIVES["pu-gan"](share=share)


def test_the_log_shows_the_share_and_whether_the_fakes_count() -> None:
    objective = FORMS["pu-gan"]
    shown = objective.watched(Sides(torch.zeros(2, 4), torch.tensor([[2.0] * 4, [-9.0] * 4])))
    assert {name: value.tolist() for name, value in shown.items()} == {
        "share of good fakes": [pytest.approx(0.3)] * 2,
        "fakes count": [1.0, 0.0],
    }
    assert objective.watched(Sides(fake=torch.zeros(4))) == {}
