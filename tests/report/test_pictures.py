import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.errors import InputError
from saddlepoint.report.frames import data_uri, evenly, page_frames, write_animation
from saddlepoint.report.reading import read_run
from saddlepoint.training import pictures
from saddlepoint.training.pictures import image_grid, image_rows, point_panels, point_plot, replace_file, write_png
from tests.report.replicated_runs import divided, stacked
from tests.report.run_folders import write_run


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_stands_in_its_place(channels: int) -> None:
    images = torch.rand(7, channels, 4, 6) * 2 - 1
    picture = image_grid(images, columns=3, scale=5)
    pixels = np.asarray(picture.convert("RGB"))
    assert picture.size == (2 + 3 * (6 * 5 + 2), 2 + 3 * (4 * 5 + 2))
    for i in range(7):
        row, column = divmod(i, 3)
        top, left = 2 + row * 22, 2 + column * 32
        wanted = ((images[i].expand(3, 4, 6) + 1) * 127.5).round().permute(1, 2, 0).numpy()
        assert np.array_equal(pixels[top + 2 : top + 20 : 5, left + 2 : left + 30 : 5], wanted)
        assert np.array_equal(pixels[top : top + 20, left : left + 30], np.repeat(np.repeat(wanted, 5, 0), 5, 1))


def test_small_images_are_enlarged_until_one_can_read_them() -> None:
    assert 512 <= image_grid(torch.zeros(64, 1, 8, 8)).width < 600
    assert image_grid(torch.zeros(1, 3, 32, 32)).width == 512
    assert image_grid(torch.zeros(64, 3, 128, 128)).width == 2 + 8 * 130


def test_the_range_is_cut_and_pixels_that_are_not_finite_are_seen() -> None:
    images = torch.tensor([-9.0, 9.0, 0.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2).clone()
    assert [image_grid(images, columns=3, scale=1).getpixel((2 + 4 * i, 2)) for i in range(3)] == [0, 255, 128]
    images[1, 0, 0, 0] = torch.nan
    picture = image_grid(images, columns=3, scale=1)
    assert [picture.getpixel((x, 2)) for x in (2, 6, 7)] == [(0, 0, 0), (255, 0, 255), (255, 255, 255)]


def test_low_precision_and_graphs_are_no_matter() -> None:
    image_grid(torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16, requires_grad=True), scale=1)
    points = torch.zeros(3, 2, dtype=torch.bfloat16, requires_grad=True)
    point_plot(points, points)


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (2, 2, 4, 4), (2, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images have the shape"):
        image_grid(torch.zeros(shape))
    with pytest.raises(ValueError, match="needs"):
        point_plot(torch.zeros(4, 2), torch.zeros(shape))


def test_scores_need_the_extent_they_lie_on() -> None:
    with pytest.raises(ValueError, match="extent"):
        point_plot(torch.zeros(4, 2), torch.zeros(4, 2), scores=torch.zeros(8, 8))


def test_frames_have_one_size_and_one_pair_of_axes() -> None:
    extent = (-2.0, 2.0, -1.0, 3.0)
    real = torch.tensor([[0.0, 1.0]])
    near, far = (
        point_plot(real, torch.full((5, 2), at), extent=extent, title=title) for at, title in ((0.5, "1"), (90.0, "a long title"))
    )
    assert near.size == far.size
    # The one data point is at the same pixels, whatever the samples are.
    assert [blue(picture) for picture in (near, far)] == [blue(near)] * 2
    assert blue(near)


def test_samples_and_contours_are_where_they_should_be() -> None:
    extent = (-1.0, 1.0, -1.0, 1.0)
    corner = point_plot(torch.tensor([[5.0, 5.0]]), torch.tensor([[0.8, 0.8]]).expand(9, 2), extent=extent)
    x, y = orange(corner)
    assert x > 400
    assert y < 200
    # The top row of scores is the largest: the picture is lighter there.
    scores = torch.linspace(0, 1, 16)[:, None].expand(16, 16)
    shaded = np.asarray(point_plot(torch.tensor([[5.0, 5.0]]), torch.tensor([[5.0, 5.0]]), scores, extent).convert("L")).astype(int)
    assert shaded[75, 300] > shaded[500, 300] + 20


def test_broken_samples_are_counted_and_flat_scores_drawn() -> None:
    fake = torch.tensor([[0.0, 0.0], [torch.nan, 0.0], [torch.inf, 1.0]])
    flat, broken = torch.zeros(8, 8), torch.full((8, 8), torch.nan)
    for scores in (flat, broken):
        point_plot(torch.zeros(2, 2), fake, scores, (-1, 1, -1, 1), "update 3")
    plain, counted = (point_plot(torch.zeros(2, 2), points, title="update 3") for points in (fake[:1], fake))
    assert np.asarray(plain)[:40].tobytes() != np.asarray(counted)[:40].tobytes()
    assert np.asarray(plain)[60:].tobytes() == np.asarray(counted)[60:].tobytes()


def test_no_figure_outlives_its_picture_and_matplotlib_is_imported_late() -> None:
    from matplotlib._pylab_helpers import Gcf

    before = Gcf.get_num_fig_managers()
    point_plot(torch.zeros(3, 2), torch.zeros(3, 2))
    assert Gcf.get_num_fig_managers() == before
    assert not [name for name, value in vars(pictures).items() if str(getattr(value, "__module__", "")).startswith("matplotlib")]


def test_a_picture_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "000001.png"
    picture = image_grid(torch.rand(4, 3, 8, 8))
    write_png(picture, path)
    assert Image.open(path).tobytes() == picture.tobytes()
    # Whoever holds the old file keeps the whole of it: the new one is another file, renamed.
    held = path.open("rb")
    first = path.read_bytes()
    write_png(image_grid(torch.zeros(4, 3, 8, 8)), path)
    before = path.read_bytes()
    with held:
        assert held.read() == first != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["000001.png"]

    def full(target: Path, content: bytes) -> int:
        with target.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_png(image_grid(torch.ones(4, 3, 8, 8)), path)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "other", b"content")
    assert [entry.name for entry in tmp_path.iterdir()] == ["000001.png"]
    assert path.read_bytes() == before


