"""What was measured, on the page: a curve a quantity, a table for each rule, and damaged files said."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.evaluation.card import Card, Value
from saddlepoint.evaluation.results import add_values
from saddlepoint.report.events import read_log
from saddlepoint.report.page import write_report
from saddlepoint.report.quantities import charts
from tests.report.chromium import chromium
from tests.report.run_folders import progress, start, write_run


def measured(update: int, mean: float | str = 2.0) -> dict[str, Any]:
    values = {
        "frechet-distance": {"title": "FD (pixels)", "mean": mean, "error": None, "n": 179, "better": "lower"},
        "recall": {"title": "recall (pixels)", "mean": 0.5, "error": 0.1, "n": 179, "better": "higher"},
    }
    return {"event": "measures", "update": update, "split": "held-out", "values": values, "left_out": [], "time": {"seconds": 1.0}}


def value(checkpoint: str, update: int, mean: float) -> Value:
    protocol = {"measure": "frechet-distance", "weights": "average", "checkpoint": checkpoint, "split": "train", "n_real": 800}
    provenance = {"data": "digits", "update": update, "seed": 0}
    return Value(
        "frechet-distance", "FD (pixels)", mean, 800, Card(protocol, provenance), higher_is_better=False, notes=("<b>few</b>",)
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    events = [start(), *(event for update in (50, 100) for event in (progress(update), measured(update, 3.0 - update / 100)))]
    return write_run(tmp_path / "run", events, pictures=(0,))


def test_every_measured_quantity_is_a_curve(run: Path) -> None:
    log = read_log(run / "events.jsonl")
    assert log.unreadable == 0
    found = charts(log, {})["Measures"]
    assert [(chart.title, chart.curves) for chart in found] == [
        ("FD (pixels)", {"held-out": [(50, 2.5), (100, 2.0)]}),
        ("recall (pixels)", {"held-out": [(50, 0.5), (100, 0.5)]}),
    ]
    assert found[0].meaning.endswith("against 179 held-out images. Lower is better.")
    assert next(iter(charts(log, {}))) == "Measures"


def test_odd_events_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"event": "measures", "update": 1},
        {"event": "measures", "update": 2, "values": ["frechet-distance"]},
        {"event": "measures", "update": 3, "values": {"a": {"mean": "inf"}, "b": {}, "c": 1.0}},
    ]
    run = write_run(tmp_path / "run", odd)
    assert [(entry.name, entry.title) for entry in read_log(run / "events.jsonl").measured] == [("a", "a")]
    assert write_report(run).is_file()


def test_two_rules_never_stand_in_one_table(run: Path) -> None:
    add_values(run, [value("last", 100, 2.0), value("best by frechet-distance on held-out", 50, 1.0)])
    page = write_report(run).read_text()
    tables = page.split('<div class="card values">')[1:]
    assert len(tables) == 2
    assert "Checkpoint: last, of update 100" in tables[0]
    assert "Checkpoint: best by frechet-distance on held-out, of update 50" in tables[1]
    assert ">2<" in tables[0]
    assert ">1<" in tables[1]
    assert "&lt;b&gt;few&lt;/b&gt;" in tables[0]
    assert "<b>few" not in page


def test_a_damaged_file_is_a_warning(run: Path) -> None:
    (run / "measures.json").write_text("{")
    assert "measures.json: is not what an evaluation wrote" in write_report(run).read_text()


def test_nothing_sticks_out(run: Path) -> None:
    long = dataclasses.replace(value("last", 100, 2.0), title="t" * 80, interval=(1.234567, 2.345678), error=0.0001)
    add_values(run, [long, value("given", 50, 1.0)])
    page = write_report(run)
    with chromium() as tab:
        for width in (400, 1400):
            tab.show(page, width)
            assert tab.logs == []
            assert tab.ask("document.documentElement.scrollWidth") <= width
            assert tab.ask("document.querySelectorAll('#measures table').length") == 2
