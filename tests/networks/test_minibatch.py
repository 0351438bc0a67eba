"""Minibatch discrimination and minibatch standard deviation: by hand, their properties, and over replicas."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks import NETWORKS
from saddlepoint.networks.minibatch import MINIBATCH, BatchCloseness, MinibatchDiscrimination, MinibatchStddev
from saddlepoint.networks.normalization import Making
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

DTYPE = torch.float64


def draw(name: str, *shape: int) -> Tensor:
    return Streams(2, dtype=DTYPE).normal(name, *shape)


def making(*leading: int) -> Making:
    return Making(leading, torch.device("cpu"), DTYPE)


def closeness(*features: int, kernels: int = 3, leading: tuple[int, ...] = (), include_self: bool = False) -> BatchCloseness:
    """With a projection, scales and biases drawn at random."""
    record = MinibatchDiscrimination(kernels=kernels, dimensions=2, include_self=include_self)
    layer = record.layer(features, making(*leading))
    assert isinstance(layer, BatchCloseness)
    for name, parameter in layer.named_parameters():
        parameter.data = 0.3 * draw(name, *parameter.shape)
    return layer


def stddev(*leading: int, group: int = 4) -> nn.Module:
    return MinibatchStddev(group=group).layer((3,), making(*leading))


# Minibatch discrimination


@pytest.mark.parametrize("include_self", [False, True])
def test_closeness_is_the_sum_of_the_paper(include_self: bool) -> None:
    layer, x = closeness(4, include_self=include_self), draw("x", 5, 4)
    found = layer.closeness(x)
    for sample, kernel in itertools.product(range(5), range(3)):
        total = 0.0
        for other in range(5):
            if other == sample and not include_self:
                continue
            apart = 0.0
            for dimension in range(2):
                column = layer.projection[:, kernel, dimension].detach()
                scaled = column / float(column.norm()) * float(layer.log_scale[kernel, dimension].detach().exp())
                apart += abs(float(x[sample] @ scaled) - float(x[other] @ scaled))
            total += float(torch.exp(torch.tensor(-apart, dtype=DTYPE)))
        assert abs(float(found[sample, kernel].detach()) - total) < 1e-12
    out = layer(x)
    assert out[:, :4].equal(x)
    assert gap(out[:, 4:], found + layer.bias) < 1e-15


def test_as_the_record_starts_columns_have_norm_1_and_the_bias_is_minus_1() -> None:
    record = MinibatchDiscrimination()
    assert (record.kernels, record.dimensions, record.include_self, record.channels) == (100, 5, False, 100)
    first = BatchCloseness.first
    drawn = first["projection"].draw(Streams(0, dtype=DTYPE), "T", torch.Size([64, 100, 5]))
    assert abs(float(drawn.std()) - 0.05) < 0.001
    assert [first[name].draw(Streams(0), name, torch.Size([1])).item() for name in ("log_scale", "bias")] == [0.0, -1.0]


@pytest.mark.parametrize(("include_self", "most"), [(False, 6), (True, 7)])
def test_identical_samples_are_as_close_as_can_be(include_self: bool, most: int) -> None:
    found = closeness(4, include_self=include_self).closeness(draw("x", 1, 4).expand(7, 4))
    assert gap(found, torch.full_like(found, most)) < 1e-14


def test_a_sample_alone_has_none() -> None:
    assert closeness(4).closeness(draw("x", 1, 4)).abs().max() == 0


def test_samples_far_apart_have_none_and_none_leaves_its_range() -> None:
    layer = closeness(4)
    assert float(layer.closeness(1e4 * draw("x", 6, 4)).detach().abs().max()) < 1e-12
    found = layer.closeness(draw("x", 6, 4)).detach()
    assert float(found.min()) > 0
    assert float(found.max()) < 5


@pytest.mark.parametrize("name", MINIBATCH)
def test_permuting_the_batch_permutes_rows(name: str) -> None:
    layer = closeness(4) if name == "minibatch-discrimination" else stddev(group=2)
    x = draw("x", 4, 4)
    # Of the groups of the deviation, i and i + 2, only such permutations as keep them.
    order = torch.tensor([1, 0, 3, 2])
    assert gap(layer(x[order]), layer(x)[order]) < 1e-14


def test_gradients_are_those_of_finite_differences() -> None:
    layer = closeness(4)
    x = draw("x", 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)


# Minibatch standard deviation


@pytest.mark.parametrize("shape", [(3,), (3, 4, 4)])
@pytest.mark.parametrize(("size", "group"), [(8, 4), (6, 3), (3, 3), (1, 1)])
def test_deviation_is_that_of_a_loop_over_groups(shape: tuple[int, ...], size: int, group: int) -> None:
    x = draw("x", size, *shape)
    out = stddev(group=max(group, 2))(x)
    assert out.shape == (size, 4, *shape[1:])
    assert out[:, :3].equal(x)
    for sample in range(size):
        members = [other for other in range(size) if other % (size // group) == sample % (size // group)]
        assert len(members) == group
        features = torch.stack([x[member].flatten() for member in members])
        deviation = ((features - features.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        assert gap(out[sample, 3], deviation.expand_as(out[sample, 3])) < 1e-14


def test_identical_samples_deviate_by_1e_4() -> None:
    out = stddev()(draw("x", 1, 3, 4, 4).expand(8, 3, 4, 4))
    assert gap(out[:, 3], torch.full_like(out[:, 3], 1e-4)) < 1e-12


@pytest.mark.parametrize("factor", [-3.0, 0.5])
def test_scaling_centred_samples_scales_it_by_the_absolute_factor(factor: float) -> None:
    x = draw("x", 8, 3)
    x = 100 * (x - x.mean(0))
    assert gap(stddev()(factor * x)[:, 3], abs(factor) * stddev()(x)[:, 3]) < 1e-8


def test_a_batch_that_is_no_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 6 is no groups of 4; give a multiple of 4"):
        stddev()(draw("x", 6, 3))
    assert MinibatchStddev().batch_problem(6) == "6 samples are no groups of 4: give 4"
    assert [MinibatchStddev().batch_problem(size) for size in (1, 3, 4, 8, 64)] == [None] * 5


def test_it_has_no_parameters() -> None:
    assert list(stddev().parameters()) == []


# Both


@pytest.mark.parametrize("name", MINIBATCH)
def test_replicas_are_each_as_alone(name: str) -> None:
    x = draw("x", 3, 4, 5)
    if name == "minibatch-stddev":
        stacked, lone = stddev(3)(x), torch.stack([stddev()(row) for row in x])
    else:
        layer = closeness(5, leading=(3,))
        stacked, rows = layer(x), []
        for replica in range(3):
            own = closeness(5)
            for parameter, all_of_them in zip(own.parameters(), layer.parameters(), strict=True):
                parameter.data = all_of_them[replica].detach()
            rows.append(own(x[replica]))
        lone = torch.stack(rows)
    assert gap(stacked, lone) < 1e-14


@pytest.mark.parametrize("name", [None, *MINIBATCH])
def test_a_batch_of_one_sample_is_found_out_with_it_alone(name: str | None) -> None:
    """One real sample four times has the law of real samples, one by one: only a critic that looks at the batch learns to tell."""
    fields = {"width": 16, "depth": 1, "minibatch": name}
    streams = Streams(4, dtype=DTYPE)
    critic = NETWORKS["mlp"].model_validate(fields).discriminator((2,), streams)
    descent = torch.optim.Adam(critic.parameters(), lr=0.02)

    def batches() -> tuple[Tensor, Tensor]:
        return streams.normal("real", 4, 2), streams.normal("collapsed", 1, 2).expand(4, 2)

    for _ in range(150):
        real, collapsed = batches()
        descent.zero_grad()
        (F.softplus(-critic(real)).mean() + F.softplus(critic(collapsed)).mean()).backward()
        descent.step()
    with torch.no_grad():
        right = [torch.stack([critic(real) > 0, critic(collapsed) < 0]) for real, collapsed in (batches() for _ in range(100))]
    found = float(torch.stack(right).double().mean())
    assert found > 0.9 if name else found < 0.6
