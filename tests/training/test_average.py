"""The generator's average: survey 4.5's properties."""

import math
from typing import Any

import pytest
import torch

from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.layers import Linear
from saddlepoint.networks.mlp import Mlp, MlpNormalizations
from saddlepoint.networks.network import Generator
from saddlepoint.recipe import load
from saddlepoint.sections import Average as Section
from saddlepoint.streams import Streams
from saddlepoint.training.assembly import Latents
from saddlepoint.training.average import Average
from saddlepoint.training.standing import sampling, standing


def generator() -> Generator:
    normalization = MlpNormalizations(generator=BatchNormalization())
    return Mlp(latent=2, normalization=normalization).generator((2,), Streams(0)).double()


def test_constant_weights_are_a_fixed_point() -> None:
    source = generator()
    average = Average(source, lambda update: 0.9)
    before = [parameter.clone() for parameter in average.network.parameters()]
    average.update(0)
    for mine, was in zip(average.network.parameters(), before, strict=True):
        torch.testing.assert_close(mine, was, rtol=0, atol=1e-15)


def test_after_k_steps_the_start_weighs_decay_to_the_k() -> None:
    source = generator()
    average = Average(source, lambda update: 0.8)
    start = [parameter.detach().clone() for parameter in source.parameters()]
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(1.0)
    for _ in range(5):
        average.update(0)
    for mine, first, now in zip(average.network.parameters(), start, source.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.8**5 * first + (1 - 0.8**5) * now.detach(), rtol=0, atol=1e-12)


def test_decay_zero_copies_and_buffers_are_copied() -> None:
    source = generator()
    average = Average(source, lambda update: 0.0)
    with torch.no_grad():
        tensors: list[torch.Tensor] = [*source.parameters(), *source.buffers()]
        for tensor in tensors:
            tensor.add_(2.0)
    average.update(0)
    for mine, theirs in zip(average.network.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.detach())
    for copied, buffer in zip(average.network.buffers(), source.buffers(), strict=True):
        assert torch.equal(copied, buffer)


# Half-lives, ramp-up and start


def test_the_first_average_of_a_half_life_copies_and_none_forgets_less_than_the_one_before() -> None:
    decays = [Section(half_life=500.0).decay_at(update, 10) for update in range(2000)]
    assert decays[0] == 0
    assert decays == sorted(decays)
    assert decays[-1] == pytest.approx(2 ** (-10 / 500))


@pytest.mark.parametrize("images", [10, 20])
def test_after_a_half_life_the_past_weighs_a_half(images: int) -> None:
    """Whatever the batch is: twice the images an update are half as many updates."""
    section = Section(half_life=500.0, ramp_up=1e9)
    kept = math.prod(section.decay_at(update, images) for update in range(1, 1 + 500 // images))
    assert kept == pytest.approx(0.5)


def test_ramp_up_is_a_share_of_the_images_so_far() -> None:
    assert Section(half_life=1e9, ramp_up=0.05).decay_at(400, 10) == pytest.approx(2 ** (-10 / 200))


def test_warm_up_and_start() -> None:
    warm = Section(decay=0.9, warm_up=True)
    assert [warm.decay_at(update, 1) for update in (0, 8, 1000)] == [0.1, 0.5, 0.9]
    assert [Section(decay=0.9, start=3).decay_at(update, 1) for update in (0, 2, 3)] == [0.0, 0.0, 0.9]


def test_returns_every_k_rounds_forget_as_much_in_a_half_life() -> None:
    section = Section(half_life=500.0, ramp_up=1e9)
    assert section.decay_at(99, 10, every=5) == pytest.approx(section.decay_at(99, 10) ** 5)


def played(fields: dict[str, Any], updates: int) -> Any:
    from tests.battery.games import play, recipe_with, session_of

    return play(session_of(recipe_with(None, fields)), updates)


def test_an_average_by_half_life_is_taken_up_again_with_its_count() -> None:
    from tests.battery.games import differing, kept, play

    fields = {"average": {"half_life": 30.0, "ramp_up": 0.5}}
    through, stopped, resumed = played(fields, 6), played(fields, 3), played(fields, 0)
    resumed.restore(stopped.snapshot().clone())
    assert differing(kept(through), kept(play(resumed, 3))) == []
    copied = played({"average": {"half_life": 30.0}}, 1)
    for mine, theirs in zip(copied.average.network.parameters(), copied.game.generator.parameters(), strict=True):
        assert torch.equal(mine, theirs.detach())


# Standing statistics


def test_standing_statistics_are_the_mean_of_all_activations() -> None:
    """Of the first layer: its input is latents through a linear layer, in each of the batches."""
    source, latents, streams = generator(), Latents(2, uniform=False), Streams(3, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    stood = standing(source, latents, streams, 16, 32)
    own = streams.apart("standing statistics")
    drawn = torch.cat([latents(own, "latents", 32) for _ in range(16)])
    layer = next(module for module in source.modules() if isinstance(module, Linear))
    entering = layer(drawn).detach()
    mean = next(buffer for name, buffer in stood.named_buffers() if name.endswith("running_mean"))
    variance = next(buffer for name, buffer in stood.named_buffers() if name.endswith("running_var"))
    torch.testing.assert_close(mean, entering.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(variance, torch.stack([part.var(0) for part in entering.split(32)]).mean(0), rtol=0, atol=1e-12)
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())
    again = standing(source, latents, streams, 16, 32)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in stood.state_dict().items())
    assert not stood.training


def test_without_batch_norm_there_is_nothing_to_stand() -> None:
    plain = Mlp(latent=2).generator((2,), Streams(0))
    assert standing(plain, Latents(2, uniform=False), Streams(0), 4, 8) is plain


def test_a_run_is_sampled_with_standing_statistics_and_trains_without() -> None:
    from tests.battery.games import differing, kept

    batch = {"networks.normalization.generator": "batch"}
    plain, standing_ = played(batch, 4), played({**batch, "average.standing_batches": 8}, 4)
    sampled = standing_.sampled
    assert differing(kept(plain), kept(standing_)) == []
    running = [name for name, _ in sampled.named_buffers() if "running" in name]
    assert running
    assert not any(torch.equal(sampled.state_dict()[name], plain.sampled.state_dict()[name]) for name in running)
    streams = Streams(standing_.recipe.seed, dtype=torch.float64)
    later = sampling(standing_.recipe, standing_.average.network, streams)
    assert all(torch.equal(tensor, sampled.state_dict()[name]) for name, tensor in later.state_dict().items())


def test_the_card_says_what_the_statistics_are() -> None:
    from saddlepoint.training.measuring import batch_norm_of

    assert batch_norm_of(load({})) == "running statistics"
    assert batch_norm_of(load({}, ["average.standing_batches=16"])) == "standing statistics of 16 batches"
