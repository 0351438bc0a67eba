"""Self-attention: by hand, its properties, and where the families put it."""

import math

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.networks import NETWORKS
from saddlepoint.networks.attention import Attention, SelfAttention
from saddlepoint.networks.layers import Layers, Weighted
from saddlepoint.networks.network import Networks
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.recipe import load
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

DTYPE = torch.float64


def draw(name: str, *shape: int) -> Tensor:
    return Streams(2, dtype=DTYPE).normal(name, *shape)


def attention(*, gamma: float, pooling: bool = False, channels: int = 16, kind: str = "none") -> Attention:
    layers = Layers.of("discriminator", CHOICES[kind](), Streams(0, dtype=DTYPE))
    layer = SelfAttention(pooling=pooling).layer(layers, channels)
    for name, parameter in layer.named_parameters():
        parameter.data = draw(name, *parameter.shape)
    layer.gamma.data.fill_(gamma)
    return layer


def test_it_is_the_sum_over_positions_of_the_paper() -> None:
    layer, x = attention(gamma=0.7), draw("x", 2, 16, 3, 5)
    out, weights = layer(x).detach(), [layer_.weight.detach()[:, :, 0, 0] for layer_ in (layer.query, layer.key, layer.value)]
    back = layer.output.weight.detach()[:, :, 0, 0]
    assert [tuple(weight.shape) for weight in (*weights, back)] == [(2, 16), (2, 16), (8, 16), (16, 8)]
    for image in range(2):
        pixels = x[image].flatten(1).T
        query, key, value = (pixels @ weight.T for weight in weights)
        for position in range(15):
            closeness = [math.exp(float(query[position] @ key[other])) for other in range(15)]
            seen = sum((share / sum(closeness)) * value[other] for other, share in enumerate(closeness))
            assert isinstance(seen, Tensor)
            expected = pixels[position] + 0.7 * (back @ seen)
            assert gap(out[image].flatten(1).T[position], expected) < 1e-10


@pytest.mark.parametrize("pooling", [False, True])
def test_at_gamma_0_it_is_the_identity_and_only_gamma_gets_a_gradient(pooling: bool) -> None:
    layer, x = attention(gamma=0.0, pooling=pooling), draw("x", 2, 16, 4, 4)
    out = layer(x)
    assert out.equal(x)
    out.pow(2).sum().backward()
    moved = {name for name, parameter in layer.named_parameters() if parameter.grad is not None and bool(parameter.grad.any())}
    assert moved == {"gamma"}


@pytest.mark.parametrize(("pooling", "keys"), [(False, 16), (True, 4)])
def test_rows_sum_to_1_over_the_keys(pooling: bool, keys: int) -> None:
    looked = attention(gamma=1.0, pooling=pooling).attention(draw("x", 2, 16, 4, 4))
    assert looked.shape == (2, 16, keys)
    assert gap(looked.sum(-1), torch.ones(2, 16, dtype=DTYPE)) < 1e-12


def test_without_pooling_it_commutes_with_permutations_of_pixels() -> None:
    x, order = draw("x", 2, 16, 4, 4), torch.randperm(16, generator=torch.Generator().manual_seed(0))

    def permuted(image: Tensor) -> Tensor:
        return image.flatten(2)[:, :, order].reshape(image.shape)

    plain, pooled = attention(gamma=1.0), attention(gamma=1.0, pooling=True)
    assert gap(plain(permuted(x)), permuted(plain(x))) < 1e-10
    assert gap(pooled(permuted(x)), permuted(pooled(x))) > 1e-3


def test_keys_and_values_are_the_largest_of_two_by_two() -> None:
    layer, x = attention(gamma=1.0, pooling=True), draw("x", 1, 16, 4, 4)
    key = torch.nn.functional.conv2d(x, layer.key.weight).reshape(1, 2, 2, 2, 2, 2).amax((3, 5)).flatten(2)
    query = torch.nn.functional.conv2d(x, layer.query.weight).flatten(2)
    assert gap(layer.attention(x), torch.softmax(query.mT @ key, -1)) < 1e-12


def test_gradients_are_those_of_finite_differences_twice() -> None:
    layer = attention(gamma=0.5, pooling=True, channels=2)
    x = draw("x", 1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


# In the families


FAMILIES = [name for name, family in NETWORKS.items() if "attention" in family.model_fields]
PLACES = [("dcgan", 16, 4), ("dcgan", 16, 8), ("dcgan", 32, 16), ("resnet", 16, 8), ("resnet", 32, 16), ("resnet", 64, 32)]


def family(name: str, **fields: object) -> Networks:
    normalization = {"generator": "spectral", "discriminator": "spectral"}
    return NETWORKS[name].model_validate({"width": 4, "latent": 3, "normalization": normalization, **fields})


def test_the_families_that_offer_it_are_tried() -> None:
    # SAGAN's own tests try it there.
    assert {name for name, _, _ in PLACES} == set(FAMILIES) - {"sagan"}


@pytest.mark.parametrize(("name", "resolution", "at"), PLACES)
def test_it_looks_at_features_of_its_side_once_a_player_and_is_spectral_with_it(name: str, resolution: int, at: int) -> None:
    made, shape = family(name, attention={"at": at}), (3, resolution, resolution)
    assert made.problems(shape) == made.problems(resolution) == []
    generator = made.generator(shape, Streams(1, dtype=DTYPE)).eval()
    discriminator = made.discriminator(shape, Streams(1, dtype=DTYPE)).eval()
    latents = draw("latents", 2, 3)
    for network, given in ((generator, latents), (discriminator, draw("images", 2, *shape))):
        (layer,) = (module for module in network.modules() if isinstance(module, Attention))
        seen: list[tuple[int, ...]] = []
        layer.register_forward_hook(lambda module, given, out, seen=seen: seen.append(tuple(given[0].shape[2:])))
        network(given)
        assert seen == [(at, at)]
        assert all(module.spectral is not None for module in layer.modules() if isinstance(module, Weighted))
        assert float(layer.gamma.detach()) == 0
    # At first it is the identity, and every other weight is drawn as it was.
    assert generator(latents).equal(family(name).generator(shape, Streams(1, dtype=DTYPE)).eval()(latents))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_side_that_a_family_does_not_have_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load({"data": {"name": "digits", "resolution": 16}, "networks": {"family": name, "attention": {"at": 11}}})
    (line,) = caught.value.problems
    assert line.startswith("networks: self-attention at 11 px")
    assert line.endswith("set networks.attention.at to 8")


def test_named_alone_it_has_its_defaults() -> None:
    for written in ("self-attention", {"at": 16}, {"name": "self-attention", "pooling": True}):
        recipe = load({"data": {"name": "digits", "resolution": 32}, "networks": {"family": "dcgan", "attention": written}})
        assert recipe.to_mapping()["networks"]["attention"] == {"name": "self-attention", "at": 16, "pooling": True}
