"""Batch normalisation against torch's own."""

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.streams import Streams
from tests.networks.closeness import gap


def pair(images: bool, channels: int = 3) -> tuple[BatchNorm, nn.BatchNorm1d | nn.BatchNorm2d, list[Tensor]]:
    streams = Streams(0, dtype=torch.float64)
    ours = BatchNorm(channels, dtype=torch.float64)
    torchs = (nn.BatchNorm2d if images else nn.BatchNorm1d)(channels, dtype=torch.float64)
    for norm in (ours, torchs):
        norm.weight.data = Streams(1, dtype=torch.float64).normal("scale", channels)
        norm.bias.data = Streams(1, dtype=torch.float64).normal("shift", channels)
    shape = (5, channels, 4, 4) if images else (5, channels)
    return ours, torchs, [2 + 3 * streams.normal("x", *shape) for _ in range(3)]


@pytest.mark.parametrize("images", [True, False])
def test_one_pass_a_turn_is_torchs_layer(images: bool) -> None:
    ours, torchs, batches = pair(images)
    for x in batches:
        left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
        assert gap(ours(left), torchs(right)) < 1e-12
        for norm, given in ((ours, left), (torchs, right)):
            given.grad = torch.autograd.grad(norm(given).pow(3).sum(), given)[0]
        assert left.grad is not None
        assert right.grad is not None
        assert gap(left.grad, right.grad) < 1e-10
    ours.forget()
    ours, torchs, batches = pair(images)
    for x in batches:
        ours(x), torchs(x)
        assert float(ours.running_mean.abs().max()) == 0 or x is not batches[0]
        ours.observe()
        assert torchs.running_mean is not None
        assert torchs.running_var is not None
        assert gap(ours.running_mean, torchs.running_mean) < 1e-12
        assert gap(ours.running_var, torchs.running_var) < 1e-12
    ours.eval(), torchs.eval()
    assert gap(ours(batches[0]), torchs(batches[0])) < 1e-12


def test_several_passes_count_by_their_mean_and_once() -> None:
    ours, _, (first, second, third) = pair(images=True)
    ours(first), ours(second)
    ours.observe()
    means = torch.stack([first.mean((0, 2, 3)), second.mean((0, 2, 3))]).mean(0)
    variances = torch.stack([first.var((0, 2, 3)), second.var((0, 2, 3))]).mean(0)
    assert gap(ours.running_mean, 0.1 * means) < 1e-12
    assert gap(ours.running_var, (0.9 + 0.1 * variances)) < 1e-12
    before = ours.running_mean.clone(), ours.running_var.clone()
    ours.observe()
    ours(third)
    ours.forget()
    ours.observe()
    assert ours.running_mean.equal(before[0])
    assert ours.running_var.equal(before[1])


def test_replicas_have_their_own_statistics() -> None:
    streams = Streams([3, 4], dtype=torch.float64)
    x, scale = streams.normal("x", 5, 3), streams.normal("scale", 3)
    whole = BatchNorm(3, (2,), dtype=torch.float64)
    whole.weight.data = scale
    together = whole(x)
    whole.observe()
    for replica in range(2):
        lone = BatchNorm(3, dtype=torch.float64)
        lone.weight.data = scale[replica]
        assert gap(lone(x[replica]), together[replica]) < 1e-12
        lone.observe()
        assert gap(lone.running_var, whole.running_var[replica]) < 1e-12
        assert gap(lone.eval()(x[replica]), whole.eval()(x)[replica]) < 1e-12
        whole.train()


def test_one_value_a_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm(3)(torch.zeros(1, 3))
    assert BatchNorm(3).eval()(torch.zeros(1, 3)).shape == (1, 3)
