"""The consistency term of CT-GAN: its formula by loops, the expectation of a linear critic, where it is nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.networks import NETWORKS
from saddlepoint.networks.dropout import dropout
from saddlepoint.networks.layers import Weighted
from saddlepoint.networks.network import Discriminator
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Judgement, Round
from saddlepoint.streams import Streams
from tests.battery.games import Passes, kept, play, recipe_with, session_of
from tests.recipe.telling import told


def points(n: int, d: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mlp(rate: float, **fields: Any) -> Discriminator:
    streams = Streams(0, dtype=torch.float64)
    return NETWORKS["mlp"].model_validate({"dropout": rate, **fields}).discriminator((2,), streams)


def judged(passes: Sequence[tuple[Tensor, Tensor]], **fields: Any) -> Tensor:
    """The penalty of a discriminator whose passes give these scores and last activations, one after another."""
    coming = iter(passes)

    def judge(example: Example, features: bool) -> Judgement:
        scores, last = next(coming)
        return Judgement(scores, {"block": last}, last)

    image = Example(torch.zeros(len(passes[0][0]), 1))
    return PENALTIES["ct"](**fields)(
        Round(lambda: image, lambda: image, judge, streams=Streams(0), clock={"discriminator": 0, "generator": 0})
    )


@pytest.mark.parametrize("fields", [{}, {"margin": 0.7}, {"features": 2.0}, {"features": 0.0, "margin": 0.1}])
def test_the_formula_by_loops(fields: dict[str, float]) -> None:
    scores, again, last, last_again = points(5, 1, 1)[:, 0], points(5, 1, 2)[:, 0], points(5, 3, 3), points(5, 3, 4)
    total = 0.0
    for i in range(5):
        apart = sum((float(last[i, k]) - float(last_again[i, k])) ** 2 for k in range(3)) / 3
        difference = (float(scores[i]) - float(again[i])) ** 2 + fields.get("features", 0.1) * apart
        total += max(0.0, difference - fields.get("margin", 0.0)) / 5
    assert float(judged([(scores, last), (again, last_again)], **fields)) == pytest.approx(total, rel=1e-12)


def test_without_dropout_it_is_exactly_nothing() -> None:
    critic = mlp(0.0)
    value = PENALTIES["ct"]()(Round.of(real=points(6), fake=points(6), discriminator=critic))
    assert float(value.detach()) == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(value, list(critic.parameters()), materialize_grads=True))


def test_a_margin_above_every_difference_is_nothing_and_one_below_is_not() -> None:
    critic, real = mlp(0.5), points(64)
    round = Round.of(real=real, fake=real, discriminator=critic)
    first, second = round.judge("real"), round.judge("real, again", round.real, features=True)
    assert first.last is not None
    assert second.last is not None
    difference = (first.scores - second.scores).square() + 0.1 * (first.last - second.last).square().mean(-1)
    largest = float(difference.detach().max())
    above = PENALTIES["ct"](margin=1.001 * largest)(round)
    assert float(above.detach()) == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(above, list(critic.parameters()), materialize_grads=True))
    assert float(PENALTIES["ct"](margin=0.999 * largest)(round).detach()) > 0


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_a_linear_critic_has_the_expectation_of_two_masks(rate: float) -> None:
    """`s = <w, mask x> / (1 - p)`: two masks differ by `2 p / (1 - p) sum_k w_k^2 x_k^2` in the mean square."""
    weight, x, streams = points(1, 7, 1)[0], points(1, 7, 2)[0], Streams(5, dtype=torch.float64)
    n = 40_000

    def judge(example: Example, features: bool) -> Judgement:
        dropped = dropout(example.image, rate, streams, "dropout block 1")
        return Judgement(dropped @ weight, {"block 1": dropped}, dropped)

    image = Example(x.expand(n, 7))
    round = Round(lambda: image, lambda: image, judge, streams=streams, clock={"discriminator": 0, "generator": 0})
    value = float(PENALTIES["ct"](features=0.0)(round))
    first, second = round.judge("real").scores, round.judge("real, again").scores
    error = float((first - second).square().std()) / n**0.5
    expected = 2 * rate / (1 - rate) * float((weight * x).square().sum())
    assert abs(value - expected) < 4 * error < 0.1 * expected


def test_features_are_what_enters_the_last_layer() -> None:
    """Of each family: the scores are the last layer of them."""
    shape, streams = (1, 16, 16), Streams(0)
    images = streams.normal("images", 3, *shape)
    for family, fields in (("dcgan", {"width": 4, "dropout": 0.5}), ("resnet", {"width": 4, "dropout": (0.0, 0.2, 0.5)})):
        record = NETWORKS[family].model_validate({**fields, "normalization": {"discriminator": "none"}})
        critic = record.discriminator(shape, streams)
        said = critic.judge(Example(images), True, streams)
        assert said.last is not None
        layer = critic.head.linear if family == "resnet" else critic.head.layer
        assert isinstance(layer, Weighted)
        scores = said.last @ layer.weight.flatten() + (0 if layer.bias is None else layer.bias)
        torch.testing.assert_close(scores, said.scores, rtol=1e-5, atol=1e-6)
        blocks = list(said.features.values())
        if family == "dcgan":
            assert torch.equal(said.last, blocks[-1].flatten(1))
        assert [bool((block == 0).any()) for block in blocks] == [rate > 0 for rate in critic.dropout]


def test_every_pass_of_training_drops_and_none_else() -> None:
    """Real, fake, interpolates, and the generator's turn; not the held-out scores, nor a judgement without streams."""
    recipe = recipe_with(
        None, {"networks.dropout": 0.5, "penalties.discriminator": ["wgan-gp", "ct"], "objective": "wasserstein", "log.every": 1}
    )
    session = session_of(recipe)
    drawn: list[str] = []
    uniform = session.streams.uniform

    def noted(name: str, *shape: int) -> Tensor:
        drawn.append(name)
        return uniform(name, *shape)

    session.streams.uniform = noted  # type: ignore[method-assign]
    passes = Passes(session.game)
    session.trainer.update(watched=True)
    assert passes.by_turn == {"discriminator": [5] * 5, "generator": [5]}, "one of the five judged the held-out reals"
    assert drawn.count("dropout block 1") == drawn.count("dropout block 2") == 5
    image = session.source.batch(session.streams, 5).image
    critic = session.game.discriminator
    assert torch.equal(critic(image), critic(image))
    said = [critic.judge(Example(image), False, session.streams).scores for _ in range(2)]
    assert not torch.equal(*said)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(rate: float) -> None:
    kept = dropout(torch.ones(200, 500), rate, Streams(0), "dropout") != 0
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=0.005)
    dropped = dropout(torch.ones(200, 500), rate, Streams(0), "dropout")
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])