def test_the_animation_shows_every_picture_in_order(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], points=True, pictures=(0, 500, 1000))
    path = write_animation(run)
    assert path == run / "samples" / "training.gif"
    with Image.open(path) as moving:
        assert getattr(moving, "n_frames", 1) == 3
        assert moving.info["loop"] == 0
        reaches = []
        for number in range(3):
            moving.seek(number)
            reaches.append(spread(moving.convert("RGB")))
    assert reaches == sorted(reaches)
    assert len(set(reaches)) == 3


def test_nothing_to_animate(tmp_path: Path) -> None:
    assert write_animation(write_run(tmp_path / "images", [], pictures=(0, 500))) is None
    assert write_animation(write_run(tmp_path / "one", [], points=True, pictures=(0,))) is None
    with pytest.raises(InputError):
        write_animation(tmp_path / "missing")


def test_large_pictures_are_made_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", [])
    noise = Image.fromarray(torch.randint(256, (100, 1500, 3), dtype=torch.uint8).numpy())
    for update in range(3):
        noise.save(run / "samples" / f"{update:06d}.png")
    monkeypatch.setattr("saddlepoint.report.frames.MOST_FRAME_BYTES", 40_000)
    frames, problems = page_frames(read_run(run))
    assert problems == []
    assert [frame.update for frame in frames] == [0, 1, 2]
    assert sum(len(frame.source) for frame in frames) < 40_000 * 4 / 3 + 400
    assert all(frame.source.startswith("data:image/webp;base64,") and frame.width <= 1200 for frame in frames)


def test_a_small_picture_is_embedded_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], pictures=(0,))
    (frame,), _ = page_frames(read_run(run))
    assert frame.source == data_uri((run / "samples" / "000000.png").read_bytes(), "png")


@pytest.mark.parametrize(("items", "most"), [(1, 5), (5, 5), (6, 5), (41, 40), (1000, 40)])
def test_evenly_keeps_both_ends_and_repeats_nothing(items: int, most: int) -> None:
    chosen = evenly(range(items), most)
    assert len(chosen) == len(set(chosen)) == min(items, most)
    assert (chosen[0], chosen[-1]) == (0, items - 1)


