"""Virtual batch, instance, pixel and conditional batch normalisation, and the equalised learning rate: their properties."""

import math

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.networks import LAYERS, NETWORKS
from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.conditional_batch_normalization import ConditionalBatch, ConditionalBatchNorm
from saddlepoint.networks.instance_normalization import InstanceNorm
from saddlepoint.networks.laws import Constant, Normal
from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.network import Generator
from saddlepoint.networks.normalization import Making, Place
from saddlepoint.networks.normalizations import CHOICES, NORMALIZATIONS
from saddlepoint.networks.pixel_normalization import PixelNorm, ThenPixelNorm
from saddlepoint.networks.virtual_batch_normalization import ReferenceBatch, VirtualBatchNorm
from saddlepoint.recipe import load
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

DTYPE = torch.float64
SHAPES = [(3,), (3, 4, 4)]
IMAGES = [(3, 4, 4)]


def draw(name: str, *shape: int) -> Tensor:
    return Streams(0, dtype=DTYPE).normal(name, *shape)


def making(*leading: int) -> Making:
    return Making(leading, torch.device("cpu"), DTYPE)


def virtual(reference: int, *leading: int) -> VirtualBatchNorm:
    layer = VirtualBatchNorm(3, reference, making(*leading))
    for name, parameter in layer.named_parameters():
        parameter.data = draw(name, *parameter.shape)
    return layer


def generator(kind: str, family: str = "mlp", **fields: object) -> Generator:
    record = NETWORKS[family].model_validate({"latent": 3, "width": 6, **fields, "normalization": {"generator": kind}})
    return record.generator((2,) if family == "mlp" else (1, 16, 16), Streams(1, dtype=DTYPE))


# Each sample by itself


def alone(name: str, shape: tuple[int, ...]) -> nn.Module:
    if name == "virtual-batch":
        return virtual(2)
    if name == "layer":
        return LayerNorm(3, dtype=DTYPE)
    return InstanceNorm() if name == "instance" else PixelNorm(0)


EACH = [
    (name, shape)
    for name in ("layer", "instance", "pixel", "virtual-batch")
    for shape in SHAPES
    if name != "instance" or len(shape) == 3
]


@pytest.mark.parametrize(("name", "shape"), EACH)
def test_a_sample_depends_on_itself_alone(name: str, shape: tuple[int, ...]) -> None:
    """The Jacobian is block-diagonal, but for the reference batch of virtual batch normalisation."""
    layer, x = alone(name, shape), draw("x", 5, *shape).requires_grad_()
    # A sum of what is normalised to mean 0 does not depend on it.
    seen = draw("seen", *shape)
    reference = 2 if name == "virtual-batch" else 0
    for sample in range(reference, 5):
        (gradient,) = torch.autograd.grad((layer(x)[sample] * seen).sum(), x)
        touched = {other for other in range(5) if bool(gradient[other].any())}
        assert touched == {sample} | set(range(reference))


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, shape in EACH if name != "virtual-batch"])
def test_a_factor_above_0_changes_nothing(name: str, shape: tuple[int, ...]) -> None:
    layer, x = alone(name, shape), 100 * draw("x", 5, *shape)
    assert gap(layer(7.0 * x), layer(x)) < 1e-4


def test_instance_norm_is_that_of_a_loop_and_sees_no_scale_or_shift_of_a_channel() -> None:
    x = draw("x", 2, 3, 4, 5)
    out = InstanceNorm()(x)
    for sample in range(2):
        for channel in range(3):
            own = x[sample, channel]
            assert gap(out[sample, channel], (own - own.mean()) / (own.var(correction=0) + 1e-5).sqrt()) < 1e-12
    scale, shift = torch.tensor([2.0, 0.5, 3.0], dtype=DTYPE).reshape(3, 1, 1), draw("shift", 3, 1, 1)
    assert gap(InstanceNorm()(scale * x + shift), out) < 1e-4
    assert list(InstanceNorm().parameters()) == list(InstanceNorm().buffers()) == []
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        InstanceNorm()(draw("x", 2, 3, 1, 1))


