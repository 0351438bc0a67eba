"""Features once computed are found again, by content; what is damaged is made again and said."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from queue import Empty

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saddlepoint.extractors import EXTRACTORS, ModuleExtractor, Seen, features_of
from saddlepoint.extractors import cache as cache_room
from saddlepoint.extractors.cache import content_of, features_key, key_of, moments_key, remembered, seen_once
from saddlepoint.extractors.extractor import FeatureExtractor
from tests.extractors.conftest import pictures


class Counting:
    """An extractor that knows how many images it saw."""

    name = title = "counting"
    layers = ("all", "two")
    classes = ("a", "b")
    digest = "0" * 64

    def __init__(self) -> None:
        self.saw = 0

    def __call__(self, images: Tensor) -> Seen:
        self.saw += len(images)
        return Seen(images.float().flatten(1), images.float().flatten(1)[:, :2])


def entry(cache: Path) -> Path:
    (path,) = (cache / "features").glob("*.safetensors")
    return path


def test_a_second_look_computes_nothing_and_is_mapped(cache: Path) -> None:
    extractor, images = Counting(), pictures(6)
    first, notes = seen_once(extractor, images, batch=4)
    assert notes == ()
    again, notes = seen_once(extractor, images, batch=2)
    assert extractor.saw == 6
    assert notes == ()
    assert torch.equal(again.features, first.features)
    assert torch.equal(first.features, features_of(extractor, images).features)
    assert first.logits is not None
    assert again.logits is not None
    assert torch.equal(again.logits, first.logits)
    assert str(entry(cache)) in Path("/proc/self/maps").read_text()
    assert remembered(features_key(images, extractor), dict).found


def test_what_is_found_may_be_written_to_and_stays(cache: Path) -> None:
    extractor, images = Counting(), pictures(3)
    first, _ = seen_once(extractor, images)
    found, _ = seen_once(extractor, images)
    found.features.zero_()
    assert torch.equal(seen_once(extractor, images)[0].features, first.features)
    assert extractor.saw == 3


@pytest.mark.parametrize("key", [features_key, moments_key])
def test_what_changes_the_key(key: Callable[[Tensor, FeatureExtractor], str]) -> None:
    images, extractor = pictures(4), EXTRACTORS["pixels"]().open()
    keys = {key(images, extractor)}
    changed = images.clone()
    changed[3, 2, 15, 15] ^= 1
    keys.add(key(changed, extractor))
    keys.add(key(images.flip(0), extractor))
    keys.add(key(images[:3], extractor))
    keys.add(key(images.reshape(4, 3, 8, 32), extractor))
    keys.add(key(images, EXTRACTORS["efficientnet-lite0"]().open()))
    keys.add(key(images, ModuleExtractor(nn.Flatten(), title="flat")))
    keys.add(key(images, ModuleExtractor(nn.Flatten(), title="flat", preprocessing="other")))
    assert len(keys) == 8
    assert key(images.clone(), EXTRACTORS["pixels"]().open()) in keys


def test_the_content_of_large_sets_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(9)
    whole = content_of(images)
    monkeypatch.setattr(cache_room, "CHUNK_BYTES", 2000)
    assert content_of(images) == whole
    assert content_of(images.float()) != whole


@pytest.mark.parametrize("damage", ["short", "empty", "flipped", "header", "other file"])
def test_a_damaged_entry_is_made_again_and_said(damage: str, cache: Path) -> None:
    extractor, images = Counting(), pictures(5)
    seen_once(extractor, images)
    path = entry(cache)
    data = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(data[:-5] + bytes([data[-5] ^ 64]) + data[-4:])
    elif damage == "header":
        path.write_bytes(data[:20] + b"?" + data[21:])
    elif damage == "other file":
        save_file({"features": torch.zeros(5, 768)}, path)
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-100])
    mended, notes = seen_once(extractor, images)
    (note,) = notes
    assert str(path) in note
    assert "damaged" in note
    assert "\n" not in note
    assert torch.equal(mended.features, images.float().flatten(1))
    assert extractor.saw == 10
    assert seen_once(extractor, images)[1] == ()
    assert extractor.saw == 10
    assert path.read_bytes() == data


def test_moments_are_kept_as_features_are(cache: Path) -> None:
    features = pictures(8).double().flatten(1)
    calls: list[int] = []

    def moments() -> dict[str, Tensor]:
        calls.append(1)
        return {"mean": features.mean(0), "covariance": features.T.cov()}

    first = remembered(key_of("moments", "of these"), moments)
    again = remembered(key_of("moments", "of these"), moments)
    assert len(calls) == 1
    assert (first.found, again.found) == (False, True)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in moments().items())
    assert again.tensors["covariance"].dtype == torch.float64


def test_two_processes_at_once_compute_once(cache: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier, told = fork.Barrier(3), fork.Queue()
    images = pictures(50)

    def work() -> None:
        extractor = Counting()
        barrier.wait()
        seen, notes = seen_once(extractor, images)
        told.put((int(seen.features.sum()), extractor.saw, notes))

    workers = [fork.Process(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        answers = [told.get(timeout=30) for _ in workers]
    except Empty:
        pytest.fail("a process did not come back")
    for worker in workers:
        worker.join()
    assert {total for total, *_ in answers} == {int(images.long().sum())}
    assert sorted(saw for _, saw, _ in answers) == [0, 0, 50]
    assert not list((cache / "features").glob("*.partial"))


def test_killed_while_writing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, images = Counting(), pictures(4)
    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        seen_once(extractor, images)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [path.suffix for path in (cache / "features").iterdir() if path.suffix != ".lock"] == [".partial"]
    assert seen_once(extractor, images)[1] == ()
    assert [path.suffix for path in (cache / "features").iterdir() if path.suffix != ".lock"] == [".safetensors"]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "file"))
    images = pictures(2)
    seen, (note,) = seen_once(Counting(), images)
    assert "could not be kept" in note
    assert torch.equal(seen.features, images.float().flatten(1))


def test_a_full_disk_costs_time_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_room, "replace_file", full)
    images = pictures(2)
    seen, (note,) = seen_once(Counting(), images)
    assert "No space left" in note
    assert torch.equal(seen.features, images.float().flatten(1))
    assert not list((cache / "features").glob("*.safetensors*"))


def test_an_entry_under_another_key_is_not_believed(cache: Path) -> None:
    one, other = key_of("swapped", "one"), key_of("swapped", "other")
    remembered(one, lambda: {"features": torch.ones(2)})
    written = set(cache.rglob("*.safetensors"))
    remembered(other, lambda: {"features": torch.full((2,), 2.0)})
    (new,) = set(cache.rglob("*.safetensors")) - written
    (old,) = written
    new.replace(old)
    found = remembered(one, lambda: {"features": torch.zeros(2)})
    assert torch.equal(found.tensors["features"], torch.zeros(2))
    assert "another entry's" in found.notes[0]
