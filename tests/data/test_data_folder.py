"""Any folder of images: what is found, what is left out, what is refused."""

import hashlib
import os
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data import content
from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.folder import Folder
from saddlepoint.errors import InputError
from saddlepoint.streams import Streams
from tests.data.drawing import draw, draw_folder, noise


def opened(path: Path, **fields: Any) -> ArraySource:
    return Folder(path=str(path), **({"resolution": 12} | fields)).open()


def problems(path: Path, **fields: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        opened(path, **fields)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def test_a_folder_of_everything(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    draw(root / "cats" / "one.png")
    draw(root / "cats" / "deep" / "er" / "two.JPEG", seed=1)
    draw(root / "dogs" / "grey.TIF", 30, 20, colour=False, seed=2)
    draw(root / "dogs" / "tiny.bmp", 5, 7, seed=3)
    draw(root / "dogs" / "web.webp", seed=4)
    frames = [Image.fromarray(noise(12, 12, seed=seed)) for seed in (5, 6)]
    frames[0].save(root / "dogs" / "moving.gif", save_all=True, append_images=frames[1:])
    (root / "dogs" / "copy.png").write_bytes((root / "cats" / "one.png").read_bytes())
    whole = (root / "cats" / "one.png").read_bytes()
    (root / "cats" / "half.png").write_bytes(whole[: len(whole) // 2])
    (root / "cats" / "story.png").write_text("once upon a time")
    (root / "dogs" / "empty.jpg").touch()
    (root / "dogs" / "notes.txt").write_text("good dogs")
    (root / "dogs" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "dogs" / "round").symlink_to(root / "dogs")
    (root / "birds").mkdir()
    (root / "birds" / "bad.png").write_text("tweet")
    (root / ".thumbnails").mkdir()
    draw(root / ".thumbnails" / "one.png")
    os.mkfifo(root / "dogs" / "pipe.png")
    source = opened(root)
    assert source.shape == (3, 12, 12)
    assert source.classes == ("cats", "dogs")
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert [problem.split(": ", 1)[0] for problem in source.problems] == [
        "birds/bad.png",
        "cats/half.png",
        "cats/story.png",
        "dogs/empty.jpg",
        "dogs/gone.png",
        "dogs/notes.txt",
        "dogs/pipe.png",
        "dogs/round",
    ]
    lines = source.describe()
    assert "7 images" in lines[0]
    for line in (
        "2 classes: cats 2, dogs 5",
        "widths 5, 12, 30, heights 7, 12, 20 (smallest, median, largest)",
        "modes: L 1, P 1, RGB 5",
        "1 smaller than 12 x 12 pixels and enlarged",
        "1 with several frames, of which the first was taken",
        "1 the same, byte for byte, as another",
        "1 hidden files or folders, not looked at",
        "no image of birds can be read, so it is no class",
        "8 left out:",
    ):
        assert line in lines
    assert all(f"  {problem}" in lines for problem in source.problems)
    refused = {problem.removeprefix("data.strict: ").rpartition("; mend it")[0] for problem in problems(root, strict=True)}
    assert refused == set(source.problems)


def test_pixels_are_the_files(tmp_path: Path) -> None:
    for index in range(5):
        draw(tmp_path / f"{index}.png", seed=index)
    source = opened(tmp_path)
    assert source.classes == ()
    assert source.labels is None
    assert np.array_equal(source.images.numpy(), np.stack([noise(12, 12, 3, seed=index).transpose(2, 0, 1) for index in range(5)]))
    assert source.size == 4


def test_classes_are_first_level_folders(tmp_path: Path) -> None:
    draw_folder(tmp_path, {"b": 3, "a": 2})
    source = opened(tmp_path)
    assert source.classes == ("a", "b")
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 1, 1]
    draw(tmp_path / "loose.png", seed=77)
    mixed = opened(tmp_path)
    assert mixed.classes == ()
    assert mixed.labels is None
    assert "1 in no first-level folder, so there are no classes" in mixed.describe()


@pytest.mark.parametrize(("channels", "colours", "expected"), [("auto", 0, 1), ("auto", 1, 3), (1, 3, 1), (3, 0, 3)])
def test_channels(channels: Any, colours: int, expected: int, tmp_path: Path) -> None:
    for index in range(3):
        draw(tmp_path / f"{index}.png", colour=index >= 3 - colours, seed=index)
    source = opened(tmp_path, channels=channels)
    assert source.shape == (expected, 12, 12)
    if colours == 0:
        assert np.array_equal(source.images[:, 0].numpy(), np.stack([noise(12, 12, seed=index) for index in range(3)]))


def test_colour_files_without_colour_are_grey(tmp_path: Path) -> None:
    for index in range(2):
        Image.fromarray(np.stack([noise(12, 12, seed=index)] * 3, axis=2)).save(tmp_path / f"{index}.png")
    assert opened(tmp_path).shape == (1, 12, 12)


def test_flips_are_half_and_of_training_alone(tmp_path: Path) -> None:
    for index in range(10):
        draw(tmp_path / f"{index}.png", seed=index)
    flipped, plain = opened(tmp_path, flip=True, held_out=0.5), opened(tmp_path, held_out=0.5)
    ours, theirs, coins = Streams(0), Streams(0), Streams(0)
    for _ in range(5):
        mirrored = coins.uniform("flips", 40) < 0.5
        image = plain.batch(theirs, 40).image
        expected = [x.flip(-1) if coin else x for x, coin in zip(image, mirrored, strict=True)]
        assert torch.equal(flipped.batch(ours, 40).image, torch.stack(expected))
        assert 0 < int(mirrored.sum()) < 40
        assert torch.equal(flipped.batch(ours, 7, "held-out").image, plain.batch(theirs, 7, "held-out").image)


def test_splits_of_one_size_are_walked_apart(tmp_path: Path) -> None:
    source = opened(draw_folder(tmp_path, {"a": 10}), held_out=0.5)
    assert source.size == source.held_out_size == 5
    plain, watched = Streams(0), Streams(0)
    for _ in range(3):
        source.batch(watched, 3, "held-out")
        assert torch.equal(source.batch(watched, 3).image, source.batch(plain, 3).image)


def test_held_out_images_are_of_each_class(tmp_path: Path) -> None:
    source = opened(draw_folder(tmp_path, {"many": 20, "few": 2, "one": 1}), held_out=0.2)
    assert source.labels is not None
    held = torch.bincount(source.labels[source.rows["held-out"]], minlength=3)
    assert dict(zip(source.classes, held.tolist(), strict=True)) == {"many": 4, "few": 1, "one": 0}


def test_the_split_is_by_content_not_by_name(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for index in range(20):
        draw(first / f"{index:02}.png", seed=index)
        draw(second / f"{19 - index:02}.png", seed=index)
    held = [sorted(image.sum().item() for image in next(opened(folder).all("held-out")).image) for folder in (first, second)]
    assert len(held[0]) == 2
    assert held[0] == held[1]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("missing", ["does not exist; give a folder"]),
        ("file", ["is a file; give the folder"]),
        ("empty", ["no image in"]),
        ("text", ["no image in", "notes.txt: not an image by its name"]),
        ("one", ["0.png is the only image"]),
        ("one good", ["0.png is the only image", "bad.png: not an image"]),
        ("bad", ["none of the images", "0.png: the file is empty", "1.png: the file is empty"]),
    ],
)
def test_what_cannot_be_trained_on(made: str, said: list[str], tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "pictures"
    if made != "missing":
        root.mkdir()
    if made.startswith("one"):
        draw(root / "0.png")
    if made == "one good":
        (root / "bad.png").write_text("bad")
    if made == "text":
        (root / "notes.txt").touch()
    if made == "bad":
        (root / "0.png").touch()
        (root / "1.png").touch()
    lines = problems(draw(tmp_path / "file.png") if made == "file" else root)
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert part in line
    assert lines[0].startswith("data.path: ")
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json")]


def test_names_of_any_bytes_print(tmp_path: Path) -> None:
    draw_folder(tmp_path, {"a": 2})
    (tmp_path / "a" / "new\nline.png").touch()
    (tmp_path / "a" / os.fsdecode(b"\xff.png")).touch()
    source = opened(tmp_path)
    assert source.problems == (r"a/new\nline.png: the file is empty", r"a/\udcff.png: the file is empty")
    "\n".join(source.describe()).encode()


def test_a_changed_byte_changes_the_digest_though_size_and_time_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SETTLED_SECONDS", 0.0)
    for index in range(3):
        Image.fromarray(noise(12, 12, 3, seed=index)).save(tmp_path / f"{index}.bmp")
    before = opened(tmp_path)
    assert opened(tmp_path).digest == before.digest
    path = tmp_path / "1.bmp"
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 128
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    after = opened(tmp_path)
    assert after.digest != before.digest
    assert int((after.images != before.images).sum()) == 1


def test_unchanged_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "pictures", {"a": 3})
    monkeypatch.setattr(content, "SETTLED_SECONDS", 0.0)
    reads: list[str] = []
    real = hashlib.file_digest

    def counted(file: BufferedReader, kind: str) -> Any:
        reads.append(Path(file.name).name)
        return real(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert len({opened(root).digest for _ in range(3)}) == 1
    assert sorted(name for name in reads if name.endswith(".png")) == ["000.png", "001.png", "002.png"]


def test_files_changed_a_moment_ago_are_read_again(tmp_path: Path, cache: Path) -> None:
    opened(draw_folder(tmp_path / "pictures", {"a": 3}))
    assert [path.read_bytes() for path in (cache / "contents").glob("*.json")] in ([], [b"{}"])


@pytest.mark.parametrize("field", [{"resolution": 8}, {"resize": "box"}, {"non_square": "pad"}, {"channels": 1}])
def test_each_setting_has_its_own_entry(field: dict[str, Any], tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "pictures"
    for index in range(2):
        draw(root / f"{index}.png", 20, 16, seed=index)
    plain, other = opened(root), opened(root, **field)
    assert plain.digest != other.digest
    assert plain.images.shape != other.images.shape or not torch.equal(plain.images, other.images)
    assert len(list((cache / "images").glob("*/index.json"))) == 2


def test_moving_a_picture_to_another_class_changes_the_digest(tmp_path: Path) -> None:
    root = draw_folder(tmp_path, {"a": 3, "b": 3})
    before = opened(root).digest
    (root / "a" / "000.png").rename(root / "b" / "999.png")
    assert opened(root).digest != before


def test_progress_counts_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path, {"a": 4})
    told: list[tuple[int, int]] = []
    Folder(path=str(root), resolution=8).open(lambda done, total: told.append((done, total)))
    assert told == [(done, 4) for done in (1, 2, 3, 4)] * 2
    told.clear()
    Folder(path=str(root), resolution=8).open(lambda done, total: told.append((done, total)))
    assert told == [(done, 4) for done in (1, 2, 3, 4)]


def test_a_file_that_changes_under_our_hands_is_refused(tmp_path: Path) -> None:
    root = draw_folder(tmp_path, {"a": 4})

    def meddle(done: int, total: int) -> None:
        if done == total:
            draw(root / "a" / "003.png", seed=99)

    with pytest.raises(InputError) as caught:
        Folder(path=str(root)).open(meddle)
    assert "a/003.png changed while it was being read" in caught.value.problems[0]