def near_colour(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Where the plot, its legend aside, has about that colour."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)[60:560]
    found: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = np.abs(pixels - np.array(colour)).sum(-1) < 120
    return found


def blue(picture: Image.Image) -> list[tuple[int, int]]:
    return [(int(y), int(x)) for y, x in np.argwhere(near_colour(picture, (90, 160, 205)))]


def orange(picture: Image.Image) -> tuple[float, float]:
    y, x = np.argwhere(near_colour(picture, (224, 130, 60))).mean(0)
    return float(x), float(y)


def spread(picture: Image.Image) -> float:
    pixels = np.asarray(picture).astype(int)[45:]
    return float(np.argwhere(np.abs(pixels - np.array((224, 130, 60))).sum(-1) < 90).std())


def test_a_device_is_written_through_and_stays_a_device(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_file(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def red(picture: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Where a picture has the colour of what has ended."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    found: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = np.abs(pixels - np.array((161, 38, 13))).sum(-1) < 60
    return found


def test_panels_have_one_size_and_mark_who_ended() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    fakes = torch.zeros(6, 5, 2)
    titles = [f"seed {seed}\neta 0.1" for seed in range(6)]
    plain = point_panels(real, fakes, titles, "update 5", columns=3)
    marked = point_panels(real, fakes, titles, "update 50", {4: "diverged at 7"}, columns=3)
    assert plain.size == marked.size
    assert plain.width > plain.height
    assert not red(plain).any()
    # The middle of the lower row.
    rows, columns = np.argwhere(red(marked)).T
    assert plain.height / 2 < rows.min()
    assert plain.width / 3 < columns.min() < columns.max() < plain.width * 2 / 3


def test_panels_say_what_they_cannot_show() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    inside = torch.zeros(1, 4, 2)
    broken = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [torch.nan, 0.0], [torch.inf, 1.0]]])
    away = torch.full((1, 4, 2), 50.0)
    assert [bool(red(point_panels(real, fakes, ["a"])).any()) for fakes in (inside, broken, away)] == [False, True, True]


def test_a_row_of_images_stands_beside_its_words() -> None:
    images = torch.stack([torch.full((4, 1, 8, 8), -1.0 + 0.5 * replica) for replica in range(4)])
    titles = [f"seed {seed}" for seed in range(4)]
    picture = image_rows(images, titles, "update 5")
    marked = image_rows(images, titles, "update 500", {2: "diverged at 7"})
    assert picture.size == marked.size
    greys = np.asarray(picture.convert("L"))[:, -8]
    assert [grey for grey in (0, 64, 128, 191) if (greys == grey).sum() > 20] == [0, 64, 128, 191]
    heights = [np.flatnonzero(greys == grey).mean() for grey in (0, 64, 191)]
    assert heights == sorted(heights)
    assert not red(picture).any()
    ended = np.flatnonzero(red(marked).any(1))
    third = np.flatnonzero(np.asarray(marked.convert("L"))[:, -30] == 128)
    assert third.min() - 3 <= ended.min() < ended.max() <= third.max() + 3


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 3), (2, 3, 2)])
def test_panels_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="titles"):
        point_panels(torch.zeros(4, 2), torch.zeros(shape), ["a", "b", "c"])
    with pytest.raises(ValueError, match="titles"):
        image_rows(torch.zeros(shape), ["a", "b", "c"])


def test_the_animation_of_many_replicas_keeps_their_shape(tmp_path: Path) -> None:
    assert write_animation(divided(tmp_path / "run")) == tmp_path / "run/samples/training.gif"
    run = stacked(tmp_path / "stacked")
    for update in (0, 100):
        point_panels(torch.zeros(2, 2), torch.zeros(6, 3, 2), ["s"] * 6, columns=3).save(run / "samples" / f"{update:06d}.png")
    path = write_animation(run)
    assert path is not None
    with Image.open(path) as moving:
        wide, high = point_panels(torch.zeros(2, 2), torch.zeros(6, 3, 2), ["s"] * 6, columns=3).size
        assert moving.width == 720
        assert moving.height == round(720 * high / wide)
