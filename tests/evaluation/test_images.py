"""Images to be measured: any kind of file or array by stated rules, at its own size, with what is wrong in a line."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.data.folder import Folder
from saddlepoint.errors import InputError
from saddlepoint.evaluation.images import read_images
from saddlepoint.streams import Streams


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def random(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = Streams(seed).integers("pixels", 256, *shape).numpy().astype(np.uint8)
    return pixels


def folder_of(tmp_path: Path, images: dict[str, Image.Image]) -> Path:
    for name, image in images.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return tmp_path / "folder"


def problems(where: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as raised:
        read_images(where, **options)
    assert not any("\n" in problem for problem in raised.value.problems)
    return raised.value.problems


def test_a_folder_at_its_own_size_in_order_of_names(tmp_path: Path) -> None:
    pixels = random(3, 10, 14, 3)
    folder = folder_of(tmp_path, {f"{name}.png": Image.fromarray(image) for name, image in zip("cab", pixels, strict=True)})
    found = read_images(folder)
    assert found.names == ("a.png", "b.png", "c.png")
    assert found.images.dtype == torch.uint8
    assert np.array_equal(found.images.numpy(), pixels[[1, 2, 0]].transpose(0, 3, 1, 2))
    assert found.labels is None
    assert found.resize is None
    assert str(tmp_path / "cache") in Path("/proc/self/maps").read_text()


def test_first_level_folders_are_classes(tmp_path: Path) -> None:
    images = {f"{c}/{i}.png": Image.fromarray(random(6, 6, 3, seed=i)) for c in ("dog", "cat") for i in range(2)}
    found = read_images(folder_of(tmp_path, images))
    assert found.classes == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "I;16", "1"])
def test_every_kind_of_file(mode: str, tmp_path: Path) -> None:
    colour = random(8, 8, 4)
    colour[0, 0, 3], colour[0, 1, 3] = 0, 255
    if mode == "I;16":
        wide = Image.fromarray(random(8, 8, seed=1).astype(np.uint16) * 256 + 100)
    else:
        wide = Image.fromarray(colour if "A" in mode else colour[..., :3]).convert(mode)
    folder = folder_of(tmp_path, {f"a.{'tif' if mode == 'CMYK' else 'png'}": wide})
    (image,) = read_images(folder).images.numpy()
    if mode == "I;16":
        expected = np.asarray(wide).astype(float)[None] / 257
    elif mode in ("RGBA", "LA"):
        given = np.asarray(wide).astype(float)
        share = given[..., -1:] / 255
        expected = (given[..., :-1] * share + 255 * (1 - share)).transpose(2, 0, 1)
        # Where it is transparent it is white, where opaque it is itself.
        assert (image[:, 0, 0] == 255).all()
        assert (image[:, 0, 1] == given[0, 1, :-1]).all()
    else:
        expected = np.asarray(wide.convert("L" if mode in ("L", "1") else "RGB"))
        expected = expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)
    assert image.shape == expected.shape
    assert np.abs(image.astype(float) - expected).max() <= (0.5 if "A" not in mode else 1)


def test_all_grey_is_one_channel_and_one_colour_image_makes_three(tmp_path: Path) -> None:
    grey = Image.fromarray(random(6, 6))
    folder = folder_of(tmp_path, {"a.png": grey, "b.png": grey.convert("RGB")})
    assert read_images(folder).images.shape == (2, 1, 6, 6)
    assert read_images(folder, channels=3).images.shape == (2, 3, 6, 6)
    Image.fromarray(random(6, 6, 3)).save(folder / "c.png")
    assert read_images(folder).images.shape == (3, 3, 6, 6)
    assert read_images(folder, channels=1).images.shape == (3, 1, 6, 6)


def test_mixed_sizes_are_refused_or_brought_to_one(tmp_path: Path) -> None:
    images = {f"{i}.png": Image.fromarray(random(8 + 4 * (i == 2), 8, 3, seed=i)) for i in range(3)}
    folder = folder_of(tmp_path, images)
    (problem,) = problems(folder)
    assert "2 sizes" in problem
    assert "8 x 8 (2), 8 x 12 (1); give a resolution" in problem
    found = read_images(folder, resolution=6)
    assert found.images.shape == (3, 3, 6, 6)
    assert found.resize == "antialiased-bilinear"
    # As a data set reads the same folder.
    assert torch.equal(found.images, Folder(path=str(folder), resolution=6).open().images)


def test_one_image_is_enough_and_none_is_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"only.png": Image.fromarray(random(5, 5, 3))})
    assert read_images(folder).images.shape == (1, 3, 5, 5)
    (folder / "only.png").write_bytes(b"no image")
    first, second = problems(folder)
    assert "none of the images" in first
    assert second.startswith("only.png: ")
    (folder / "only.png").unlink()
    (problem,) = problems(folder)
    assert "no image in" in problem
    shutil.rmtree(folder)
    (problem,) = problems(folder)
    assert "does not exist" in problem


def test_what_cannot_be_read_is_listed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{name}.png": Image.fromarray(random(6, 6, 3)) for name in "abc"})
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:-40])
    (folder / "notes.txt").write_text("not an image")
    found = read_images(folder)
    assert found.names == ("a.png", "c.png")
    assert [line.split(":")[0] for line in found.problems] == ["b.png", "notes.txt"]
    assert read_images(folder).problems == found.problems


@pytest.mark.parametrize("place", ["tensor", "array", "npy", "npz", "named"])
def test_arrays_from_anywhere(place: str, tmp_path: Path) -> None:
    pixels = random(4, 3, 9, 7)
    where: Any = pixels
    if place == "tensor":
        where = torch.from_numpy(pixels)
    elif place == "npy":
        where = tmp_path / "images.npy"
        np.save(where, pixels)
    elif place == "npz":
        where = str(tmp_path / "images.npz")
        np.savez_compressed(where, pixels, np.arange(4))
    elif place == "named":
        where = tmp_path / "images.npz"
        np.savez(where, other=np.zeros(3), labels=np.arange(4, dtype=np.uint8), images=pixels)
    found = read_images(where)
    assert np.array_equal(found.images.numpy(), pixels)
    if place in ("npz", "named"):
        assert found.labels is not None
        assert found.labels.tolist() == [0, 1, 2, 3]
    else:
        assert found.labels is None
    assert not np.shares_memory(found.images.numpy(), pixels)


def test_layouts_and_depths_of_arrays() -> None:
    colour, grey = random(3, 8, 8, 3), random(3, 8, 8)
    assert np.array_equal(read_images(colour).images.numpy(), colour.transpose(0, 3, 1, 2))
    assert np.array_equal(read_images(grey).images.numpy(), grey[:, None])
    assert np.array_equal(read_images(np.repeat(grey[..., None], 3, 3)).images.numpy(), grey[:, None])
    assert read_images(grey, channels=3).images.shape == (3, 3, 8, 8)
    deep = np.minimum(grey.astype(int) * 257 + 127, 65535).astype(np.uint16)
    assert np.array_equal(read_images(deep).images.numpy(), grey[:, None])
    luma = np.asarray(Image.fromarray(colour[1]).convert("L"))
    assert np.array_equal(read_images(colour, channels=1).images.numpy()[1, 0], luma)
    clear = np.concatenate([colour, np.full((3, 8, 8, 1), 255, np.uint8)], 3)
    assert np.array_equal(read_images(clear).images.numpy(), colour.transpose(0, 3, 1, 2))
    clear[..., 3] = 0
    assert bool((read_images(clear).images == 255).all())
    halves = np.stack([grey, np.full_like(grey, 255)], 1)
    assert np.array_equal(read_images(halves).images.numpy(), grey[:, None])


def test_arrays_are_resized_as_files_are(tmp_path: Path) -> None:
    pixels = random(2, 16, 16, 3)
    folder = folder_of(tmp_path, {f"{i}.png": Image.fromarray(image) for i, image in enumerate(pixels)})
    assert torch.equal(read_images(pixels, resolution=6).images, read_images(folder, resolution=6).images)
    (problem,) = problems(random(2, 16, 12, 3), resolution=6)
    assert "12 x 16 are not square" in problem


def test_points() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2))
    found = read_images(points)
    assert found.images.dtype == torch.float64
    assert torch.allclose(found.images.double(), torch.from_numpy(points), atol=1e-6)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), "no agreed range"),
        (np.zeros((2, 8, 8, 3), np.int64), "no agreed range"),
        (np.zeros((2, 8), np.uint8), "are no images"),
        (np.zeros((2, 5, 8, 8), np.uint8), "no axis is the channels'"),
        (np.zeros((2, 3, 8, 3), np.uint8), "both channels first and channels last fit"),
        (np.zeros((0, 3, 8, 8), np.uint8), "are no images"),
        (np.zeros((0, 2), np.float64), "no points"),
    ],
    ids=["floats", "integers", "one axis", "channels", "ambiguous", "empty", "no points"],
)
def test_arrays_that_are_no_images(array: NDArray[Any], said: str) -> None:
    (problem,) = problems(array)
    assert said in problem
    assert str(list(array.shape)) in problem


def test_array_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, random(4, 8, 8))
    path.write_bytes(path.read_bytes()[:-10])
    assert "cannot be read as an array" in problems(path)[0]
    path.write_bytes(pickle.dumps([1]))
    assert "cannot be read as an array" in problems(path)[0]
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert "cannot be read as an array" in problems(path)[0]
    packed = tmp_path / "images.npz"
    np.savez(packed, random(4, 8, 8))
    packed.write_bytes(packed.read_bytes()[:-30])
    assert "cannot be read as an array" in problems(packed)[0]
    np.savez(packed, a=random(4, 8, 8), b=random(4, 8, 8))
    assert "holds the arrays a, b; name the images 'images'" in problems(packed)[0]
    np.savez(packed, images=random(4, 8, 8), labels=np.zeros(3, int))
    assert "labels are int64 [3]; give 4 whole numbers" in problems(packed)[0]
    assert "No such file" in problems(tmp_path / "absent.npy")[0]
    (tmp_path / "text.txt").write_text("words")
    assert "is a file; give a folder of images" in problems(tmp_path / "text.txt")[0]


def test_a_changed_image_is_decoded_again(tmp_path: Path) -> None:
    pixels = random(2, 6, 6, 3)
    folder = folder_of(tmp_path, {f"{i}.png": Image.fromarray(image) for i, image in enumerate(pixels)})
    read_images(folder)
    pixels[1, 2, 2, 0] ^= 1
    Image.fromarray(pixels[1]).save(folder / "1.png")
    assert np.array_equal(read_images(folder).images.numpy(), pixels.transpose(0, 3, 1, 2))


def test_points_far_from_zero_keep_their_differences(tmp_path: Path) -> None:
    points = 4.5e6 + np.arange(20.0).reshape(10, 2) / 10
    for name, array, kept in (("far", points, torch.float64), ("near", points.astype(np.float32), torch.float32)):
        np.save(tmp_path / f"{name}.npy", array)
        read = read_images(tmp_path / f"{name}.npy").images
        assert read.dtype == kept
        assert torch.equal(read, torch.from_numpy(array))
