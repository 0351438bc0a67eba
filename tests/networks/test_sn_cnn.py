"""The standard CNN of SN-GAN: its table, its sizes, its seven convolutions in four stages."""

import math
import re
import shlex
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.layers import TransposedConvolution, Weighted
from saddlepoint.networks.network import Generator
from saddlepoint.networks.sn_cnn import SnCnn
from saddlepoint.recipe import load
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

PAGE = (Path(__file__).parents[2] / "docs" / "methods" / "sn-cnn.md").read_text(encoding="utf-8")


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def layers_of(network: nn.Module) -> list[Weighted]:
    return [layer for layer in network.modules() if isinstance(layer, Weighted)]


@pytest.mark.parametrize("side", [16, 32, 48, 64])
def test_the_table_of_the_paper(side: int) -> None:
    first = side // 8
    record = SnCnn(width=4)
    generator, discriminator = (make((3, side, side), Streams(0)) for make in (record.generator, record.discriminator))
    up = [tuple(layer.weight.shape) for layer in layers_of(generator)]
    assert up == [(first * first * 32, 128), (32, 16, 4, 4), (16, 8, 4, 4), (8, 4, 4, 4), (3, 4, 3, 3)]
    assert [isinstance(layer, TransposedConvolution) for layer in layers_of(generator)] == [False, True, True, True, False]
    down = [tuple(layer.weight.shape) for layer in layers_of(discriminator)]
    convolutions = [(4, 3, 3, 3), (8, 4, 4, 4), (8, 8, 3, 3), (16, 8, 4, 4), (16, 16, 3, 3), (32, 16, 4, 4), (32, 32, 3, 3)]
    assert down == [*convolutions, (1, 32, first, first)]


def by_hand(generator: bool, side: int) -> int:
    """Parameters of the networks for colour, width 64 and 128 latents, from the table."""
    first = (side // 8) ** 2
    if generator:  # no biases before batch normalisation, which has two numbers a channel
        weights = 128 * first * 512 + 16 * (512 * 256 + 256 * 128 + 128 * 64) + (9 * 64 * 3 + 3)
        return weights + 2 * (512 + 256 + 128 + 64)
    three = [(3, 64), (128, 128), (256, 256), (512, 512)]
    four = [(64, 128), (128, 256), (256, 512)]
    return sum(9 * a * b + b for a, b in three) + sum(16 * a * b + b for a, b in four) + first * 512 + 1


@pytest.mark.parametrize("side", [32, 48])
def test_the_page_counts_parameters(side: int) -> None:
    generator, discriminator = (make((3, side, side), Streams(0)) for make in (SnCnn().generator, SnCnn().discriminator))
    assert (count(generator), count(discriminator)) == (by_hand(True, side), by_hand(False, side))
    assert f"| {side} | {count(generator):,} | {count(discriminator):,} |" in PAGE


def test_a_pass_by_hand() -> None:
    record = SnCnn.model_validate({"width": 2, "latent": 3, "normalization": {"generator": "none", "discriminator": "none"}})
    streams = Streams(0, dtype=torch.float64)
    generator, discriminator = record.generator((1, 16, 16), streams), record.discriminator((1, 16, 16), streams)
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            parameter.data = 0.3 * streams.normal(name, *parameter.shape)
    assert isinstance(generator, Generator)
    x = streams.normal("latents", 4, 3)
    first, *middle, last = layers_of(generator)
    h = F.linear(x, first.weight, first.bias).reshape(4, 16, 2, 2).relu()
    for layer in middle:
        h = F.conv_transpose2d(h, layer.weight, layer.bias, 2, 1).relu()
    image = torch.tanh(F.conv2d(h, last.weight, last.bias, padding=1))
    assert gap(generator(x), image) < 1e-12
    *convolutions, head = layers_of(discriminator)
    features: list[Tensor] = []
    h = image
    for number, layer in enumerate(convolutions):
        strided = number % 2 == 1
        h = F.leaky_relu(F.conv2d(h, layer.weight, layer.bias, 2 if strided else 1, 1), 0.1)
        if not strided:
            features.append(h)
    assert head.bias is not None
    scores = h.flatten(1) @ head.weight.flatten() + head.bias
    judgement = discriminator.judge(Example(image), features=True)
    assert gap(judgement.scores, scores) < 1e-11
    assert [gap(*pair) < 1e-11 for pair in zip(judgement.features.values(), features, strict=True)] == [True] * 4


def test_weights_start_normal_with_the_papers_deviation() -> None:
    for network in (SnCnn().generator((3, 32, 32), Streams(0)), SnCnn().discriminator((3, 32, 32), Streams(0))):
        for layer in layers_of(network):
            weight = layer.weight.detach()
            assert float(weight.std()) == pytest.approx(0.02, rel=4 / math.sqrt(weight.numel()))
            assert layer.bias is None or float(layer.bias.detach().abs().max()) == 0


def test_the_pages_other_settings_load() -> None:
    (overrides,) = re.findall(r"^\| A \| `(.+)` \|$", PAGE, re.MULTILINE)
    recipe = load("sn-gan-cnn", shlex.split(overrides)).to_mapping()
    for optimizer in recipe["optimizers"].values():
        assert (optimizer["lr"], optimizer["betas"]) == (1e-4, [0.5, 0.9])
    assert recipe["schedule"]["discriminator_steps"] == 5
