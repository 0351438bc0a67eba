"""Spectral normalisation against torch's parametrisation and its theory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from saddlepoint.networks.layers import Convolution, Linear, TransposedConvolution, Weighted
from saddlepoint.networks.mlp import Mlp
from saddlepoint.networks.spectral_normalization import SpectralNorm
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

Build = Callable[[], tuple[Weighted, nn.Module, Tensor]]


def draw(name: str, *shape: int) -> Tensor:
    return Streams(0, dtype=torch.float64).normal(name, *shape)


def parts(layer: Weighted) -> tuple[nn.Parameter, SpectralNorm]:
    assert layer.bias is not None
    assert layer.spectral is not None
    return layer.bias, layer.spectral


def linear() -> tuple[Weighted, nn.Module, Tensor]:
    return Linear(5, 4, spectral=True, dtype=torch.float64), nn.Linear(5, 4, dtype=torch.float64), draw("x", 6, 5)


def convolution() -> tuple[Weighted, nn.Module, Tensor]:
    ours = Convolution(3, 4, 4, stride=2, padding=1, spectral=True, dtype=torch.float64)
    return ours, nn.Conv2d(3, 4, 4, 2, 1, dtype=torch.float64), draw("x", 2, 3, 8, 8)


def transposed() -> tuple[Weighted, nn.Module, Tensor]:
    ours = TransposedConvolution(3, 4, 4, stride=2, padding=1, spectral=True, dtype=torch.float64)
    return ours, nn.ConvTranspose2d(3, 4, 4, 2, 1, dtype=torch.float64), draw("x", 2, 3, 4, 4)


LAYERS: list[Build] = [linear, convolution, transposed]


def start(layer: Weighted) -> None:
    layer.weight.data = draw("weight", *layer.weight.shape)
    bias, spectral = parts(layer)
    bias.data = draw("bias", *bias.shape)
    spectral.start(layer.matrix(), Streams(5, dtype=torch.float64), "v")


def largest_singular_value(layer: Weighted) -> float:
    weight = layer.effective_weight()
    matrix = weight.transpose(0, 1).flatten(1) if isinstance(layer, TransposedConvolution) else weight.flatten(1)
    return float(torch.linalg.svdvals(matrix.detach())[0])


@pytest.mark.parametrize("build", LAYERS)
def test_it_is_torchs_parametrisation_for_the_same_u_and_v(build: Build) -> None:
    ours, theirs, x = build()
    start(ours)
    theirs.load_state_dict({"weight": ours.weight.detach(), "bias": draw("bias", 4)})
    parametrizations.spectral_norm(theirs)
    _, spectral = parts(ours)
    u, v = theirs.get_buffer("parametrizations.weight.0._u"), theirs.get_buffer("parametrizations.weight.0._v")
    # Far from converged, so that a wrong order of u and v would show.
    u.copy_(spectral.u.copy_(nn.functional.normalize(draw("u", *u.shape), dim=0)))
    v.copy_(spectral.v.copy_(nn.functional.normalize(draw("v", *v.shape), dim=0)))
    theirs.eval()
    assert gap(ours(x), theirs(x)) < 1e-12
    theirs.train()
    for _ in range(3):
        ours.observe()
        out = theirs(x)
        assert gap(ours(x), out) < 1e-12
        (mine,) = torch.autograd.grad(ours(x).pow(2).sum(), ours.weight)
        (torchs,) = torch.autograd.grad(out.pow(2).sum(), theirs.get_parameter("parametrizations.weight.original"))
        assert gap(mine, torchs) < 1e-10 * float(torchs.abs().max())
    assert gap(spectral.u, u) < 1e-12
    assert gap(spectral.v, v) < 1e-12


@pytest.mark.parametrize("build", LAYERS)
def test_the_effective_weight_has_norm_one_after_many_observes(build: Build) -> None:
    layer, _, _ = build()
    start(layer)
    for _ in range(200):
        layer.observe()
    assert abs(largest_singular_value(layer) - 1) < 1e-3
    layer.weight.data = draw("another weight", *layer.weight.shape)
    assert abs(largest_singular_value(layer) - 1) > 1e-2
    for _ in range(200):
        layer.observe()
    assert abs(largest_singular_value(layer) - 1) < 1e-3


@pytest.mark.parametrize("build", LAYERS)
def test_the_weights_scale_does_not_matter(build: Build) -> None:
    layer, _, x = build()
    start(layer)
    out = layer(x)
    (gradient,) = torch.autograd.grad(out.pow(3).sum(), layer.weight)
    assert float(gradient.abs().max()) > 1e-3
    assert abs(float((gradient * layer.weight).sum())) < 1e-10 * float(gradient.norm() * layer.weight.norm())
    layer.weight.data *= 7
    assert gap(layer(x), out) < 1e-12


def test_iterations_converge_from_the_start() -> None:
    layer, _, _ = linear()
    start(layer)
    exact = float(torch.linalg.svdvals(layer.weight.detach())[0])
    _, spectral = parts(layer)
    assert abs(float(spectral(layer.matrix()).detach()) / exact - 1) < 0.02


def test_replicas_have_their_own_vectors() -> None:
    streams = Streams([3, 4], dtype=torch.float64)
    whole = Linear(5, 4, (2,), spectral=True, dtype=torch.float64)
    bias, spectral = parts(whole)
    whole.weight.data, bias.data = streams.normal("w", 4, 5), streams.normal("b", 4)
    spectral.start(whole.matrix(), streams, "v")
    x = streams.normal("x", 6, 5)
    whole.observe()
    for replica, seed in enumerate((3, 4)):
        own = Streams(seed, dtype=torch.float64)
        lone = Linear(5, 4, spectral=True, dtype=torch.float64)
        bias, spectral = parts(lone)
        lone.weight.data, bias.data = own.normal("w", 4, 5), own.normal("b", 4)
        spectral.start(lone.matrix(), own, "v")
        lone.observe()
        assert gap(lone(x[replica]), whole(x)[replica]) < 1e-12


def test_a_spectral_relu_mlp_is_1_lipschitz() -> None:
    record = Mlp.model_validate({"normalization": {"discriminator": "spectral"}})
    critic = record.discriminator((2,), Streams(0, dtype=torch.float64))
    for _ in range(200):
        critic.observe()
    x, y = 3 * draw("x", 500, 2), 3 * draw("y", 500, 2)
    with torch.no_grad():
        ratio = (critic(x) - critic(y)).abs() / (x - y).norm(dim=1)
    assert 0.01 < float(ratio.max()) <= 1 + 1e-9
