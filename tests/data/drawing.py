"""Small pictures and small files in the layouts of the published sets, made on the spot."""

import gzip
import hashlib
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from numpy.typing import NDArray
from PIL import Image


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def draw(path: Path, width: int = 12, height: int = 12, *, colour: bool = True, seed: int = 0) -> Path:
    """A lossless or lossy picture of noise, by the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, 3, seed=seed) if colour else noise(height, width, seed=seed)).save(path)
    return path


def draw_folder(folder: Path, counts: dict[str, int]) -> Path:
    """`counts[class]` pictures in each first-level folder."""
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            draw(folder / name / f"{index:03}.png", seed=1000 * number + index)
    return folder


def idx(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


MNIST_IMAGES = {"train": noise(40, 28, 28, seed=1), "t10k": noise(20, 28, 28, seed=2)}
MNIST_LABELS = {"train": np.arange(40, dtype=np.uint8) % 10, "t10k": np.arange(20, dtype=np.uint8)[::-1] % 10}


def write_mnist(folder: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool = True) -> Path:
    """The four .gz files; when `known`, torchvision's table of checksums has theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(MNIST_IMAGES[part])))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(MNIST_LABELS[part])))
    if known:
        names = [name for name, _ in torchvision.datasets.MNIST.resources]
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", [(name, md5(folder / name)) for name in names])
    return folder


CIFAR_IMAGES = noise(60, 3, 32, 32, seed=3)
CIFAR_LABELS = np.arange(60) % 10
CIFAR_NAMES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool = True) -> Path:
    """`cifar-10-batches-py` of six batches of ten, and its archive; when `known`, torchvision's table has their sums."""
    official = torchvision.datasets.CIFAR10
    batches = folder / official.base_folder
    batches.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(CIFAR_NAMES):
        rows = slice(10 * number, 10 * number + 10)
        batch = {"data": CIFAR_IMAGES[rows].reshape(10, -1), "labels": CIFAR_LABELS[rows].tolist()}
        (batches / name).write_bytes(pickle.dumps(batch))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    with tarfile.open(folder / official.filename, "w:gz") as archive:
        archive.add(batches, official.base_folder)
    if known:
        monkeypatch.setattr(official, "train_list", [[name, md5(batches / name)] for name in CIFAR_NAMES[:5]])
        monkeypatch.setattr(official, "test_list", [[name, md5(batches / name)] for name in CIFAR_NAMES[5:]])
        monkeypatch.setattr(official, "meta", official.meta | {"md5": md5(batches / "batches.meta")})
        monkeypatch.setattr(official, "tgz_md5", md5(folder / official.filename))
    return folder
