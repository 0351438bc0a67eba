"""What there is: recipes, data, methods, runs, reports; help and completion."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from saddlepoint.cli import app
from saddlepoint.data import DATA
from saddlepoint.extractors import EXTRACTORS
from saddlepoint.measures import MEASURES
from saddlepoint.methods import listed
from saddlepoint.recipe import load, shipped
from tests.cli.command_line import listing, saddlepoint

COMMANDS = ("train", "resume", "sample", "evaluate", "demo", "report", "runs", "recipes", "data", "methods", "verify")


def test_help_names_every_command() -> None:
    outcome = saddlepoint("--help")
    assert (outcome.code, outcome.err) == (0, "")
    for word in (*COMMANDS, "--install-completion", "--show-completion"):
        assert word in outcome.out
    assert tuple(command.callback.__name__ for command in app.registered_commands if command.callback) == COMMANDS


def test_without_a_command_the_help_is_shown() -> None:
    outcome = saddlepoint()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == saddlepoint("--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command: str) -> None:
    outcome = saddlepoint(command, "--help")
    assert outcome.code == 0
    assert "--json" in outcome.out


def test_recipes() -> None:
    names = [row["recipe"] for row in saddlepoint("recipes", "--json").json]
    assert names == list(shipped())
    assert len(names) >= 15
    plain = saddlepoint("recipes").out
    for row in saddlepoint("recipes", "--json").json:
        assert row["about"]
        assert re.search(rf"^{row['recipe']} +\S", plain, re.MULTILINE)


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_in_full_is_its_file_and_loads(here: Path, name: str) -> None:
    outcome = saddlepoint("recipes", name)
    assert outcome.code == 0
    Path("copied.yaml").write_text(outcome.out)
    assert load("copied.yaml") == load(name)
    assert saddlepoint("recipes", name, "--json").json == {"recipe": name, "text": outcome.out}


def test_data() -> None:
    assert [row["data"] for row in saddlepoint("data", "--json").json] == list(DATA)
    assert all(row["about"] for row in saddlepoint("data", "--json").json)
    found = saddlepoint("data", "digits", "--json").json
    assert found["data"] == "digits"
    assert any("1797 images" in line for line in found["found"])
    assert len(found["digest"]) == 64
    plain = saddlepoint("data", "digits").out
    assert all(line in plain for line in found["found"])
    assert "resolution" in plain


def test_methods_measures_and_extractors_in_full() -> None:
    rows = saddlepoint("methods", "--json").json
    assert [(row["method"], row["room"]) for row in rows] == [(entry.name, entry.room) for entry in listed()]
    assert len(rows) >= 18
    rooms = {room: [row["method"] for row in rows if row["room"] == room] for room in ("measures", "extractors")}
    assert rooms == {"measures": list(MEASURES), "extractors": list(EXTRACTORS)}
    assert all(row["about"] for row in rows)
    for entry in listed():
        text = saddlepoint("methods", entry.name).out
        assert f"{entry.name}  ({entry.room})" in text
        assert all(re.search(rf"^  {field}\s", text, re.MULTILINE) for field in entry.record.model_fields)
        assert entry.record.bibtex in text
        for quantity in MEASURES[entry.name].quantities if entry.room == "measures" else ():
            assert re.search(rf"^  {quantity} .*better$", text, re.MULTILINE)
        assert saddlepoint("methods", entry.name, "--json").json["text"] + "\n" == text


def test_runs(digits: Path, points: Path) -> None:
    rows = saddlepoint("runs", "--json").json
    assert [(row["run"], row["status"], row["updates"], row["data"]) for row in rows] == [
        (str(digits), "done", "8/8", "digits"),
        (str(points), "done", "8/8", "8-gaussians"),
    ]
    assert set(rows[0]["losses"]) == {"discriminator", "generator"}
    lines = saddlepoint("runs").out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(str(digits))
    assert [row["run"] for row in saddlepoint("runs", str(digits), "--json").json] == [str(digits)]
    Path("none").mkdir()
    assert saddlepoint("runs", "none").out == "no runs in none\n"
    assert saddlepoint("runs", "none", "--json").json == []


def test_runs_pass_over_what_is_no_run(digits: Path) -> None:
    Path("runs/notes.txt").write_text("mine")
    Path("runs/empty").mkdir()
    (digits / "environment.json").write_text("{")
    assert [row["run"] for row in saddlepoint("runs", "--json").json] == [str(digits)]


def test_report_csv_and_tensorboard(here: Path, points: Path) -> None:
    outcome = saddlepoint("report", str(points), "--out", "page.html", "--csv", "log.csv", "--tensorboard", "board", "--json")
    assert outcome.code == 0
    assert outcome.json == {"report": "page.html", "csv": "log.csv", "tensorboard": "board"}
    assert Path("page.html").read_text().startswith("<!doctype html>")
    with Path("log.csv").open() as file:
        rows = list(csv.DictReader(file))
    events = [json.loads(line) for line in (points / "events.jsonl").read_text().splitlines()]
    progress = [event for event in events if event["event"] == "progress"]
    assert [int(row["update"]) for row in rows] == [event["update"] for event in progress] == [2, 4, 6, 8]
    assert [float(row["generator/loss"]) for row in rows] == [event["values"]["generator/loss"] for event in progress]
    assert list(Path("board").glob("events.out.tfevents.*"))


def test_report_by_default_stands_in_the_run(points: Path) -> None:
    (points / "report.html").unlink()
    assert saddlepoint("report", str(points)).out.split() == ["report", str(points / "report.html")]
    assert (points / "report.html").exists()


def test_json_has_no_number_that_json_has_not(points: Path) -> None:
    log = points / "events.jsonl"
    log.write_text(re.sub(r'"generator/loss": [^,]+', '"generator/loss": "nan"', log.read_text()))
    printed = saddlepoint("runs", "--json").out
    assert json.loads(printed, parse_constant=pytest.fail)[0]["losses"]["generator"] == "nan"


COMPLETED = [("train w", 2, {"wgan", "wgan-gp", "wgan-gp-sdp", "wegan"}), ("resume runs/", 2, {"runs/digits", "runs/points"})]


def test_the_shell_completes_recipes_and_runs(digits: Path, points: Path) -> None:
    script = (
        "import os, sys\n"
        "from saddlepoint.cli import main\n"
        "sys.argv = ['saddlepoint']\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules\n"
    )
    for words, number, names in COMPLETED:
        asked = {"_SADDLEPOINT_COMPLETE": "complete_bash", "COMP_WORDS": f"saddlepoint {words}", "COMP_CWORD": str(number)}
        done = subprocess.run([sys.executable, "-c", script], env=os.environ | asked, capture_output=True, text=True, check=False)
        assert names <= set(done.stdout.split()), (done.stdout, done.stderr)
        assert not [line for line in done.stdout.split() if not line.startswith(words.split()[-1])]


def test_looking_changes_nothing(here: Path, digits: Path) -> None:
    before = listing(here)
    for words in (("runs",), ("recipes",), ("methods",), ("data",), ("data", "8-gaussians"), ("recipes", "gan")):
        assert saddlepoint(*words).code == 0
    assert listing(here) == before
