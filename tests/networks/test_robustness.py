"""The rows of the robustness table: each property of its architecture, and its columns of settings."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.bottleneck import Bottleneck
from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.networks.layers import Layers, Linear, TransposedConvolution, Weighted
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.networks.normalization import NoNormalization
from saddlepoint.networks.robustness import Robustness, Row, gated
from saddlepoint.recipe import Recipe, load
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from tests.networks.closeness import gap

ROWS: Sequence[Row] = get_args(Row)
SIDES = (32, 64)
PAGE = (Path(__file__).parents[2] / "docs" / "methods" / "robustness.md").read_text(encoding="utf-8")
# What the page gives for the columns, as overrides of the recipe.
COLUMNS: dict[str, dict[str, Any]] = {
    "dcgan": {
        "objective": "vanilla",
        "penalties.discriminator": [],
        "optimizers": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "discriminator_steps": 1,
        "normalization.discriminator": "batch",
    },
    "lsgan": {
        "objective": "lsgan",
        "penalties.discriminator": [],
        "optimizers": {"name": "rmsprop", "lr": 1e-4},
        "discriminator_steps": 1,
        "normalization.discriminator": "batch",
    },
    "wgan": {
        "penalties.discriminator": [],
        "projections.discriminator": ["weight-clipping"],
        "optimizers": {"name": "rmsprop", "lr": 5e-5},
        "normalization.discriminator": "batch",
    },
    "wgan-gp": {},
}


def pair(row: Row, side: int = 32, **fields: object) -> tuple[Generator, Discriminator]:
    record = Robustness.model_validate({"row": row, "width": 4, "latent": 5, **fields})
    streams = Streams(1, dtype=torch.float64)
    return record.generator((3, side, side), streams), record.discriminator((3, side, side), streams)


def layers_of(network: nn.Module) -> list[Weighted]:
    return [layer for layer in network.modules() if isinstance(layer, Weighted)]


def norms_of(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, BatchNorm | LayerNorm)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("row", ROWS)
def test_every_row_makes_and_judges_images(row: Row, side: int) -> None:
    generator, discriminator = pair(row, side)
    image = generator(5 * Streams(2, dtype=torch.float64).normal("latents", 3, 5))
    assert image.shape == (3, 3, side, side)
    assert bool((image.abs() <= 1).all())
    judgement = discriminator.judge(Example(image), features=True)
    assert judgement.scores.shape == (3,)
    names = Robustness(row=row).block_names
    assert tuple(judgement.features) == names[: len(judgement.features)]
    assert len(judgement.features) == len(names) - (side == 32)
    sides = [features.shape[-1] for features in judgement.features.values()]
    assert sides == [side >> (number + (row != "resnet-101")) for number in range(len(sides))]
    assert sides[-1] == 4


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("kind", ["batch", "layer", "none", "spectral"])
def test_a_row_without_normalisation_has_none_and_the_others_what_is_asked(row: Row, side: int, kind: str) -> None:
    generator, discriminator = pair(row, side, normalization={"generator": kind, "discriminator": kind})
    bare = {"constant-filters": 1, "mlp-generator": 1, "no-normalization": 2}.get(row, 0)
    kinds = {"batch": BatchNorm, "layer": LayerNorm}
    for network, unnormalized in ((generator, bare >= 1), (discriminator, bare == 2)):
        wanted = "batch" if kind == "spectral" and network is generator else kind
        found = {type(norm) for norm in norms_of(network)}
        assert found == (set() if unnormalized or wanted not in kinds else {kinds[wanted]})
        spectral = {layer.spectral is not None for layer in layers_of(network)}
        assert spectral == {kind == "spectral" and not (network is generator and unnormalized)}
    coupled = kind == "batch" and row != "no-normalization"
    assert discriminator.couples_batch == coupled
    record = Robustness.model_validate({"row": row, "normalization": {"discriminator": kind}})
    assert record.couples_batch == coupled


@pytest.mark.parametrize("side", SIDES)
def test_the_residual_networks_are_101_layers_deep(side: int) -> None:
    for network in pair("resnet-101", side):
        on_the_way = [
            name for name, layer in network.named_modules() if isinstance(layer, Weighted) and not name.endswith("shortcut")
        ]
        assert len(on_the_way) == 101
        blocks = [block for block in network.modules() if isinstance(block, Bottleneck)]
        assert len(blocks) == 33
        changing = [block for block in blocks if not isinstance(block.shortcut, nn.Identity)]
        assert len(changing) == {32: 3, 64: 4}[side]
        assert all((block.convolution1.weight.shape[1] != block.convolution3.weight.shape[0]) for block in changing)


def conv(x: Tensor, layer: nn.Module, stride: int = 1) -> Tensor:
    assert isinstance(layer, Weighted)
    return F.conv2d(x, layer.weight, layer.bias, stride, layer.weight.shape[-1] // 2)


@pytest.mark.parametrize("way", ["up", "down", None])
def test_a_bottleneck_by_hand(way: str | None) -> None:
    layers = Layers.of("discriminator", NoNormalization(), Streams(0, dtype=torch.float64))
    outputs = 6 if way is None else {"up": 4, "down": 8}[way]
    block = Bottleneck(layers, 6, outputs, way)  # type: ignore[arg-type]
    for name, parameter in block.named_parameters():
        parameter.data = Streams(3, dtype=torch.float64).normal(name, *parameter.shape)
    x = Streams(0, dtype=torch.float64).normal("x", 2, 6, 4, 4)
    assert block.convolution3.bias is None
    h = conv(x.relu(), block.convolution1).relu()
    inside = block.convolution2
    assert isinstance(inside, Weighted)
    if way == "up":
        h = F.conv_transpose2d(h, inside.weight, inside.bias, 2, 1, 1)
        wide = conv(x, block.shortcut)
        # Four channels of one position become its square of two by two.
        side = wide.reshape(2, outputs, 2, 2, 4, 4).permute(0, 1, 4, 2, 5, 3).reshape(2, outputs, 8, 8)
    else:
        h = conv(h, inside, 2 if way == "down" else 1)
        side = conv(x, block.shortcut, 2) if way == "down" else x
    expected = side + 0.3 * conv(h.relu(), block.convolution3)
    assert gap(block(x), expected) < 1e-10


def test_scores_and_images_of_the_residual_networks_are_a_fifth() -> None:
    generator, discriminator = pair("resnet-101")
    entering: list[Tensor] = []
    last = generator.get_submodule("body.last.layer")
    last.register_forward_hook(lambda _, __, out: entering.append(out))
    image = generator(Streams(2, dtype=torch.float64).normal("latents", 2, 5))
    assert gap(image, torch.tanh(entering[0] / 5)) < 1e-12
    features = discriminator.judge(Example(image), features=True)
    head = layers_of(discriminator.head)[0]
    assert head.bias is not None
    raw = features.features["block 4"].flatten(1) @ head.weight.flatten() + head.bias
    assert gap(features.scores, raw / 5) < 1e-12


def test_a_gate_is_between_minus_one_and_one() -> None:
    x = torch.tensor([[-9.0, 9.0, 9.0, -9.0, 9.0, 9.0, 0.5, -0.3]], dtype=torch.float64)
    even, odd = x[:, [0, 2, 4, 6]], x[:, [1, 3, 5, 7]]
    assert gap(gated(x), odd.tanh() / (1 + torch.exp(-even))) < 1e-12
    for kind in ("batch", "none"):
        generator, discriminator = pair("gated", normalization={"generator": kind, "discriminator": kind})
        for network in (generator, discriminator):
            for layer in layers_of(network):
                layer.weight.data *= 20
        judgement = discriminator.judge(Example(torch.ones(3, 3, 32, 32).double()), features=True)
        assert all(bool((features.abs() < 1).all()) for features in judgement.features.values())
        assert max(float(features.detach().abs().max()) for features in judgement.features.values()) > 0.5
        assert [layer.weight.shape[:2] for layer in layers_of(discriminator)] == [(8, 3), (16, 4), (32, 8), (1, 16)]


def test_the_convolutional_rows_have_kernels_of_five_and_no_other() -> None:
    for row in ("baseline", "constant-filters", "no-normalization", "gated", "tanh"):
        generator, discriminator = pair(row, 64)
        up = layers_of(generator)
        assert [layer.weight.shape[2:] for layer in up[1:]] == [(5, 5)] * 4
        assert all(isinstance(layer, TransposedConvolution) for layer in up[1:])
        copies = 2 if row == "gated" else 1
        assert up[0].weight.shape == (copies * (4 if row == "constant-filters" else 32) * 16, 5)
        assert [tuple(layer.weight.shape[2:]) for layer in layers_of(discriminator)] == [(5, 5)] * 4 + [(4, 4)]
        if row == "constant-filters":
            assert [tuple(layer.weight.shape[:2]) for layer in up[1:]] == [(4, 4)] * 3 + [(4, 3)]


def test_the_perceptron_has_four_hidden_layers() -> None:
    generator, _ = pair("mlp-generator")
    assert [tuple(layer.weight.shape) for layer in layers_of(generator)] == [(32, 5), *[(32, 32)] * 3, (3072, 32)]
    assert all(isinstance(layer, Linear) for layer in layers_of(generator))


@pytest.mark.parametrize("row", ["baseline", "tanh"])
def test_activations_of_a_row(row: Row) -> None:
    _, discriminator = pair(row, normalization={"discriminator": "none"})
    image = Streams(2, dtype=torch.float64).normal("images", 2, 3, 32, 32)
    h = image
    for layer in layers_of(discriminator)[:-1]:
        h = F.conv2d(h, layer.weight, layer.bias, 2, 2)
        h = torch.tanh(h) if row == "tanh" else F.leaky_relu(h, 0.2)
    assert gap(discriminator.judge(Example(image), features=True).features["block 3"], h) < 1e-12


@pytest.mark.parametrize("row", ROWS)
def test_the_page_counts_parameters(row: Row) -> None:
    record = Robustness(row=row)
    counts = [
        sum(parameter.numel() for parameter in make((3, 64, 64), Streams(0)).parameters())
        for make in (record.generator, record.discriminator)
    ]
    assert f"| {row} | {counts[0]:,} | {counts[1]:,} |" in PAGE


def test_the_pages_overrides_are_these_columns() -> None:
    table = PAGE.split("| column | overrides |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| (.+?) \| `?(.+?)`? \|$", table, re.MULTILINE))
    assert rows.pop("---") == "---"
    for name, overrides in rows.items():
        recipe = load("robustness", [] if overrides == "none" else shlex.split(overrides))
        if name != "spectral norm (ours)":
            assert recipe == column(name.lower(), "baseline")
        else:
            assert not recipe.networks.couples_batch
    assert {name.lower() for name in rows} == {*COLUMNS, "spectral norm (ours)"}


def column(name: str, row: Row) -> Recipe:
    return load("robustness", {**COLUMNS[name], "networks.row": row})


@pytest.mark.parametrize("row", ROWS)
def test_no_critic_of_the_gradient_penalty_has_batch_normalisation(row: Row) -> None:
    recipe = column("wgan-gp", row)
    discriminator = recipe.networks.discriminator((1, 32, 32), Streams(0))
    assert [norm for norm in norms_of(discriminator) if isinstance(norm, BatchNorm)] == []
    assert bool(norms_of(discriminator)) == (row != "no-normalization")
    (penalty,) = recipe.penalties_of("discriminator")
    assert (penalty.name, recipe.schedule.discriminator_steps) == ("wgan-gp", 5)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_settings_of_a_column_are_the_same_in_all_rows(name: str) -> None:
    settings = []
    for row in ROWS:
        mapping = column(name, row).to_mapping()
        assert mapping["networks"].pop("row") == row
        settings.append(mapping)
    assert all(one == settings[0] for one in settings)


def test_the_columns_are_the_papers() -> None:
    found = {name: column(name, "baseline").to_mapping() for name in COLUMNS}
    objectives = {name: mapping["objective"]["name"] for name, mapping in found.items()}
    assert objectives == {"dcgan": "vanilla", "lsgan": "lsgan", "wgan": "wasserstein", "wgan-gp": "wasserstein"}
    rates = {
        name: [(o["name"], o["lr"]) for o in (m["optimizers"]["generator"], m["optimizers"]["discriminator"])]
        for name, m in found.items()
    }
    assert rates == {
        # Adam does not see the paper's half of the discriminator's loss, save beside its epsilon.
        "dcgan": [("adam", 2e-4)] * 2,
        "lsgan": [("rmsprop", 1e-4)] * 2,
        "wgan": [("rmsprop", 5e-5)] * 2,
        "wgan-gp": [("adam", 1e-4)] * 2,
    }
    assert {name: mapping["schedule"]["discriminator_steps"] for name, mapping in found.items()} == {
        "dcgan": 1,
        "lsgan": 1,
        "wgan": 5,
        "wgan-gp": 5,
    }
    assert found["wgan"]["projections"]["discriminator"] == [{"name": "weight-clipping", "bound": 0.01}]
    assert found["wgan-gp"]["optimizers"]["generator"]["betas"] == [0.0, 0.9]
    assert found["dcgan"]["optimizers"]["generator"]["betas"] == [0.5, 0.999]
