"""Weight normalisation of Xiang and Li: what it leaves unchanged, TPReLU, and where the layers are affine."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import NETWORKS
from saddlepoint.networks.laws import Uniform
from saddlepoint.networks.layers import Convolution, Layers, Linear, TransposedConvolution, Weighted
from saddlepoint.networks.normalization import Making, Place
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.networks.weight_normalization import TranslatedPReLU, WeightNorm
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

DTYPE = torch.float64
ALONE = Making((), torch.device("cpu"), DTYPE)
STRICT, AFFINE = "weight", "weight-affine"


def draw(name: str, *shape: int) -> Tensor:
    return Streams(0, dtype=DTYPE).normal(name, *shape)


def made(layer: Weighted) -> Weighted:
    for name, parameter in layer.named_parameters():
        parameter.data = draw(name, *parameter.shape)
    return layer


def layers(kind: str = STRICT) -> Layers:
    return Layers.of("discriminator", CHOICES[kind](), Streams(0, dtype=DTYPE))


def linear(place: Place = "hidden", kind: str = STRICT) -> Weighted:
    return made(layers(kind).linear(5, 4, place=place))


def convolution(place: Place = "hidden", kind: str = STRICT) -> Weighted:
    return made(layers(kind).convolution(5, 4, 3, padding=1, place=place))


def transposed(place: Place = "hidden", kind: str = STRICT) -> Weighted:
    return made(layers(kind).transposed_convolution(5, 4, 4, stride=2, padding=1, place=place))


Build = Callable[..., Weighted]
BUILDS: list[tuple[Build, tuple[int, ...]]] = [(linear, (6, 5)), (convolution, (2, 5, 6, 6)), (transposed, (2, 5, 3, 3))]


@pytest.mark.parametrize("kind", [STRICT, AFFINE])
@pytest.mark.parametrize(("build", "shape"), BUILDS)
def test_the_weights_scale_does_not_matter_by_output(build: Build, shape: tuple[int, ...], kind: str) -> None:
    layer, x = build(kind=kind), draw("x", *shape)
    out = layer(x)
    (gradient,) = torch.autograd.grad(out.pow(3).sum(), layer.weight)
    outputs = 1 if isinstance(layer, TransposedConvolution) else 0
    others = [axis for axis in range(layer.weight.ndim) if axis != outputs]
    along = (gradient * layer.weight).sum(others)
    lengths = gradient.square().sum(others).sqrt() * layer.weight.square().sum(others).sqrt()
    # Up to the 1e-6 under the root.
    assert float((along / lengths).abs().max()) < 1e-6
    factors = torch.tensor([3.0, 0.5, 7.0, 2.0], dtype=DTYPE)
    layer.weight.data *= factors.reshape([-1 if axis == outputs else 1 for axis in range(layer.weight.ndim)])
    assert gap(layer(x), out) < 1e-5


def test_a_linear_output_is_the_product_over_the_length() -> None:
    layer, x = linear(), draw("x", 6, 5)
    lengths = (layer.weight.square().sum(1) + 1e-6).sqrt()
    assert gap(layer(x), x @ layer.weight.T / lengths) < 1e-14
    last = linear("last")
    assert isinstance(last.scaling, WeightNorm)
    assert last.scaling.gain is not None
    assert last.bias is not None
    lengths = (last.weight.square().sum(1) + 1e-6).sqrt()
    assert gap(last(x), last.scaling.gain * (x @ last.weight.T / lengths) + last.bias) < 1e-14


@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_divides_its_squares_by_the_squared_stride(stride: int) -> None:
    layer = made(layers().transposed_convolution(3, 2, 4, stride=stride, padding=1))
    squares = layer.weight.square().sum((0, 2, 3)) / stride**2
    x = draw("x", 2, 3, 5, 5)
    expected = F.conv_transpose2d(x, layer.weight / (squares + 1e-6).sqrt().reshape(1, 2, 1, 1), stride=stride, padding=1)
    assert gap(layer(x), expected) < 1e-14


@pytest.mark.parametrize("build", [linear, convolution, transposed])
def test_independent_inputs_of_variance_1_give_outputs_of_variance_1(build: Build) -> None:
    layer = build()
    inside: Tensor
    if isinstance(layer, Linear):
        inside = layer(draw("many", 20000, 5))
    else:
        out = layer(draw("many", 200, 5, 12, 12))
        margin = 2
        inside = out[:, :, margin:-margin, margin:-margin].movedim(1, -1).flatten(0, -2)
    variances = inside.detach().var(0)
    if isinstance(layer, TransposedConvolution):
        # Of one weight the pixels of a phase see a share of the taps; the share is 1/stride^2 in the mean over phases.
        phases = out.detach()[:, :, margin:-margin, margin:-margin]
        by_phase = torch.stack([phases[:, :, i::2, j::2].movedim(1, -1).flatten(0, -2).var(0) for i in range(2) for j in range(2)])
        variances = by_phase.mean(0)
    assert float((variances - 1).abs().max()) < 0.05


def test_only_the_last_layer_is_affine_and_the_first_starts_small() -> None:
    for place, gained in (("first", False), ("hidden", False), ("last", True)):
        layer = linear(place)  # type: ignore[arg-type]
        assert isinstance(layer.scaling, WeightNorm)
        assert (layer.scaling.gain is not None) == (layer.bias is not None) == gained
        law = layer.scaling.laws({"weight": Uniform(1.0), "bias": Uniform(1.0)})["weight"]
        assert law == Uniform(0.01 if place == "first" else 1.0)
        affine = linear(place, AFFINE)  # type: ignore[arg-type]
        assert isinstance(affine.scaling, WeightNorm)
        assert affine.scaling.gain is not None
        assert affine.bias is not None


@pytest.mark.parametrize("family", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("kind", [STRICT, AFFINE])
def test_in_a_family(family: str, kind: str) -> None:
    """Gains 1 and offsets 0 at first; strict layers but the last ones without either; the generator's first weights a hundredth."""
    fields = {"width": 4, "normalization": {"generator": kind, "discriminator": kind}}
    plain = NETWORKS[family].model_validate({"width": 4, "normalization": {"generator": "none", "discriminator": "none"}})
    record = NETWORKS[family].model_validate(fields)
    shape = (2,) if family == "mlp" else (1, 16, 16)
    for network, bare in (
        (record.generator(shape, Streams(0)), plain.generator(shape, Streams(0))),
        (record.discriminator(shape, Streams(0)), plain.discriminator(shape, Streams(0))),
    ):
        named, without = (
            {name: layer for name, layer in found.named_modules() if isinstance(layer, Weighted)} for found in (network, bare)
        )
        assert named.keys() == without.keys()
        affine = [name for name, layer in named.items() if isinstance(layer.scaling, WeightNorm) and layer.scaling.gain is not None]
        if kind == STRICT:
            # In the order in which they are made, the last of a discriminator stands in its head.
            assert len(affine) == 1
            assert affine[0] == list(named)[-1]
        else:
            assert affine == list(named)
        for name, layer in named.items():
            first = network.latent == layer.fan_in and name == next(iter(named)) if hasattr(network, "latent") else False
            assert gap(layer.weight, without[name].weight * (0.01 if first else 1.0)) < 1e-8
            assert isinstance(layer.scaling, WeightNorm)
            assert layer.scaling.gain is None or bool((layer.scaling.gain == 1).all())
            assert layer.bias is None or not bool(layer.bias.any())
        bends = [layer for layer in network.modules() if isinstance(layer, TranslatedPReLU)]
        assert bends
        assert all(bool((bend.slope == 0.25).all()) for bend in bends)
        assert all((bend.threshold is not None) == (kind == STRICT) for bend in bends)


