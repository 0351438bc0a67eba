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
from scipy.io import savemat


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


def write_mnist(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str = "MNIST", known: bool = True) -> Path:
    """The four .gz files; when `known`, torchvision's table of checksums for the set `name` has theirs."""
    official = getattr(torchvision.datasets, name)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(MNIST_IMAGES[part])))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(MNIST_LABELS[part])))
    if known:
        files = [file for file, _ in official.resources]
        monkeypatch.setattr(official, "resources", [(file, md5(folder / file)) for file in files])
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


CIFAR100_LABELS = np.arange(60) % 100


def write_cifar100(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`cifar-100-python` of fifty and ten images, and its archive; torchvision's table has their sums."""
    official = torchvision.datasets.CIFAR100
    batches = folder / official.base_folder
    batches.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        labels = CIFAR100_LABELS[rows].tolist()
        batch = {"data": CIFAR_IMAGES[rows].reshape(-1, 3072), "fine_labels": labels, "coarse_labels": [0] * len(labels)}
        (batches / name).write_bytes(pickle.dumps(batch))
    (batches / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(number) for number in range(100)]}))
    with tarfile.open(folder / official.filename, "w:gz") as archive:
        archive.add(batches, official.base_folder)
    monkeypatch.setattr(official, "train_list", [["train", md5(batches / "train")]])
    monkeypatch.setattr(official, "test_list", [["test", md5(batches / "test")]])
    monkeypatch.setattr(official, "meta", official.meta | {"md5": md5(batches / "meta")})
    monkeypatch.setattr(official, "tgz_md5", md5(folder / official.filename))
    return folder


# As in the files, where the digit 0 is called 10.
SVHN_LABELS = {"train": np.arange(30) % 10 + 1, "test": np.arange(20)[::-1] % 10 + 1}
SVHN_IMAGES = {"train": noise(30, 3, 32, 32, seed=4), "test": noise(20, 3, 32, 32, seed=5)}


def write_svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`train_32x32.mat` and `test_32x32.mat`, images `[32, 32, 3, N]`; torchvision's table has their sums."""
    folder.mkdir(parents=True, exist_ok=True)
    official = torchvision.datasets.SVHN
    table = dict(official.split_list)
    for split, images in SVHN_IMAGES.items():
        path = folder / f"{split}_32x32.mat"
        savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": SVHN_LABELS[split].astype(np.uint8)[:, None]})
        table[split] = [table[split][0], path.name, md5(path)]
    monkeypatch.setattr(official, "split_list", table)
    return folder


def write_tiny_imagenet(folder: Path) -> Path:
    """`tiny-imagenet-200` of three classes, of four training and two validation pictures each, one of them grey."""
    inside = folder / "tiny-imagenet-200"
    wnids = ["n03", "n01", "n02"]
    for number, wnid in enumerate(wnids):
        for index in range(4):
            path = inside / "train" / wnid / "images" / f"{wnid}_{index}.JPEG"
            draw(path, 64, 64, colour=index > 0, seed=10 * number + index)
        (inside / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    annotations = []
    for index in range(6):
        draw(inside / "val" / "images" / f"val_{index}.JPEG", 64, 64, seed=100 + index)
        annotations.append(f"val_{index}.JPEG\t{wnids[index % 3]}\t0\t0\t9\t9\n")
    (inside / "val" / "val_annotations.txt").write_text("".join(annotations))
    (inside / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (inside / "words.txt").write_text("n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tcrane\nn03\tcrane\n")
    return folder


# Of ten faces: six to train on, two to validate, two to test.
CELEBA_PARTITION = [0, 0, 2, 0, 1, 0, 0, 1, 2, 0]


def write_celeba(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`celeba` with ten faces of 178 x 218 and the list of their splits; torchvision's table has the list's sum."""
    official, inside = torchvision.datasets.CelebA, folder / "celeba"
    for number, _ in enumerate(CELEBA_PARTITION, 1):
        draw(inside / "img_align_celeba" / f"{number:06}.jpg", 178, 218, seed=number)
    lines = [f"{number:06}.jpg {part}\n" for number, part in enumerate(CELEBA_PARTITION, 1)]
    path = inside / "list_eval_partition.txt"
    path.write_text("".join(lines))
    table = [(file, md5(path) if name == path.name else sum_, name) for file, sum_, name in official.file_list]
    monkeypatch.setattr(official, "file_list", table)
    return folder


def write_lsun(folder: Path, category: str = "bedroom") -> Path:
    """Exported pictures of a category, nested by their names as the database's own script does: eight and five."""
    for part, count in (("train", 8), ("val", 5)):
        for index in range(count):
            draw(folder / f"{category}_{part}" / "abc"[index % 3] / f"{index:04}.webp", 20, 12, seed=index + 50 * (part == "val"))
    return folder
