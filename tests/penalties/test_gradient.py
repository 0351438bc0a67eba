"""The gradient penalty under all its names: linear and constant discriminators, forms, finite differences."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.gradient import Gradient
from saddlepoint.rounds import Example, InputGradient, Judgement, Noise, Round
from saddlepoint.streams import Streams

GRADIENTS = [name for name, record in PENALTIES.items() if issubclass(record, Gradient)]
CENTRES = {"gradient": 1.0, "wgan-gp": 1.0, "r1": 0.0, "r2": 0.0, "0-gp": 0.0, "dragan": 1.0}
PLACES = {
    "gradient": "interpolates",
    "wgan-gp": "interpolates",
    "r1": "real",
    "r2": "fake",
    "0-gp": "interpolates",
    "dragan": "around",
}
WEIGHTS = {"gradient": 10.0, "wgan-gp": 10.0, "r1": 5.0, "r2": 5.0, "0-gp": 10.0, "dragan": 10.0}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def images(n: int, *, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, 3, 4, 4, dtype=dtype)


class Linear(nn.Module):
    """D(x) = <w, x> + b."""

    def __init__(self, norm: float, shape: tuple[int, ...] = (3, 4, 4)) -> None:
        super().__init__()
        weight = torch.randn(shape, dtype=torch.float64)
        self.weight = nn.Parameter(norm * weight / weight.norm())
        self.bias = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, image: Tensor) -> Tensor:
        return (image * self.weight).flatten(1).sum(-1) + self.bias


def test_all_names_are_covered() -> None:
    assert set(GRADIENTS) == set(CENTRES) == set(PLACES) == set(WEIGHTS)
    assert len(GRADIENTS) == 6


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("sizes", [(5, 5), (1, 1), (7, 4)])
def test_of_a_linear_discriminator(name: str, norm: float, sizes: tuple[int, int]) -> None:
    """(||w|| - c)^2 whatever the points, with the gradient 2 (||w|| - c) w / ||w|| for w and none for the bias."""
    discriminator = Linear(norm)
    centre = CENTRES[name]
    penalty = PENALTIES[name]()(Round.of(real=images(sizes[0]), fake=images(sizes[1]), discriminator=discriminator))
    assert penalty.shape == ()
    assert float(penalty.detach()) == pytest.approx((norm - centre) ** 2, abs=1e-13)
    on_weight, on_bias = torch.autograd.grad(
        penalty, [discriminator.weight, discriminator.bias], materialize_grads=True, allow_unused=True
    )
    expected = 2 * (norm - centre) * discriminator.weight.detach() / norm
    torch.testing.assert_close(on_weight, expected, rtol=0, atol=1e-13)
    assert float(on_bias) == 0


@pytest.mark.parametrize("name", GRADIENTS)
def test_papers_weights(name: str) -> None:
    """Lambda is 10; R1 and R2 are (gamma / 2) ||g||^2 with gamma 10, a weight of 5."""
    assert PENALTIES[name]().weight(123) == WEIGHTS[name]
    assert PENALTIES[name](weight={"name": "every", "period": 16, "value": 5}).weight(32) == 80
    assert PENALTIES[name]().counts == "own"


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("form", ["two-sided", "one-sided"])
@pytest.mark.parametrize("centre", [0.0, 1.0, 2.5])
def test_of_a_constant_discriminator(name: str, form: str, centre: float) -> None:
    """Exactly centre^2 (0 when only excess counts), and zero, finite gradients: no NaN from the norm at 0."""
    discriminator = Linear(1.0)
    with torch.no_grad():
        discriminator.weight.zero_()
    penalty = PENALTIES[name](form=form, centre=centre)(Round.of(real=images(4), fake=images(4), discriminator=discriminator))
    assert float(penalty.detach()) == (centre**2 if form == "two-sided" else 0.0)
    (on_weight,) = torch.autograd.grad(penalty, discriminator.weight)
    assert torch.equal(on_weight, torch.zeros_like(on_weight))

    free = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    ignores_input = PENALTIES[name](form=form, centre=centre)(
        Round.of(real=images(4), fake=images(4), discriminator=lambda _: 3 + free)
    )
    assert float(ignores_input.detach()) == (centre**2 if form == "two-sided" else 0.0)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize(("norm", "expected"), [(0.4, 0.0), (0.999, 0.0), (1.5, 0.25), (3.0, 4.0)])
def test_one_sided_counts_only_what_is_above(name: str, norm: float, expected: float) -> None:
    """0 with a gradient of 0 below the centre; above it the two-sided penalty with its gradient, 2 (||w|| - 1) w / ||w||."""
    discriminator = Linear(norm)
    round = Round.of(real=images(3), fake=images(5), discriminator=discriminator)
    value = PENALTIES[name](form="one-sided", centre=1.0)(round)
    assert float(value.detach()) == pytest.approx(expected, abs=1e-13)
    (on_weight,) = torch.autograd.grad(value, discriminator.weight)
    slope = 2 * max(norm - 1, 0) * discriminator.weight.detach() / norm
    torch.testing.assert_close(on_weight, slope, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", GRADIENTS)
def test_one_sided_at_zero_is_two_sided(name: str) -> None:
    """No norm lies below 0."""
    values = [
        PENALTIES[name](form=form, centre=0.0)(
            Round.of(
                real=torch.linspace(-1, 1, 96, dtype=torch.float64).reshape(2, 3, 4, 4),
                fake=torch.zeros(2, 3, 4, 4, dtype=torch.float64),
                discriminator=lambda x: x.flatten(1).pow(3).sum(-1),
                streams=Streams(2, dtype=torch.float64),
            )
        )
        for form in ("one-sided", "two-sided")
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize("form", ["two-sided", "one-sided"])
def test_a_sample_below_the_centre_does_not_make_up_for_one_above(form: str) -> None:
    """Norms of .5 and 3 at two reals: (.25 + 4) / 2, or 4 / 2 of the excess alone; never (their mean - 1)^2."""
    real = torch.tensor([[0.5, 0.0], [0.0, 3.0]], dtype=torch.float64)
    round = Round.of(real=real, fake=real, discriminator=lambda x: x.square().sum(-1) / 2)
    expected = {"two-sided": 4.25 / 2, "one-sided": 2.0}[form]
    assert float(PENALTIES["gradient"](at="real", form=form)(round).detach()) == pytest.approx(expected, abs=1e-13)


def test_centre_zero_takes_no_root() -> None:
    """R1's graph holds no square root or norm, so it may be differentiated twice at a zero gradient."""
    penalty = PENALTIES["r1"]()(Round.of(real=images(3), fake=images(3), discriminator=Linear(2.0)))
    seen: set[str] = set()
    nodes = [penalty.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None and node.name() not in seen:
            seen.add(node.name())
            nodes += [parent for parent, _ in node.next_functions]
    assert seen
    assert not [name for name in seen if "Norm" in name or "Sqrt" in name]


@pytest.mark.parametrize("name", GRADIENTS)
def test_where_it_is_taken(name: str) -> None:
    """D(x) = ||x||^2 / 2 has the gradient x itself, so the norms say which points were used."""
    real, fake = images(6), images(6)
    round = Round.of(
        real=real, fake=fake, discriminator=lambda x: x.flatten(1).square().sum(-1) / 2, streams=Streams(4, dtype=torch.float64)
    )
    around = Round.of(real=real, fake=fake, discriminator=lambda x: x[:, 0, 0, 0], streams=Streams(4, dtype=torch.float64))
    points = {
        "real": real,
        "fake": fake,
        "interpolates": round.interpolates.image,
        "around": around.around("uniform").image,
    }[PLACES[name]]
    expected = (points.flatten(1).norm(dim=-1) - CENTRES[name]).square().mean()
    torch.testing.assert_close(PENALTIES[name]()(round), expected, rtol=0, atol=1e-12)
    mix = Streams(4, dtype=torch.float64).uniform("interpolates", 6)[:, None, None, None]
    torch.testing.assert_close(round.interpolates.image, mix * real + (1 - mix) * fake, rtol=0, atol=0)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("form", ["two-sided", "one-sided"])
def test_parameter_gradient_by_finite_differences(name: str, form: str) -> None:
    real, fake = images(3), images(3)

    def penalty(first: Tensor, second: Tensor) -> Tensor:
        def discriminator(image: Tensor) -> Tensor:
            return (image.flatten(1) @ first).tanh() @ second

        return PENALTIES[name](form=form)(Round.of(real=real, fake=fake, discriminator=discriminator))

    first = torch.randn(48, 4, dtype=torch.float64).mul(0.3).requires_grad_()
    second = torch.randn(4, dtype=torch.float64).mul(3).requires_grad_()
    assert torch.autograd.gradcheck(penalty, (first, second))


def test_through_the_view() -> None:
    """The gradient is that of the score at the raw image: a view that doubles the image doubles it."""
    discriminator = Linear(1.5)
    round = Round(
        lambda: Example(images(4)),
        lambda: Example(images(4)),
        lambda example, features: Judgement(discriminator(example.image), {}),
        streams=Streams(0),
        clock={"discriminator": 0, "generator": 0},
        needs=[InputGradient("real")],
        view=lambda image, round: 2 * image,
    )
    assert float(PENALTIES["r1"]()(round).detach()) == pytest.approx(9.0)


def test_r1_shares_the_pass_of_the_loss() -> None:
    passes: list[int] = []
    discriminator = Linear(1.0)

    def counted(image: Tensor) -> Tensor:
        passes.append(len(image))
        return discriminator(image)  # type: ignore[no-any-return]

    round = Round.of(real=images(4), fake=images(4), discriminator=counted, needs=PENALTIES["r1"]().needs)
    assert round.scores.real.shape == (4,)
    PENALTIES["r1"]()(round)
    PENALTIES["r1"](centre=1.0)(round)
    assert passes == [4]


def test_half_precision_norms_do_not_overflow() -> None:
    """||g||^2 of 300 per pixel in 48 pixels is past float16's 65504."""
    weight = torch.full((3, 4, 4), 300.0, dtype=torch.float16, requires_grad=True)
    half = torch.randn(2, 3, 4, 4).half()
    round = Round.of(real=half, fake=half, discriminator=lambda image: (image * weight).flatten(1).sum(-1))
    assert float(PENALTIES["r1"]()(round).detach()) == pytest.approx(48 * 300.0**2)


def dirac_radius(penalty: str, weight: float, *, saturating: bool = True, steps: int = 1000) -> float:
    """p_r = 0, p_g = theta, D = psi x, simultaneous steps of .1 from (1, 1): how far from the equilibrium they end."""
    psi, theta = (torch.ones(shape, dtype=torch.float64, requires_grad=True) for shape in ((), (1, 1)))
    softplus, streams = nn.functional.softplus, Streams(0, dtype=torch.float64)
    for _ in range(steps):

        def critic(x: Tensor, psi: Tensor = psi) -> Tensor:
            return psi * x[:, 0]

        round = Round.of(real=torch.zeros(1, 1, dtype=torch.float64), fake=theta, discriminator=critic, streams=streams)
        loss = softplus(round.scores.fake).mean() + softplus(-round.scores.real).mean() + weight * PENALTIES[penalty]()(round)
        (on_psi,) = torch.autograd.grad(loss, psi, retain_graph=True)
        fooled = -softplus(round.scores.fake) if saturating else softplus(-round.scores.fake)
        (on_theta,) = torch.autograd.grad(fooled.mean(), theta)
        psi, theta = (psi - 0.1 * on_psi).detach().requires_grad_(), (theta - 0.1 * on_theta).detach().requires_grad_()
    return math.hypot(float(psi.detach()), float(theta.detach()))


def test_the_dirac_gan_circles_outwards_without_a_penalty() -> None:
    assert dirac_radius("r1", 0.0) == pytest.approx(2.76, abs=0.01)
    assert dirac_radius("r1", 0.0, saturating=False) == pytest.approx(0.47, abs=0.01)


@pytest.mark.parametrize(("name", "gamma", "radius"), [("r1", 0.3, 1e-6), ("r2", 0.1, 0.035), ("0-gp", 0.1, 0.035)])
def test_the_dirac_gan_converges_with_a_zero_centred_penalty(name: str, gamma: float, radius: float) -> None:
    """The gradient is psi wherever it is taken, so gamma / 2 weighs all three alike; 0-GP's points are drawn and do not matter."""
    assert dirac_radius(name, gamma / 2) == pytest.approx(radius, rel=0.02, abs=1e-6)


def test_the_dirac_gan_s_rates_are_those_of_the_paper() -> None:
    """Near 0 the flow's eigenvalues are -gamma/2 +- sqrt(gamma^2/4 - 1/4): at gamma = 1 both are -1/2, the fastest there is."""
    assert dirac_radius("r1", 0.1 / 2, saturating=False) == pytest.approx(0.015, abs=0.001)
    assert dirac_radius("r1", 1.0 / 2) < 1e-19


def test_the_dirac_gan_does_not_converge_with_a_centre_of_one() -> None:
    """At |psi| = 1 the penalty is silent, and the critic that discriminates nothing has slope 0."""
    assert dirac_radius("wgan-gp", 10.0, steps=400) > 0.5


def test_wgan_gp_step_moves_the_norm_towards_one() -> None:
    for norm in (0.2, 4.0):
        discriminator = Linear(norm)
        optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)
        for _ in range(60):
            optimizer.zero_grad()
            torch.autograd.backward(PENALTIES["wgan-gp"]()(Round.of(real=images(4), fake=images(4), discriminator=discriminator)))
            optimizer.step()
        assert float(discriminator.weight.detach().norm()) == pytest.approx(1.0, abs=1e-4)


