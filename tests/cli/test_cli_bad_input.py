"""Bad input: a line a problem, exit code 2, no traceback, nothing half-written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command_line import DIGITS, POINTS, draw, listing, refused, saddlepoint

Said = tuple[str, ...]

# What is given, and the words of each line that is printed.
RECIPES: list[tuple[Said, list[Said]]] = [
    (("wgan_gp",), [("wgan_gp", "no recipe", "nearest: wgan-gp")]),
    (("",), [("no recipe of that name",)]),
    (("gan", "updatse=3"), [("updatse", "unknown field", "nearest: schedule.updates")]),
    (("gan", "updates"), [("updates", "field=value")]),
    (("gan", "=3"), [("=3", "field=value")]),
    (("gan", "lr=1e-3"), [("lr", "optimizers.generator.lr or optimizers.discriminator.lr")]),
    (("gan", "objective=hindge"), [("objective.name", "hindge", "nearest: hinge")]),
    (("gan", "updates=many"), [("schedule.updates", "many", "integer")]),
    (("gan", "updates=1.5"), [("schedule.updates", "1.5", "integer")]),
    (("gan", "seed=-1"), [("seed", "-1", "greater than or equal to 0")]),
    (("gan", "batch=0"), [("schedule.batch", "0", "greater than or equal to 1")]),
    (("gan", "batch=1e18"), [("schedule.batch", "less than or equal to 1048576")]),
    (("gan", "seed=99999999999999999999999"), [("seed", "too large")]),
    (("gan", "threads=1000000"), [("threads", "from 1 to 1024")]),
    (("gan", "optimizers.generator.lr=.inf"), [("optimizers.generator.lr", "finite")]),
    (("gan", "optimizers.generator.lr=.nan"), [("optimizers.generator.lr", "finite")]),
    (("gan", "optimizers.generator.lr=nan"), [("optimizers.generator.lr", "should be a number")]),
    (("gan", "data="), [("data", "null", "8-gaussians")]),
    (("gan", "data=''"), [("data.name", "8-gaussians")]),
    (("gan", "data=digts"), [("data.name", "digts", "nearest: digits")]),
    (("gan", "data=[1"), [("data=[1",)]),
    (("gan", "data=!!python/object/apply:os.getcwd []"), [("the tag", "give a plain value")]),
    (
        ("dcgan", "penalties.discriminator=[wgan-gp]"),
        [("penalties.discriminator.0", "batch norm", "normalization.discriminator to layer, ")],
    ),
    (("gan", "networks.widths=[]", "penalties.both=[sdp]"), [("penalties.both.0", "features", "hidden layer")]),
    (
        ("gan", "objective=wasserstein", "weightings.generator=importance"),
        [("weightings.generator", "probabilities", "vanilla")],
    ),
    (
        ("gan", "updatse=3", "batch", "seed=-1", "objective=hindge", "from=nowhere/run"),
        [("batch", "field=value"), ("updatse",), ("objective.name",), ("seed", "-1")],
    ),
    (("gan", "--strict"), [("--strict", "digits", "data=FOLDER")]),
    (("gan", "from=nowhere/run"), [("from", "nowhere/run", "is not a run folder")]),
    (("gan", "device=cuda"), [("device", "cuda is not on this machine", "cpu")]),
]


@pytest.mark.parametrize(("words", "said"), RECIPES, ids=[" ".join(words) for words, _ in RECIPES])
def test_a_wrong_recipe(here: Path, words: Said, said: list[Said]) -> None:
    refused(saddlepoint("train", *words), *said)
    assert listing(here) == {}


FILES: dict[str, tuple[str | bytes, list[Said]]] = {
    "malformed": ("data: {name: digits\nseed: 1\n", [("r.yaml:2",)]),
    "tabs": ("data:\n\tname: digits\n", [("r.yaml:2",)]),
    "runs code": ("seed: !!python/object/apply:os.system ['touch ran']\n", [("r.yaml:1", "the tag", "give a plain value")]),
    "names code": ("objective: !!python/name:os.system\n", [("r.yaml:1", "the tag")]),
    "module": ("objective: os:system\n", [("objective.name", "os:system", "vanilla")]),
    "unfolds": ("a: &a [1]\nb: [*a, *a]\n", [("r.yaml:1", "anchors")]),
    "twice": ("seed: 1\nseed: 2\n", [("r.yaml:2", "twice")]),
    "a list": ("- gan\n", [("r.yaml:1", "a list", "a mapping of fields")]),
    "empty": ("", [("r.yaml:1", "is empty")]),
    "bytes": (b"\xff\xfe\x00", [("r.yaml:1", "UTF-8")]),
    "all at once": (
        "foo: 1\nseed: -1\nschedule: {batch: x, updates: 0}\n",
        [("foo",), ("seed",), ("schedule.batch",), ("schedule.updates",)],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file(here: Path, name: str) -> None:
    content, said = FILES[name]
    Path("r.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    before = listing(here)
    outcome = saddlepoint("train", "r.yaml")
    refused(outcome, *(() for _ in outcome.lines))
    assert len(outcome.lines) == len(said)
    for words in said:
        assert any(all(word in line for word in words) for line in outcome.lines), (words, outcome.err)
    assert listing(here) == before


def nothing(folder: Path) -> None:
    pass


def a_file(folder: Path) -> None:
    folder.write_text("hello")


def an_empty_folder(folder: Path) -> None:
    (folder / "more" / "folders").mkdir(parents=True)


def texts(folder: Path) -> None:
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_text("not a picture")


def a_truncated_png(folder: Path) -> None:
    draw(folder)
    whole = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(whole[: len(whole) // 2])


def a_huge_picture(folder: Path) -> None:
    draw(folder)
    Image.new("L", (20_000, 20_000)).save(folder / "huge.png", compress_level=1)


def a_text(folder: Path) -> None:
    draw(folder)
    (folder / "text.png").write_text("not a picture")


def links(folder: Path) -> None:
    draw(folder)
    (folder / "round").symlink_to(folder)
    (folder / "self").symlink_to("self")


def a_pipe(folder: Path) -> None:
    draw(folder)
    os.mkfifo(folder / "pipe.png")


def too_deep(folder: Path) -> None:
    folder.mkdir()
    was = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(was)


FOLDERS: list[tuple[Callable[[Path], None], list[Said]]] = [
    (nothing, [("data.path", "does not exist", "give a folder of images")]),
    (a_file, [("data.path", "is a file", "give the folder")]),
    (an_empty_folder, [("data.path", "no image in", ".png")]),
    (lambda folder: draw(folder, 1), [("data.path", "0.png is the only image", "2 or more")]),
    (texts, [("data.path", "none of the images"), ("a.png", "not an image"), ("b.png", "not an image")]),
    (too_deep, [("data.path", "nested too deep")]),
]
ODD_FILES: list[tuple[Callable[[Path], None], list[Said]]] = [
    (a_truncated_png, [("1.png", "truncated")]),
    (a_huge_picture, [("huge.png", "400000000 pixels")]),
    (a_text, [("text.png", "not an image")]),
    (links, [("round", "a link to a folder it lies in"), ("self", "a link to nothing")]),
    (a_pipe, [("pipe.png", "not a regular file")]),
]


@pytest.mark.parametrize(("make", "said"), FOLDERS)
def test_a_folder_without_images(tmp_path: Path, here: Path, make: Callable[[Path], None], said: list[Said]) -> None:
    folder = tmp_path / "photos, mine"
    make(folder)
    refused(saddlepoint("train", "dcgan", f"data={folder}"), *said)
    refused(saddlepoint("data", str(folder)), *said)
    assert listing(here) == {}
    assert not list(tmp_path.glob("cache/images/*.partial"))
    if make is too_deep:
        # Too deep also for who clears up after the tests.
        os.system(f"rm -rf '{folder}'")


@pytest.mark.parametrize(("make", "said"), ODD_FILES)
def test_odd_files_are_named_and_refused_when_strict(
    tmp_path: Path, here: Path, make: Callable[[Path], None], said: list[Said]
) -> None:
    folder = tmp_path / "photos"
    make(folder)
    refused(saddlepoint("train", "dcgan", f"data={folder}", "--strict"), *(("data.strict", *words) for words in said))
    refused(saddlepoint("data", str(folder), "--strict"), *(("data.strict", *words) for words in said))
    assert listing(here) == {}
    shown = saddlepoint("data", str(folder))
    assert shown.code == 0
    for words in said:
        assert any(all(word in line for word in words) for line in shown.out.splitlines()), shown.out
    assert f"{len(said)} left out" in shown.out


def test_a_run_trains_on_what_is_whole_and_names_the_rest(tmp_path: Path) -> None:
    a_truncated_png(tmp_path / "photos")
    outcome = saddlepoint("train", *DIGITS, f"data={tmp_path / 'photos'}", "updates=1", "--out", "run")
    assert outcome.code == 0, outcome.err
    assert "1.png: image file is truncated" in outcome.out
    assert any("1.png" in line for line in json.loads(Path("run/environment.json").read_text())["data"]["found"])


def test_a_run_folder_that_exists(here: Path, digits: Path) -> None:
    before = listing(here)
    refused(
        saddlepoint("train", *DIGITS, "--out", str(digits)),
        (str(digits), "exists already", f"saddlepoint resume {digits}", "--out NEW"),
    )
    assert listing(here) == before


@pytest.mark.parametrize("out", ["", "file", "file/run", "folder", "link", "n" * 300])
def test_a_place_that_no_run_can_have(here: Path, out: str) -> None:
    Path("file").write_text("mine")
    Path("folder").mkdir()
    Path("folder/mine").write_text("mine")
    Path("link").symlink_to("nowhere")
    before = listing(here)
    refused(saddlepoint("train", *DIGITS, "--out", out), (out or "--out",))
    assert listing(here) == before


USAGE: list[tuple[Said, str]] = [
    (("train",), "Missing argument"),
    (("resume",), "Missing argument"),
    (("trian", "gan"), "Did you mean"),
    (("train", "--fast", "gan"), "--fast"),
    (("train", "gan", "--out"), "--out"),
    (("resume", "run", "--prove", "all"), "--prove"),
    (("resume", "run", "--prove", "0"), "--prove"),
    (("sample", "run", "-n", "0"), "-n"),
    (("sample", "run", "--seed", "-1"), "--seed"),
    (("sample", "run", "--as", "film"), "'grid', 'files', 'slerp'"),
    (("sample", "run", "--weights", "best"), "'average', 'raw'"),
    (("sample", "run", "--out", ""), "--out"),
    (("report", "run", "--csv", ""), "--csv"),
    (("report", "run", "--tensorboard", ""), "--tensorboard"),
    (("runs", "a", "b"), "b"),
]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_usage(here: Path, words: Said, said: str) -> None:
    refused(saddlepoint(*words), (said, "--help` says what can be given"))
    assert listing(here) == {}


NAMES: list[tuple[Said, Said]] = [
    (("recipes", "wgan_gp"), ("recipe", "wgan_gp", "'wgan-gp'", "saddlepoint recipes")),
    (("methods", "wegann"), ("method", "wegann", "'wegan'", "saddlepoint methods")),
    (("data", "digts"), ("data.name", "nearest: digits")),
    (("data", ""), ("data.name", "8-gaussians")),
    (("runs",), ("runs", "is not a folder", "saddlepoint train")),
    (("runs", "nowhere"), ("nowhere", "is not a folder")),
    *(((command, "nowhere"), ("nowhere", "is not a run folder", "saddlepoint runs")) for command in ("resume", "sample", "report")),
]


@pytest.mark.parametrize(("words", "said"), NAMES, ids=[" ".join(words) for words, _ in NAMES])
def test_a_name_that_is_not_there(here: Path, words: Said, said: Said) -> None:
    refused(saddlepoint(*words), said)
    assert listing(here) == {}


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["generator", "discriminator", "average", "training", "state"])
def test_a_checkpoint_cut_in_half(here: Path, digits: Path, name: str) -> None:
    (path,) = (digits / "checkpoints" / "000008").glob(f"{name}.*")
    cut(path)
    before = listing(here)
    said = (str(path), "remove", "000008 to go on from 000006")
    refused(saddlepoint("resume", str(digits), "updates=10"), said)
    if name in ("average", "state"):
        refused(saddlepoint("sample", str(digits)), said)
    assert listing(here) == before
    assert saddlepoint("sample", str(digits), "--checkpoint", "6").code == 0


def test_the_cure_of_a_damaged_checkpoint_works(trained: dict[str, Path], digits: Path) -> None:
    newest = digits / "checkpoints" / "000008"
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    assert saddlepoint("resume", str(digits)).code == 0
    for path in (trained["digits"] / "checkpoints" / "000008").glob("*.safetensors"):
        assert (newest / path.name).read_bytes() == path.read_bytes()


ALTERED: dict[str, tuple[str, str | bytes, Said]] = {
    "newer run": ("environment.json", '{"format": 2}', ("format 2", "upgrade saddlepoint")),
    "no format": ("environment.json", "{}", ("says no format", "put back")),
    "a list": ("environment.json", "[]", ("says no format", "put back")),
    "half an environment": ("environment.json", '{"format": 1, "ses', ("cannot be read", "put back")),
    "without data": ("environment.json", '{"format": 1, "sessions": []}', ("data", "put back")),
    "newer checkpoint": ("checkpoints/000008/state.json", '{"format": 2}', ("format 2", "upgrade saddlepoint")),
    "nothing in it": ("checkpoints/000008/state.json", "{}", ("not a checkpoint's state", "remove")),
    "another's": ("checkpoints/000008/state.json", '{"format": 1, "update": 6, "files": {}}', ("update 8", "remove")),
    "log": ("events.jsonl", '{"event": "start"}\n', ("holds 19 bytes", "put the whole file back")),
    "recipe": ("recipe.yaml", "data: [\n", ("recipe.yaml:2",)),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_run_folder_that_was_tampered_with(digits: Path, name: str) -> None:
    file, content, said = ALTERED[name]
    (digits / file).write_bytes(content.encode() if isinstance(content, str) else content)
    recipe = (digits / "recipe.yaml").read_bytes()
    refused(saddlepoint("resume", str(digits)), (*said, *([] if name == "recipe" else [f"{digits / file}"])))
    assert (digits / "recipe.yaml").read_bytes() == recipe


def test_samples_that_cannot_be(here: Path, digits: Path, points: Path) -> None:
    before = listing(here)
    refused(saddlepoint("sample", str(digits), "--checkpoint", "7"), ("no checkpoint of update 7", "4, 6, 8"))
    refused(saddlepoint("sample", str(digits), "-n", "70000"), ("-n", "70000", "--as files"))
    refused(saddlepoint("sample", str(digits), "--as", "files", "--out", str(digits)), (str(digits), "not empty", "--out"))
    refused(saddlepoint("sample", str(digits), "--out", str(digits)), (str(digits), "cannot be written", "--out"))
    refused(saddlepoint("sample", str(digits), "--out", "/"), ("/: cannot be written", "--out"))
    for form in ("files", "slerp"):
        refused(saddlepoint("sample", str(points), "--as", form), (f"--as {form}", "points", "--as grid"))
    assert listing(here) == before


def test_reports_that_cannot_be_written(here: Path, points: Path) -> None:
    Path("file").write_text("mine")
    for option in ("--out", "--csv"):
        for place in ("nowhere/x", "file/x", "runs", "/"):
            refused(saddlepoint("report", str(points), option, place), (place, "cannot be written", "give a path"))
    refused(saddlepoint("report", str(points), "--tensorboard", "file"), ("file", "give a new folder"))
    assert Path("file").read_text() == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["file", "runs"]


def test_strange_names_go_through(here: Path) -> None:
    """Spaces, line ends, other alphabets and bytes that are no text, in the folders of data and runs."""
    name = "a b\n[x] {y}: ü 字 'q' \"z\" $HOME"
    draw(here / name)
    Path("r.yaml").write_text(json.dumps({"data": {"name": "folder", "path": name, "resolution": 8}}))
    for run in (f"{name}2/run", os.fsdecode(b"\xff\xfe")):
        outcome = saddlepoint("train", "r.yaml", *DIGITS[2:], "updates=2", "--out", run)
        assert outcome.code == 0, outcome.err
        assert saddlepoint("resume", run, "updates=3").code == 0
        assert saddlepoint("sample", run, "-n", "2").code == 0
        assert saddlepoint("report", run, "--json").code == 0
        assert [row["updates"] for row in saddlepoint("runs", run, "--json").json] == ["3/3"]
    assert saddlepoint("data", name).code == 0


def test_a_path_that_is_no_text_is_refused_as_data(here: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    draw(here / name)
    before = listing(here)
    refused(saddlepoint("data", name), ("data.path", "is no Unicode text"))
    refused(saddlepoint("train", "dcgan", f"data={name}"), ("data=",))
    assert listing(here) == before


def test_a_run_among_the_pictures_it_learns_from(here: Path) -> None:
    draw(here / "photos")
    before = listing(here)
    refused(saddlepoint("train", *DIGITS, "data=photos", "--out", "photos/run"), ("photos/run", "the data's folder", "--out"))
    refused(saddlepoint("train", *DIGITS, "data=."), ("runs/", "the data's folder", "--out"))
    assert listing(here) == before


def test_points_and_numbers_that_a_person_types(here: Path) -> None:
    assert saddlepoint("train", *POINTS, "updates=2e0", "seed=0x10", "--out", "run").code == 0
    assert saddlepoint("resume", "run", "updates=3e0").code == 0
