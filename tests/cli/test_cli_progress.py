"""What a person sees while a run trains: a live line in a terminal, plain lines elsewhere, nothing with --json."""

import io
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from saddlepoint import progress
from saddlepoint.data.source import Source
from saddlepoint.progress import Terminal
from saddlepoint.recipe import Recipe, load
from saddlepoint.training import loop
from tests.cli.command_line import DIGITS, draw, saddlepoint
from tests.evaluation.samples import Notebook

LINE = re.compile(r"^update (\d+)/8  [\d,]+ images/s  \d+ s left  discriminator -?[\d.e+-]+  generator -?[\d.e+-]+$", re.MULTILINE)


def test_plain_lines_where_there_is_no_terminal(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    outcome = saddlepoint("train", *DIGITS, "log.every=2", "updates=8", "--out", "a folder whose name is " + "long " * 30)
    assert outcome.code == 0
    assert LINE.findall(outcome.out) == ["2", "4", "6", "8"]
    assert "\x1b" not in outcome.out
    (said,) = [line for line in outcome.out.splitlines() if line.startswith("training")]
    assert said.rstrip().endswith("long")


def test_plain_lines_come_every_ten_seconds_and_at_the_end(here: Path) -> None:
    outcome = saddlepoint("train", *DIGITS, "log.every=2", "updates=8", "--out", "run")
    assert LINE.findall(outcome.out) == ["8"]


def screen(text: str, width: int) -> str:
    """What a terminal ends up showing: the last thing written to each line, colours away."""
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return "\n".join(part[-width:] for line in shown.split("\n") for part in line.split("\r"))


@pytest.mark.parametrize("width", [80, 120])
def test_a_live_line_in_a_terminal(here: Path, width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    terminal = Terminal(console)
    loop.train(load(DIGITS[0], [*DIGITS[1:], "log.every=2", "updates=8"]), Path("run"), terminal)
    terminal.stop()
    last = [line for line in screen(out.getvalue(), width).splitlines() if "images/s" in line][-1]
    assert re.search(r"updates .* 8/8 +[\d,]+ images/s 0:00:00 left D -?[\d.]+  G -?[\d.]+", last), last
    assert len(last.rstrip()) <= width


GAP = "measures.names=[frechet-distance, {name: generalisation-gap, repeats: 1, updates: 60}]"
MEASURED = ("dcgan", *DIGITS[1:4], "schedule.batch=8", "schedule.updates=2", "threads=1", "measures.every=1", "measures.n=100", GAP)


def test_measuring_while_it_trains_is_told(here: Path) -> None:
    class Watcher(loop.Nobody):
        notebook = Notebook()

        def watching(self) -> Notebook:
            return self.notebook

    loop.train(load(MEASURED[0], MEASURED[1:]), Path("run"), Watcher())
    notebook = Watcher.notebook
    told = [(*stage, steps) for stage, steps in zip(notebook.stages, notebook.steps, strict=True)]
    # The first pass over the reals once, then each measurement.
    assert told.count(("features of 179 held-out samples", 179, 179)) == 1
    assert told.count(("moments of 100 real samples", 0, 0)) == 1
    for stage in ("drawing 100 samples", "features of 100 fake samples"):
        assert told.count((stage, 100, 100)) == 2
    assert told.count(("generalisation-gap (2 of 2)", 180, 180)) == 2
    # What a measure costs is said once.
    assert len(notebook.lines) == 1


def test_a_stage_is_shown_in_a_terminal_until_the_update_is_over() -> None:
    out = io.StringIO()
    terminal = Terminal(Console(file=out, force_terminal=True, width=100, color_system=None))
    watch = terminal.watching()
    watch.stage("a measure", 20)
    watch.advanced(5)
    terminal.stop()
    assert re.search(r"a measure .*5/20", out.getvalue())
    again = Terminal(Console(file=out, force_terminal=True, width=100, color_system=None))
    again.watching().stage("another", 20)
    again.updated(1)
    shown = len(out.getvalue())
    again.stop()
    assert "another" not in out.getvalue()[shown:]


def test_without_a_terminal_a_measurement_that_lasts_is_a_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON_SECONDS", 0.05)
    outcome = saddlepoint("train", *MEASURED, "--out", "run")
    assert outcome.code == 0
    assert re.search(r"^generalisation-gap \(2 of 2\): \d+/180  \d+ s left$", outcome.out, re.MULTILINE)
    assert "\x1b" not in outcome.out


def test_an_observer_that_watches_no_measures_still_observes(here: Path) -> None:
    class Stranger:
        def __init__(self) -> None:
            self.updates: list[int] = []

        def reading(self, done: int, total: int) -> None: ...
        def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None: ...
        def updated(self, update: int) -> None:
            self.updates.append(update)

        def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None: ...
        def warned(self, message: str) -> None: ...

    stranger: Any = Stranger()
    loop.train(load(MEASURED[0], MEASURED[1:]), Path("run"), stranger)
    assert stranger.updates == [1, 2]


def test_reading_images_shows_progress(tmp_path: Path, here: Path) -> None:
    draw(tmp_path / "photos", 5)
    out = io.StringIO()
    terminal = Terminal(Console(file=out, force_terminal=True, width=100, color_system=None))
    load("dcgan", [f"data={tmp_path / 'photos'}"]).data.open(terminal.reading)
    terminal.stop()
    assert "reading images" in out.getvalue()
    assert "5/5" in out.getvalue()


def test_markup_in_names_is_shown_as_it_is(here: Path) -> None:
    outcome = saddlepoint("train", *DIGITS, "updates=1", "--out", "[bold]:smile:")
    assert "into [bold]:smile:" in outcome.out


def test_an_output_that_fills_up_does_not_stop_training(here: Path) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    terminal = Terminal(Console(file=Full()))
    loop.train(load(DIGITS[0], [*DIGITS[1:], "log.every=1", "updates=3"]), Path("run"), terminal)
    assert (Path("run") / "checkpoints/000003").is_dir()


def test_signals_and_threads_are_as_they_were(here: Path) -> None:
    before = (signal.getsignal(signal.SIGINT), torch.get_num_threads())
    saddlepoint("train", *DIGITS, "updates=1", "threads=3", "--out", "run")
    assert (signal.getsignal(signal.SIGINT), torch.get_num_threads()) == before


def test_many_replicas_are_told_as_many(here: Path) -> None:
    few = ("wegan", "networks.width=4", "seeds=0..2", "replicas.chunk=3", "log.every=2", "updates=4", "--out", "run")
    outcome = saddlepoint("train", *few)
    assert "training 3 replicas to update 4 on 8-gaussians into run" in outcome.out
    assert re.search(r"^update 4/4 .* discriminator -?[\d.e+-]+  generator -?[\d.e+-]+ \(medians\)$", outcome.out, re.MULTILINE)
    # What was trained is what the table and the page read.
    rows = saddlepoint("runs", "run", "--json").json
    assert [(row["replica"], row["seed"], row["status"], row["update"]) for row in rows] == [(i, i, "done", 4) for i in range(3)]
    assert "3 replicas</b>: seeds 0..2" in Path("run/report.html").read_text()