# The points of DRAGAN


def around(real: Tensor, noise: Noise, streams: Streams) -> Tensor:
    return Round.of(real=real, fake=real, discriminator=lambda x: x.flatten(1).sum(-1), streams=streams).around(noise).image


@pytest.mark.parametrize("noise", ["uniform", "normal"])
def test_points_around_the_reals_by_loops(noise: Noise) -> None:
    """The authors' code, written out: `x + a * .5 * std(batch) * u`, one a for each sample, one u for each pixel."""
    real = 3 + 2 * images(5)
    found, streams = around(real, noise, Streams(6, dtype=torch.float64)), Streams(6, dtype=torch.float64)
    steps = streams.uniform("around, steps", 5)
    noises = streams.uniform("around", 5, 3, 4, 4) if noise == "uniform" else streams.normal("around", 5, 3, 4, 4)
    deviation = np.std(real.numpy())  # NumPy's, which divides by n, as the authors call it
    for i in range(5):
        for c, y, x in itertools.product(range(3), range(4), range(4)):
            expected = float(real[i, c, y, x]) + float(steps[i]) * 0.5 * deviation * float(noises[i, c, y, x])
            assert float(found[i, c, y, x]) == pytest.approx(expected, abs=1e-12)


def test_uniform_noise_is_positive_and_at_most_half_a_deviation() -> None:
    real = images(64)
    gap = (around(real, "uniform", Streams(0, dtype=torch.float64)) - real).flatten(1)
    assert float(gap.min()) >= 0
    assert 0.4 * float(real.std()) < float(gap.max()) <= 0.5 * float(real.std(correction=0))
    largest = gap.amax(1) / (0.5 * real.std(correction=0))  # near a of each sample, since 48 pixels have their own u
    assert float(largest.min()) < 0.1
    assert float(largest.max()) > 0.9


