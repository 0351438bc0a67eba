"""Every extractor through one battery."""

from pathlib import Path

import pytest
import torch

from saddlepoint.errors import InputError
from saddlepoint.extractors import EXTRACTORS, Extractor, FeatureExtractor, features_of
from tests.extractors.conftest import pictures

DIMENSIONS = {
    "inception": (2048, 1008),
    "dinov2": (384, 0),
    "efficientnet-lite0": (1280, 1000),
    "digits-classifier": (64, 10),
    "fashion-mnist-classifier": (128, 10),
    "pixels": (3 * 16 * 16, 0),
}


@pytest.fixture(params=sorted(EXTRACTORS))
def record(request: pytest.FixtureRequest, inception_file: Path, dinov2_hub: Path) -> Extractor:
    fields = {"weights": str(inception_file), "trust": True} if request.param == "inception" else {}
    return EXTRACTORS[request.param].model_validate(fields)


def channels(record: Extractor) -> int:
    return 1 if record.name.endswith("classifier") else 3


def test_the_battery_covers_every_extractor() -> None:
    assert DIMENSIONS.keys() == EXTRACTORS.keys()
    assert all(record.name == name for name, record in EXTRACTORS.items())


def test_what_every_extractor_promises(record: Extractor) -> None:
    generator = torch.get_rng_state()
    extractor: FeatureExtractor = record.open()
    images = pictures(4, channels(record))
    untouched = images.clone()
    whole = features_of(extractor, images, batch=4)
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(images, untouched)

    dimension, outputs = DIMENSIONS[record.name]
    assert whole.features.shape == (4, dimension)
    assert whole.features.dtype == torch.float32
    assert bool(torch.isfinite(whole.features).all())
    assert len(extractor.classes) == outputs
    assert (whole.logits is None) == (outputs == 0)
    if whole.logits is not None:
        assert whole.logits.shape == (4, outputs)
    assert len(extractor.layers) == (2 if outputs else 1)
    assert len(extractor.digest) == 64
    # The images are told apart.
    assert float(torch.pdist(whole.features).min()) > 1e-4 * float(whole.features.abs().max())

    # Neither how many are seen at once nor in which order changes an image's features, up to the order of float32 sums.
    order = torch.tensor([3, 1, 0, 2])
    parts = features_of(extractor, images[order], batch=3).features
    assert float((parts - whole.features[order]).abs().max()) <= 1e-5 * float(whole.features.abs().max())
    assert torch.equal(extractor(images[:1]).features, extractor(images[:1]).features)

    # What a generator gives, in [-1, 1], is seen as its bytes are where it lies on them, and not rounded where it does not.
    raw = images[:1].double() / 127.5 - 1
    seen = extractor(raw).features
    assert float((seen - whole.features[:1]).abs().max()) <= 1e-4 * float(whole.features.abs().max())
    assert not torch.equal(extractor((raw + 0.001).clamp(-1, 1)).features, seen)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 5, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 3, 0, 8, dtype=torch.uint8),
        torch.zeros(2, 3, 8, 8, dtype=torch.int64),
    ],
    ids=["channels", "axes", "no pixels", "integers"],
)
@pytest.mark.parametrize("name", ["pixels", "digits-classifier", "efficientnet-lite0"])
def test_what_no_extractor_takes(name: str, images: torch.Tensor) -> None:
    with pytest.raises(InputError) as raised:
        EXTRACTORS[name]().open()(images)
    (problem,) = raised.value.problems
    assert problem.startswith(EXTRACTORS[name]().open().title)
    assert "\n" not in problem


def test_networks_take_no_points_and_pixels_takes_them_as_they_are() -> None:
    points = torch.randn(7, 2, dtype=torch.float64)
    assert torch.equal(EXTRACTORS["pixels"]().open()(points).features, points.float())
    with pytest.raises(InputError, match="the extractor pixels takes points"):
        EXTRACTORS["digits-classifier"]().open()(points)
    with pytest.raises(InputError, match="points without coordinates"):
        EXTRACTORS["pixels"]().open()(torch.zeros(3, 0))


def test_pixels_are_bytes_over_255() -> None:
    images = pictures(3)
    assert torch.equal(EXTRACTORS["pixels"]().open()(images).features, (images.float() / 255).reshape(3, -1))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "dinov2"])
def test_grey_is_seen_as_colour_of_three_equal_channels(name: str, dinov2_hub: Path) -> None:
    extractor = EXTRACTORS[name]().open()
    grey = pictures(2, 1)
    assert torch.equal(extractor(grey).features, extractor(grey.repeat(1, 3, 1, 1)).features)


def test_colour_digits_are_refused_with_the_cure() -> None:
    with pytest.raises(InputError, match=r"digits classifier: takes 1 channels, got 3; .* channels=1"):
        EXTRACTORS["digits-classifier"]().open()(pictures(2, 3))


def test_digests_tell_extractors_apart(dinov2_hub: Path) -> None:
    names = [name for name in EXTRACTORS if name != "inception"]
    assert len({EXTRACTORS[name]().open().digest for name in names}) == len(names) == 5
    assert EXTRACTORS["digits-classifier"]().open().digest == EXTRACTORS["digits-classifier"]().open().digest
