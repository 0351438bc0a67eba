"""Layer normalisation against its formula and torch's layers."""

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.streams import Streams
from tests.networks.closeness import gap


def filled(leading: tuple[int, ...] = ()) -> LayerNorm:
    norm = LayerNorm(3, leading, dtype=torch.float64)
    norm.weight.data = 1 + torch.arange(norm.weight.numel(), dtype=torch.float64).reshape(norm.weight.shape)
    norm.bias.data = torch.linspace(-1, 1, norm.bias.numel(), dtype=torch.float64).reshape(norm.bias.shape)
    return norm


def by_formula(x: Tensor, norm: LayerNorm) -> Tensor:
    axes = tuple(range(1, x.ndim))
    core = (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True) + 1e-5).sqrt()
    wide = (-1,) + (1,) * (x.ndim - 2)
    return core * norm.weight.reshape(wide) + norm.bias.reshape(wide)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4, 4)])
def test_the_formula_with_one_scale_a_channel(shape: tuple[int, ...]) -> None:
    norm, x = filled(), 2 + 3 * Streams(0, dtype=torch.float64).normal("x", *shape)
    assert gap(norm(x), by_formula(x, norm)) < 1e-12
    # The 1e-5 under the root is all that an input's size changes.
    assert gap(norm(700 * x), norm(70 * x)) < 1e-6
    assert norm.weight.shape == norm.bias.shape == (3,)


def test_its_core_is_torchs_layer_norm_over_the_whole_sample() -> None:
    x = Streams(0, dtype=torch.float64).normal("x", 5, 3, 4, 4)
    assert gap(LayerNorm(3, dtype=torch.float64)(x), nn.LayerNorm([3, 4, 4], dtype=torch.float64)(x)) < 1e-12


def test_replicas_have_their_own_scales() -> None:
    whole, x = filled((2,)), Streams([1, 2], dtype=torch.float64).normal("x", 5, 3)
    together = whole(x)
    for replica in range(2):
        lone = LayerNorm(3, dtype=torch.float64)
        lone.weight.data, lone.bias.data = whole.weight[replica].detach(), whole.bias[replica].detach()
        assert gap(lone(x[replica]), together[replica]) < 1e-12