def test_a_replica_drops_what_its_lone_run_drops() -> None:
    stacked = dropout(torch.ones(3, 4, 6), 0.5, Streams([5, 6, 7]), "dropout")
    alone = [dropout(torch.ones(4, 6), 0.5, Streams(seed), "dropout") for seed in (5, 6, 7)]
    assert torch.equal(stacked, torch.stack(alone))
    assert not torch.equal(alone[0], alone[1])


def test_stopped_and_resumed_it_drops_the_same() -> None:
    recipe = recipe_with(("penalties", "ct"))
    whole = kept(play(session_of(recipe), 6))
    stopped = play(session_of(recipe), 3)
    resumed = session_of(recipe)
    resumed.restore(stopped.snapshot())
    after = kept(play(resumed, 3))
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.items())


def test_it_is_refused_without_dropout() -> None:
    (problem,) = told({"data": "8-gaussians", "penalties": {"discriminator": ["ct"]}})
    assert problem.startswith("penalties.discriminator.0: ct compares two judgements of one sample")
    assert "networks.dropout" in problem
    problems = told({"data": "8-gaussians", "networks": {"dropout": 0.5, "depth": 0}, "penalties": {"discriminator": ["ct"]}})
    assert len(problems) == 2, "nor are there activations"
    assert "networks.dropout" in problems[0]
    assert load({"data": "8-gaussians", "networks": {"dropout": 0.5}, "penalties": {"discriminator": ["ct"]}})
