"""SN-GAN's residual networks: their sizes, and their blocks in the order the paper gives."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.networks.resnet import Block, FirstBlock, Resnet, SummedHead, UpBlock
from saddlepoint.streams import Streams
from tests.networks.closeness import gap


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_of_the_32_px_networks() -> None:
    # The public figure of 4,276,739 counts the three blocks' nine biases that batch normalisation takes away.
    assert count(Resnet().generator((3, 32, 32), Streams(0))) == 4_276_739 - 3 * 3 * 256
    three = 128 * 128 * 9 + 128
    first = (3 * 128 * 9 + 128) + three + (3 * 128 + 128)
    assert count(Resnet().discriminator((3, 32, 32), Streams(0))) == first + (2 * three + 128 * 128 + 128) + 2 * 2 * three + 128


@pytest.mark.parametrize(
    ("resolution", "up", "down"),
    [
        (16, [16, 16], [8, 8, 8]),
        (32, [16, 16, 16], [8, 8, 8, 8]),
        (48, [16, 8, 4], [4, 8, 16, 32, 64]),
        (64, [32, 16, 8, 4], [4, 8, 16, 32, 64]),
    ],
)
def test_widths_of_the_blocks(resolution: int, up: list[int], down: list[int]) -> None:
    record, shape = Resnet(width=8), (3, resolution, resolution)
    generator, critic = record.generator(shape, Streams(0)), record.discriminator(shape, Streams(0))
    assert [block.convolution2.weight.shape[0] for block in generator.modules() if isinstance(block, UpBlock)] == up
    first, blocks = critic.blocks[0], [block for block in critic.blocks if isinstance(block, Block)]
    assert isinstance(first, FirstBlock)
    assert [first.convolution2.weight.shape[0], *(block.convolution2.weight.shape[0] for block in blocks)] == down
    assert all(block.convolution1.weight.shape[0] == block.convolution1.weight.shape[1] for block in blocks)
    inputs = {48: 6 * 6 * 32, 64: 4 * 4 * 64}.get(resolution, 4 * 4 * 16)
    assert generator.get_parameter("body.project.linear.weight").shape[0] == inputs


def test_the_generators_width_may_be_given_apart() -> None:
    record = Resnet(width=8, generator_width=4)
    assert record.generator((1, 32, 32), Streams(0)).get_parameter("body.last.weight").shape == (1, 4, 3, 3)
    with pytest.raises(ValueError, match="multiple of 4"):
        Resnet(generator_width=6)
    with pytest.raises(ValueError, match="multiple of 2"):
        Resnet(width=7)


def randomized(block: Any) -> Any:
    for name, parameter in block.named_parameters():
        parameter.data = Streams(3, dtype=torch.float64).normal(name, *parameter.shape)
    return block


def layers(kind: str) -> Layers:
    return Layers.of("discriminator", CHOICES[kind](), Streams(0, dtype=torch.float64))


def conv(x: Tensor, layer: Weighted) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)


def norm(x: Tensor, layer: nn.Module) -> Tensor:
    return F.batch_norm(x, None, None, layer.weight, layer.bias, True) if isinstance(layer, BatchNorm) else x


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def halve(x: Tensor) -> Tensor:
    return x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))


@pytest.mark.parametrize("kind", ["none", "batch"])
def test_an_up_block_is_the_papers(kind: str) -> None:
    block, x = randomized(UpBlock(layers(kind), 3, 2)), Streams(0, dtype=torch.float64).normal("x", 4, 3, 4, 4)
    h = conv(double(norm(x, block.normalization1).relu()), block.convolution1)
    h = conv(norm(h, block.normalization2).relu(), block.convolution2)
    expected = h + conv(double(x), block.shortcut)
    assert gap(block(x), expected) < 1e-11


@pytest.mark.parametrize("kind", ["none", "batch"])
@pytest.mark.parametrize(("outputs", "down"), [(3, False), (3, True), (5, True)])
def test_a_block_is_the_papers(kind: str, outputs: int, down: bool) -> None:
    block, x = randomized(Block(layers(kind), 3, outputs, down=down)), Streams(0, dtype=torch.float64).normal("x", 4, 3, 4, 4)
    h = conv(norm(x, block.normalization1).relu(), block.convolution1)
    h = conv(norm(h, block.normalization2).relu(), block.convolution2)
    side = conv(x, block.shortcut) if outputs != 3 or down else x
    expected = halve(h) + halve(side) if down else h + side
    assert gap(block(x), expected) < 1e-11


def test_the_first_block_is_the_papers() -> None:
    block, x = randomized(FirstBlock(layers("none"), 3, 2)), Streams(0, dtype=torch.float64).normal("x", 4, 3, 4, 4)
    expected = halve(conv(conv(x, block.convolution1).relu(), block.convolution2)) + conv(halve(x), block.shortcut)
    assert gap(block(x), expected) < 1e-11


def test_the_head_sums_over_space_and_has_no_bias() -> None:
    critic = Resnet(width=4).discriminator((1, 16, 16), Streams(0, dtype=torch.float64))
    assert isinstance(critic.head, SummedHead)
    assert critic.head.linear.bias is None
    x = Streams(1, dtype=torch.float64).normal("x", 2, 4, 3, 3)
    weight = critic.head.linear.effective_weight()[0]
    expected = torch.einsum("nchw,c->n", x.clamp(min=0), weight)
    assert gap(critic.head(x).squeeze(1), expected) < 1e-12


def test_weights_start_xavier_uniform_with_gain_root_two_in_the_blocks() -> None:
    record, seen = Resnet(width=32), 0
    for network in (record.generator((3, 32, 32), Streams(0)), record.discriminator((3, 32, 32), Streams(0))):
        for name, layer in network.named_modules():
            if not isinstance(layer, Weighted):
                continue
            outputs, inputs, *kernel = layer.weight.shape
            gain = math.sqrt(2) if "block" in name and kernel == [3, 3] else 1.0
            bound = gain * math.sqrt(6 / ((outputs + inputs) * math.prod(kernel)))
            weight = layer.weight.detach()
            assert 0.9 * bound < float(weight.abs().max()) <= bound
            assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.2 if weight.numel() < 500 else 0.05)
            assert layer.bias is None or float(layer.bias.detach().abs().max()) == 0
            seen += 1
    assert seen == (1 + 3 * 3 + 1) + (3 + 3 + 2 + 2 + 1)
