"""One battery for every family of networks."""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks import NETWORKS
from saddlepoint.networks.layers import Weighted
from saddlepoint.networks.minibatch import MINIBATCH
from saddlepoint.networks.network import Discriminator, Generator, Networks
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

Shape = tuple[int, ...]

SMALL: dict[str, dict[str, object]] = {
    "mlp": {"latent": 3, "width": 6},
    "dcgan": {"latent": 5, "width": 2},
    "resnet": {"latent": 5, "width": 4},
    "autoencoder": {"latent": 5, "width": 2},
    "mlp-autoencoder": {"latent": 3, "width": 6, "code": 2},
    "sn-cnn": {"latent": 5, "width": 4},
    "robustness": {"latent": 5, "width": 4},
}
SHAPES: dict[str, list[Shape]] = {
    "mlp": [(2,), (1, 8, 8), (3, 12, 12)],
    "dcgan": [(1, 8, 8), (3, 16, 16), (1, 32, 32), (3, 64, 64), (1, 128, 128)],
    "autoencoder": [(1, 8, 8), (3, 16, 16), (1, 32, 32), (3, 64, 64)],
    "mlp-autoencoder": [(2,), (1, 8, 8)],
    "resnet": [(1, 16, 16), (3, 32, 32), (1, 48, 48), (3, 64, 64)],
    "sn-cnn": [(1, 48, 48), (3, 16, 16), (1, 32, 32), (3, 64, 64)],
    "robustness": [(3, 64, 64), (1, 32, 32)],
}
DRAWN_NORMAL = ("dcgan", "sn-cnn", "robustness")
CONVOLUTIONAL = ["dcgan", "resnet", "sn-cnn", "robustness"]
BUILDS = [(family, shape) for family, shapes in SHAPES.items() for shape in shapes]
# A small shape of each family with every normalisation, at which everything is tried.
PAIRS = [
    (family, SHAPES[family][1], kind)
    for family, kind in itertools.product(SHAPES, CHOICES)
    if NETWORKS[family].refusal(CHOICES[kind](), "generator") is None
]


def record(family: str, kind: str | None = None, **fields: object) -> Networks:
    """Both players under one normalisation; a discriminator that cannot have it has none."""
    refused = kind is not None and NETWORKS[family].refusal(CHOICES[kind](), "discriminator") is not None
    chosen = {} if kind is None else {"normalization": {"generator": kind, "discriminator": "none" if refused else kind}}
    return NETWORKS[family].model_validate({**SMALL[family], **chosen, **fields})


def both(family: str, shape: Shape, kind: str | None = None, *, twice: bool = False) -> tuple[Generator, Discriminator]:
    made = record(family, kind)
    streams = Streams(1, dtype=torch.float64)
    return made.generator(shape, streams), made.discriminator(shape, streams, twice_differentiated=twice)


def draw(name: str, *shape: int) -> Tensor:
    return Streams(2, dtype=torch.float64).normal(name, *shape)


