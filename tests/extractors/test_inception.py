"""Inception is torch-fidelity's to the bit, and no file is opened before it is known."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors import inception
from saddlepoint.extractors.inception import Inception
from tests.extractors.conftest import pictures


def reference(path: Path) -> Any:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path))


def entering(network: nn.Module, run: Any) -> Tensor:
    """What the first convolution was given."""
    caught: list[Tensor] = []
    convolution = network.get_submodule("Conv2d_1a_3x3.conv")
    hook = convolution.register_forward_pre_hook(lambda _, given: caught.append(given[0].clone()))
    run()
    hook.remove()
    (found,) = caught
    return found


def the_problem(path: Path, **fields: Any) -> str:
    with pytest.raises(InputError) as raised:
        Inception(weights=str(path), **fields).open()
    (problem,) = raised.value.problems
    assert "\n" not in problem
    assert problem.startswith("extractor.weights: ")
    assert str(path) in problem
    return problem


def test_the_same_bits_as_torch_fidelity(inception_file: Path) -> None:
    theirs = reference(inception_file)
    ours = Inception(weights=str(inception_file), trust=True).open()
    colour, grey = pictures(2, 3, 32), pictures(1, 1, 28)
    for images in (colour, grey):
        wide = images if images.shape[1] == 3 else torch.cat([images] * 3, 1)
        given = entering(ours.network, lambda images=images: ours(images))
        assert given.shape == (len(images), 3, 299, 299)
        assert torch.equal(given, entering(theirs, lambda wide=wide: theirs(wide)))
        features, logits = theirs(wide)
        seen = ours(images)
        assert torch.equal(seen.features, features)
        assert seen.logits is not None
        assert torch.equal(seen.logits, logits)


def test_the_digest_is_of_weights_and_preprocessing(inception_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = Inception(weights=str(inception_file), trust=True).open()
    weights = torch.load(inception_file, weights_only=True)
    weights["Mixed_7c.branch_pool.conv.weight"].view(-1)[5] += 1e-3
    torch.save(weights, tmp_path / "other.pth")
    assert Inception(weights=str(tmp_path / "other.pth"), trust=True).open().digest != first.digest
    monkeypatch.setattr(inception, "PREPARATION", "another")
    assert Inception(weights=str(inception_file), trust=True).open().digest != first.digest


def test_only_the_published_file_is_called_inception(inception_file: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    assert Inception(weights=str(inception_file), trust=True).open().title == "Inception with other weights"
    # As if the random file were the published one, under the name that pytorch-fid gives it.
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(inception_file.read_bytes()).hexdigest())
    (hub / "checkpoints").mkdir(parents=True)
    os.link(inception_file, hub / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth")
    assert Inception().open().title == "Inception"


def test_the_published_digest_is_the_one_its_name_begins() -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert len(inception.SHA256) == 64
    assert URL_INCEPTION_V3.endswith(inception.FILES[0])
    assert all(name.endswith(f"-{inception.SHA256[:8]}.pth") for name in inception.FILES)


class Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_file_cannot_run_code_trusted_or_not(tmp_path: Path) -> None:
    path, marker = tmp_path / "trap.pth", tmp_path / "sprung"
    torch.save({"fc.bias": Trap(marker)}, path)
    assert "has the SHA-256" in the_problem(path)
    assert "not a file of weights" in the_problem(path, trust=True)
    assert not marker.exists()


def test_files_that_are_not_the_named_one(inception_file: Path, tmp_path: Path) -> None:
    data = inception_file.read_bytes()
    cut = tmp_path / "cut.pth"
    cut.write_bytes(data[: len(data) // 2])
    assert "the file is damaged or another" in the_problem(cut)
    assert "not a file of weights that torch can read" in the_problem(cut, trust=True)
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "small.pth")
    assert "its tensors are not those of inception" in the_problem(tmp_path / "small.pth", trust=True)
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds no tensors by name" in the_problem(tmp_path / "list.pth", trust=True)
    assert "No such file" in the_problem(tmp_path / "absent.pth")


def test_weights_that_are_nowhere(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as raised:
        Inception().open()
    (problem,) = raised.value.problems
    assert str(hub / "checkpoints") in problem
    assert inception.FILES[0] in problem

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(InputError) as raised:
        Inception(download=True).open()
    (problem,) = raised.value.problems
    assert "no route to host" in problem
