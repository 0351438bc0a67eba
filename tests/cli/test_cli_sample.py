"""Samples: grids, files, interpolations; sample i depends on (seed, i) only."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from saddlepoint import open_run
from saddlepoint.errors import InputError
from saddlepoint.run import Weights
from tests.cli.command_line import listing, refused, saddlepoint


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_grid_in_the_run_folder(digits: Path) -> None:
    outcome = saddlepoint("sample", str(digits))
    assert outcome.code == 0
    where = digits / "samples/grid-seed0.png"
    assert [line.split() for line in outcome.out.splitlines()] == [["samples", str(where)], ["n", "64"], ["seed", "0"]]
    assert pixels(where).shape[0] == pixels(where).shape[1]


def test_files_are_the_samples(digits: Path) -> None:
    found = saddlepoint("sample", str(digits), "--as", "files", "-n", "70", "--seed", "3", "--json").json
    assert found == {"samples": str(digits / "samples/files-seed3"), "n": 70, "seed": 3}
    names = sorted(path.name for path in Path(found["samples"]).iterdir())
    assert names == [f"{number:06d}.png" for number in range(70)]
    samples = open_run(digits).sample(70, seed=3)
    for number in (0, 63, 64, 69):
        shown = pixels(Path(found["samples"]) / names[number]).astype(float)
        inner = shown[2:-2, 2:-2] if shown.shape != (8, 8) else shown
        expected = ((samples[number, 0].clamp(-1, 1) + 1) / 2 * 255).round().numpy()
        assert np.abs(inner - expected).max() <= 1


def test_a_file_is_the_same_whatever_is_drawn_around_it(digits: Path) -> None:
    for n in (2, 65):
        assert saddlepoint("sample", str(digits), "--as", "files", "-n", str(n), "--out", f"of{n}").code == 0
    for name in ("000000.png", "000001.png"):
        assert Path("of2", name).read_bytes() == Path("of65", name).read_bytes()


def test_files_do_not_join_others(here: Path, digits: Path) -> None:
    words = ("sample", str(digits), "--as", "files", "-n", "2", "--out", "files")
    assert saddlepoint(*words).code == 0
    before = listing(here)
    refused(saddlepoint(*words, "--seed", "1"), ("files", "not empty", "--out"))
    assert listing(here) == before


def test_interpolations_do_not_depend_on_how_many(digits: Path) -> None:
    for n in (1, 3):
        assert saddlepoint("sample", str(digits), "--as", "slerp", "-n", str(n), "--out", f"{n}.png").code == 0
    one, three = Image.open("1.png"), Image.open("3.png")
    assert one.width == three.width
    assert one.height < three.height
    row = pixels(Path("1.png"))
    assert np.array_equal(pixels(Path("3.png"))[: row.shape[0] - 2], row[:-2])
    assert saddlepoint("sample", str(digits), "--as", "slerp", "--json").json["n"] == 8


def test_raw_and_averaged_weights_and_any_checkpoint(digits: Path) -> None:
    pictures = {}
    for weights in ("raw", "average"):
        for checkpoint in ("4", "8"):
            out = f"{weights}{checkpoint}.png"
            assert saddlepoint("sample", str(digits), "--weights", weights, "--checkpoint", checkpoint, "--out", out).code == 0
            pictures[out] = Path(out).read_bytes()
    assert len(set(pictures.values())) == 4
    assert saddlepoint("sample", str(digits), "--out", "newest.png").code == 0
    assert Path("newest.png").read_bytes() == pictures["average8.png"]


def test_a_run_without_average_samples_its_generator(here: Path, points: Path) -> None:
    run = open_run(points)
    assert not torch.equal(run.sample(5), run.sample(5, weights="raw"))


@pytest.mark.parametrize("name", ["digits", "points"])
@pytest.mark.parametrize("weights", get_args(Weights))
def test_sample_i_depends_on_seed_and_i_only(trained: dict[str, Path], name: str, weights: Weights) -> None:
    run = open_run(trained[name])
    whole = run.sample(200, seed=7, weights=weights)
    for start, n in ((0, 1), (0, 63), (0, 65), (1, 1), (63, 2), (64, 64), (100, 100), (199, 1)):
        torch.testing.assert_close(
            run.sample(n, seed=7, start=start, weights=weights),
            whole[start : start + n],
            rtol=0,
            atol=0,
        )
    assert not torch.equal(run.sample(5, seed=8), run.sample(5, seed=7))
    assert len(whole.flatten(1).unique(dim=0)) == 200


def test_points_are_drawn_over_data(points: Path) -> None:
    assert saddlepoint("sample", str(points), "-n", "50", "--out", "points.png").code == 0
    assert pixels(Path("points.png")).shape[0] > 300


def test_sampling_changes_nothing_else(trained: dict[str, Path], digits: Path) -> None:
    assert saddlepoint("sample", str(digits), "--out", "elsewhere/deep/grid.png").code == 0
    assert listing(digits) == listing(trained["digits"])


@pytest.mark.parametrize(
    ("numbers", "named"), [({"n": 0}, "n: 0"), ({"n": 1, "seed": -1}, "seed: -1"), ({"n": 1, "start": -1}, "start: -1")]
)
def test_numbers_out_of_range(trained: dict[str, Path], numbers: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        open_run(trained["digits"]).sample(**numbers)
