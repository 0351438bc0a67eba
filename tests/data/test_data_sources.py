"""What every data set owes, by the registry."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from saddlepoint.data import DATA, Data, Source, Split
from saddlepoint.data.arrays import ArraySource
from saddlepoint.streams import Streams
from tests.data.drawing import (
    draw_folder,
    write_celeba,
    write_cifar10,
    write_cifar100,
    write_lsun,
    write_mnist,
    write_svhn,
    write_tiny_imagenet,
)

SPLITS: list[Split] = ["train", "held-out"]
FRESH = {"8-gaussians", "25-gaussians", "swiss-roll", "parallel-lines", "dirac", "symbols"}
# One point over and over: no seed and no split decides anything.
SURE = ("dirac",)


WRITTEN: dict[str, Callable[[Path, pytest.MonkeyPatch], Path]] = {
    "mnist": write_mnist,
    "kmnist": partial(write_mnist, name="KMNIST"),
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "svhn": write_svhn,
    "celeba": write_celeba,
    "tiny-imagenet": lambda folder, _: write_tiny_imagenet(folder),
    "lsun": lambda folder, _: write_lsun(folder),
}


def prepared(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields with which the data set opens here, its files made where it needs any."""
    if name == "folder":
        return {"path": str(draw_folder(folder, {"a": 13, "b": 7})), "resolution": 8, "flip": True}
    if name in WRITTEN:
        return {"root": str(WRITTEN[name](folder, monkeypatch)), "flip": True}
    return {"digits": {"flip": True}, "binary-digits": {"flip": True}}.get(name, {})


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decode the 70,000 real images once for all tests."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture(params=DATA)
def record(request: pytest.FixtureRequest, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    if request.param == "fashion-mnist":
        monkeypatch.setenv("SADDLEPOINT_CACHE", str(shared_cache))
    return DATA[request.param](**prepared(request.param, tmp_path / "files", monkeypatch))


@pytest.fixture
def source(record: Data) -> Source:
    return record.open()


def test_the_registry_is_covered() -> None:
    assert len(DATA) == 18
    assert {name: record.name for name, record in DATA.items()} == {name: name for name in DATA}
    assert {name for name, record in DATA.items() if "resolution" in record.model_fields} == set(DATA) - FRESH


def test_a_batch_is_what_the_source_says(source: Source) -> None:
    image, label, latent, _ = source.batch(Streams(0, dtype=torch.float64), 6)
    assert image.shape == (6, *source.shape)
    assert image.dtype == torch.float64
    assert latent is None
    assert (label is not None) == bool(source.classes)
    if label is not None:
        assert label.shape == (6,)
        assert label.dtype == torch.int64
        assert 0 <= int(label.min()) <= int(label.max()) < len(source.classes)
    if len(source.shape) == 3:
        assert -1 <= float(image.min()) < 0 < float(image.max()) <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_the_seed_and_nothing_else_decides(source: Source, split: Split) -> None:
    torch.manual_seed(0)
    first = draws(source, Streams(5), split)
    torch.manual_seed(1)
    assert torch.equal(first, draws(source, Streams(5), split))
    assert torch.equal(first, draws(source, Streams(6), split)) == (source.name in SURE)


@pytest.mark.parametrize("split", SPLITS)
def test_a_replica_sees_what_its_seed_sees_alone(source: Source, split: Split) -> None:
    many, alone = Streams([3, 4]), [Streams(3), Streams(4)]
    for _ in range(4):
        image, label, *_ = source.batch(many, 7, split)
        assert image.shape == (2, 7, *source.shape)
        for replica, streams in enumerate(alone):
            lone = source.batch(streams, 7, split)
            assert torch.equal(image[replica], lone.image)
            if label is not None and lone.label is not None:
                assert torch.equal(label[replica], lone.label)


def test_a_stream_goes_on_where_its_state_was_taken(source: Source) -> None:
    streams = Streams(2)
    source.batch(streams, 5)
    state = streams.state()
    expected = draws(source, streams, "train")
    resumed = Streams(2)
    resumed.load_state(state)
    assert torch.equal(draws(source, resumed, "train"), expected)


def test_looking_at_held_out_data_does_not_shift_training(source: Source) -> None:
    plain, watched = Streams(1), Streams(1)
    for _ in range(3):
        held_out = source.batch(watched, 5, "held-out").image
        train = source.batch(watched, 5).image
        assert torch.equal(train, source.batch(plain, 5).image)
        assert torch.equal(train, held_out) == (source.name in SURE)


def test_the_digest_is_of_the_data(record: Data, source: Source) -> None:
    assert record.open().digest == source.digest
    fields = record.model_dump()
    changes: dict[str, Any] = {"flip": not fields.get("flip"), "resolution": 32 if source.shape[-1] == 16 else 28}
    changes |= {"radius": 2.0, "spacing": 1.0, "noise": 0.1, "theta": 1.0, "at": 1.0, "held_out": 0.3, "probabilities": (0.5, 0.5)}
    changed = {field: value for field, value in changes.items() if field in fields}
    assert changed
    digests = {record.model_copy(update={field: value}).open().digest for field, value in changed.items()}
    assert len(digests | {source.digest}) == len(changed) + 1


def test_it_comes_back_from_plain_values(record: Data) -> None:
    assert type(record).model_validate(record.model_dump(mode="json")) == record
    with pytest.raises(ValidationError):
        type(record).model_validate({**record.model_dump(), "colour": 1})


def test_it_says_what_it_is(source: Source) -> None:
    lines = source.describe()
    assert lines[0].startswith(f"{source.name}: ")
    assert all("\n" not in line for line in lines)
    assert source.problems == ()


def test_finite_sources_are_whole(source: Source) -> None:
    if source.name in FRESH:
        assert (source.size, source.held_out_size) == (None, None)
        with pytest.raises(ValueError, match="for ever"):
            next(iter(source.all("train")))
        return
    assert isinstance(source, ArraySource)
    rows = torch.cat([source.rows["train"], source.rows["held-out"]])
    assert rows.sort().values.tolist() == list(range(len(source.images)))
    for split, size in zip(SPLITS, (source.size, source.held_out_size), strict=True):
        images = torch.cat([example.image for example in source.all(split, 7)])
        assert len(images) == size
        assert images.dtype == torch.float32


@pytest.mark.parametrize("split", SPLITS)
def test_each_epoch_visits_each_image_once(source: Source, split: Split) -> None:
    size = source.size if split == "train" else source.held_out_size
    if size is None:
        assert source.name in FRESH
        return
    assert isinstance(source, ArraySource)
    everything = Counter(upright(torch.cat([example.image for example in source.all(split)]), source.flip))
    streams, n = Streams(0), 7 if size < 2000 else 999
    images = torch.cat([source.batch(streams, n, split).image for _ in range(2 * size // n + 1)])
    epochs = [images[:size], images[size : 2 * size]]
    assert [Counter(upright(epoch, source.flip)) for epoch in epochs] == [everything, everything]
    assert size < 3 or not torch.equal(*epochs)


def upright(images: Tensor, flipped: bool) -> list[bytes]:
    """Each image as bytes, the same for it and its mirror image where it may be flipped."""
    plain = [image.tobytes() for image in images.numpy()]
    return list(map(min, plain, (image.tobytes() for image in images.numpy()[..., ::-1]))) if flipped else plain


def draws(source: Source, streams: Streams, split: Split) -> Tensor:
    return torch.stack([source.batch(streams, 4, split).image for _ in range(3)])