# TPReLU


def tprelu(slope: float, threshold: float) -> TranslatedPReLU:
    layer = TranslatedPReLU(3, ALONE)
    assert layer.threshold is not None
    layer.slope.data.fill_(slope)
    layer.threshold.data.fill_(threshold)
    return layer


@pytest.mark.parametrize("shape", [(7, 3), (2, 3, 4, 4)])
def test_tprelu_is_the_formula(shape: tuple[int, ...]) -> None:
    layer, x = tprelu(0.0, 0.0), draw("x", *shape)
    layer.slope.data = torch.tensor([-0.5, 0.3, 1.7], dtype=DTYPE)
    assert layer.threshold is not None
    layer.threshold.data = draw("threshold", 3)
    slope, threshold = (row.detach().reshape(3, *(1,) * (len(shape) - 2)) for row in (layer.slope, layer.threshold))
    expected = torch.maximum(x, threshold) + slope.clamp(0, 1) * torch.minimum(x - threshold, torch.zeros_like(x))
    assert gap(layer(x), expected) < 1e-15


def test_tprelu_of_slope_1_is_the_identity_and_of_threshold_0_a_prelu() -> None:
    x = draw("x", 50, 3)
    assert gap(tprelu(1.0, 0.4)(x), x) < 1e-15
    assert gap(tprelu(0.3, 0.0)(x), F.prelu(x, torch.tensor([0.3], dtype=DTYPE))) < 1e-15
    assert tprelu(0.3, 0.0)(x).equal(tprelu(0.3, 0.0)(x, twice=True))


def test_tprelu_is_continuous_at_its_threshold() -> None:
    layer, at = tprelu(0.3, 0.7), torch.full((1, 3), 0.7, dtype=DTYPE)
    assert gap(layer(at), at) < 1e-15
    for step in (-1e-9, 1e-9):
        assert gap(layer(at + step), at) < 2e-9


def test_tprelu_has_the_derivatives_of_finite_differences() -> None:
    layer, x = tprelu(0.3, 0.2), draw("x", 5, 3).requires_grad_()
    values = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    names = [name for name, _ in layer.named_parameters()]

    def bent(some: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (some,))
        return result

    assert torch.autograd.gradcheck(bent, (x, *values))
    assert torch.autograd.gradgradcheck(bent, (x, *values))


def test_replicas_have_their_own_lengths_gains_and_bends() -> None:
    streams = Streams([3, 4], dtype=DTYPE)
    stacked = made(Layers.of("discriminator", CHOICES[STRICT](), streams).linear(5, 4, place="last"))
    bend = TranslatedPReLU(4, Making((2,), torch.device("cpu"), DTYPE))
    for name, parameter in bend.named_parameters():
        parameter.data = draw(name, *parameter.shape)
    x = draw("x", 2, 6, 5)
    out = bend(stacked(x))
    for replica in range(2):
        lone, alone = linear("last"), tprelu(0, 0)
        alone = TranslatedPReLU(4, ALONE)
        for own, whole in ((lone, stacked), (alone, bend)):
            for parameter, all_of_them in zip(own.parameters(), whole.parameters(), strict=True):
                parameter.data = all_of_them[replica].detach()
        assert gap(alone(lone(x[replica])), out[replica]) < 1e-14


def test_the_layers_are_of_their_kinds() -> None:
    assert [type(build()) for build, _ in BUILDS] == [Linear, Convolution, TransposedConvolution]
