"""DINOv2 from torch hub: what enters the network is torch-fidelity's; what is missing is named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.dinov2 import DinoV2
from tests.extractors.conftest import pictures


class Catcher(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.caught: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.caught.append(images)
        return images.flatten(1)[:, :384]


def test_the_same_bits_enter_as_torch_fidelity_lets_in(dinov2_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    catcher = Catcher()
    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: catcher)
    images, grey = pictures(2, 3, 32), pictures(1, 1, 32)
    theirs = FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"])
    ours = DinoV2().open()
    theirs(images)
    theirs(torch.cat([grey] * 3, 1))
    ours(images)
    ours(grey)
    assert torch.equal(catcher.caught[2], catcher.caught[0])
    assert torch.equal(catcher.caught[3], catcher.caught[1])


def test_what_is_missing_is_named(hub: Path) -> None:
    with pytest.raises(InputError) as raised:
        DinoV2(size="b").open()
    (problem,) = raised.value.problems
    assert "facebookresearch_dinov2_main/hubconf.py" in problem
    assert "dinov2_vitb14_pretrain.pth" in problem
    assert str(hub) in problem


def test_a_copy_that_does_not_load(dinov2_hub: Path) -> None:
    (dinov2_hub / "checkpoints" / "dinov2_vits14_pretrain.pth").write_bytes(b"cut short")
    with pytest.raises(InputError) as raised:
        DinoV2().open()
    (problem,) = raised.value.problems
    assert problem.startswith("extractor: dinov2 could not be loaded by torch hub")
    assert "\n" not in problem


def test_the_digest_is_of_the_weights(dinov2_hub: Path) -> None:
    before = DinoV2().open().digest
    path = dinov2_hub / "checkpoints" / "dinov2_vits14_pretrain.pth"
    weights = torch.load(path, weights_only=True)
    weights["patches.bias"][0] += 1
    torch.save(weights, path)
    assert DinoV2().open().digest != before
