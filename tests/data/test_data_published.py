"""Published sets: the real Fashion-MNIST, and tiny files in the layouts of MNIST and CIFAR-10."""

import gzip
import hashlib
import pickle
import shutil
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.datasets
from numpy.typing import NDArray

from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.cifar10 import Cifar10
from saddlepoint.data.mnist import FashionMnist, Mnist
from saddlepoint.errors import InputError
from tests.data.drawing import CIFAR_IMAGES, CIFAR_LABELS, MNIST_IMAGES, MNIST_LABELS, idx, noise, write_cifar10, write_mnist

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
# When the official archives were made, as the headers of the .gz files say; Debian's say when they were compressed again.
OFFICIAL_SECONDS = {"train": 1504176606, "t10k": 1504176627}


def problems(record: Mnist | Cifar10) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        record.open()
    return caught.value.problems


def pixels(source: ArraySource) -> NDArray[np.uint8]:
    return source.images.numpy()


def test_fashion_mnist_is_real_and_whole() -> None:
    source = FashionMnist(resolution=28).open()
    assert (source.size, source.held_out_size) == (60_000, 10_000)
    assert source.labels is not None
    assert torch.bincount(source.labels[:60_000]).tolist() == [6000] * 10
    assert torch.bincount(source.labels[60_000:]).tolist() == [1000] * 10
    for part, start, count in (("train", 0, 60_000), ("t10k", 60_000, 10_000)):
        images = np.frombuffer(gzip.decompress((DEBIAN / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
        labels = np.frombuffer(gzip.decompress((DEBIAN / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
        assert np.array_equal(pixels(source)[start : start + count, 0], images.reshape(-1, 28, 28))
        assert np.array_equal(source.labels[start : start + count].numpy(), labels)
    assert any("Debian" not in line and str(DEBIAN) in line for line in source.describe())


def test_debians_files_are_the_official_ones_with_another_header() -> None:
    for name, official in torchvision.datasets.FashionMNIST.resources:
        packed = (DEBIAN / name).read_bytes()
        seconds = OFFICIAL_SECONDS[name.split("-")[0]]
        header = b"\x1f\x8b\x08\x08" + struct.pack("<I", seconds) + b"\x00\x03" + name.removesuffix(".gz").encode() + b"\x00"
        assert hashlib.md5(header + packed[10:]).hexdigest() == official
        assert hashlib.md5(packed).hexdigest() in FashionMnist.also[name]


def test_mnist_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Mnist(root=str(write_mnist(tmp_path / "files", monkeypatch))).open()
    assert (source.size, source.held_out_size, source.shape) == (40, 20, (1, 32, 32))
    assert source.labels is not None
    assert source.labels.tolist() == [*MNIST_LABELS["train"], *MNIST_LABELS["t10k"]]
    both = np.concatenate([MNIST_IMAGES["train"], MNIST_IMAGES["t10k"]])
    assert np.array_equal(pixels(source)[:, 0, 2:30, 2:30], both)
    assert int(pixels(source).astype(int).sum()) == int(both.astype(int).sum())
    held_out = next(source.all("held-out"))
    assert torch.equal(held_out.image[:, 0, 2:30, 2:30], torch.from_numpy(MNIST_IMAGES["t10k"]).float() / 127.5 - 1)


def test_mnist_at_other_resolutions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(write_mnist(tmp_path / "files", monkeypatch))
    native = Mnist(root=root, resolution=28).open()
    assert np.array_equal(pixels(native)[:40, 0], MNIST_IMAGES["train"])
    half = torch.from_numpy(pixels(Mnist(root=root, resolution=16, resize="box").open())).float()
    padded = torch.from_numpy(pixels(Mnist(root=root).open())).float()
    assert float((half - F.avg_pool2d(padded, 2)).abs().max()) <= 1


@pytest.mark.parametrize("layout", ["", "mnist", "raw", "MNIST/raw"])
@pytest.mark.parametrize("by", ["root", "environment"])
def test_mnist_is_found(layout: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "files" / layout, monkeypatch)
    if by == "environment":
        monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path / "files"))
    source = Mnist(root=str(tmp_path / "files") if by == "root" else None).open()
    assert source.size == 40


def test_unpacked_files_are_read_and_said_to_be_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = write_mnist(tmp_path / "packed", monkeypatch)
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in packed.iterdir():
        (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    source = Mnist(root=str(plain)).open()
    assert np.array_equal(pixels(source), pixels(Mnist(root=str(packed)).open()))
    assert any("no md5 sum is known for train-images-idx3-ubyte" in line for line in source.describe())
    assert not any("md5" in line for line in Mnist(root=str(packed)).open().describe())


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_mnist(tmp_path / "files", monkeypatch)
    (files / "t10k-labels-idx1-ubyte.gz").unlink()
    (line,) = problems(Mnist(root=str(files)))
    assert "t10k-labels-idx1-ubyte.gz of mnist is missing" in line
    assert str(files) in line


def test_where_was_looked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path / "shared"))
    (line,) = problems(Mnist(root=str(tmp_path / "mine")))
    for part in ("train-images-idx3-ubyte.gz", f"{tmp_path / 'mine'} (data.root)", f"{tmp_path / 'shared'} ($SADDLEPOINT_DATA)"):
        assert part in line
    assert "data.download=true" in line
    (line,) = problems(Cifar10())
    assert "data_batch_1" in line


def test_a_wrong_sum_is_refused_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    files = write_mnist(tmp_path / "files", monkeypatch)
    for name in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (files / name).write_bytes(gzip.compress(b"other"))
    lines = problems(Mnist(root=str(files)))
    assert len(lines) == 2
    for line, name in zip(lines, ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"), strict=True):
        assert str(files / name) in line
        assert dict(torchvision.datasets.MNIST.resources)[name] in line
    assert [path.name for path in (cache / "images").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    "damaged", [b"", b"\0\0\x08\x03", idx(noise(40, 28, 28))[:-100], idx(noise(40, 27, 27)), idx(noise(39, 28, 28))]
)
def test_damaged_unpacked_files_are_refused(damaged: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in write_mnist(tmp_path / "packed", monkeypatch).iterdir():
        (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    (plain / "train-images-idx3-ubyte").write_bytes(damaged)
    (line,) = problems(Mnist(root=str(plain)))
    assert str(plain) in line
    assert "fetch" in line


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10_by_its_files(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_cifar10(tmp_path / "files", monkeypatch)
    if packed:
        shutil.rmtree(files / "cifar-10-batches-py")
    source = Cifar10(root=str(files)).open()
    assert (source.size, source.held_out_size, source.shape) == (50, 10, (3, 32, 32))
    assert np.array_equal(pixels(source), CIFAR_IMAGES)
    assert source.labels is not None
    assert source.labels.tolist() == CIFAR_LABELS.tolist()
    assert source.classes[6] == "frog"


class Trap:
    """A pickle that makes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_no_pickle_is_opened_before_its_sum_was_found_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_cifar10(tmp_path / "files", monkeypatch)
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (files / "cifar-10-batches-py" / name).write_bytes(trap)
    (line,) = problems(Cifar10(root=str(files)))
    assert name in line
    assert "md5" in line
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A mirror of our own, on this machine."""
    (tmp_path / "served").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as mirror:
        threading.Thread(target=mirror.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{mirror.server_port}/"
        mirror.shutdown()


@pytest.mark.parametrize("chosen", [True, False])
def test_downloads(chosen: bool, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    write_mnist(tmp_path / "served", monkeypatch)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [server])
    root = str(tmp_path / "mine") if chosen else None
    source = Mnist(root=root, download=True).open()
    assert source.size == 40
    place = tmp_path / "mine" if chosen else cache / "downloads"
    assert (place / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").exists()
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    assert Mnist(root=root).open().digest == source.digest


def test_a_failed_download_says_so(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [server])
    (line,) = problems(Mnist(root=str(tmp_path / "mine"), download=True))
    assert line.startswith("data.download: mnist could not be downloaded")
    assert str(tmp_path / "mine") in line
