"""`saddlepoint evaluate`: the table, the JSON, refusals that cost nothing, and runs side by side."""

import io
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from saddlepoint.progress import Gauge
from tests.cli.command_line import DIGITS, OFTEN, draw, listing, refused, saddlepoint


def test_a_table_with_arrow_floor_and_card(points: Path) -> None:
    outcome = saddlepoint("evaluate", str(points), "-n", "200", "--measures", "wasserstein-distance,frechet-distance")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["measure", "value", "better", "floor", "n", "note"]
    assert lines[1].startswith("Wasserstein distance (coordinates)")
    assert "↓" in lines[1]
    assert lines[1].split()[-2:] == ["200", "1"]
    assert lines[2].startswith("FD (coordinates)")
    assert "against 200 train samples of 8-gaussians; extractor pixels; average weights; checkpoint: last; seed 0" in outcome.out
    assert f"written to {points}/measures.json" in outcome.out
    held = json.loads((points / "measures.json").read_text())
    assert [value["name"] for value in held["values"].values()] == ["wasserstein-distance", "frechet-distance"]


def test_json_is_all_of_standard_output(points: Path) -> None:
    outcome = saddlepoint("evaluate", str(points), "-n", "100", "--measures", "frechet-distance", "--json", "--out", "values.json")
    assert outcome.code == 0, outcome.err
    (subject,) = outcome.json
    assert subject["subject"] == str(points)
    assert subject["file"] == f"{points}/measures.json"
    (value,) = subject["values"]
    assert value == next(iter(json.loads(Path("values.json").read_text())["values"].values()))
    again = saddlepoint("evaluate", "values.json", "--json")
    assert again.json[0]["values"] == [value]


def test_side_by_side_by_equal_protocols(points: Path) -> None:
    asked = ("-n", "100", "--measures", "frechet-distance")
    outcome = saddlepoint("evaluate", str(points), str(points), *asked, "--seed", "1")
    assert outcome.code == 0, outcome.err
    header, row = outcome.out.splitlines()[:2]
    assert header.split()[1:3] == [str(points)] * 2
    assert row.split()[2] == row.split()[3]
    stored = saddlepoint("evaluate", f"{points}/measures.json", str(points), *asked, "--weights", "raw", "--json")
    assert stored.code == 1
    assert stored.json == {"differences": ["weights: average, and raw"]}
    assert stored.err == "not comparable: weights: average, and raw\n"


def test_runs_on_other_data_are_refused_with_the_fields(points: Path, digits: Path) -> None:
    outcome = saddlepoint("evaluate", str(points), str(digits), "-n", "50", "--measures", "frechet-distance")
    assert outcome.code == 1
    assert outcome.out == ""
    fields = [line.split(": ")[1] for line in outcome.lines]
    assert fields == ["data", "preprocessing", "extractor", "layers", "extractor_digest"]
    assert all(line.startswith("not comparable: ") for line in outcome.lines)


def test_what_a_user_can_get_wrong(points: Path, here: Path) -> None:
    draw(here / "three")
    np.save(here / "nan.npy", np.full((30, 2), np.nan))
    before = listing(here)
    at = ("evaluate", str(points))
    refused(
        saddlepoint(*at, "--measures", "wasserstein"), ("wasserstein is not a known measure", "nearest: ", "wasserstein-distance")
    )
    refused(saddlepoint(*at, "--measures", "modes,mode"), "mode is not a known measure; nearest: modes")
    refused(saddlepoint(*at, "--extractor", "pixel"), "extractor: pixel is not a known extractor; nearest: pixels")
    refused(saddlepoint(*at, "--checkpoint", "best"), ("keeps no best checkpoint", "measures.best=QUANTITY"))
    refused(saddlepoint(*at, "--checkpoint", "newest"), "--checkpoint: 'newest' is not an update; give a number, or best")
    refused(saddlepoint(*at, "--checkpoint", "5"), "no checkpoint of update 5; there are 4, 6, 8")
    refused(
        saddlepoint(*at, "--against", "9-gaussians"), "no data set of that name, and no such folder or file; nearest: 8-gaussians"
    )
    refused(saddlepoint(*at, "--against", "nan.npy"), "nan.npy: 30 of 30 points are NaN or infinite")
    refused(saddlepoint("evaluate", "three", "--against", "three"), *["three: 3 samples are too few"] * 2)
    refused(saddlepoint("evaluate", "three"), "three: is not a run, which knows its data; give --against")
    refused(saddlepoint("evaluate", "none.json"), "none.json: does not exist")
    refused(saddlepoint("evaluate"), "RUN|FOLDER|ARRAY")
    assert listing(here) == before


