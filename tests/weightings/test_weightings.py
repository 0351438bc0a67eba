"""Every weighting: its formula in plain numbers, its bounds, Theorem 1 and where it fails, where importance weights overflow."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.rounds import Sides
from saddlepoint.weightings import WEIGHTINGS
from saddlepoint.weightings.weighting import Weighting

# Top-k begins as the plain mean; what it does later has tests of its own.
FORMS: dict[str, Weighting] = {
    "top-k": WEIGHTINGS["top-k"](),
    "wegan": WEIGHTINGS["wegan"](),
    "wegan standardized": WEIGHTINGS["wegan"](squash="standardized", eta=0.1),
    "wegan minmax": WEIGHTINGS["wegan"](squash="minmax", eta=0.1),
    "wegan identity": WEIGHTINGS["wegan"](squash="identity", eta=0.5),
    "wegan clamp": WEIGHTINGS["wegan"](squash="clamp", eta=0.5),
    "wegan low": WEIGHTINGS["wegan"](prefers="low"),
    "importance": WEIGHTINGS["importance"](),
    "importance clip": WEIGHTINGS["importance"](clip=2.0),
    "importance temperature": WEIGHTINGS["importance"](temperature=3.0),
    "importance probability": WEIGHTINGS["importance"](space="probability"),
    "importance probability clip": WEIGHTINGS["importance"](space="probability", clip=2.0, temperature=3.0),
}
INTO_UNIT_INTERVAL = ["sigmoid", "standardized", "minmax", "clamp"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def papers(form: str, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of sum 1 as the papers print them."""
    logistic = 1 / (1 + np.exp(-scores))
    if form == "top-k":
        weights = np.ones_like(scores)
    elif form.startswith("wegan"):
        record: Any = FORMS[form]
        judged = {
            "sigmoid": logistic,
            "standardized": 1 / (1 + np.exp(-(scores - scores.mean()) / scores.std())),
            "minmax": (scores - scores.min()) / (scores.max() - scores.min()),
            "identity": scores,
            "clamp": np.clip(scores, 0, 1),
        }[record.squash]
        weights = record.eta**judged if record.prefers == "low" else record.eta ** (1 - judged)
    else:
        ratio = logistic / (1 - logistic)
        record = FORMS[form]
        weights = np.minimum(ratio, record.clip or np.inf) ** (1 / record.temperature)
    return np.asarray(weights / weights.sum())


def test_every_weighting_has_a_form_here() -> None:
    assert {type(form).name for form in FORMS.values()} == set(WEIGHTINGS)
    assert len(WEIGHTINGS) == 3


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_the_papers_times_the_batch(form: str) -> None:
    scores = torch.tensor([-3.0, -0.4, 0.0, 0.1, 0.9, 2.0, 5.0], dtype=torch.float64)
    weights = FORMS[form](scores)
    np.testing.assert_allclose(weights / 7, papers(form, scores.numpy()), rtol=1e-12)
    assert float(weights.mean()) == pytest.approx(1.0, abs=1e-14)
    losses = torch.randn(7, dtype=torch.float64)
    assert float((weights * losses).mean()) == pytest.approx(
        float((papers(form, scores.numpy()) * losses.numpy()).sum()), abs=1e-14
    )


@pytest.mark.parametrize("form", [form for form in FORMS if "probability" not in form])
@pytest.mark.parametrize("n", [1, 3, 41, 49, 55, 64, 83, 300])  # n (1/n) is not 1 in float32 at 41, 55, 83
@pytest.mark.parametrize("value", [-2.3, 0.0, 0.1, 4.0])
def test_equal_scores_weigh_exactly_one(form: str, n: int, value: float) -> None:
    weights = FORMS[form](torch.full((n,), value))
    assert torch.equal(weights, torch.ones(n))


@pytest.mark.parametrize("squash", [*INTO_UNIT_INTERVAL, "identity"])
def test_eta_one_is_the_plain_mean_to_the_last_bit(squash: str) -> None:
    for n in (1, 3, 41, 55, 64, 83, 1000):
        scores, losses = 10 * torch.randn(n), torch.randn(n)
        weights = WEIGHTINGS["wegan"](eta=1, squash=squash)(scores)
        assert torch.equal(weights, torch.ones(n))
        assert torch.equal((weights * losses).mean(-1), losses.mean(-1))


