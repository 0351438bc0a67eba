"""Disks that fill up or cannot be written: what a command leaves, says, and how it goes on. `test_disks` runs these."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from saddlepoint.training.checkpoints import read_checkpoint, updates_at_hand
from tests.cli.command_line import DIGITS, Outcome, draw, listing, saddlepoint
from tests.faults.disks import Disk, Mounted, disk_at
from tests.faults.unbroken import LONG, same


@pytest.fixture
def disk(tmp_path: Path, here: Path) -> Iterator[Disk]:
    made = disk_at(tmp_path / "a disk")
    yield made
    made.has_room()


@pytest.fixture
def run_on_disk(disk: Disk, unbroken: Path) -> Path:
    """The unbroken run, copied onto the disk."""
    return Path(shutil.copytree(unbroken, disk.path / "run"))


def told(outcome: Outcome, place: Path, *words: str) -> None:
    """One line on standard error that names the place, or something in it, and holds the words; exit code 2."""
    assert outcome.code == 2, outcome
    (line,) = outcome.lines
    assert line.startswith(f"saddlepoint: {place}"), line
    for word in ("cannot be written", *words):
        assert word in line, line


def test_a_disk_that_is_full_from_the_start_gets_nothing(disk: Disk, here: Path) -> None:
    disk.is_full()
    before = listing(disk.path)
    told(saddlepoint("train", *DIGITS, "updates=2", "--out", str(disk.path / "deep" / "run")), disk.path)
    assert listing(disk.path) == before
    assert listing(here) == {}


def test_a_disk_that_fills_up_in_training_keeps_the_last_whole_checkpoint(disk: Disk, unbroken: Path) -> None:
    run = disk.path / "run"
    whole = sum(path.stat().st_size for path in unbroken.rglob("*") if path.is_file())
    disk.holds(whole // 2, (unbroken / "events.jsonl").stat().st_size // 2)
    outcome = saddlepoint("train", *DIGITS, *LONG, "--out", str(run))
    told(outcome, run, "make it writable, with room, then")
    kept = updates_at_hand(run)
    assert 1 <= len(kept) < 12
    for update in kept:
        assert read_checkpoint(run, update).update == update
    assert not [path for path in run.rglob("*") if "partial" in path.name]
    assert (run / "events.jsonl").read_bytes().endswith(b"\n")
    disk.has_room()
    assert saddlepoint("report", str(run)).code == 0
    command = outcome.lines[0].split("`")[1]
    words = shlex.split(command)
    assert words == ["saddlepoint", "resume", str(run)]
    assert saddlepoint(*words[1:]).code == 0
    assert same(unbroken, run)


def test_a_disk_that_stays_full_refuses_to_go_on_and_loses_nothing(disk: Disk, unbroken: Path) -> None:
    run = disk.path / "run"
    shutil.copytree(unbroken, run, ignore=shutil.ignore_patterns("000060", "report.html"))
    disk.is_full(left=4096)
    before = updates_at_hand(run)
    told(saddlepoint("resume", str(run)), run)
    assert updates_at_hand(run) == before
    assert read_checkpoint(run).update == 55
    disk.has_room()
    assert saddlepoint("resume", str(run)).code == 0
    assert same(unbroken, run)


def test_samples_and_reports_on_a_full_disk_are_whole_or_not_there(disk: Disk, run_on_disk: Path) -> None:
    disk.is_full()
    before = listing(disk.path)
    if isinstance(disk, Mounted):
        assert saddlepoint("sample", str(run_on_disk), "--out", "elsewhere.png").code == 0
    for words in (("-n", "64"), ("--as", "files", "-n", "100"), ("--as", "slerp")):
        told(saddlepoint("sample", str(run_on_disk), *words), run_on_disk / "samples", "--out")
    told(saddlepoint("report", str(run_on_disk)), run_on_disk / "report.html")
    told(saddlepoint("report", str(run_on_disk), "--out", str(disk.path / "page.html")), disk.path / "page.html")
    assert listing(disk.path) == before


def test_images_that_do_not_fit_in_the_cache(disk: Disk, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(disk.path / "cache"))
    draw(here / "photos", 40)
    disk.is_full(left=4096)
    outcome = saddlepoint("train", *DIGITS, f"data={here / 'photos'}", "data.resolution=64", "--out", "run")
    told(outcome, disk.path / "cache", "make room there", "SADDLEPOINT_CACHE")
    assert not [path for path in disk.path.rglob("*") if path.suffix in (".partial", ".u8")]
    assert not Path("run").exists()
    disk.has_room()
    assert saddlepoint("data", str(here / "photos")).code == 0


def test_a_read_only_disk(disk: Disk, run_on_disk: Path) -> None:
    before = listing(disk.path)
    disk.is_read_only()
    try:
        told(saddlepoint("train", *DIGITS, "updates=2", "--out", str(disk.path / "new" / "run")), disk.path / "new")
        told(saddlepoint("resume", str(run_on_disk), "updates=70"), run_on_disk)
        told(saddlepoint("sample", str(run_on_disk)), run_on_disk / "samples")
        told(saddlepoint("report", str(run_on_disk)), run_on_disk)
        proved = saddlepoint("resume", str(run_on_disk), "--prove", "5")
        assert proved.code == 2, proved
        assert len(proved.lines) == 1
        assert listing(disk.path) == before
        assert saddlepoint("runs", str(disk.path), "--json").json[0]["status"] == "done"
    finally:
        disk.is_writable()
    assert saddlepoint("resume", str(run_on_disk), "--prove", "5").code == 0


EVALUATE = ("evaluate", "-n", "50", "--measures", "frechet-distance")


def test_values_on_a_full_disk_are_whole_or_not_there(disk: Disk, run_on_disk: Path, here: Path) -> None:
    assert saddlepoint(*EVALUATE, str(run_on_disk)).code == 0
    before = listing(disk.path)
    assert "run/measures.json" in before
    np.save(here / "points.npy", np.random.default_rng(0).normal(size=(50, 2)))
    disk.is_full(left=100)
    for place, words in (
        (run_on_disk / "measures.json", (str(run_on_disk), "--seed", "1")),
        (disk.path / "values.json", ("points.npy", "--against", "8-gaussians", "--out", str(disk.path / "values.json"))),
    ):
        outcome = saddlepoint(*EVALUATE, *words)
        # A stage that lasts is a line too.
        refused = [line for line in outcome.lines if line.startswith("saddlepoint: ")]
        told(Outcome(outcome.code, outcome.out, "\n".join(refused)), place, "make it writable, with room")
        assert outcome.out == ""
    assert {name: content for name, content in listing(disk.path).items() if name != "filler"} == before
    held = saddlepoint("evaluate", str(run_on_disk / "measures.json"), "--json").json
    assert [value["name"] for value in held[0]["values"]] == ["frechet-distance"]
    disk.has_room()
    assert saddlepoint(*EVALUATE, str(run_on_disk), "--seed", "1").code == 0


def test_a_read_only_run_is_not_evaluated_and_its_samples_are(disk: Disk, run_on_disk: Path, here: Path) -> None:
    assert saddlepoint(*EVALUATE, str(run_on_disk)).code == 0
    before = listing(disk.path)
    disk.is_read_only()
    try:
        outcome = saddlepoint(*EVALUATE, str(run_on_disk), "--seed", "1")
        told(outcome, run_on_disk / "measures.json", "make it writable")
        assert outcome.out == ""
        assert listing(disk.path) == before
        assert saddlepoint("evaluate", str(run_on_disk / "measures.json")).code == 0
        sampled = saddlepoint("sample", str(run_on_disk), "--as", "files", "-n", "50", "--out", str(here / "samples"))
    finally:
        disk.is_writable()
    if isinstance(disk, Mounted):
        assert sampled.code == 0
        assert saddlepoint(*EVALUATE, str(here / "samples"), "--against", "digits").code == 0


def test_a_read_only_run_gives_samples_and_a_page_elsewhere(disk: Disk, run_on_disk: Path, here: Path) -> None:
    disk.is_read_only()
    try:
        outcomes = [
            saddlepoint("sample", str(run_on_disk), "--out", str(here / "grid.png")),
            saddlepoint("report", str(run_on_disk), "--out", str(here / "page.html")),
        ]
    finally:
        disk.is_writable()
    if isinstance(disk, Mounted):
        assert [outcome.code for outcome in outcomes] == [0, 0]
        assert sorted(listing(here)) == ["grid.png", "page.html"]
