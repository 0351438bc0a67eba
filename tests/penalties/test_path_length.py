"""Path length: lengths of linear generators, the average that is taken up before it is used, half of the batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import EMPTY, Round, State
from saddlepoint.schedules import Every
from saddlepoint.streams import Streams
from tests.battery.games import Passes, kept, play, recipe_with, session_of
from tests.recipe.telling import told

Generate = Callable[[Tensor], Tensor]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def round_of(latents: Tensor, generate: Generate, seed: int = 0) -> Round:
    return Round.of(
        real=latents,
        fake=latents,
        discriminator=lambda x: x.flatten(1).sum(1),
        latents=latents,
        generator=generate,
        streams=Streams(seed, dtype=torch.float64),
    )


@pytest.mark.parametrize(("shape", "pixels"), [((5,), 1), ((3, 4, 2), 8)])
def test_a_linear_generators_lengths(shape: tuple[int, ...], pixels: int) -> None:
    """`G(z) = M z`: `E l^2 = ||M||_F^2 / (HW)`; the mean square is read off as `(l - 0)^2` under an average that stays 0."""
    size, n = int(torch.tensor(shape).prod()), 8000
    matrix = drawn(3, size, seed=1)
    penalty = PENALTIES["path-length"](rate=1e-12)
    value = penalty(round_of(drawn(n, 3), lambda z: (z @ matrix).reshape(len(z), *shape)), penalty.initial_state(()))
    assert float(value) == pytest.approx(float(matrix.square().sum()) / pixels, rel=0.05)


def test_the_formula_by_loops() -> None:
    """Each latent's Jacobian by autograd, the same y, the average updated first."""
    net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    latents, state = drawn(7, 2), {"average": torch.tensor(0.7, dtype=torch.float64)}
    penalty = PENALTIES["path-length"](rate=0.25)
    noise = Streams(3, dtype=torch.float64).normal("path-length", 3, 3)
    found = []
    for i in range(3):  # half of seven
        jacobian = torch.autograd.functional.jacobian(net, latents[i])
        found.append(float((jacobian.T @ noise[i]).norm()))
    average = 0.7 + 0.25 * (sum(found) / 3 - 0.7)
    round = round_of(latents, net, seed=3)
    value = penalty(round, state)
    assert float(value.detach()) == pytest.approx(sum((one - average) ** 2 for one in found) / 3, rel=1e-10)
    assert float(penalty.observe(round, state)["average"]) == pytest.approx(average, rel=1e-12)
    assert float(state["average"]) == 0.7
    assert torch.equal(penalty(round, state), value), "asked again it draws nothing anew"


def test_gradients_by_finite_differences() -> None:
    """Through the gradient at the latents, for the generator's weights."""
    first, second, latents = drawn(2, 5, seed=1).requires_grad_(), drawn(5, 3, seed=2).requires_grad_(), drawn(6, 2)
    penalty = PENALTIES["path-length"](rate=0.5)

    def value(first: Tensor, second: Tensor) -> Tensor:
        return penalty(round_of(latents, lambda z: (z @ first).tanh() @ second), {"average": torch.tensor(0.3)})

    assert torch.autograd.gradcheck(value, (first, second))


def test_a_generator_that_stands_still_has_a_gradient_that_is_finite() -> None:
    weight = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    value = PENALTIES["path-length"]()(round_of(drawn(4, 2), lambda z: z @ weight), {"average": torch.tensor(1.0)})
    value.backward()
    assert float(value.detach()) == pytest.approx(0.99**2)
    assert weight.grad is not None
    assert bool(weight.grad.isfinite().all())


def test_it_remembers_only_when_it_was_due() -> None:
    session = session_of(recipe_with(None, {"penalties.generator.0": {"name": "path-length", "rate": 0.5}}))
    assert session.recipe.penalties.generator[0].weight == Every(period=4, value=2.0)
    averages = []
    for _ in range(6):
        play(session, 1)
        averages.append(float(session.game.states["generator/penalty 0"]["average"]))
    assert averages[0] == averages[1] == averages[3] != averages[4] == averages[5]
    assert averages[0] > 0


def test_it_costs_no_pass_of_the_discriminator_and_half_a_batch_of_the_generator() -> None:
    session = session_of(recipe_with(None, {"penalties.generator.0": {"name": "path-length", "weight": 1.0}}))
    passes, made = Passes(session.game), []
    session.game.generator.body.register_forward_hook(lambda body, given, images: made.append(len(images)))
    play(session, 2)
    assert passes.by_turn == {"discriminator": [10, 10], "generator": [5, 5]}
    assert made == [5, 5, 2] * 2


def test_stopped_and_resumed_it_goes_on() -> None:
    recipe = recipe_with(("penalties", "path-length"))
    whole = kept(play(session_of(recipe), 7))
    stopped = play(session_of(recipe), 3)
    resumed = session_of(recipe)
    resumed.restore(stopped.snapshot())
    after = kept(play(resumed, 4))
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.items())


def test_batch_norm_in_the_generator_is_refused() -> None:
    (problem,) = told({"penalties": {"generator": ["path-length"]}})
    assert problem.startswith(
        "penalties.generator.0: path-length takes gradients at single latents, which batch norm in the generator"
    )
    cures = problem.partition("set networks.normalization.generator to ")[2].replace(" or ", ", ").split(", ")
    assert {"layer", "pixel", "none"} <= set(cures)
    for cure in cures:
        assert load({"networks": {"normalization": {"generator": cure}}, "penalties": {"generator": ["path-length"]}})


def test_without_a_generator_it_says_so() -> None:
    point = drawn(3, 2)
    state: State = EMPTY
    with pytest.raises(ValueError, match="give the round its latents and its generator"):
        PENALTIES["path-length"]()(Round.of(real=point, fake=point, discriminator=lambda x: x.sum(-1)), state)
