"""Every objective: values by hand, the papers' optima, gradients by finite differences, shapes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS
from saddlepoint.rounds import Sides

FORMS: dict[str, Objective] = {
    "vanilla": OBJECTIVES["vanilla"](),
    "vanilla saturating": OBJECTIVES["vanilla"](saturating=True),
    "lsgan 0-1-1": OBJECTIVES["lsgan"](),
    "lsgan -1-1-0": OBJECTIVES["lsgan"](fake=-1, real=1, target=0),
    "hinge": OBJECTIVES["hinge"](),
    "wasserstein": OBJECTIVES["wasserstein"](),
    "one-sided-label-smoothing": OBJECTIVES["one-sided-label-smoothing"](),
    "bgan": OBJECTIVES["bgan"](),
    "bgan cross-entropy": OBJECTIVES["bgan"](form="cross-entropy"),
}

# Whose tests are in files of their own.
ELSEWHERE = {"softmax", "relativistic", "relativistic-average", "pu-gan", "f-gan"}

# Formulas of the papers on plain numbers: (discriminator on real, on fake, generator on fake).
FORMULAS: dict[str, tuple[Callable[[float], float], Callable[[float], float], Callable[[float], float]]] = {
    "vanilla": (lambda s: math.log1p(math.exp(-s)), lambda s: math.log1p(math.exp(s)), lambda s: math.log1p(math.exp(-s))),
    "vanilla saturating": (
        lambda s: -math.log(1 / (1 + math.exp(-s))),
        lambda s: -math.log(1 - 1 / (1 + math.exp(-s))),
        lambda s: math.log(1 - 1 / (1 + math.exp(-s))),
    ),
    "lsgan 0-1-1": (lambda s: (s - 1) ** 2 / 2, lambda s: s**2 / 2, lambda s: (s - 1) ** 2 / 2),
    "lsgan -1-1-0": (lambda s: (s - 1) ** 2 / 2, lambda s: (s + 1) ** 2 / 2, lambda s: s**2 / 2),
    "hinge": (lambda s: max(0, 1 - s), lambda s: max(0, 1 + s), lambda s: -s),
    "wasserstein": (lambda s: -s, lambda s: s, lambda s: -s),
    "one-sided-label-smoothing": (
        lambda s: -0.9 * math.log(1 / (1 + math.exp(-s))) - 0.1 * math.log(1 - 1 / (1 + math.exp(-s))),
        lambda s: math.log1p(math.exp(s)),
        lambda s: math.log1p(math.exp(-s)),
    ),
    "bgan": (lambda s: math.log1p(math.exp(-s)), lambda s: math.log1p(math.exp(s)), lambda s: s * s),
    "bgan cross-entropy": (
        lambda s: math.log1p(math.exp(-s)),
        lambda s: math.log1p(math.exp(s)),
        lambda s: -0.5 * math.log(1 / (1 + math.exp(-s))) - 0.5 * math.log(1 - 1 / (1 + math.exp(-s))),
    ),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sided(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def test_every_objective_has_a_form_here() -> None:
    of_errors = {name for name, objective in OBJECTIVES.items() if objective.reads_scores_as == "error"}
    of_symbols = {name for name, objective in OBJECTIVES.items() if objective.needs_log_probability}
    assert {type(form).name for form in FORMS.values()} | ELSEWHERE == set(OBJECTIVES) - of_errors - of_symbols
    assert of_errors == {"began"}
    assert len(OBJECTIVES) == 14
    assert FORMS.keys() == FORMULAS.keys()


@pytest.mark.parametrize("form", FORMS)
def test_values_are_the_papers(form: str) -> None:
    real = torch.tensor([-2.5, -1.0, 0.0, 0.3, 1.0, 4.0], dtype=torch.float64)
    fake = torch.tensor([-3.0, -0.5, 0.0, 0.7], dtype=torch.float64)
    on_real, on_fake, generator = FORMULAS[form]
    losses = FORMS[form].discriminator(Sides(real, fake))
    np.testing.assert_allclose(sided(losses.real), [on_real(s) for s in real.tolist()], atol=1e-13)
    np.testing.assert_allclose(sided(losses.fake), [on_fake(s) for s in fake.tolist()], atol=1e-13)
    wanted = FORMS[form].generator(Sides(real, fake))
    np.testing.assert_allclose(sided(wanted.fake), [generator(s) for s in fake.tolist()], atol=1e-13)
    assert wanted.real is None


@pytest.mark.parametrize("form", FORMS)
def test_gradients_by_finite_differences(form: str) -> None:
    real = torch.tensor([-2.1, 0.4, 3.3], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-1.7, 0.2, 2.9, 25.0], dtype=torch.float64, requires_grad=True)
    objective = FORMS[form]

    def discriminator(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        losses = objective.discriminator(Sides(real, fake))
        return sided(losses.real), sided(losses.fake)

    assert torch.autograd.gradcheck(discriminator, (real, fake))
    assert torch.autograd.gradcheck(lambda fake: sided(objective.generator(Sides(fake=fake)).fake), (fake,))


@pytest.mark.parametrize("form", FORMS)
def test_pure_and_per_sample(form: str) -> None:
    """Replica r of [R, n] is the lone run's bits, of unequal sides and a batch of one; twice is the same bits."""
    objective = FORMS[form]
    real, fake = torch.randn(3, 5), torch.randn(3, 1)
    stacked, again = objective.discriminator(Sides(real, fake)), objective.discriminator(Sides(real, fake))
    assert sided(stacked.real).shape == (3, 5)
    assert sided(stacked.fake).shape == (3, 1)
    assert torch.equal(sided(stacked.real), sided(again.real))
    for r in range(3):
        lone = objective.discriminator(Sides(real[r], fake[r]))
        torch.testing.assert_close(sided(stacked.real)[r], sided(lone.real), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(sided(stacked.fake)[r], sided(lone.fake), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(
            sided(objective.generator(Sides(fake=fake)).fake)[r],
            sided(objective.generator(Sides(fake=fake[r])).fake),
            rtol=1e-6,
            atol=1e-7,
        )


@pytest.mark.parametrize("form", FORMS)
def test_what_could_broadcast_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"real scores \(4,\) and fake scores \(4, 1\)"):
        FORMS[form].discriminator(Sides(torch.zeros(4), torch.zeros(4, 1)))
    with pytest.raises(ValueError, match="fake scores are needed and absent"):
        FORMS[form].discriminator(Sides(torch.zeros(4)))
    with pytest.raises(ValueError, match="fake scores are needed and absent"):
        FORMS[form].generator(Sides(torch.zeros(4)))


@pytest.mark.parametrize("form", FORMS)
def test_the_players_pull_scores_apart_and_together(form: str) -> None:
    """A small step of either player moves scores its own way: a flipped sign turns this red."""
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    losses = FORMS[form].discriminator(Sides(real + 0.1, fake + 0.1))
    on_real, on_fake = torch.autograd.grad(sided(losses.real).sum() + sided(losses.fake).sum(), [real, fake])
    assert (on_real < 0).all()
    assert (on_fake > 0).all()
    lower = torch.full((3,), -0.5, requires_grad=True)
    assert (torch.autograd.grad(sided(FORMS[form].generator(Sides(fake=lower)).fake).sum(), lower)[0] < 0).all()


def test_boundaries_and_probabilities() -> None:
    boundaries = {form: objective.boundary for form, objective in FORMS.items()}
    assert boundaries == {
        "vanilla": 0.0,
        "vanilla saturating": 0.0,
        "lsgan 0-1-1": 0.5,
        "lsgan -1-1-0": 0.0,
        "hinge": 0.0,
        "wasserstein": None,
        "one-sided-label-smoothing": pytest.approx(math.log(0.9 / 1.1)),
        "bgan": 0.0,
        "bgan cross-entropy": 0.0,
    }
    giving = {name for name, objective in OBJECTIVES.items() if objective().gives_probability}
    assert giving == {"vanilla", "bgan", "maligan", "bgan-discrete"}


@pytest.mark.parametrize("form", [form for form, objective in FORMS.items() if objective.boundary is not None])
def test_the_boundary_is_where_the_optimal_score_of_equal_densities_lies(form: str) -> None:
    """Where p_r = p_g the best score minimises l_r + l_f; hinge is flat there, so only the value is compared."""
    objective = FORMS[form]

    def total(score: float) -> float:
        s = torch.tensor([score], dtype=torch.float64)
        losses = objective.discriminator(Sides(s, s))
        return float(sided(losses.real) + sided(losses.fake))

    best = minimize_scalar(total, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    assert objective.boundary is not None
    assert total(objective.boundary) <= best.fun + 1e-12
    if form != "hinge":
        assert abs(best.x - objective.boundary) < 1e-6


# Vanilla


def test_vanilla_at_zero_and_far_out() -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    losses = FORMS["vanilla"].discriminator(Sides(zero, zero))
    assert float(sided(losses.real) + sided(losses.fake)) == pytest.approx(2 * math.log(2), abs=1e-15)
    assert float(sided(FORMS["vanilla"].generator(Sides(fake=zero)).fake)) == pytest.approx(math.log(2), abs=1e-15)
    assert float(sided(FORMS["vanilla saturating"].generator(Sides(fake=zero)).fake)) == pytest.approx(-math.log(2), abs=1e-15)
    far = torch.tensor([-1e4, 1e4])
    for objective in (FORMS["vanilla"], FORMS["vanilla saturating"]):
        assert sided(objective.generator(Sides(fake=far)).fake).isfinite().all()


@pytest.mark.parametrize("score", [-30.0, -10.0, 0.0, 3.0, 21.0, 30.0])
def test_vanilla_vanishing_gradient(score: float) -> None:
    """Saturating -sig(s), non-saturating -sig(-s); at -10 about -4.5e-5 against -1."""
    for form, expected in (("vanilla saturating", -1 / (1 + math.exp(-score))), ("vanilla", -1 / (1 + math.exp(score)))):
        s = torch.tensor([score], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(sided(FORMS[form].generator(Sides(fake=s)).fake).sum(), s)
        assert float(slope) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_vanilla_measures_the_jensen_shannon_divergence(shift: float) -> None:
    """At the optimal score ln p_r - ln p_g, minus the discriminator's loss is 2 JS - 2 ln 2; by quadrature on two Gaussians."""

    def losses(x: float) -> Sides:
        s = torch.tensor([norm.logpdf(x) - norm.logpdf(x, shift)], dtype=torch.float64)
        return FORMS["vanilla"].discriminator(Sides(s, s))

    loss = quad(lambda x: norm.pdf(x) * float(sided(losses(x).real)) + norm.pdf(x, shift) * float(sided(losses(x).fake)), -12, 15)[
        0
    ]

    def integrand(x: float) -> float:
        p, q = float(norm.pdf(x)), float(norm.pdf(x, shift))
        return 0.5 * p * math.log(2 * p / (p + q)) + 0.5 * q * math.log(2 * q / (p + q))

    divergence = quad(integrand, -12, 15)[0]
    assert -loss == pytest.approx(2 * divergence - 2 * math.log(2), abs=1e-7)


def test_vanilla_of_disjoint_supports_goes_to_zero() -> None:
    s = torch.tensor([200.0], dtype=torch.float64)
    losses = FORMS["vanilla"].discriminator(Sides(s, -s))
    assert float(sided(losses.real) + sided(losses.fake)) == pytest.approx(0.0, abs=1e-80)


def test_vanilla_is_cross_entropy_with_logits() -> None:
    real, fake = torch.randn(100, dtype=torch.float64) * 5, torch.randn(100, dtype=torch.float64) * 5
    losses = FORMS["vanilla"].discriminator(Sides(real, fake))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(sided(losses.real), entropy(real, torch.ones_like(real), reduction="none"), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sided(losses.fake), entropy(fake, torch.zeros_like(fake), reduction="none"), rtol=1e-12, atol=1e-14)


# LSGAN


@pytest.mark.parametrize("coding", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (0.2, 0.7, 0.9)])
def test_lsgan_optimal_score(coding: tuple[float, float, float]) -> None:
    """(b p_r + a p_g) / (p_r + p_g), and L_D = ((d - b)^2 + (d - a)^2) / 2 at a constant d."""
    a, b, c = coding
    objective = OBJECTIVES["lsgan"](fake=a, real=b, target=c)
    p_real, p_fake = 0.3, 0.9

    def total(score: float, p: float, q: float) -> float:
        s = torch.tensor([score], dtype=torch.float64)
        losses = objective.discriminator(Sides(s, s))
        return float(p * sided(losses.real) + q * sided(losses.fake))

    best = minimize_scalar(lambda s: total(s, p_real, p_fake), bounds=(-3, 3), method="bounded", options={"xatol": 1e-12})
    assert best.x == pytest.approx((b * p_real + a * p_fake) / (p_real + p_fake), abs=1e-6)
    assert total(0.5, 1, 1) == pytest.approx(((0.5 - b) ** 2 + (0.5 - a) ** 2) / 2, abs=1e-15)
    score = torch.tensor([-7.0], dtype=torch.float64, requires_grad=True)
    assert float(torch.autograd.grad(sided(objective.generator(Sides(fake=score)).fake).sum(), score)[0]) == -7.0 - c


def test_lsgan_minimises_pearson_chi_squared() -> None:
    """Coding -1, 1, 0 at the optimal score, with the real side added to G's loss: 2 C(G) = chi2(p_r + p_g || 2 p_g)."""
    p = np.array([0.5, 0.2, 0.2, 0.1])
    q = np.array([0.1, 0.3, 0.2, 0.4])
    best = torch.tensor((p - q) / (p + q))
    on_fake = sided(FORMS["lsgan -1-1-0"].generator(Sides(fake=best)).fake).numpy()
    doubled = 2 * (p * on_fake + q * on_fake).sum()
    assert doubled == pytest.approx((((2 * q - (p + q)) ** 2) / (p + q)).sum(), abs=1e-14)


@pytest.mark.parametrize(
    "fields", [{"fake": 1, "real": 0}, {"fake": 1, "real": 1}, {"target": 0}, {"target": -1}, {"real": math.inf}]
)
def test_lsgan_refuses_codings_without_a_game(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie above|finite"):
        OBJECTIVES["lsgan"](**fields)


# Hinge and Wasserstein


def test_hinge_margin() -> None:
    real, fake = torch.tensor([0.0, 1.5, 3.0], requires_grad=True), torch.tensor([0.0, -1.5, -3.0], requires_grad=True)
    losses = FORMS["hinge"].discriminator(Sides(real, fake))
    assert float((sided(losses.real) + sided(losses.fake))[0].detach()) == 2.0
    on_real, on_fake = torch.autograd.grad(sided(losses.real).sum() + sided(losses.fake).sum(), [real, fake])
    assert on_real.tolist() == [-1, 0, 0]
    assert on_fake.tolist() == [1, 0, 0]
    assert float(sided(FORMS["hinge"].generator(Sides(fake=torch.zeros(1))).fake)) == 0


def test_wasserstein_ignores_an_offset_and_changes_sign_with_the_sides() -> None:
    real, fake, offset = (
        torch.randn(6, dtype=torch.float64),
        torch.randn(6, dtype=torch.float64),
        torch.tensor(0.0, requires_grad=True),
    )

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        losses = FORMS["wasserstein"].discriminator(Sides(real, fake))
        return sided(losses.real).mean() + sided(losses.fake).mean()

    assert abs(float(torch.autograd.grad(loss(real + offset, fake + offset), offset)[0])) < 1e-15
    assert float(loss(real, fake)) == -float(loss(fake, real))


@pytest.mark.parametrize("theta", [-2.0, 0.5, 3.0])
def test_wasserstein_of_two_points_under_clipping(theta: float) -> None:
    """Point masses at 0 and theta, D(x) = w x, |w| <= c: -L_D goes to c |theta|."""
    weight = torch.nn.Parameter(torch.tensor([0.003]))
    optimizer, clip = (
        OPTIMIZERS["rmsprop"](lr=1e-3).build({"weight": weight}, fused=False),
        PROJECTIONS["weight-clipping"](bound=0.01),
    )
    for _ in range(40):
        losses = FORMS["wasserstein"].discriminator(Sides(weight * 0.0, weight * theta))
        loss = sided(losses.real).mean() + sided(losses.fake).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        clip({"weight": weight})
        assert float(weight.detach().abs().max()) <= float(torch.tensor(0.01))
    losses = FORMS["wasserstein"].discriminator(Sides(weight * 0.0, weight * theta))
    assert float(-(sided(losses.real).mean() + sided(losses.fake).mean()).detach()) == pytest.approx(0.01 * abs(theta), rel=1e-6)


# One-sided label smoothing


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smoothing_by_nothing_is_vanilla_to_the_bit(dtype: torch.dtype) -> None:
    real, fake = (torch.linspace(-30, 30, 61, dtype=dtype, requires_grad=True) for _ in range(2))
    smoothed = OBJECTIVES["one-sided-label-smoothing"](target=1)
    for player in ("discriminator", "generator"):
        ours, vanilla = (getattr(objective, player)(Sides(real, fake)) for objective in (smoothed, FORMS["vanilla"]))
        for one, other in zip(ours, vanilla, strict=True):
            if other is None:
                assert one is None
                continue
            assert torch.equal(one, other)
            slopes = [torch.autograd.grad(losses.sum(), [real, fake], allow_unused=True) for losses in (one, other)]
            assert all(torch.equal(a, b) if b is not None else a is None for a, b in zip(*slopes, strict=True))


def test_smoothing_is_least_at_the_logit_of_its_target() -> None:
    """At ln 9, where it is the entropy of .9."""

    def loss(score: float) -> float:
        s = torch.tensor([score], dtype=torch.float64)
        return float(sided(FORMS["one-sided-label-smoothing"].discriminator(Sides(s, s)).real))

    best = minimize_scalar(loss, bounds=(-3, 6), method="bounded", options={"xatol": 1e-10})
    assert best.x == pytest.approx(math.log(9), abs=1e-6)
    assert best.fun == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=1e-12)


@pytest.mark.parametrize(("target", "real", "fake"), [(0.9, 0.3, 0.9), (0.7, 0.8, 0.1), (0.9, 0.5, 0.5)])
def test_the_best_smoothed_probability_is_a_times_that_of_a_real(target: float, real: float, fake: float) -> None:
    objective = OBJECTIVES["one-sided-label-smoothing"](target=target)

    def total(score: float) -> float:
        s = torch.tensor([score], dtype=torch.float64)
        losses = objective.discriminator(Sides(s, s))
        return float(real * sided(losses.real) + fake * sided(losses.fake))

    best = minimize_scalar(total, bounds=(-9, 9), method="bounded", options={"xatol": 1e-10})
    assert 1 / (1 + math.exp(-best.x)) == pytest.approx(target * real / (real + fake), abs=1e-6)


@pytest.mark.parametrize("target", [0, -0.1, 1.1])
def test_a_target_that_is_no_probability_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="target"):
        OBJECTIVES["one-sided-label-smoothing"](target=target)


# BGAN


@pytest.mark.parametrize("form", ["bgan", "bgan cross-entropy"])
def test_bgan_is_least_exactly_at_the_boundary(form: str) -> None:
    scores = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    losses = sided(FORMS[form].generator(Sides(fake=scores)).fake)
    (slopes,) = torch.autograd.grad(losses.sum(), scores)
    expected = 2 * scores if form == "bgan" else 1 / (1 + (-scores).exp()) - 0.5
    torch.testing.assert_close(slopes, expected.detach(), rtol=1e-12, atol=1e-14)
    assert scores[losses.argmin()] == 0
    assert slopes[16] == 0


def test_the_discriminator_of_bgan_is_vanilla() -> None:
    scores = Sides(torch.randn(7), torch.randn(4))
    for form in ("bgan", "bgan cross-entropy"):
        for ours, vanilla in zip(FORMS[form].discriminator(scores), FORMS["vanilla"].discriminator(scores), strict=True):
            assert torch.equal(sided(ours), sided(vanilla))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_records(name: str) -> None:
    record = OBJECTIVES[name]
    assert record.name == name
    assert "@" in record.bibtex
    assert record(**record().model_dump()) == record()
    with pytest.raises(ValueError, match="Extra inputs"):
        record(no_such_field=1)
    assert all(field.description for field in record.model_fields.values())
