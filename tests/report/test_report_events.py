import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.errors import InputError
from saddlepoint.report.events import read_log
from saddlepoint.report.reading import read_run
from saddlepoint.report.runs import runs_table
from tests.report.run_folders import VALUES, progress, recipe_text, start, write_run


def test_reads_every_event_that_training_writes(tmp_path: Path) -> None:
    warning = {"event": "warning", "update": 0, "message": "3 files left out"}
    samples = {"event": "samples", "update": 50, "path": "samples/000050.png"}
    events = [start(), warning, progress(50), samples, progress(100), {"event": "done", "update": 100}]
    log = read_run(write_run(tmp_path / "run", events)).log
    assert log.parameters == {"generator": 12345, "discriminator": 23456}
    assert log.warnings == [(0, "3 files left out")]
    assert [entry.update for entry in log.progress] == [50, 100]
    assert log.names == list(VALUES)
    assert log.progress[1].values == progress(100)["values"]
    assert (log.progress[1].images, log.progress[1].updates) == (6400, {"discriminator": 200, "generator": 100})
    assert (log.seconds, log.done, log.diverged, log.update, log.unreadable) == (2.13, 100, None, 100, 0)


def test_words_for_numbers_that_are_not_finite(tmp_path: Path) -> None:
    values: dict[str, float | str] = {"a/loss": "nan", "b/loss": "inf", "c/loss": "-inf", "d/loss": "large", "e/loss": 1}
    read = read_run(write_run(tmp_path / "run", [progress(1, values)])).log.progress[0].values
    assert math.isnan(read["a/loss"])
    assert (read["b/loss"], read["c/loss"], read["e/loss"]) == (math.inf, -math.inf, 1.0)
    assert "d/loss" not in read


def test_a_half_written_last_line_is_waited_for_and_damage_elsewhere_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = json.dumps(progress(50)) + "\n"
    for cut in range(1, len(whole) - 1, 37):
        path.write_text(whole + whole[:cut])
        log = read_log(path)
        assert ([entry.update for entry in log.progress], log.unreadable) == ([50], 0)
    path.write_bytes(
        whole.encode() + b'{"event": "prog\n\xff\xfe\n[1]\n{"event": "progress"}\n' + b"[" * 100_000 + b"\n" + whole.encode()
    )
    log = read_log(path)
    assert (len(log.progress), log.unreadable) == (2, 5)


@given(st.binary(max_size=400))
def test_no_bytes_at_all_are_too_odd(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("odd") / "events.jsonl"
    path.write_bytes(content)
    assert read_log(path).progress == []


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="folder") as refusal:
            read_run(path)
        assert len(refusal.value.problems) == 1


def test_unreadable_parts_are_problems_by_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [progress(1)], recipe="{a: [", environment=None)
    (run / "environment.json").write_text("{")
    reading = read_run(run)
    assert [problem.split(":")[0] for problem in reading.problems] == ["recipe.yaml", "environment.json"]
    assert (reading.recipe, reading.environment, reading.sessions, reading.asked) == ({}, {}, [], None)


def test_which_runs_are_in_the_plane(tmp_path: Path) -> None:
    assert read_run(write_run(tmp_path / "points", [], points=True)).points
    assert not read_run(write_run(tmp_path / "images", [])).points


def test_the_table_of_runs(tmp_path: Path) -> None:
    done = [progress(50), progress(100), {"event": "done", "update": 100}]
    write_run(tmp_path / "a-done", done, updates=100)
    write_run(tmp_path / "b-grown", done, updates=200)
    write_run(tmp_path / "c-diverged", [progress(50), {"event": "diverged", "update": 73, "term": "discriminator/loss"}])
    write_run(tmp_path / "d-running", [progress(50), progress(100)])
    stopped = write_run(tmp_path / "e-stopped", [progress(50), progress(100)])
    write_run(tmp_path / "f-odd", [], recipe="[", environment=None)
    (tmp_path / "g-no-run").mkdir()
    (tmp_path / "h-file").write_text("nothing")
    for run in (stopped, tmp_path / "b-grown"):
        long_ago(run / "events.jsonl")

    table = {summary.name: summary for summary in runs_table(tmp_path)}
    assert {name: summary.status for name, summary in table.items()} == {
        "a-done": "done",
        "b-grown": "stopped",
        "c-diverged": "diverged",
        "d-running": "running",
        "e-stopped": "stopped",
        "f-odd": "running",
    }
    summary = table["a-done"]
    last = progress(100)["values"]
    assert summary.losses == {"discriminator": last["discriminator/loss"], "generator": last["generator/loss"]}
    assert (summary.recipe, summary.data, summary.updates, summary.asked, summary.seconds) == ("dcgan", "digits", 100, 100, 2.13)
    assert summary.bytes == sum(path.stat().st_size for path in (tmp_path / "a-done").rglob("*") if path.is_file())
    assert (table["c-diverged"].updates, table["c-diverged"].asked) == (73, 1000)
    assert table["f-odd"].problems
    assert [found.name for found in runs_table(tmp_path / "a-done")] == ["a-done"]
    with pytest.raises(InputError, match="is not a folder"):
        runs_table(tmp_path / "missing")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("saddlepoint train wgan-gp data=digits", "wgan-gp"),
        ("saddlepoint train --out runs/x my/own.yaml seed=3", "own"),
        ("saddlepoint train --strict lsgan", "lsgan"),
        ("python notebook.py", "vanilla"),
        ("saddlepoint train 'unclosed", "vanilla"),
        ("", "vanilla"),
    ],
)
def test_the_name_of_the_recipe(tmp_path: Path, command: str, name: str) -> None:
    environment = {"sessions": [{"command": command}]}
    run = write_run(tmp_path / "run", [], recipe=recipe_text(points=False, updates=10), environment=environment)
    assert read_run(run).recipe_name == name


def long_ago(path: Path) -> None:
    os.utime(path, (1_700_000_000, 1_700_000_000))