def buffers(network: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(left[name].equal(right[name]) for name in left)


def test_the_battery_covers_every_family() -> None:
    # A resnet with attention whose gamma is 0 reaches not all its weights: test_sagan.py.
    # One number a player has no layers, and nothing to normalise: test_dirac.py has what it owes.
    assert set(SHAPES) == set(SMALL) == set(NETWORKS) - {"dirac", "sagan"}
    assert all(NETWORKS[name].family == name for name in NETWORKS)
    assert (len(SHAPES), len(BUILDS), len(PAIRS)) == (7, 24, 68)


@pytest.mark.parametrize(("family", "shape"), BUILDS)
def test_shapes_ranges_and_block_names_at_every_size(family: str, shape: Shape) -> None:
    generator, discriminator = both(family, shape)
    latents = draw("latents", 3, generator.latent) * 5
    image = generator(latents)
    assert image.shape == (3, *shape)
    assert len(shape) == 1 or bool((image.abs() <= 1).all())
    scores = discriminator(image)
    assert scores.shape == (3,)
    judgement = discriminator.judge(Example(image), features=True)
    assert judgement.scores.equal(scores)
    names = record(family).block_names
    assert tuple(judgement.features) == discriminator.block_names == names[: len(discriminator.block_names)]
    assert all(block.shape[0] == 3 for block in judgement.features.values())
    assert discriminator.judge(Example(image), features=False).features == {}
    sides = [block.shape[-1] for block in judgement.features.values()]
    side = shape[-1]
    expected = {
        "mlp": [6, 6],
        "dcgan": [side >> number for number in range(1, len(sides) + 1)],
        "autoencoder": [*(side >> number for number in range(len(sides) - 2)), 8, 5],
        "mlp-autoencoder": [6, 6, 2],
        "resnet": {16: [8] * 3, 32: [16, 8, 8, 8], 48: [24, 12, 6, 3, 3], 64: [32, 16, 8, 4, 2]}.get(side),
        "sn-cnn": [side, side // 2, side // 4, side // 8],
        "robustness": [side >> number for number in range(1, len(sides) + 1)],
    }[family]
    assert sides == expected
    assert family not in ("dcgan", "robustness") or sides[-1] == 4


@pytest.mark.parametrize(("family", "shape"), BUILDS)
def test_every_shape_that_builds_has_no_problem(family: str, shape: Shape) -> None:
    assert record(family).problems(shape) == []
    assert len(shape) == 1 or record(family).problems(shape[-1]) == []


@pytest.mark.parametrize(
    ("family", "shape", "wanted"),
    [
        ("dcgan", 28, "8, 16, 32, 64 or 128 px, not 28 x 28: set data.resolution to 32"),
        ("dcgan", (3, 32, 60), "8, 16, 32, 64 or 128 px, not 32 x 60: set data.resolution to 64"),
        ("dcgan", 4096, "not 4096 x 4096: set data.resolution to 128"),
        ("resnet", 8, "16, 32, 48 or 64 px, not 8 x 8: set data.resolution to 16"),
        ("sn-cnn", 28, "16, 32, 48 or 64 px, not 28 x 28: set data.resolution to 32"),
        ("robustness", 48, "32 or 64 px, not 48 x 48: set data.resolution to 32"),
        ("resnet", (2,), "these data are not: set networks.family to mlp"),
    ],
)
def test_a_shape_that_cannot_be_built_is_one_line_and_refused(family: str, shape: int | Shape, wanted: str) -> None:
    (problem,) = record(family, width=2**20).problems(shape)
    assert problem.startswith(family)
    assert problem.endswith(wanted)
    whole = (3, shape, shape) if isinstance(shape, int) else shape
    for make in (record(family).generator, record(family).discriminator):
        with pytest.raises(ValueError, match=wanted.split(":")[0]):
            make(whole, Streams(0))


@pytest.mark.parametrize("family", SHAPES)
def test_what_has_another_shape_is_refused_with_both_shapes(family: str) -> None:
    shape = SHAPES[family][1]
    generator, discriminator = both(family, shape)
    with pytest.raises(ValueError, match=r"latents have the shape \(4, 99\); this network takes \(n, "):
        generator(draw("latents", 4, 99))
    with pytest.raises(ValueError, match=r"images have the shape \(4, 5\); this network takes \(n, "):
        discriminator(draw("images", 4, 5))


@pytest.mark.parametrize("family", CONVOLUTIONAL)
def test_convolutions_refuse_several_seeds(family: str) -> None:
    with pytest.raises(ValueError, match=f"{family} takes one seed, not 2"):
        record(family).generator(SHAPES[family][1], Streams([1, 2]))


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_forward_twice_gives_the_same_bits_and_changes_nothing(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    network: Generator | Discriminator
    for network, given in ((generator, draw("latents", 4, generator.latent)), (discriminator, draw("images", 4, *shape))):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        assert network(given).equal(network(given))
        assert same(before, dict(network.state_dict()))
        network.forget()
        network.observe()
        after = {name: buffer for name, buffer in buffers(network).items() if "running" in name}
        assert all(buffer.equal(before[name]) for name, buffer in after.items())


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_observe_settles_what_the_layers_noted(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    discriminator(draw("images", 4, *shape))
    generator(draw("latents", 4, generator.latent))
    network: Generator | Discriminator
    remembers = {"batch": ("running_mean", "running_var"), "spectral": ("u", "v")}.get(kind, ())
    for network in (generator, discriminator):
        before = buffers(network)
        network.observe()
        changed = {name.rpartition(".")[2] for name, buffer in buffers(network).items() if not buffer.equal(before[name])}
        expected = set(remembers)
        if network is generator and kind == "spectral":
            expected |= {"running_mean", "running_var"}
        assert changed == expected


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_eval_mode_changes_no_running_statistic(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    network: Generator | Discriminator
    for network, given in ((generator, draw("latents", 4, generator.latent)), (discriminator, draw("images", 4, *shape))):
        network.eval()
        before = buffers(network)
        network(given)
        assert same(before, buffers(network))
        network.observe()
        running = [name for name in before if "running" in name]
        assert all(buffers(network)[name].equal(before[name]) for name in running)


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_a_batch_is_coupled_exactly_when_it_is_declared(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    image = draw("images", 4, *shape).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(image)[0], image)
    coupled = bool((gradient[1:] != 0).any())
    assert bool((gradient[0] != 0).any())
    assert coupled == discriminator.couples_batch == record(family, kind).couples_batch == (kind == "batch")
    latents = draw("latents", 4, generator.latent).requires_grad_()
    (gradient,) = torch.autograd.grad(generator(latents)[0].sum(), latents)
    assert bool((gradient[1:] != 0).any()) == (kind in ("batch", "spectral"))


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("name", MINIBATCH)
def test_a_minibatch_layer_couples_the_batch_in_every_family(family: str, name: str) -> None:
    shape, made = SHAPES[family][1], record(family, "none", minibatch={"name": name})
    discriminator = made.discriminator(shape, Streams(1, dtype=torch.float64))
    assert made.couples_batch
    assert discriminator.couples_batch
    image = draw("images", 4, *shape).requires_grad_()
    scores = discriminator(image)
    assert scores.shape == (4,)
    (gradient,) = torch.autograd.grad(scores[0], image)
    assert bool((gradient.flatten(1) != 0).any(1).all())
    bare = record(family, "none").discriminator(shape, Streams(1, dtype=torch.float64))
    assert discriminator.block_names == bare.block_names
    told, plain = (network.judge(Example(image), features=True).features for network in (discriminator, bare))
    assert same(told, plain)


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_every_parameter_is_reached_and_matters(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    # Seven layers of weights of .02 leave a gradient that is hard to tell from 0.
    for parameter in (*generator.parameters(), *discriminator.parameters()):
        parameter.data *= 4 if parameter.ndim > 1 else 1
    image = generator(draw("latents", 4, generator.latent))
    (discriminator(image) * draw("weights", 4)).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 1e-12, name


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_scores_have_the_first_and_second_derivatives_of_finite_differences(family: str, shape: Shape, kind: str) -> None:
    shapes: dict[str, Shape] = {"mlp": (2,), "mlp-autoencoder": (2,), "autoencoder": (1, 8, 8), "robustness": (1, 32, 32)}
    shape = shapes.get(family, (1, 16, 16))
    width = {"mlp": 3, "mlp-autoencoder": 3, "resnet": 2, "robustness": 4}.get(family, 1)
    streams = Streams(1, dtype=torch.float64)
    made = record(family, kind, width=width)
    discriminator = made.discriminator(shape, streams, twice_differentiated=True)
    # The initial weights of .02 give second derivatives too small to be told from 0.
    for parameter in discriminator.parameters():
        parameter.data = 0.5 * draw("weights", *parameter.shape)
    image = draw("images", 2, *shape)
    weights = tuple(discriminator.parameters())[:2]
    names = [name for name, _ in discriminator.named_parameters()][:2]

    def scores(some: Tensor, *values: Tensor) -> Tensor:
        patch = image.clone()
        patch = torch.cat([some.reshape(2, -1), patch.reshape(2, -1)[:, 2:]], 1).reshape(2, *shape)
        result: Tensor = torch.func.functional_call(discriminator, dict(zip(names, values, strict=True)), (patch,))
        return result

    some = image.reshape(2, -1)[:, :2].clone().requires_grad_()
    given = (some, *(weight.detach().clone().requires_grad_() for weight in weights))
    assert torch.autograd.gradcheck(scores, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(scores, given, fast_mode=True)


def penalty_gradients(discriminator: Discriminator, image: Tensor) -> list[Tensor]:
    image = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
    penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return list(torch.autograd.grad(penalty, list(discriminator.parameters()), materialize_grads=True))


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_telling_that_it_is_differentiated_twice_changes_no_number(family: str, shape: Shape, kind: str) -> None:
    (_, plain), (_, told) = both(family, shape, kind), both(family, shape, kind, twice=True)
    image = draw("images", 4, *shape)
    assert plain(image).equal(told(image))
    left, right = penalty_gradients(plain, image), penalty_gradients(told, image)
    assert max(float(gradient.abs().max()) for gradient in left) > 0
    assert all(float((one - other).abs().max()) == 0.0 for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("family", CONVOLUTIONAL)
def test_only_a_pass_that_is_differentiated_twice_uses_where(family: str) -> None:
    _, discriminator = both(family, SHAPES[family][1], "none", twice=True)

    def nodes(image: Tensor) -> set[str]:
        found, left = set(), [discriminator(image).grad_fn]
        while left:
            node = left.pop()
            if node is not None and node not in found:
                found.add(node)
                left.extend(next_node for next_node, _ in node.next_functions)
        return {node.name() for node in found}

    image = draw("images", 2, *SHAPES[family][1])
    fused = {"ReluBackward0", "LeakyReluBackward0"}
    assert not nodes(image) & {"WhereBackward0"}
    assert not nodes(image.clone().requires_grad_()) & fused
    discriminator.requires_grad_(False)
    assert not nodes(image.clone().requires_grad_()) & {"WhereBackward0"}


@pytest.mark.parametrize(("family", "shape", "kind"), [pair for pair in PAIRS if pair[0] != "mlp"])
def test_channels_last_gives_the_same_numbers(family: str, shape: Shape, kind: str) -> None:
    generator, discriminator = both(family, shape, kind)
    image, latents = draw("images", 4, *shape), draw("latents", 4, generator.latent)
    expected = generator(latents), discriminator(image), penalty_gradients(discriminator, image)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    moved = image.contiguous(memory_format=torch.channels_last)
    found = generator(latents), discriminator(moved), penalty_gradients(discriminator, moved)
    assert gap(found[0], expected[0]) < 1e-12
    assert gap(found[1], expected[1]) < 1e-12
    for one, other in zip(found[2], expected[2], strict=True):
        assert gap(one, other) < 1e-10


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_mixed_precision_stays_near_and_keeps_sigma_exact(family: str, shape: Shape, kind: str) -> None:
    made, streams = record(family, kind), Streams(1)
    generator, discriminator = made.generator(shape, streams), made.discriminator(shape, streams, twice_differentiated=True)
    latents = Streams(2).normal("latents", 4, generator.latent)
    image = generator(latents).detach()
    exact = discriminator(image).detach()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = generator(latents), discriminator(image.clone().requires_grad_())
    # An error is taken against the image as it is.
    assert (mixed[0].dtype, mixed[1].dtype) == (torch.bfloat16, torch.bfloat16 if made.scores == "realness" else torch.float32)
    assert float((mixed[0] - image).detach().abs().mean()) < 0.02 * float(image.abs().mean())
    assert gap(mixed[1], exact) < 0.04 * float(exact.abs().max())
    for layer in discriminator.modules():
        if isinstance(layer, Weighted):
            with torch.autocast("cpu", torch.bfloat16):
                inside = layer.effective_weight()
            assert inside.equal(layer.effective_weight())


@pytest.mark.parametrize("family", SHAPES)
def test_weights_come_from_the_streams_named_after_them(family: str) -> None:
    shape = SHAPES[family][1]
    make: list[Callable[..., nn.Module]] = [record(family).generator, record(family).discriminator]
    for build, player in zip(make, ("generator", "discriminator"), strict=True):
        network, again, other = build(shape, Streams(7)), build(shape, Streams(7)), build(shape, Streams(8))
        assert same(dict(network.state_dict()), dict(again.state_dict()))
        weights = [name for name, parameter in network.named_parameters() if parameter.ndim > 1]
        assert weights
        assert not any(dict(network.named_parameters())[name].equal(dict(other.named_parameters())[name]) for name in weights)
        for name in weights:
            weight = dict(network.named_parameters())[name].detach().flatten()
            stream = f"initialise {player} {name}"
            size = dict(network.named_parameters())[name].shape
            drawn = Streams(7).normal(stream, *size) if family in DRAWN_NORMAL else 2 * Streams(7).uniform(stream, *size) - 1
            ratio = weight / drawn.flatten()
            assert gap(ratio, ratio[0].expand_as(ratio)) < 1e-5 * float(ratio[0]), name


@pytest.mark.parametrize(("family", "shape", "kind"), PAIRS)
def test_copied_and_saved_networks_go_on_alike(family: str, shape: Shape, kind: str) -> None:
    for index in range(2):
        network: Generator | Discriminator = both(family, shape, kind)[index]
        given = draw("given", 4, *((network.latent,) if isinstance(network, Generator) else shape))
        network(given)
        network.observe()
        network(given)
        copied = copy.deepcopy(network)
        blank = both(family, shape, kind)[index]
        blank.load_state_dict(network.state_dict())
        blank(given)
        for one in (copied, blank):
            one.observe()
        network.observe()
        assert same(dict(copied.state_dict()), dict(network.state_dict()))
        assert same(dict(blank.state_dict()), dict(network.state_dict()))


@pytest.mark.parametrize("family", SHAPES)
def test_a_record_survives_being_written_down(family: str) -> None:
    default = NETWORKS[family].model_validate({})
    assert NETWORKS[family].model_validate(default.model_dump(mode="json")) == default
    changed = record(family, "layer", latent_distribution="uniform")
    assert NETWORKS[family].model_validate_json(changed.model_dump_json()) == changed
    partly = NETWORKS[family].model_validate({"normalization": {"discriminator": "layer"}})
    assert partly.normalization.generator == default.normalization.generator
    with pytest.raises(ValueError, match="widht"):
        NETWORKS[family].model_validate({"widht": 3})
    with pytest.raises(ValueError, match=r"normalization\.discriminator"):
        NETWORKS[family].model_validate({"normalization": {"discriminator": "btach"}})
