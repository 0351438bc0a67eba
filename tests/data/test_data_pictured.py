"""Published sets of image files, and the archives beside CIFAR-10 and MNIST: tiny files in their layouts."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image

from saddlepoint.data.celeba import Celeba
from saddlepoint.data.cifar10 import Cifar100
from saddlepoint.data.lsun import Lsun
from saddlepoint.data.mnist import Kmnist
from saddlepoint.data.source import Data
from saddlepoint.data.svhn import Svhn
from saddlepoint.data.tiny_imagenet import TinyImagenet
from saddlepoint.errors import InputError
from tests.data.drawing import (
    CELEBA_PARTITION,
    CIFAR100_LABELS,
    CIFAR_IMAGES,
    MNIST_IMAGES,
    SVHN_IMAGES,
    SVHN_LABELS,
    md5,
    write_celeba,
    write_cifar100,
    write_lsun,
    write_mnist,
    write_svhn,
    write_tiny_imagenet,
)
from tests.data.test_data_published import Trap


def refused(record: Data) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        record.open()
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_by_its_files(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_cifar100(tmp_path / "files", monkeypatch)
    for path in (files / "cifar-100-python").iterdir() if packed else [files / "cifar-100-python.tar.gz"]:
        path.unlink()
    source = Cifar100(root=str(files)).open()
    assert (source.size, source.held_out_size, source.shape, len(source.classes)) == (50, 10, (3, 32, 32), 100)
    assert np.array_equal(source.images.numpy(), CIFAR_IMAGES)
    assert source.labels is not None
    assert source.labels.tolist() == CIFAR100_LABELS.tolist()


def test_the_hundred_classes_are_in_the_order_of_the_labels() -> None:
    assert Cifar100.classes == tuple(sorted(Cifar100.classes))
    assert [Cifar100.classes[number] for number in (0, 19, 49, 99)] == ["apple", "cattle", "mountain", "worm"]


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_no_pickle_of_cifar100_is_opened_before_its_sum_was_found_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_cifar100(tmp_path / "files", monkeypatch)
    (files / "cifar-100-python" / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (line,) = refused(Cifar100(root=str(files)))
    assert name in line
    assert "md5" in line
    assert not (tmp_path / "sprung").exists()


def test_kmnist_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_mnist(tmp_path / "KMNIST" / "raw", monkeypatch, name="KMNIST")
    source = Kmnist(root=str(tmp_path)).open()
    assert (source.size, source.held_out_size, source.shape, source.classes[9]) == (40, 20, (1, 32, 32), "wo")
    assert np.array_equal(source.images.numpy()[:40, 0, 2:30, 2:30], MNIST_IMAGES["train"])
    (files / "train-labels-idx1-ubyte.gz").write_bytes(b"other")
    (line,) = refused(Kmnist(root=str(tmp_path)))
    assert dict(torchvision.datasets.KMNIST.resources)["train-labels-idx1-ubyte.gz"] in line


def test_svhn_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Svhn(root=str(write_svhn(tmp_path, monkeypatch))).open()
    assert (source.size, source.held_out_size, source.shape) == (30, 20, (3, 32, 32))
    assert np.array_equal(source.images.numpy(), np.concatenate([SVHN_IMAGES["train"], SVHN_IMAGES["test"]]))
    assert source.labels is not None
    assert source.labels.tolist() == [*(SVHN_LABELS["train"] % 10), *(SVHN_LABELS["test"] % 10)]


def test_svhn_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_svhn(tmp_path, monkeypatch)
    right = torchvision.datasets.SVHN.split_list["test"][2]
    (files / "test_32x32.mat").write_bytes(b"other")
    (line,) = refused(Svhn(root=str(files)))
    assert str(files / "test_32x32.mat") in line
    assert right in line
    (files / "test_32x32.mat").unlink()
    (line,) = refused(Svhn(root=str(files)))
    assert "test_32x32.mat of svhn is missing" in line


def test_a_mat_file_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_svhn(tmp_path, monkeypatch)
    (files / "test_32x32.mat").write_bytes(bytes(200))
    table = dict(torchvision.datasets.SVHN.split_list)
    table["test"] = [*table["test"][:2], md5(files / "test_32x32.mat")]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", table)
    (line,) = refused(Svhn(root=str(files)))
    assert "the files of svhn cannot be read" in line


@pytest.mark.parametrize("inside", [True, False])
def test_tiny_imagenet_by_its_files(inside: bool, tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path) / "tiny-imagenet-200"
    source = TinyImagenet(root=str(tmp_path if inside else folder)).open()
    assert (source.size, source.held_out_size, source.shape) == (12, 6, (3, 64, 64))
    assert source.classes == ("goldfish (n01)", "crane (n02)", "crane (n03)")
    assert source.labels is not None
    assert source.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [2, 0, 1] * 2
    for row, name in ((0, "train/n01/images/n01_0"), (11, "train/n03/images/n03_3"), (13, "val/images/val_1")):
        pixels = np.asarray(Image.open(folder / f"{name}.JPEG").convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(source.images[row].numpy(), pixels)


def test_celeba_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_celeba(tmp_path, monkeypatch)
    source = Celeba(root=str(files), resolution=178).open()
    assert (source.size, source.held_out_size, source.shape, source.labels) == (6, 2, (3, 178, 178), None)
    numbers = [number for part in (0, 2) for number, its in enumerate(CELEBA_PARTITION, 1) if its == part]
    for row, number in enumerate(numbers):
        whole = np.asarray(Image.open(files / "celeba" / "img_align_celeba" / f"{number:06}.jpg")).transpose(2, 0, 1)
        assert np.array_equal(source.images[row].numpy(), whole[:, 20:198])
    assert Celeba(root=str(files)).open().shape == (3, 64, 64)


def test_celebas_list_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_celeba(tmp_path, monkeypatch)
    (files / "celeba" / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 2\n")
    (line,) = refused(Celeba(root=str(files)))
    assert "list_eval_partition.txt: its md5 sum is" in line


def test_celeba_without_its_downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    (line,) = refused(Celeba(root=str(tmp_path), download=True))
    assert line.startswith("data.download: celeba could not be downloaded")
    assert "gdown" in line


def test_lsun_by_its_files(tmp_path: Path) -> None:
    write_lsun(tmp_path)
    write_lsun(tmp_path, "tower")
    (tmp_path / "bedroom_train" / "notes.txt").write_text("exported")
    source = Lsun(root=str(tmp_path), resolution=12).open()
    assert (source.size, source.held_out_size, source.shape, source.labels) == (8, 5, (3, 12, 12), None)
    assert any("1 not pictures" in line for line in source.describe())
    names = sorted(path for path in (tmp_path / "bedroom_train").rglob("*.webp"))
    expected = [np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)[:, :, 4:16] for path in names]
    assert np.array_equal(source.images[:8].numpy(), np.stack(expected))
    few = Lsun(root=str(tmp_path), resolution=12, limit=3).open()
    assert (few.size, few.held_out_size) == (3, 5)
    assert torch.equal(few.images, source.images[[0, 1, 2, 8, 9, 10, 11, 12]])
    assert Lsun(root=str(tmp_path), category="tower").open().size == 8
    with pytest.raises(ValueError, match="bedroom"):
        Lsun(category="beach")  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["root", "environment"])
@pytest.mark.parametrize("name", ["tiny-imagenet", "lsun"])
def test_they_are_found(name: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_imagenet(tmp_path)
    write_lsun(tmp_path / "lsun")
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path) if by == "environment" else str(tmp_path / "nowhere"))
    root = str(tmp_path) if by == "root" else None
    record = TinyImagenet(root=root) if name == "tiny-imagenet" else Lsun(root=root)
    source = record.open()
    assert any(str(tmp_path) in line for line in source.describe())


@pytest.mark.parametrize("record", [TinyImagenet, Celeba, Lsun])
def test_nothing_found_says_where_was_looked_and_where_to_get_it(
    record: type[TinyImagenet | Celeba | Lsun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path / "shared"))
    (line,) = refused(record(root=str(tmp_path / "mine")))
    for part in (f"{tmp_path / 'mine'} (data.root)", f"{tmp_path / 'shared'} ($SADDLEPOINT_DATA)", "http", "data.root"):
        assert part in line


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path) / "tiny-imagenet-200"
    (folder / "wnids.txt").unlink()
    (line,) = refused(TinyImagenet(root=str(tmp_path)))
    assert line.startswith(f"data: wnids.txt of tiny-imagenet is missing in {folder}, where the rest of it is")


def test_lists_of_another_layout_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path) / "tiny-imagenet-200"
    (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn09\n")
    assert "val_0.JPEG is of no class" in refused(TinyImagenet(root=str(tmp_path)))[0]
    (folder / "val" / "val_annotations.txt").write_bytes(b"\xff\xfe\xff")
    assert "cannot be read" in refused(TinyImagenet(root=str(tmp_path)))[0]
    (folder / "val" / "val_annotations.txt").write_text("\n")
    assert "no picture" in refused(TinyImagenet(root=str(tmp_path)))[0]


@pytest.mark.parametrize("damage", ["missing", "truncated", "text"])
def test_a_damaged_picture_is_refused_by_name(damage: str, tmp_path: Path, cache: Path) -> None:
    path = write_tiny_imagenet(tmp_path) / "tiny-imagenet-200" / "val" / "images" / "val_3.JPEG"
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"a text")
    (line,) = refused(TinyImagenet(root=str(tmp_path)))
    assert line.startswith("data: 1 of the 18 pictures of tiny-imagenet")
    assert "val/images/val_3.JPEG (" in line
    assert "zip" in line


def test_a_label_that_changes_is_other_data(tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path) / "tiny-imagenet-200"
    before = TinyImagenet(root=str(tmp_path)).open().digest
    annotations = folder / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("val_0.JPEG\tn03", "val_0.JPEG\tn01"))
    assert TinyImagenet(root=str(tmp_path)).open().digest != before
