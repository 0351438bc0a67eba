"""The multilayer perceptron: its sizes, its twin of torch layers, its replicas."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks.layers import Linear
from saddlepoint.networks.mlp import Mlp
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from tests.networks.closeness import gap


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def normalized(kind: str, **fields: object) -> Mlp:
    return Mlp.model_validate({"normalization": {"generator": kind, "discriminator": kind}, **fields})


def test_the_8_gaussians_networks_of_the_wegan_paper() -> None:
    generator, critic = Mlp().generator((2,), Streams(0)), Mlp().discriminator((2,), Streams(0))
    assert count(generator) == (2 * 32 + 32) + (32 * 32 + 32) + (32 * 2 + 2)
    assert count(critic) == (2 * 32 + 32) + (32 * 32 + 32) + (32 + 1)


def test_the_mnist_networks_of_the_wegan_paper() -> None:
    record = Mlp(latent=100, width=128, depth=1)
    assert count(record.generator((1, 28, 28), Streams(0))) == 100 * 128 + 128 + 128 * 784 + 784
    assert count(record.discriminator((1, 28, 28), Streams(0))) == 784 * 128 + 128 + 128 + 1


@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "tanh"])
def test_it_is_the_same_function_as_torchs_layers(activation: str) -> None:
    record = Mlp.model_validate({"activation": activation, "widths": (5, 7)})
    between = {"relu": nn.ReLU(), "leaky-relu": nn.LeakyReLU(0.2), "tanh": nn.Tanh()}[activation]
    generator, critic = record.generator((1, 2, 3), Streams(0)), record.discriminator((1, 2, 3), Streams(0))
    twin = nn.Sequential(nn.Linear(2, 5), between, nn.Linear(5, 7), between, nn.Linear(7, 6), nn.Tanh(), nn.Unflatten(1, (1, 2, 3)))
    judge = nn.Sequential(nn.Flatten(), nn.Linear(6, 7), between, nn.Linear(7, 5), between, nn.Linear(5, 1))
    for ours, torchs in ((generator, twin), (critic, judge)):
        torchs.load_state_dict(dict(zip(torchs.state_dict(), ours.state_dict().values(), strict=True)))
    latents = Streams(1).normal("z", 9, 2)
    assert gap(generator(latents), twin(latents)) < 1e-6
    image = twin(latents)
    assert gap(critic(image), judge(image).squeeze(1)) < 1e-6
    hidden = critic.judge(Example(image), features=True).features["block 1"]
    assert gap(hidden, judge[:3](image)) < 1e-6


def test_points_leave_the_generator_linear() -> None:
    far = Mlp(depth=0).generator((2,), Streams(0))(torch.full((1, 2), 1e3))
    assert float(far.detach().abs().max()) > 1


def test_without_hidden_layers_the_critic_is_linear_and_has_no_features() -> None:
    record = Mlp(depth=0)
    critic = record.discriminator((2,), Streams(0, dtype=torch.float64))
    x, y = Streams(1, dtype=torch.float64).normal("x", 2, 4, 2)
    zero = critic(torch.zeros(4, 2, dtype=torch.float64))
    assert gap(critic(x + 2 * y), critic(x) + 2 * critic(y) - 2 * zero) < 1e-12
    assert record.block_names == critic.block_names == ()
    assert not normalized("batch", depth=0).couples_batch
    assert critic.judge(Example(x), features=True).features == {}


def test_weights_start_as_torchs_linear_layers_do() -> None:
    critic = Mlp(width=400).discriminator((2,), Streams(0))
    for name, parameter in critic.named_parameters():
        layer = critic.get_submodule(name.rpartition(".")[0])
        assert isinstance(layer, Linear)
        bound = 1 / math.sqrt(layer.fan_in)
        assert float(parameter.detach().abs().max()) <= bound
        if parameter.numel() > 300:
            assert float(parameter.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)
    torchs, ours = nn.Linear(400, 400).weight.detach(), critic.get_parameter("blocks.1.linear.weight").detach()
    assert float(ours.std()) == pytest.approx(float(torchs.std()), rel=0.02)


@pytest.mark.parametrize("kind", ["batch", "layer", "none", "spectral"])
@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
def test_each_replica_is_its_seed_alone(kind: str, shape: tuple[int, ...]) -> None:
    seeds = (11, 12, 13)
    record = normalized(kind)

    def play(streams: Streams) -> list[Tensor]:
        """Three steps of a small game, everything that came of it."""
        generator, critic = record.generator(shape, streams), record.discriminator(shape, streams)
        parameters = [*generator.parameters(), *critic.parameters()]
        for _ in range(3):
            image = generator(streams.normal("z", 6, 2))
            judgement = critic.judge(Example(image), features=True)
            (gradient,) = torch.autograd.grad(judgement.scores.sum(), image, create_graph=True)
            loss = judgement.scores.square().sum() + gradient.square().sum() + sum(f.sum() for f in judgement.features.values())
            loss.backward()
            with torch.no_grad():
                for parameter in parameters:
                    assert parameter.grad is not None
                    parameter.sub_(0.001 * parameter.grad)
                    parameter.grad = None
            generator.observe()
            critic.observe()
        state = [*generator.state_dict().values(), *critic.state_dict().values()]
        return [*state, judgement.scores.detach(), image.detach(), *(f.detach() for f in judgement.features.values())]

    together = play(Streams(seeds, dtype=torch.float64))
    initial = record.generator(shape, Streams(seeds)).state_dict()
    for replica, seed in enumerate(seeds):
        lone = play(Streams(seed, dtype=torch.float64))
        assert len(lone) == len(together) > 10
        for one, several in zip(lone, together, strict=True):
            assert one.shape == several[replica].shape
            assert gap(one, several[replica]) < 1e-10
        for name, value in record.generator(shape, Streams(seed)).state_dict().items():
            if not name.endswith((".u", ".v")):
                assert value.equal(initial[name][replica])


def test_images_of_several_replicas_keep_their_axes() -> None:
    record, streams = Mlp(), Streams([1, 2])
    generator, critic = record.generator((1, 4, 4), streams), record.discriminator((1, 4, 4), streams)
    image = generator(streams.normal("z", 5, 2))
    assert image.shape == (2, 5, 1, 4, 4)
    assert critic(image).shape == (2, 5)
    with pytest.raises(ValueError, match=r"this network takes \(2, n, 1, 4, 4\)"):
        critic(image[0])


@pytest.mark.parametrize("fields", [{"width": 8}, {"depth": 3}, {"width": 8, "depth": 3}])
def test_a_size_that_would_not_be_read_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{' and '.join(fields)} would not be read, since widths is \[5, 6\]"):
        Mlp(widths=(5, 6), **fields)
    assert Mlp(**fields).widths is None
