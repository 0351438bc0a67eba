"""The networks of the smallest game are two numbers, of which every replica has its own."""

import pytest
import torch

from saddlepoint.errors import InputError
from saddlepoint.networks import NETWORKS
from saddlepoint.recipe import load
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams

dirac = NETWORKS["dirac"].model_validate({"theta": 0.5, "psi": -2.0})


@pytest.mark.parametrize("leading", [(), (3,)])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_point_and_a_slope(leading: tuple[int, ...], dimensions: int) -> None:
    streams = Streams(list(range(leading[0])) if leading else 0)
    generator, discriminator = dirac.generator((dimensions,), streams), dirac.discriminator((dimensions,), streams)
    points = generator(streams.normal("latents", 4, 1))
    assert torch.equal(points, torch.full((*leading, 4, dimensions), 0.5))
    x = streams.normal("x", 4, dimensions)
    torch.testing.assert_close(discriminator(x), -2 * x.sum(-1))
    for network in (generator, discriminator):
        (parameter,) = network.parameters()
        assert parameter.numel() == dimensions * max(1, *leading, 1)
        assert not dict(network.named_buffers())
    assert discriminator.judge(Example(x), features=True).features == {}
    assert not discriminator.couples_batch


def test_each_replica_moves_its_own_point() -> None:
    streams = Streams([0, 1])
    generator = dirac.generator((1,), streams)
    (theta,) = generator.parameters()
    (generator(streams.normal("latents", 5, 1)) * torch.tensor([1.0, 10.0])[:, None, None]).sum().backward()
    assert theta.grad is not None
    assert torch.equal(theta.grad, torch.tensor([[5.0], [50.0]]))


def test_both_start_at_one() -> None:
    plain = NETWORKS["dirac"].model_validate({})
    networks = plain.generator((1,), Streams(0)), plain.discriminator((1,), Streams(0))
    assert [parameter.item() for network in networks for parameter in network.parameters()] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"data": "digits"}, "set data to dirac or other points"),
        ({"networks.normalization.discriminator": "batch"}, "networks.normalization.discriminator"),
        ({"penalties.both.0": "sdp"}, "this dirac discriminator has none"),
    ],
)
def test_what_it_cannot_be_is_refused(fields: dict[str, str], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        load({"data": "dirac", "networks": "dirac"}, fields)
    for make in (dirac.generator, dirac.discriminator):
        with pytest.raises(ValueError, match="one point"):
            make((1, 8, 8), Streams(0))