@pytest.mark.parametrize(("shape", "axes"), [((5, 3), 0), ((5, 3, 4, 4), 0), ((2, 5, 3), 1)])
def test_pixel_norm_has_mean_square_1_over_channels(shape: tuple[int, ...], axes: int) -> None:
    x = draw("x", *shape)
    out = PixelNorm(axes)(x)
    assert gap(out.square().mean(axes + 1), torch.ones_like(out.mean(axes + 1))) < 1e-5
    assert gap(out, x / (x.square().mean(axes + 1, keepdim=True) + 1e-8).sqrt()) < 1e-14


@pytest.mark.parametrize("family", ["mlp", "dcgan", "resnet"])
def test_pixel_normalises_the_latents_and_after_every_activation(family: str) -> None:
    network = generator("pixel", family, width=8)
    seen: list[Tensor] = []
    norms = [module for module in network.modules() if isinstance(module, PixelNorm)]
    bent = [module for module in network.modules() if isinstance(module, ThenPixelNorm)]
    assert len(norms) == len(bent) + 1 >= 3
    for norm in norms:
        norm.register_forward_hook(lambda module, given, out: seen.append(out))
    latents = draw("latents", 4, 3)
    out = network(latents)
    assert network(5 * latents).sub(out).abs().max() < 1e-6
    assert gap(seen[0].square().mean(-1), torch.ones(4, dtype=DTYPE)) < 1e-6
    assert len(seen) == 2 * len(norms)


# Equalised learning rate


@pytest.mark.parametrize(("place", "gain"), [("first", math.sqrt(2) / 4), ("hidden", math.sqrt(2)), ("last", 1.0)])
def test_equalized_weights_are_kept_at_1_and_used_at_their_scale(place: Place, gain: float) -> None:
    layers = Layers.of("generator", CHOICES["equalized"](), Streams(0, dtype=DTYPE))
    for layer in (layers.linear(64, 128, place=place), layers.convolution(32, 64, 3, place=place)):
        assert layer.scaling is not None
        assert layer.scaling.laws({"weight": Constant(3.0), "bias": Constant(3.0)}) == {
            "weight": Normal(1.0),
            "bias": Constant(0.0),
        }
        layer.weight.data = draw("weight", *layer.weight.shape)
        assert abs(float(layer.weight.detach().std()) - 1) < 0.02
        used = layer.effective_weight().detach()
        assert abs(float(used.std()) * math.sqrt(layer.fan_in) / gain - 1) < 0.02
        assert gap(used, layer.weight * gain / math.sqrt(layer.fan_in)) < 1e-15


@pytest.mark.parametrize("family", ["mlp", "dcgan", "resnet"])
def test_equalized_in_a_family(family: str) -> None:
    record = NETWORKS[family].model_validate(
        {"width": 32, "normalization": {"generator": "equalized", "discriminator": "equalized"}}
    )
    shape = (2,) if family == "mlp" else (1, 16, 16)
    for network in (record.generator(shape, Streams(0)), record.discriminator(shape, Streams(0))):
        weights = [layer for layer in network.modules() if isinstance(layer, Weighted)]
        large = [layer.weight.detach() for layer in weights if layer.weight.numel() > 500]
        assert large
        assert all(abs(float(weight.std()) - 1) < 0.1 for weight in large)
        assert all(layer.bias is None or not bool(layer.bias.any()) for layer in weights)
        pixel = any(isinstance(module, PixelNorm) for module in network.modules())
        assert pixel == isinstance(network, Generator)
    bare = NETWORKS[family].model_validate({"normalization": {"generator": {"name": "equalized", "pixel": False}}})
    assert not any(isinstance(module, PixelNorm) for module in bare.generator(shape, Streams(0)).modules())


# Virtual batch normalisation


@pytest.mark.parametrize("shape", SHAPES)
def test_virtual_batch_norm_is_the_formula(shape: tuple[int, ...]) -> None:
    layer, x, m = virtual(4), draw("x", 7, *shape), 4
    out, space = layer(x).detach(), tuple(range(1, len(shape)))
    reference = x[:m].movedim(1, 0).flatten(1)
    mean_of, square_of = reference.mean(1), reference.square().mean(1)
    for sample in range(7):
        c = 0 if sample < m else 1 / (m + 1)
        own = x[sample].flatten(1) if space else x[sample].unsqueeze(1)
        mean = c * own.mean(1) + (1 - c) * mean_of
        square = c * own.square().mean(1) + (1 - c) * square_of
        normed = (own - mean[:, None]) / (square - mean.square() + 1e-5).sqrt()[:, None]
        expected = layer.weight.detach()[:, None] * normed + layer.bias.detach()[:, None]
        assert gap(out[sample].reshape(3, -1), expected) < 1e-12


