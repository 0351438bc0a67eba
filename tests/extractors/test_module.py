"""Any torch module as an extractor."""

import linecache
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from saddlepoint.cli import app
from saddlepoint.errors import InputError
from saddlepoint.extractors import ModuleExtractor, features_of
from saddlepoint.extractors.module import extractor_of
from saddlepoint.streams import Streams
from tests.extractors.conftest import pictures

OBJECTS = """
from torch import nn
from saddlepoint.extractors import ModuleExtractor

encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
ready = ModuleExtractor(encoder, title="ready")
number = 3


def made():
    return nn.Flatten()
"""


def convolutions(dtype: torch.dtype) -> nn.Sequential:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(2)).to(dtype)
    streams = Streams(3, dtype=dtype)
    for name, parameter in network.named_parameters():
        parameter.data = streams.normal(name, *parameter.shape)
    return network


class Classifying(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((2, 3)), images.flatten(1)[:, :2]


class Scaled(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) * self.scale


def test_in_float64_a_batch_changes_nothing() -> None:
    extractor = ModuleExtractor(convolutions(torch.float64), title="convolutions")
    images = pictures(11, 1)
    whole = features_of(extractor, images, batch=11).features
    assert whole.dtype == torch.float64
    assert whole.shape == (11, 24)
    order = torch.tensor([10, 3, 5, 0, 1, 9, 2, 4, 8, 6, 7])
    for batch in (1, 2, 4, 64):
        parts = features_of(extractor, images[order], batch=batch).features
        assert float((parts - whole[order]).abs().max()) <= 1e-10 * float(whole.abs().max())


def test_eval_mode_for_a_pass_only() -> None:
    network = convolutions(torch.float32)
    network[1].eval()
    extractor = ModuleExtractor(network, title="convolutions")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = pictures(4, 1)
    alone = extractor(images[:1]).features
    assert torch.allclose(extractor(images).features[:1], alone, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [part.training for part in network] == [True, False, True, True, True]
    assert network.training


def test_features_and_logits() -> None:
    extractor = ModuleExtractor(Classifying(), title="means", classes=("dark", "light"), layers=("mean", "corner"))
    images = pictures(3)
    seen = extractor(images)
    assert torch.allclose(seen.features, (images.float() / 127.5 - 1).mean((2, 3)))
    assert seen.logits is not None
    assert seen.logits.shape == (3, 2)


def test_preprocessing_of_ones_own_and_its_words() -> None:
    extractor = ModuleExtractor(nn.Flatten(), title="raw", preprocess=lambda pixels: pixels * 2, preprocessing="twice the bytes")
    images = pictures(2, 1)
    assert torch.equal(extractor(images).features, 2 * images.float().flatten(1))
    assert torch.equal(extractor(torch.ones(2, 3)).features, torch.full((2, 3), 2.0))
    other = ModuleExtractor(nn.Flatten(), title="raw", preprocess=lambda pixels: pixels * 3, preprocessing="twice the bytes")
    assert other.digest != extractor.digest
    with pytest.raises(InputError, match="preprocess came without words"):
        ModuleExtractor(nn.Flatten(), title="raw", preprocess=lambda pixels: pixels)


def test_points_go_in_as_they_are() -> None:
    points = torch.tensor([[0.5, -3.0]], dtype=torch.float64)
    assert torch.equal(ModuleExtractor(nn.Identity(), title="same")(points).features, points.float())


def test_what_the_digest_sees() -> None:
    def digest(module: nn.Module, preprocessing: str = "") -> str:
        return ModuleExtractor(module, title="any", preprocessing=preprocessing).digest

    network = convolutions(torch.float32)
    before = digest(network)
    assert digest(convolutions(torch.float32)) == before
    assert digest(network, "in [0, 1]") != before
    next(network.parameters()).data[0, 0, 0, 0] += 1e-3
    assert digest(network) != before
    # What no state dict holds: sizes, numbers, buffers that are not kept.
    assert digest(nn.AdaptiveAvgPool2d(2)) != digest(nn.AdaptiveAvgPool2d(4))
    assert digest(Scaled(2.0)) != digest(Scaled(3.0))
    kept, other = nn.Identity(), nn.Identity()
    kept.register_buffer("mask", torch.zeros(2), persistent=False)
    other.register_buffer("mask", torch.ones(2), persistent=False)
    assert digest(kept) != digest(other)


def test_a_rewritten_forward_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    digests = []
    for row in (0, 0, 1):
        code = f"    def forward(self, images):\n        return images[:, {row}]\n"
        (tmp_path / "rewritten.py").write_text(f"from torch import nn\n\nclass Row(nn.Module):\n{code}\nrow = Row()\n")
        linecache.clearcache()
        digests.append(extractor_of("rewritten:row").digest)
        sys.modules.pop("rewritten")
    assert digests[0] == digests[1]
    assert digests[1] != digests[2]


def test_a_module_trained_further_has_another_digest() -> None:
    network = convolutions(torch.float32)
    extractor = ModuleExtractor(network, title="any")
    before = extractor.digest
    list(network.parameters())[-1].data += 1
    assert extractor.digest != before


def test_bad_modules_are_one_line() -> None:
    small = pictures(2, 1, 4)
    with pytest.raises(InputError, match="convolutions: does not take images of") as raised:
        ModuleExtractor(convolutions(torch.float32), title="convolutions")(small)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"scalar: gave \[\] for 2 images"):
        ModuleExtractor(Mean(), title="scalar")(small)
    with pytest.raises(InputError, match="the title is taken"):
        ModuleExtractor(nn.Flatten(), title="Inception")


class Mean(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean()


def test_by_name_on_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features_of_mine.py").write_text(OBJECTS)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    images = pictures(2, 1, 8)
    assert extractor_of("features_of_mine:encoder").title == "encoder"
    assert extractor_of("features_of_mine:encoder")(images).features.shape == (2, 5)
    assert extractor_of("features_of_mine:ready").title == "ready"
    assert extractor_of("features_of_mine:made")(images).features.shape == (2, 64)
    assert sys.path == path
    for reference, said in {
        "features_of_mine": "is not module:object",
        "features_of_mine:": "is not module:object",
        "features_of_mine:nothing": "has no nothing",
        "features_of_mine:number": "is of type int",
        "no_such_module:x": "cannot be imported",
    }.items():
        with pytest.raises(InputError, match=said) as raised:
            extractor_of(reference)
        assert "\n" not in str(raised.value)
    sys.modules.pop("features_of_mine")


def test_the_command_line_takes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features_typed.py").write_text(OBJECTS)
    monkeypatch.chdir(tmp_path)
    for name, seed in (("fake", 0), ("real", 1)):
        np.save(tmp_path / f"{name}.npy", pictures(12, 1, 8, seed).numpy())
    asked = ["evaluate", "fake.npy", "--against", "real.npy", "--measures", "frechet-distance", "--json", "--extractor"]
    done = CliRunner().invoke(app, [*asked, "features_typed:encoder"])
    assert done.exit_code == 0, done.output
    assert "FD (encoder)" in done.stdout
    sys.modules.pop("features_typed")


def test_a_function_that_takes_images_is_no_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_that_sees.py").write_text("def features(x):\n    return x.flatten(1)\n")
    monkeypatch.chdir(tmp_path)
    for place in ("mine_that_sees", "mine_that_sees.py"):
        with pytest.raises(InputError, match=r"cannot be called without arguments .*; give a torch module"):
            extractor_of(f"{place}:features")


@pytest.mark.parametrize("code", ["1 / 0", "def", "import sys; sys.exit(0)"])
def test_a_module_that_fails_while_it_is_imported_is_one_line(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_that_fails.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_that_fails", raising=False)
    linecache.clearcache()
    with pytest.raises(InputError, match=r"cannot be imported \((ZeroDivisionError|SyntaxError|SystemExit)"):
        extractor_of("mine_that_fails:features")