def test_measures_and_an_extractor_with_fields(points: Path, digits: Path) -> None:
    listed = "[frechet-distance, {name: maximum-mean-discrepancy, permutations: 19}]"
    outcome = saddlepoint("evaluate", str(points), "-n", "60", "--measures", listed, "--json")
    assert outcome.code == 0, outcome.err
    fields = {value["card"]["protocol"]["measure"]: value["card"]["protocol"]["fields"] for value in outcome.json[0]["values"]}
    assert list(fields) == ["frechet-distance", "maximum-mean-discrepancy"]
    assert fields["maximum-mean-discrepancy"]["permutations"] == 19
    one = ("--measures", "{name: precision-recall, k: 5}", "--extractor", "{name: pixels}")
    outcome = saddlepoint("evaluate", str(digits), "-n", "60", *one, "--json")
    assert outcome.code == 0, outcome.err
    protocol = outcome.json[0]["values"][0]["card"]["protocol"]
    assert (protocol["fields"], protocol["extractor"]) == ({"k": 5}, "pixels")


def test_all_that_is_wrong_with_fields_is_told_at_once(points: Path, here: Path) -> None:
    wrong = "[frechet, {name: precision-recall, k: 0, kk: 2}, {k: 3}, 5]"
    refused(
        saddlepoint("evaluate", str(points), "--measures", wrong, "--extractor", "{name: inception, trusted: true}"),
        "measures: frechet is not a known measure; nearest: frechet-distance",
        "measures.1.k: 0 should be greater than or equal to 1",
        "measures.1.kk: unknown field (given 2)",
        "measures.2.name: missing; give one of ",
        "measures.3: 5 should be the name of one measure or a mapping",
        "extractor.trusted: unknown field (given true); nearest: trust",
    )
    twice = "[precision-recall, {name: precision-recall, k: 5}]"
    refused(saddlepoint("evaluate", str(points), "--measures", twice), "measures: precision-recall is there twice; name it once")
    refused(saddlepoint("evaluate", str(points), "--measures", "[modes"), "--measures: while parsing a flow sequence")
    refused(saddlepoint("evaluate", str(points), "--extractor", "{name: !!python/object:os.system x}"), "--extractor: the tag")
    refused(saddlepoint("evaluate", str(points), "--extractor", "{name: inception, weights: none.pth}"), "none.pth")


def test_a_place_that_cannot_be_written_is_found_before_anything_is_computed(points: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saddlepoint.evaluation.results.os.access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr("saddlepoint.evaluation.engine.features_of", lambda *_, **__: pytest.fail("computed"))
    refused(saddlepoint("evaluate", str(points)), ("measures.json: cannot be written", "read-only"))


def test_the_best_checkpoint_by_name(here: Path) -> None:
    measured = ("measures.every=2", "measures.names=frechet-distance", "measures.best=frechet-distance", "updates=4")
    assert saddlepoint("train", *DIGITS, *OFTEN, *measured, "--out", "run").code == 0
    outcome = saddlepoint("evaluate", "run", "--checkpoint", "best", "-n", "50", "--measures", "frechet-distance", "--json")
    protocol = outcome.json[0]["values"][0]["card"]["protocol"]
    assert protocol["checkpoint"] == "best by frechet-distance on held-out"
    assert saddlepoint("sample", "run", "--checkpoint", "best", "-n", "4").out.split()[1] == "run/samples/grid-seed0-best.png"
    page = Path("run/report.html").read_text()
    assert "FD (digits classifier)" in page
    assert "Lower is better." in page


def test_without_a_terminal_a_stage_that_lasts_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saddlepoint.progress.SOON_SECONDS", 0.05)
    text = io.StringIO()
    gauge = Gauge(Console(file=text))
    gauge.stage("quick", 10)
    gauge.stage("slow", 100)
    gauge.advanced(20)
    time.sleep(0.3)
    gauge.stage("opaque", 0)
    time.sleep(0.2)
    gauge.said("a line")
    gauge.stop()
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("slow: 20/100  ")
    assert lines[0].endswith(" s left")
    assert lines[1:] == ["opaque …", "a line"]
