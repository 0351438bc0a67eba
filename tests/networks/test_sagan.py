"""SAGAN: spectral normalisation everywhere, attention at one resolution, and at first the residual networks without it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks.attention import Attention
from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.layers import Weighted
from saddlepoint.networks.resnet import Resnet
from saddlepoint.networks.sagan import Sagan
from saddlepoint.recipe import load
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams

PAGE = (Path(__file__).parents[2] / "docs" / "methods" / "sagan.md").read_text(encoding="utf-8")
SIZES = {"width": 8, "latent": 5}
SPECTRAL = {"generator": "spectral", "discriminator": "spectral"}


def draw(name: str, *shape: int) -> Tensor:
    return Streams(2, dtype=torch.float64).normal(name, *shape)


def attention_of(network: nn.Module) -> Attention:
    (layer,) = [layer for layer in network.modules() if isinstance(layer, Attention)]
    return layer


def record(**fields: object) -> Sagan:
    return Sagan.model_validate({**SIZES, **fields})


@pytest.mark.parametrize(("side", "at"), [(32, 16), (48, 24), (48, 12), (64, 32)])
def test_attention_looks_at_the_chosen_side_in_both_players(side: int, at: int) -> None:
    made, streams = record(attention={"at": at}), Streams(0, dtype=torch.float64)
    assert made.problems(side) == []
    seen: dict[str, torch.Size] = {}
    generator, discriminator = made.generator((3, side, side), streams), made.discriminator((3, side, side), streams)
    for player, network in (("generator", generator), ("discriminator", discriminator)):
        attention_of(network).register_forward_hook(lambda _, given, __, player=player: seen.update({player: given[0].shape}))
    image = generator(draw("latents", 2, 5))
    scores = discriminator(image)
    assert (image.shape, scores.shape) == ((2, 3, side, side), (2,))
    assert {player: shape[-2:] for player, shape in seen.items()} == dict.fromkeys(("generator", "discriminator"), (at, at))


@pytest.mark.parametrize("at", [2, 4, 64])
def test_a_side_that_one_player_lacks_is_refused(at: int) -> None:
    made = record(attention={"at": at})
    (problem,) = made.problems(64)
    assert problem.endswith(f"are of 8 or 16 or 32 px: set networks.attention.at to {8 if at < 8 else 32}")
    for make in (made.generator, made.discriminator):
        with pytest.raises(ValueError, match="self-attention at"):
            make((3, 64, 64), Streams(0))


def test_every_weight_is_divided_by_its_norm_and_only_the_generator_has_batch_normalisation() -> None:
    made, streams = record(), Streams(0)
    for network, norms in ((made.generator((3, 32, 32), streams), True), (made.discriminator((3, 32, 32), streams), False)):
        layers = [layer for layer in network.modules() if isinstance(layer, Weighted)]
        assert len(layers) > 10
        assert all(layer.spectral is not None for layer in layers)
        assert any(isinstance(layer, BatchNorm) for layer in network.modules()) == norms
    assert not made.couples_batch


def test_at_first_it_is_the_residual_networks_without_attention() -> None:
    shape = (3, 32, 32)
    base = Resnet.model_validate({**SIZES, "normalization": SPECTRAL})
    latents = draw("latents", 3, 5)
    image, plain = (one.generator(shape, Streams(0, dtype=torch.float64))(latents) for one in (record(), base))
    assert image.equal(plain)
    with_attention, without = (one.discriminator(shape, Streams(0, dtype=torch.float64)) for one in (record(), base))
    named = {name.replace("blocks.0.block.", "blocks.0."): tensor for name, tensor in with_attention.state_dict().items()}
    without.load_state_dict({name: tensor for name, tensor in named.items() if "attention" not in name})
    assert with_attention(image).equal(without(image))
    attention_of(with_attention).gamma.data.fill_(1.0)
    assert not with_attention(image).equal(without(image))


def test_with_gamma_every_parameter_is_reached() -> None:
    streams, shape = Streams(0, dtype=torch.float64), (3, 32, 32)
    generator, discriminator = record().generator(shape, streams), record().discriminator(shape, streams)
    for network in (generator, discriminator):
        attention_of(network).gamma.data.fill_(0.5)
    image = generator(draw("latents", 4, 5))
    judgement = discriminator.judge(Example(image), features=True)
    assert [features.shape[-1] for features in judgement.features.values()] == [16, 8, 8, 8]
    (judgement.scores * draw("weights", 4)).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 1e-12, name


@pytest.mark.parametrize(("side", "at"), [(32, 16), (64, 32)])
def test_the_page_counts_parameters(side: int, at: int) -> None:
    made, base = (family.model_validate({"attention": {"at": at}}) for family in (Sagan, Resnet))
    bare = Resnet.model_validate({"normalization": SPECTRAL})
    counts = []
    for player in ("generator", "discriminator"):
        network, plain = (getattr(one, player)((3, side, side), Streams(0)) for one in (made, bare))
        size, without = (sum(parameter.numel() for parameter in one.parameters()) for one in (network, plain))
        channels = attention_of(network).output.weight.shape[0]
        assert size - without == 2 * channels * (channels // 8) + 2 * channels * (channels // 2) + 1
        counts.append(size)
    assert base.problems(side) == []
    assert f"| {side} | {counts[0]:,} | {counts[1]:,} |" in PAGE


def test_the_recipe_is_the_papers() -> None:
    mapping = load("sagan").to_mapping()
    assert mapping["objective"] == {"name": "hinge"}
    rates = {player: (optimizer["lr"], optimizer["betas"]) for player, optimizer in mapping["optimizers"].items()}
    assert rates == {"generator": (1e-4, [0.0, 0.9]), "discriminator": (4e-4, [0.0, 0.9])}
    assert mapping["schedule"]["discriminator_steps"] == 1
    assert mapping["networks"]["normalization"] == SPECTRAL
