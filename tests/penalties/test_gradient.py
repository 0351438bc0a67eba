"""The gradient penalty under all its names: linear and constant discriminators, forms, finite differences."""

import math

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.gradient import Gradient
from saddlepoint.rounds import Example, InputGradient, Judgement, Round
from saddlepoint.streams import Streams

GRADIENTS = [name for name, record in PENALTIES.items() if issubclass(record, Gradient)]
CENTRES = {"gradient": 1.0, "wgan-gp": 1.0, "r1": 0.0, "r2": 0.0}
PLACES = {"gradient": "interpolates", "wgan-gp": "interpolates", "r1": "real", "r2": "fake"}


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
    assert set(GRADIENTS) == set(CENTRES) == set(PLACES)
    assert len(GRADIENTS) == 4


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


@pytest.mark.parametrize(("name", "weight"), [("gradient", 10.0), ("wgan-gp", 10.0), ("r1", 5.0), ("r2", 5.0)])
def test_papers_weights(name: str, weight: float) -> None:
    """WGAN-GP's lambda is 10; R1 and R2 are (gamma / 2) ||g||^2 with gamma 10, a weight of 5."""
    assert PENALTIES[name]().weight(123) == weight
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


def test_one_sided_counts_only_what_is_above() -> None:
    for norm, expected in ((0.4, 0.0), (1.5, 0.25)):
        round = Round.of(real=images(3), fake=images(3), discriminator=Linear(norm))
        assert float(PENALTIES["gradient"](form="one-sided")(round).detach()) == pytest.approx(expected)


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
    points = {"real": real, "fake": fake, "interpolates": round.interpolates.image}[PLACES[name]]
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


def test_dirac_gan_converges_with_r1_alone() -> None:
    """p_r = 0, p_g = theta, D = psi x, simultaneous steps of .1 from (1, 1): without the penalty it circles outwards."""

    def radius(gamma: float) -> float:
        psi, theta = (
            torch.tensor(1.0, dtype=torch.float64, requires_grad=True),
            torch.tensor([[1.0]], dtype=torch.float64, requires_grad=True),
        )
        for _ in range(1000):
            real = torch.zeros(1, 1, dtype=torch.float64)

            def critic(x: Tensor, psi: Tensor = psi) -> Tensor:
                return psi * x[:, 0]

            round = Round.of(real=real, fake=theta, discriminator=critic)
            softplus = nn.functional.softplus
            loss = softplus(round.scores.fake).mean() + softplus(-round.scores.real).mean() + gamma / 2 * PENALTIES["r1"]()(round)
            (on_psi,) = torch.autograd.grad(loss, psi, retain_graph=True)
            (on_theta,) = torch.autograd.grad(-softplus(round.scores.fake).mean(), theta)
            psi, theta = (psi - 0.1 * on_psi).detach().requires_grad_(), (theta - 0.1 * on_theta).detach().requires_grad_()
        return math.hypot(float(psi.detach()), float(theta.detach()))

    assert radius(0.0) == pytest.approx(2.76, abs=0.01)
    assert radius(0.1) == pytest.approx(0.035, abs=0.001)
    assert radius(0.3) == pytest.approx(0, abs=1e-5)


def test_wgan_gp_step_moves_the_norm_towards_one() -> None:
    for norm in (0.2, 4.0):
        discriminator = Linear(norm)
        optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)
        for _ in range(60):
            optimizer.zero_grad()
            torch.autograd.backward(PENALTIES["wgan-gp"]()(Round.of(real=images(4), fake=images(4), discriminator=discriminator)))
            optimizer.step()
        assert float(discriminator.weight.detach().norm()) == pytest.approx(1.0, abs=1e-4)
