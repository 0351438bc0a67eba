"""DCGAN: its guidelines, its sizes, its twin of torch layers."""

import pytest
import torch
from torch import nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.dcgan import Dcgan
from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.networks.layers import Convolution, Linear, TransposedConvolution, Weighted
from saddlepoint.streams import Streams
from tests.networks.closeness import gap


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_of_the_usual_64_px_networks() -> None:
    # The numbers of the well-known port without any bias; ours has one where no normalisation follows.
    record = Dcgan(latent=100)
    assert count(record.generator((3, 64, 64), Streams(0))) == 3_576_704 + 3
    assert count(record.discriminator((3, 64, 64), Streams(0))) == 2_765_568 + 64 + 1


def test_it_is_the_same_function_as_torchs_layers() -> None:
    record = Dcgan(width=2, latent=5)
    generator, critic = record.generator((3, 16, 16), Streams(0)), record.discriminator((3, 16, 16), Streams(0))
    twin = nn.Sequential(
        nn.ConvTranspose2d(5, 4, 4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.ConvTranspose2d(2, 3, 4, 2, 1),
        nn.Tanh(),
    )
    judge = nn.Sequential(
        nn.Conv2d(3, 2, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2, 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 1, 4),
    )
    for ours, torchs in ((generator, twin), (critic, judge)):
        names = [name for name, value in torchs.named_parameters()]
        values = [parameter.detach() for parameter in ours.parameters()]
        if ours is generator:
            values[0] = values[0].reshape(4, 4, 4, 5).permute(3, 0, 1, 2)
        torchs.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    latents = Streams(1).normal("z", 6, 5)
    image = twin(latents[..., None, None])
    assert gap(generator(latents), image) < 1e-5
    assert gap(critic(image), judge(image).flatten()) < 1e-5


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128])
def test_widths_double_as_sides_halve(resolution: int) -> None:
    record, shape = Dcgan(width=2), (3, resolution, resolution)
    down = [layer.weight.shape[0] for layer in record.discriminator(shape, Streams(0)).modules() if isinstance(layer, Convolution)]
    up = [
        layer.weight.shape[1] for layer in record.generator(shape, Streams(0)).modules() if isinstance(layer, TransposedConvolution)
    ]
    stages = (resolution // 4).bit_length() - 1
    assert down == [2 * 2**stage for stage in range(stages)] + [1]
    assert up == [2 * 2**stage for stage in reversed(range(stages - 1))] + [3]


def test_the_guidelines() -> None:
    record, shape = Dcgan(width=4), (3, 32, 32)
    generator, critic = record.generator(shape, Streams(0)), record.discriminator(shape, Streams(0))
    for network in (generator, critic):
        assert not any("Pool" in type(layer).__name__ for layer in network.modules())
    assert [name for name, layer in generator.named_modules() if isinstance(layer, Linear)] == ["body.project.linear"]
    assert not any(isinstance(layer, Linear) for layer in critic.modules())
    assert sum(isinstance(layer, BatchNorm) for layer in generator.modules()) == 3
    assert sum(isinstance(layer, BatchNorm) for layer in critic.modules()) == 2
    assert not any(isinstance(layer, BatchNorm) for layer in critic.blocks[0].modules())
    assert list(dict(generator.body.named_children()))[-2:] == ["last", "tanh"]


@pytest.mark.parametrize("kind", ["batch", "layer", "none", "spectral"])
def test_each_player_has_its_normalisation_and_biases_where_nothing_takes_them_away(kind: str) -> None:
    for player in ("generator", "discriminator"):
        record = Dcgan.model_validate({"width": 2, "normalization": {player: kind}})
        network = getattr(record, player)((1, 16, 16), Streams(0))
        spectral = [layer.spectral is not None for layer in network.modules() if isinstance(layer, Weighted)]
        assert all(spectral) if kind == "spectral" else not any(spectral)
        kinds = {type(layer) for layer in network.modules() if isinstance(layer, BatchNorm | LayerNorm)}
        batch = kind == "batch" or (kind == "spectral" and player == "generator")
        assert kinds == ({BatchNorm} if batch else {LayerNorm} if kind == "layer" else set())
        biases = [layer.bias is not None for layer in network.modules() if isinstance(layer, Weighted)]
        without = {"generator": [False, False, True], "discriminator": [True, False, True]}[player]
        assert biases == (without if batch else [True] * 3)


def test_weights_start_at_a_standard_deviation_of_02() -> None:
    record, shape = Dcgan(width=32, latent=100), (3, 32, 32)
    measured, scales = 0, []
    for network in (record.generator(shape, Streams(0)), record.discriminator(shape, Streams(0))):
        for layer in network.modules():
            if isinstance(layer, Weighted) and layer.weight.numel() > 1000:
                assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
                assert abs(float(layer.weight.detach().mean())) < 0.02 * 4 / layer.weight.numel() ** 0.5
                assert layer.bias is None or float(layer.bias.detach().abs().max()) == 0
                measured += 1
            if isinstance(layer, BatchNorm):
                scales.append(layer.weight.detach())
                assert float(layer.bias.detach().abs().max()) == 0
    assert measured == 8
    assert float(torch.cat(scales).std()) == pytest.approx(0.02, rel=0.15)
    assert float(torch.cat(scales).mean()) == pytest.approx(1, abs=0.005)