def test_normal_noise_has_both_signs() -> None:
    real = images(64)
    gap = (around(real, "normal", Streams(0, dtype=torch.float64)) - real).flatten(1)
    assert abs(float((gap > 0).double().mean()) - 0.5) < 0.05
    # a u s / 2 has the deviation s / 2 sqrt(E a^2), E a^2 = 1/3.
    assert float(gap.std() / real.std()) == pytest.approx(0.5 / math.sqrt(3), rel=0.1)


def test_the_deviation_is_each_replica_s_own() -> None:
    """One replica's images are a hundred times as far apart as the other's."""
    wide, narrow = 100 * images(4), images(4)
    streams = Streams([3, 4], dtype=torch.float64)
    both = Round(
        lambda: Example(torch.stack([wide, narrow])),
        lambda: Example(torch.stack([wide, narrow])),
        lambda example, features: Judgement(example.image.flatten(2).sum(-1), {}),
        streams=streams,
        clock={"discriminator": 0, "generator": 0},
    ).around("uniform")
    torch.testing.assert_close(both.image[0], around(wide, "uniform", Streams(3, dtype=torch.float64)), rtol=0, atol=1e-12)
    torch.testing.assert_close(both.image[1], around(narrow, "uniform", Streams(4, dtype=torch.float64)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", ["uniform", "normal"])
def test_dragan_looks_at_its_own_points_in_one_pass(noise: Noise) -> None:
    """D(x) = ||x||^2 / 2; the reals are judged as well, and the loss's passes stay as they are."""
    real, passes = images(6), []

    def discriminator(image: Tensor) -> Tensor:
        passes.append(image.detach().clone())
        return image.flatten(1).square().sum(-1) / 2

    penalty = PENALTIES["dragan"](noise=noise)
    streams = Streams(6, dtype=torch.float64)
    round = Round.of(real=real, fake=images(6), discriminator=discriminator, streams=streams, needs=penalty.needs)
    value = penalty(round)
    (shown,) = passes
    torch.testing.assert_close(shown, around(real, noise, Streams(6, dtype=torch.float64)), rtol=0, atol=0)
    torch.testing.assert_close(value, (shown.flatten(1).norm(dim=1) - 1).square().mean(), rtol=0, atol=1e-12)
    assert torch.equal(penalty(round), value)
    assert len(passes) == 1
    assert set(streams.state()) == {"around, steps uniform (6,)", f"around {noise} (6, 3, 4, 4)"}


def test_points_around_the_reals_keep_their_labels() -> None:
    example = Example(images(3), torch.tensor([1, 2, 0]), None)
    round = Round.of(real=example, fake=example, discriminator=lambda x: x.flatten(1).sum(-1))
    assert round.around("uniform").label is example.label