@pytest.mark.parametrize("form", FORMS)
def test_replicas_equal_lone_runs(form: str) -> None:
    scores = torch.randn(4, 3, 9, dtype=torch.float64)
    stacked = FORMS[form](scores)
    assert stacked.shape == (4, 3, 9)
    for a in range(4):
        for b in range(3):
            torch.testing.assert_close(stacked[a, b], FORMS[form](scores[a, b]), rtol=1e-13, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_pure_and_constant_for_the_gradient(form: str) -> None:
    scores = torch.randn(6, requires_grad=True)
    kept = scores.detach().clone()
    weights = FORMS[form](scores)
    assert not weights.requires_grad
    assert torch.equal(weights, FORMS[form](scores))
    assert torch.equal(scores.detach(), kept)
    with pytest.raises(ValueError, match="batch axis"):
        FORMS[form](torch.tensor(1.0))


@pytest.mark.parametrize("form", FORMS)
def test_order_and_permutations(form: str) -> None:
    scores = torch.randn(50, dtype=torch.float64)
    weights, order, shuffle = FORMS[form](scores), scores.argsort(), torch.randperm(50)
    steps = weights[order].diff()
    assert (steps <= 1e-15).all() if form == "wegan low" else (steps >= -1e-15).all()
    torch.testing.assert_close(FORMS[form](scores[shuffle]), weights[shuffle], rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", [form for form in FORMS if "probability" not in form])
def test_half_precision_is_computed_in_float32(form: str) -> None:
    scores = 4 * torch.randn(200)
    half = FORMS[form](scores.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), FORMS[form](scores.half().float()), rtol=1e-3, atol=1e-6)


# WeGAN


@pytest.mark.parametrize("squash", INTO_UNIT_INTERVAL)
@pytest.mark.parametrize("eta", [1e-6, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("prefers", ["high", "low"])
def test_wegan_bounds(squash: str, eta: float, prefers: str) -> None:
    """max/min <= 1/eta; eta/(m-1+eta) <= w <= 1/(1+(m-1)eta); ESS >= 4 eta m/(1+eta)^2; on batches made to come near them."""
    weighting = WEIGHTINGS["wegan"](eta=eta, squash=squash, prefers=prefers)
    for m in (1, 2, 9, 64):
        batches = [torch.randn(500, m, dtype=torch.float64) * scale for scale in (0.1, 3.0, 300.0)]
        batches += [torch.where(torch.arange(m) < some, 300.0, -300.0).double().expand(1, m) for some in range(m + 1)]
        for scores in batches:
            weights = weighting(scores) / m
            assert (weights.amax(-1) / weights.amin(-1) <= 1 / eta * (1 + 1e-12)).all()
            assert (weights >= eta / (m - 1 + eta) * (1 - 1e-12)).all()
            assert (weights <= 1 / (1 + (m - 1) * eta) * (1 + 1e-12)).all()
            assert (1 / weights.square().sum(-1) >= 4 * eta * m / (1 + eta) ** 2 * (1 - 1e-12)).all()


def test_the_bounds_are_reached() -> None:
    """One fake at D = 1 among nine at 0 has the largest weight there is; so the bounds above are not idle."""
    weights = WEIGHTINGS["wegan"](eta=0.1, squash="clamp")(torch.tensor([1.0] + [0.0] * 9, dtype=torch.float64)) / 10
    assert float(weights[0]) == pytest.approx(1 / (1 + 9 * 0.1))
    assert float(weights[0] / weights[1]) == pytest.approx(10)
    ess = 1 / float(weights.square().sum())
    assert ess == pytest.approx(4 * 0.1 * 10 / 1.1**2, rel=0.01), "the worst share of ones is eta / (1 + eta), a tenth of ten here"


def test_wegan_is_a_softmax_of_probabilities() -> None:
    scores = torch.randn(30, dtype=torch.float64) * 4
    for eta, rate in ((0.01, 4.605170186), (0.1, 2.302585093), (0.5, 0.693147181)):
        assert math.log(1 / eta) == pytest.approx(rate)
        torch.testing.assert_close(
            WEIGHTINGS["wegan"](eta=eta)(scores) / 30, torch.softmax(rate * scores.sigmoid(), -1), rtol=1e-8, atol=0
        )


def test_an_offset_of_the_probabilities_changes_nothing() -> None:
    scores = torch.randn(20, dtype=torch.float64)
    weighting = WEIGHTINGS["wegan"](squash="identity", eta=0.05)
    torch.testing.assert_close(weighting(scores + 0.37), weighting(scores), rtol=1e-12, atol=0)
    standardized = WEIGHTINGS["wegan"](squash="standardized", eta=0.05)
    torch.testing.assert_close(standardized(7 * scores - 100), standardized(scores), rtol=1e-9, atol=0)


def test_eta_to_zero_is_one_hot_on_the_best() -> None:
    weights = WEIGHTINGS["wegan"](eta=1e-300, squash="minmax")(torch.tensor([0.3, 2.0, -1.0, 0.9], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.tensor([0.0, 4.0, 0.0, 0.0], dtype=torch.float64), rtol=0, atol=1e-50)


def test_low_is_for_reals_that_the_discriminator_doubts() -> None:
    """eta^D, so the weights of high turned around: w_low(s) = w_high(-s), since sig(-s) = 1 - sig(s)."""
    scores = torch.randn(12, dtype=torch.float64)
    torch.testing.assert_close(WEIGHTINGS["wegan"](prefers="low")(scores), WEIGHTINGS["wegan"]()(-scores), rtol=1e-12, atol=0)


def violations(weighting: Weighting, generator: Any, spread: float = 3.0) -> int:
    """Of 20,000 random batches, in how many the weighted loss is above the plain one."""
    losses_above = 0
    for m in (2, 5, 16, 64):
        scores = torch.randn(5000, m, dtype=torch.float64) * spread + torch.randn(5000, 1, dtype=torch.float64)
        losses = generator(Sides(fake=scores)).fake
        gap = (weighting(scores) * losses).mean(-1) - losses.mean(-1)
        losses_above += int((gap > 1e-12 * losses.abs().mean(-1)).sum())
    return losses_above


@pytest.mark.parametrize("form", [form for form in FORMS if form != "wegan low"])
@pytest.mark.parametrize("objective", [("vanilla", {"saturating": True}), ("vanilla", {}), ("hinge", {}), ("wasserstein", {})])
def test_theorem_one(form: str, objective: tuple[str, dict[str, Any]]) -> None:
    """Weighted loss <= plain loss for every batch, for every loss that falls with the score (Chebyshev's sum inequality)."""
    name, fields = objective
    assert violations(FORMS[form], OBJECTIVES[name](**fields).generator) == 0


def test_theorem_one_is_false_for_lsgan_past_the_target() -> None:
    """Its loss rises again above the target; below it the theorem holds. With weights the other way round it fails everywhere."""
    lsgan = OBJECTIVES["lsgan"]().generator
    assert violations(FORMS["wegan"], lsgan) > 4000
    beyond = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    losses = lsgan(Sides(fake=beyond)).fake
    assert losses is not None
    assert float((FORMS["wegan"](beyond) * losses).mean()) > float(losses.mean())
    assert violations(FORMS["wegan"], lambda sides: lsgan(Sides(fake=sides.fake.clamp(max=1)))) == 0
    assert violations(FORMS["wegan low"], OBJECTIVES["wasserstein"]().generator) > 19_000


def saturating(scores: Tensor) -> Tensor:
    losses = OBJECTIVES["vanilla"](saturating=True).generator(Sides(fake=scores)).fake
    assert losses is not None
    return losses


def test_the_gradient_is_weighted() -> None:
    """Detached: -w_i D_i for weights of sum 1, which is w_i m times the plain gradient."""
    scores = torch.randn(8, dtype=torch.float64, requires_grad=True)
    weights = WEIGHTINGS["wegan"](eta=0.1)(scores)
    (weighted,) = torch.autograd.grad((weights * saturating(scores)).mean(), scores)
    (plain,) = torch.autograd.grad(saturating(scores).mean(), scores)
    torch.testing.assert_close(weighted, weights * plain, rtol=1e-12, atol=0)
    torch.testing.assert_close(weighted, -weights / 8 * scores.detach().sigmoid(), rtol=1e-12, atol=0)


def test_the_gradient_through_attached_weights() -> None:
    """-w_i D_i + a w_i D_i (1 - D_i) (l_i - sum_j w_j l_j), and by finite differences for every squash."""
    scores = torch.randn(8, dtype=torch.float64, requires_grad=True)
    weighting = WEIGHTINGS["wegan"](eta=0.1, attached=True)
    (gradient,) = torch.autograd.grad((weighting(scores) * saturating(scores)).mean(), scores)
    s = scores.detach()
    w, judged, losses = WEIGHTINGS["wegan"](eta=0.1)(s) / 8, s.sigmoid(), saturating(s)
    expected = -w * judged + math.log(10) * w * judged * (1 - judged) * (losses - (w * losses).sum())
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)
    for squash in ("sigmoid", "standardized", "minmax", "identity"):
        attached = WEIGHTINGS["wegan"](eta=0.1, attached=True, squash=squash)
        assert torch.autograd.gradcheck(lambda s, attached=attached: (attached(s) * saturating(s)).mean(), (scores,))


@pytest.mark.parametrize(
    "fields", [{"eta": 0}, {"eta": -0.1}, {"eta": 1.01}, {"eta": math.nan}, {"squash": "softplus"}, {"prefers": "mid"}]
)
def test_wegan_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        WEIGHTINGS["wegan"](**fields)


# Importance weights


def test_importance_weights_are_a_softmax_and_agree_between_the_spaces() -> None:
    scores = torch.randn(5, 40, dtype=torch.float64) * 3
    torch.testing.assert_close(WEIGHTINGS["importance"]()(scores) / 40, torch.softmax(scores, -1), rtol=1e-12, atol=0)
    for fields in ({}, {"clip": 3.0}, {"temperature": 2.0}, {"clip": 0.5, "temperature": 0.5}):
        log, printed = WEIGHTINGS["importance"](**fields)(scores), WEIGHTINGS["importance"](space="probability", **fields)(scores)
        torch.testing.assert_close(printed, log, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("dtype", "below", "above"), [(torch.float32, 16.5, 16.7), (torch.float64, 36.6, 36.8)])
@pytest.mark.parametrize("n", [2, 64])
def test_probability_space_overflows_where_the_sigmoid_rounds_to_one(
    dtype: torch.dtype, below: float, above: float, n: int
) -> None:
    """In float32 from s > 16.64 on r is infinite and the weights NaN; log space goes on, as does a clip."""
    fine, broken = torch.zeros(n, dtype=dtype), torch.zeros(n, dtype=dtype)
    fine[-1], broken[-1] = below, above
    printed = WEIGHTINGS["importance"](space="probability")
    assert printed(fine).isfinite().all()
    assert printed(broken)[-1].isnan()
    assert WEIGHTINGS["importance"]()(broken).isfinite().all()
    assert WEIGHTINGS["importance"](space="probability", clip=100.0)(broken).isfinite().all()


def test_log_space_never_overflows_but_degenerates() -> None:
    scores = torch.linspace(-1e4, 1e4, 64)
    weights = WEIGHTINGS["importance"]()(scores)
    assert weights.isfinite().all()
    assert float(64**2 / weights.square().sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(64**2 / WEIGHTINGS["wegan"](eta=0.5)(scores).square().sum()) >= 4 * 0.5 / 1.5**2 * 64 * (1 - 1e-6)


def test_with_the_exact_discriminator_the_weighted_fakes_are_the_data() -> None:
    """p_r = N(1, 1), p_g = N(0, 2^2), s = ln p_r - ln p_g: the weighted mean and variance of fakes are those of p_r."""
    fakes = 2 * torch.randn(200_000, dtype=torch.float64)
    real, fake = torch.distributions.Normal(1.0, 1.0), torch.distributions.Normal(0.0, 2.0)
    weights = WEIGHTINGS["importance"]()(real.log_prob(fakes) - fake.log_prob(fakes))
    mean = (weights * fakes).mean()
    assert float(mean) == pytest.approx(1.0, abs=0.02)
    assert float((weights * (fakes - mean).square()).mean()) == pytest.approx(1.0, abs=0.03)


def test_one_family() -> None:
    """Uniform is softmax(0), WeGAN softmax(a sig(s)), importance softmax(s): squash identity with eta = 1/e is importance."""
    scores = torch.randn(25, dtype=torch.float64)
    identity = WEIGHTINGS["wegan"](eta=math.exp(-1), squash="identity")(scores)
    torch.testing.assert_close(identity, WEIGHTINGS["importance"]()(scores), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        WEIGHTINGS["wegan"](eta=math.exp(-1 / 3), squash="identity")(scores),
        WEIGHTINGS["importance"](temperature=3)(scores),
        rtol=1e-12,
        atol=0,
    )
    assert torch.equal(WEIGHTINGS["importance"](clip=1e-9)(scores), torch.ones(25, dtype=torch.float64))


def test_who_needs_a_probability() -> None:
    assert {name: weighting.needs_probability for name, weighting in WEIGHTINGS.items()} == {
        "wegan": False,
        "importance": True,
        "top-k": False,
    }


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_records(name: str) -> None:
    record = WEIGHTINGS[name]
    assert record.name == name
    assert "@" in record.bibtex
    assert record(**record().model_dump()) == record()
    assert all(field.description for field in record.model_fields.values())
    with pytest.raises(ValueError, match="Extra inputs"):
        record(no_such_field=1)
