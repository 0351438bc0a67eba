"""A cache and a torch hub of the tests' own, and networks of random weights where the published ones cannot be had."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.streams import Streams

HUB = """
import torch


class Transformer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 384, 14, stride=14)

    def forward(self, images):
        return self.patches(images).mean((2, 3))


def dinov2_vits14():
    network = Transformer()
    network.load_state_dict(torch.load(torch.hub.get_dir() + "/checkpoints/dinov2_vits14_pretrain.pth", weights_only=True))
    return network
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub"


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception of random weights, drawn as He et al. draw them: torch's own default makes every feature the same."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("inception") / "random.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_, **__: None)
        torch.save({}, path)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    redraw(network, Streams(1))
    torch.save(network.state_dict(), path)
    return path


def redraw(network: nn.Module, streams: Streams) -> None:
    """Weights of variance 2 / fan-in; means, variances and scales of the normalisations away from 0 and 1."""
    for name, tensor in network.state_dict().items():
        if tensor.ndim > 1:
            tensor.copy_(streams.normal(name, *tensor.shape) * (2 / tensor[0].numel()) ** 0.5)
        elif tensor.is_floating_point():
            spread = streams.uniform(name, *tensor.shape)
            tensor.copy_(spread * 0.2 if name.endswith(("mean", "bias")) else spread * 0.2 + 0.9)


@pytest.fixture
def dinov2_hub(hub: Path) -> Path:
    """Torch hub's copy of a stand-in for DINOv2, with weights."""
    folder = hub / "facebookresearch_dinov2_main"
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUB)
    (hub / "checkpoints").mkdir()
    draws = Streams(2)
    weights = {"patches.weight": draws.normal("w", 384, 3, 14, 14) / 24, "patches.bias": draws.normal("b", 384)}
    torch.save(weights, hub / "checkpoints" / "dinov2_vits14_pretrain.pth")
    return hub


def pictures(n: int, channels: int = 3, side: int = 16, seed: int = 0) -> Tensor:
    """Random bytes."""
    return Streams(seed).integers("pictures", 256, n, channels, side, side).to(torch.uint8)