def test_the_reference_batch_is_batch_normalised() -> None:
    layer, x, plain = virtual(4), draw("x", 4, 3, 2, 2), BatchNorm(3, dtype=DTYPE)
    plain.weight.data, plain.bias.data = layer.weight.data, layer.bias.data
    assert gap(layer(x), plain(x)) < 1e-12


def test_a_large_reference_batch_alone_decides() -> None:
    sample = 5 + draw("sample", 1, 3, 2, 2)
    gaps = []
    for m in (4, 64, 4096):
        layer, reference = virtual(m), draw("reference", m, 3, 2, 2)
        rows = reference.movedim(1, 0).flatten(1)
        normed = (sample - rows.mean(1).reshape(3, 1, 1)) / (rows.var(1, correction=0) + 1e-5).sqrt().reshape(3, 1, 1)
        by_reference = layer.weight.reshape(3, 1, 1) * normed + layer.bias.reshape(3, 1, 1)
        gaps.append(gap(layer(torch.cat([reference, sample]))[m:], by_reference))
    assert gaps[0] > 2 * gaps[1] > 50 * gaps[2]


@pytest.mark.parametrize("family", ["mlp", "dcgan", "resnet"])
def test_a_generator_takes_its_reference_batch_along(family: str) -> None:
    network = generator("virtual-batch", family)
    (body,) = (module for module in network.modules() if isinstance(module, ReferenceBatch))
    assert body.reference.shape == (64, 3)
    assert abs(float(body.reference.std()) - 1) < 0.15
    latents = draw("latents", 5, 3)
    out = network(latents)
    assert gap(network(latents[2:3]), out[2:3]) < 1e-12
    assert gap(network.eval()(latents), out) < 1e-12
    # The gradient flows through the reference batch's pass.
    body.reference.requires_grad_()
    (through,) = torch.autograd.grad(network(latents).square().sum(), body.reference)
    assert bool(through.any())
    assert "reference" in {name.rpartition(".")[2] for name in network.state_dict()}


def test_the_reference_batch_is_of_the_latents_law_and_of_its_seed() -> None:
    uniform = generator("virtual-batch", latent_distribution="uniform", latent=64).get_buffer("body.reference")
    assert float(uniform.abs().max()) <= 1
    assert abs(float(uniform.square().mean()) - 1 / 3) < 0.05
    record = NETWORKS["mlp"].model_validate({"normalization": {"generator": {"name": "virtual-batch", "reference": 7}}})
    stacked = record.generator((2,), Streams([3, 4])).get_buffer("body.reference")
    assert stacked.shape == (2, 7, 2)
    for replica, seed in enumerate((3, 4)):
        assert stacked[replica].equal(record.generator((2,), Streams(seed)).get_buffer("body.reference"))


def test_what_rounds_below_0_is_a_variance_of_0() -> None:
    layer = virtual(2).float()
    x = torch.full((4, 3), 1e4) + torch.rand(4, 3, generator=torch.Generator().manual_seed(0)) * 1e-3
    assert bool(layer(x).isfinite().all())


# Conditional batch normalisation


def conditional(classes: int, *leading: int, drawn: bool = True) -> ConditionalBatchNorm:
    layer = ConditionalBatch(classes=classes).layer(3, making(*leading))
    for name, parameter in layer.named_parameters() if drawn else ():
        parameter.data = draw(name, *parameter.shape)
    return layer


@pytest.mark.parametrize("shape", SHAPES)
def test_it_starts_as_batch_norm_to_the_bit_whatever_the_classes(shape: tuple[int, ...]) -> None:
    layer, plain, x = conditional(4, drawn=False), BatchNorm(3, dtype=DTYPE), draw("x", 6, *shape)
    labels = torch.tensor([0, 1, 2, 3, 0, 2])
    assert layer(x, labels).equal(plain(x))
    layer.observe()
    plain.observe()
    assert layer.running_mean.equal(plain.running_mean)
    assert layer.running_var.equal(plain.running_var)
    assert layer.eval()(x, labels).equal(plain.eval()(x))


