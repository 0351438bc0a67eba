"""The generator's average: survey 4.5's properties."""

import torch

from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.mlp import Mlp, MlpNormalizations
from saddlepoint.networks.network import Generator
from saddlepoint.streams import Streams
from saddlepoint.training.average import Average


def generator() -> Generator:
    normalization = MlpNormalizations(generator=BatchNormalization())
    return Mlp(latent=2, normalization=normalization).generator((2,), Streams(0)).double()


def test_constant_weights_are_a_fixed_point() -> None:
    source = generator()
    average = Average(source, 0.9)
    before = [parameter.clone() for parameter in average.network.parameters()]
    average.update()
    for mine, was in zip(average.network.parameters(), before, strict=True):
        torch.testing.assert_close(mine, was, rtol=0, atol=1e-15)


def test_after_k_steps_the_start_weighs_decay_to_the_k() -> None:
    source = generator()
    average = Average(source, 0.8)
    start = [parameter.detach().clone() for parameter in source.parameters()]
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(1.0)
    for _ in range(5):
        average.update()
    for mine, first, now in zip(average.network.parameters(), start, source.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.8**5 * first + (1 - 0.8**5) * now.detach(), rtol=0, atol=1e-12)


def test_decay_zero_copies_and_buffers_are_copied() -> None:
    source = generator()
    average = Average(source, 0.0)
    with torch.no_grad():
        tensors: list[torch.Tensor] = [*source.parameters(), *source.buffers()]
        for tensor in tensors:
            tensor.add_(2.0)
    average.update()
    for mine, theirs in zip(average.network.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.detach())
    for copied, buffer in zip(average.network.buffers(), source.buffers(), strict=True):
        assert torch.equal(copied, buffer)
