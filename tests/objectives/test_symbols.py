"""The discrete game: what a generator of symbols draws, its log-probabilities, and the objectives that learn by them."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from saddlepoint.alphabets import Signs, Symbols
from saddlepoint.data import DATA
from saddlepoint.data.symbols import KnownSymbols
from saddlepoint.errors import InputError
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.recipe import load
from saddlepoint.rounds import DrawnSides, Sides
from saddlepoint.streams import Streams
from saddlepoint.turns.turn import Turn
from tests.battery.games import play, recipe_with, session_of

POINTS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
# A real and a generated distribution over four symbols.
REAL = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
LOGITS = torch.tensor([-0.5, 0.7, 0.0, 0.4], dtype=torch.float64)
Array = NDArray[np.float64]


def test_which_objectives() -> None:
    assert {name for name, objective in OBJECTIVES.items() if objective.needs_log_probability} == {"maligan", "bgan-discrete"}
    assert {name for name, data in DATA.items() if DATA[name].alphabet is not DATA["digits"].alphabet} == {
        "symbols",
        "binary-digits",
    }


# The alphabets


def test_symbols_are_drawn_by_their_probabilities_and_told_them() -> None:
    alphabet, n = Symbols(POINTS), 40_000
    choices = Streams(0, dtype=torch.float64).uniform("choices", n, 1)
    samples = alphabet.sample(LOGITS.expand(n, 4), choices)
    shares = torch.stack([(samples == torch.tensor(point)).all(-1).double().mean() for point in POINTS])
    torch.testing.assert_close(shares, LOGITS.softmax(-1), rtol=0, atol=0.01)
    each = alphabet.log_probability(LOGITS.expand(4, 4), torch.tensor(POINTS, dtype=torch.float64))
    torch.testing.assert_close(each, LOGITS.log_softmax(-1))


def test_a_choice_next_to_1_is_a_symbol_too() -> None:
    outputs = torch.full((1, 4), -30.0)
    assert Symbols(POINTS).sample(outputs, torch.tensor([[1.0]])).tolist() == [list(POINTS[3])]


def test_signs_are_independent_of_each_other() -> None:
    alphabet, n = Signs((1, 2, 2)), 40_000
    outputs = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=torch.float64).reshape(1, 2, 2)
    samples = alphabet.sample(outputs.expand(n, 1, 2, 2), Streams(0, dtype=torch.float64).uniform("choices", n, 4))
    assert set(samples.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close((samples == 1).double().mean(0), outputs.sigmoid(), rtol=0, atol=0.01)
    flat = samples.flatten(1)
    assert (torch.corrcoef(flat.T) - torch.eye(4)).abs().max() < 0.02
    all_signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64).reshape(16, 1, 2, 2)
    total = alphabet.log_probability(outputs.expand(16, 1, 2, 2), all_signs).exp().sum()
    assert float(total) == pytest.approx(1.0)
    by_hand = torch.distributions.Bernoulli(logits=outputs).log_prob((all_signs[3] + 1) / 2).sum()
    assert float(alphabet.log_probability(outputs[None], all_signs[3:4])) == pytest.approx(float(by_hand))


@pytest.mark.parametrize("shape", [(), (2,)])
def test_log_probabilities_have_the_gradient_of_finite_differences(shape: tuple[int, ...]) -> None:
    outputs = torch.randn(*shape, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    samples = Symbols(POINTS).sample(outputs, torch.rand(*shape, 3, 1, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: Symbols(POINTS).log_probability(x, samples), (outputs,))
    signs = Signs((4,)).sample(outputs, torch.rand(*shape, 3, 4, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: Signs((4,)).log_probability(x, signs), (outputs,))


# The objectives


def drawn(scores: list[float], probabilities: list[float]) -> DrawnSides:
    return DrawnSides(fake=torch.tensor(scores), log_probability=torch.tensor(probabilities).log())


def test_equal_scores_are_the_mean_negative_log_likelihood() -> None:
    fakes = drawn([0.7] * 4, [0.5, 0.25, 0.125, 0.9])
    for objective in (OBJECTIVES["bgan-discrete"](samples=2), OBJECTIVES["maligan"](baseline=0)):
        losses = objective.generator(fakes).fake
        assert losses is not None
        assert fakes.log_probability is not None
        torch.testing.assert_close(losses, -fakes.log_probability)


def test_bgan_compares_the_samples_of_one_latent() -> None:
    losses = OBJECTIVES["bgan-discrete"](samples=2).generator(drawn([0.0, math.log(3), 9.0, 9.0], [0.5, 0.5, 0.25, 0.25])).fake
    assert losses is not None
    torch.testing.assert_close(losses, torch.tensor([0.5, 1.5, 2.0, 2.0]) * math.log(2))
    with pytest.raises(ValueError, match="3 fakes are not 2 of each latent"):
        OBJECTIVES["bgan-discrete"](samples=2).generator(drawn([0.0] * 3, [0.5] * 3))


def test_maligan_compares_the_batch_and_takes_the_baseline_off() -> None:
    fakes = drawn([0.0, math.log(3)], [0.5, 0.25])
    for beta in (0.0, 0.4, 1.0):
        losses = OBJECTIVES["maligan"](baseline=beta).generator(fakes).fake
        assert losses is not None
        torch.testing.assert_close(losses, torch.tensor([0.5 - beta, 1.5 - beta]) * torch.tensor([1.0, 2.0]) * math.log(2))


def test_maligans_baseline_rises_with_the_generators_updates() -> None:
    objective = OBJECTIVES["maligan"](baseline={"name": "linear", "start": 0.0, "end": 1.0, "last": 10})
    found = [float(objective.scheduled({"generator": update, "discriminator": 99})["baseline"]) for update in (0, 5, 10, 99)]
    assert found == [0.0, 0.5, 1.0, 1.0]
    for wrong in (1.5, {"name": "linear", "start": 0.0, "end": 1.0}):
        with pytest.raises(ValueError, match="baseline"):
            OBJECTIVES["maligan"](baseline=wrong)


@pytest.mark.parametrize("name", ["maligan", "bgan-discrete"])
def test_weights_are_constants_and_the_discriminators_loss_is_the_vanilla_one(name: str) -> None:
    real, fake = torch.randn(3), torch.randn(20, requires_grad=True)
    ours, vanilla = (OBJECTIVES[which]().discriminator(Sides(real, fake)) for which in (name, "vanilla"))
    for one, other in zip(ours, vanilla, strict=True):
        assert one is not None
        assert other is not None
        assert one.equal(other)
    losses = OBJECTIVES[name]().generator(DrawnSides(fake=fake, log_probability=torch.full((20,), -1.0, requires_grad=True))).fake
    assert losses is not None
    losses.sum().backward()
    assert fake.grad is None
    with pytest.raises(ValueError, match="the fakes' log-probabilities are needed and absent"):
        OBJECTIVES[name]().generator(Sides(fake=fake))


def expected_gradient(objective: Objective, n: int) -> Array:
    """Over all `4^n` batches of n symbols by their probability: the gradient of the mean loss for the logits, D being exact."""
    exact = REAL.log() - LOGITS.log_softmax(-1)
    batches = torch.tensor(list(itertools.product(range(4), repeat=n)))
    chance = LOGITS.log_softmax(-1)[batches].sum(-1).exp()
    logits = LOGITS.clone().requires_grad_()
    losses = objective.generator(DrawnSides(fake=exact[batches], log_probability=logits.log_softmax(-1)[batches])).fake
    assert losses is not None
    (gradient,) = torch.autograd.grad((chance * losses.mean(-1)).sum(), logits)
    return np.asarray(gradient)


# Of KL(p_r || p_g) for the logits of p_g.
WANTED = np.asarray(LOGITS.softmax(-1) - REAL)


@pytest.mark.parametrize("name", ["maligan", "bgan-discrete"])
def test_with_the_exact_discriminator_the_gradient_is_that_of_the_divergence_but_for_a_bias_of_order_1_over_n(name: str) -> None:
    def off(n: int) -> float:
        objective = OBJECTIVES["bgan-discrete"](samples=n) if name == "bgan-discrete" else OBJECTIVES["maligan"](baseline=0)
        return float(np.abs(expected_gradient(objective, n) - WANTED).max())

    errors = {n: off(n) for n in (1, 2, 4, 6)}
    assert errors[1] == pytest.approx(np.abs(WANTED).max()), "one sample alone tells nothing"
    assert errors[6] < errors[4] < errors[2] < errors[1]
    assert 0.8 < 6 * errors[6] / (4 * errors[4]) < 1.25
    assert off(7) < 0.35 * np.abs(WANTED).max()


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_maligans_baseline_changes_no_expectation(beta: float) -> None:
    without, with_it = (expected_gradient(OBJECTIVES["maligan"](baseline=b), 4) for b in (0, beta))
    np.testing.assert_allclose(with_it, without, atol=1e-12)


# In a game


def test_a_generators_turn_draws_many_symbols_of_each_latent_and_learns_by_their_probabilities_alone() -> None:
    session = session_of(recipe_with(("objectives", "bgan-discrete"), {"objective.samples": 3}))
    game, streams = session.game, session.streams
    example = session.source.batch(streams, 5)
    round = game.round(Turn(("generator",)), example, streams, watched=False)
    image, log_probability = round.fake.image, round.fake.log_probability
    assert (image.shape, image.requires_grad) == ((15, 2), False)
    assert log_probability is not None
    assert (log_probability.shape, log_probability.requires_grad) == ((15,), True)
    by_latent = log_probability.detach().reshape(5, 3)
    same = (image.reshape(5, 3, 2)[:, :1] == image.reshape(5, 3, 2)).all(-1)
    assert torch.allclose(by_latent[same], by_latent[:, :1].expand(5, 3)[same])
    assert not bool(same.all()), "they are drawn apart"
    assert round.judge("fake").scores.shape == (15,)
    other = game.round(Turn(("discriminator",)), example, streams, watched=False)
    assert other.fake.image.shape == (5, 2)
    assert other.fake.log_probability is None
    known = torch.tensor(load({"data": "symbols"}).data.alphabet.points, dtype=torch.float64)  # type: ignore[union-attr]
    assert float(torch.cdist(image, known).amin(-1).max()) < 1e-12


def test_a_sample_is_a_function_of_its_latent() -> None:
    session = play(session_of(recipe_with(("objectives", "maligan"))), 2)
    latents = torch.randn(8, session.game.generator.latent, dtype=torch.float64)
    assert session.game.generate(latents).equal(session.game.generate(latents))
    alone = torch.cat([session.game.generate(one[None]) for one in latents])
    assert session.game.generate(latents).equal(alone)


@pytest.mark.parametrize("family", ["mlp", "dcgan"])
def test_binary_images_are_black_and_white(family: str) -> None:
    data = {"name": "binary-digits", "resolution": 8}
    session = play(
        session_of(load({"data": data, "objective": "maligan", "networks": {"family": family, "width": 8}}).to_mapping()), 2
    )
    made = session.game.generate(torch.randn(4, session.game.generator.latent))
    assert made.shape == (4, 1, 8, 8)
    assert set(made.unique().tolist()) == {-1.0, 1.0}
    assert set(session.source.batch(session.streams, 9).image.unique().tolist()) == {-1.0, 1.0}


def test_the_symbols_come_with_their_probabilities() -> None:
    source = KnownSymbols(probabilities=(0.7, 0.2, 0.1)).open()
    example = source.batch(Streams(3), 20_000)
    assert example.label is not None
    shares = torch.bincount(example.label) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.2, 0.1]), rtol=0, atol=0.015)
    turns = torch.atan2(example.image[:, 1], example.image[:, 0]) / (2 * math.pi) * 3 % 3
    assert torch.allclose((turns - example.label + 1.5) % 3, torch.tensor(1.5), atol=1e-3)
    for wrong in ((0.5, 0.4), (1.0,), (0.5, 0.6, -0.1)):
        with pytest.raises(ValueError, match="probabilities"):
            KnownSymbols(probabilities=wrong)


# Refused


@pytest.mark.parametrize(
    ("recipe", "field", "said"),
    [
        ({"objective": "maligan"}, "objective", "those of digits are no symbols; choose data that are (symbols, binary-digits)"),
        ({"data": "8-gaussians", "objective": "bgan-discrete"}, "objective", "those of 8-gaussians are no symbols"),
        (
            {"data": "symbols", "objective": "maligan", "penalties": {"both": ["r1"]}},
            "penalties.both.0",
            "no gradient reaches a generator of symbols; list it under penalties.discriminator",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(recipe: dict[str, object], field: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(recipe)
    (line,) = caught.value.problems
    assert line.startswith(f"{field}: ")
    assert said in line


def test_what_goes_together() -> None:
    for recipe in (
        {"data": "symbols", "objective": "vanilla"},
        {"data": "symbols", "objective": "maligan", "penalties": {"discriminator": ["r1"]}, "weightings": {"generator": "wegan"}},
        {"data": "binary-digits", "objective": "bgan-discrete"},
    ):
        assert load(recipe).data.alphabet is not None