@pytest.mark.parametrize("shape", SHAPES)
def test_one_class_is_batch_norm(shape: tuple[int, ...]) -> None:
    layer, plain, x = conditional(1), BatchNorm(3, dtype=DTYPE), draw("x", 6, *shape)
    plain.weight.data, plain.bias.data = layer.weight.data[0], layer.bias.data[0]
    assert gap(layer(x, torch.zeros(6, dtype=torch.long)), plain(x)) < 1e-14


def test_each_sample_has_the_scale_and_shift_of_its_class_and_swapping_classes_swaps_rows() -> None:
    layer, x, labels = conditional(3), draw("x", 6, 3, 2, 2), torch.tensor([0, 1, 2, 1, 0, 1])
    out = layer(x, labels)
    normed = BatchNorm(3, dtype=DTYPE)(x)
    for sample, label in enumerate(labels.tolist()):
        scale, shift = layer.weight[label].reshape(3, 1, 1), layer.bias[label].reshape(3, 1, 1)
        assert gap(out[sample], scale * normed[sample] + shift) < 1e-14
    swapped = conditional(3)
    order = [1, 0, 2]
    swapped.weight.data, swapped.bias.data = layer.weight.data[order], layer.bias.data[order]
    assert swapped(x, torch.tensor(order)[labels]).equal(out)


def test_replicas_have_their_own_classes() -> None:
    layer, x, labels = conditional(3, 2), draw("x", 2, 5, 3), torch.tensor([[0, 1, 2, 1, 0], [2, 2, 0, 1, 1]])
    out = layer(x, labels)
    for replica in range(2):
        own = conditional(3)
        own.weight.data, own.bias.data = layer.weight.data[replica], layer.bias.data[replica]
        assert gap(own(x[replica], labels[replica]), out[replica]) < 1e-13


def test_its_gradients_are_those_of_finite_differences() -> None:
    layer, x, labels = conditional(3), draw("x", 5, 3).requires_grad_(), torch.tensor([0, 1, 2, 1, 0])
    assert torch.autograd.gradcheck(lambda some: layer(some, labels), x)


# What cannot be


@pytest.mark.parametrize(
    ("networks", "wanted"),
    [
        ({"normalization": {"discriminator": "pixel"}}, "networks.normalization.discriminator: pixel is of generators"),
        (
            {"normalization": {"discriminator": "virtual-batch"}},
            "networks.normalization.discriminator: virtual-batch is of generators",
        ),
        (
            {"family": "mlp", "normalization": {"generator": "instance"}},
            "networks.normalization.generator: instance normalises over space, which vectors have not",
        ),
        (
            {"family": "mlp", "normalization": {"discriminator": "instance"}},
            "networks.normalization.discriminator: instance normalises over space, which vectors have not",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(networks: dict[str, object], wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        load({"networks": networks})
    (line,) = caught.value.problems
    assert line.startswith(wanted)


def test_a_recipe_keeps_names_as_names_and_fields_as_fields() -> None:
    normalization = {"generator": {"name": "virtual-batch", "reference": 16}, "discriminator": "weight"}
    recipe = load({"networks": {"family": "dcgan", "normalization": normalization}})
    assert recipe.to_mapping()["networks"]["normalization"] == normalization
    assert load(recipe.to_mapping()) == recipe
    changed = load(recipe.to_mapping(), ["networks.normalization.generator.reference=8", "normalization.discriminator=layer"])
    assert changed.to_mapping()["networks"]["normalization"] == {
        "generator": {"name": "virtual-batch", "reference": 8},
        "discriminator": "layer",
    }
    assert load({"networks": {"family": "dcgan"}}).to_mapping()["networks"]["normalization"] == dict.fromkeys(
        ("generator", "discriminator"), "batch"
    )


def test_names_are_those_of_the_records() -> None:
    assert all(record.name == name for name, record in NORMALIZATIONS.items())
    assert all(getattr(record, "name", None) == name for name, record in LAYERS.items())
    assert len(NORMALIZATIONS) == 9
    assert len(LAYERS) == 4
