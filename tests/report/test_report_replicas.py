"""Runs of many replicas read, joined, drawn and listed: what a part or a row says must stand at its place in the axis."""

import csv
import json
import math
import re
import shlex
import statistics
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from saddlepoint.recipe import load
from saddlepoint.report.bands import band_of
from saddlepoint.report.curves import axis_of, draw
from saddlepoint.report.events import Row
from saddlepoint.report.export import export_csv, export_tensorboard
from saddlepoint.report.page import write_report
from saddlepoint.report.quantities import Chart, charts
from saddlepoint.report.reading import Reading, read_run
from saddlepoint.report.replica_section import alone_command
from saddlepoint.report.replicas import Replica, groupings
from saddlepoint.report.runs import replicas_table, runs_table
from tests.cli.command_line import saddlepoint
from tests.report.chromium import Tab, chromium
from tests.report.replicated_runs import ENDED, NAMES, TERM, UPDATES, divided, many, number, recipe_of, stacked
from tests.report.test_report_page import ATTACKS, CONTRASTS, STICKING_OUT


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as opened:
        yield opened


def rows_of(reading: Reading) -> dict[tuple[int, str], Row]:
    return {(entry.update, name): row for entry in reading.log.progress for name, row in entry.rows.items()}


def test_rows_hold_each_replica_until_its_end(tmp_path: Path) -> None:
    reading = read_run(stacked(tmp_path / "run"))
    rows = rows_of(reading)
    assert set(rows) == {(update, name) for update in UPDATES for name in (*NAMES, "generator/learning rate")}
    for (update, name), row in rows.items():
        assert len(row) == 8
        for replica, value in enumerate(row):
            gone = ENDED.get(replica, update) < update
            wanted = None if gone else 0.001 if name.endswith("rate") else number(replica, update, name)
            assert value == wanted
    assert {replica: (end.update, end.term) for replica, end in reading.log.ended.items()} == {
        2: (60, TERM),
        5: (30, TERM),
        7: (0, TERM),
    }
    assert [(replica.seed, replica.values["weightings.generator.eta"]) for replica in reading.replicas] == [
        (seed, eta) for eta in (0.1, 0.5) for seed in range(4)
    ]
    diverged = [replica.index for replica in reading.replicas if replica.status == "diverged"]
    assert (diverged, {replica.status for replica in reading.replicas}) == ([2, 5, 7], {"done", "diverged"})
    assert (reading.status, reading.log.done, reading.divided) == ("done", 100, False)


def test_parts_say_what_one_log_says(tmp_path: Path) -> None:
    whole, parts = read_run(stacked(tmp_path / "whole")), read_run(divided(tmp_path / "parts"))
    assert rows_of(parts) == rows_of(whole)
    assert parts.log.ended == whole.log.ended
    assert parts.replicas == whole.replicas
    assert (parts.status, parts.divided, [part.size for part in parts.parts]) == ("done", True, [3, 4, 1])
    assert parts.problems == ()


def test_a_part_that_is_behind_counts_as_missing(tmp_path: Path) -> None:
    reading = read_run(divided(tmp_path / "run", behind=50))
    rows = rows_of(reading)
    assert [value is None for value in rows[75, "generator/loss"]] == [False, False, True, True, True, True, True, True]
    assert [value is None for value in rows[50, "generator/loss"]] == [False] * 5 + [True, False, True]
    assert (reading.status, reading.log.update, reading.log.done) == ("unfinished", 50, None)
    assert [replica.status for replica in reading.replicas[2:5]] == ["diverged", "unfinished", "unfinished"]


def test_a_part_that_has_not_begun_is_waited_for(tmp_path: Path) -> None:
    run = divided(tmp_path / "run")
    (run / "parts/0003-0006").rename(run / "parts/notes")
    reading = read_run(run)
    assert (len(reading.replicas), reading.status) == (8, "unfinished")
    assert [(replica.update, replica.status) for replica in reading.replicas[2:5]] == [
        (60, "diverged"),
        (0, "unfinished"),
        (0, "unfinished"),
    ]


def test_parts_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("9999", "10000", "0004-0008", "0006-0007", "0009-0001", "odd"):
        (run / "parts" / name).mkdir(parents=True)
    (run / "recipe.yaml").write_text("seeds: [")
    reading = read_run(run)
    assert [part.start for part in reading.parts] == [4, 9999, 10000]
    assert any("0006-0007" in problem for problem in reading.problems)


def test_all_replicas_diverged_is_a_diverged_run(tmp_path: Path) -> None:
    run = stacked(tmp_path / "run")
    lines = [line for line in (run / "events.jsonl").read_text().splitlines() if '"done"' not in line]
    lines.append(json.dumps({"event": "diverged", "update": 80, "term": "discriminator/loss real"}))
    (run / "events.jsonl").write_text("\n".join(lines) + "\n")
    reading = read_run(run)
    assert (reading.status, reading.log.diverged) == ("diverged", (80, "discriminator/loss real"))
    assert [reading.log.ended[replica].update for replica in range(8)] == [80, 80, 60, 80, 80, 30, 80, 0]


def test_a_band_is_the_quantiles_of_what_is_finite() -> None:
    row = (5.0, None, math.inf, 1.0, math.nan, 2.0, 8.0, -3.0)
    band = band_of(7, row, members=range(1, 8))
    finite = [1.0, 2.0, 8.0, -3.0]
    assert band[1:6] == pytest.approx(np.quantile(finite, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist())
    assert band.median == statistics.median(finite)
    assert (band.update, band.finite, band.broken, band.asked) == (7, 4, 2, 7)
    assert math.isnan(band_of(7, (None, None), (0, 1)).median)


def varied(*values: Mapping[str, object]) -> list[Replica]:
    return [Replica(index, index, value, 0, True, None, {}) for index, value in enumerate(values)]


def test_replicas_are_compared_by_value() -> None:
    (grouping,) = groupings(varied(*({"a.eta": eta} for eta in (0.1, 1, 0.1, 1))))
    assert grouping.groups == {"eta 0.1": (0, 2), "eta 1": (1, 3)}
    (pairs,) = groupings(varied(*({"a.lr": one, "b.lr": other} for one in (1, 2) for other in (3, 4, 5))))
    assert list(pairs.groups) == [f"a.lr {one}, b.lr {other}" for one in (1, 2) for other in (3, 4, 5)]


def test_many_values_are_compared_field_by_field_and_in_quarters() -> None:
    values = [{"a.eta": eta, "a.b": b, "a.c": 0.0} for eta in range(8) for b in (1, 2)]
    by_eta, by_b = groupings(varied(*values))
    assert (by_eta.by, by_b.by) == ("eta", "b")
    assert list(by_b.groups.items()) == [("b 1", tuple(range(0, 16, 2))), ("b 2", tuple(range(1, 16, 2)))]
    assert list(by_eta.groups.values()) == [tuple(range(start, start + 4)) for start in (0, 4, 8, 12)]
    assert [label.split(", ")[1] for label in by_eta.groups] == ["eta 0 to 1", "eta 2 to 3", "eta 4 to 5", "eta 6 to 7"]
    assert "8 values" in by_eta.note


def test_values_that_are_no_numbers_are_said_not_to_be_told_apart() -> None:
    (grouping,) = groupings(varied(*({"w": {"name": "linear", "start": start}} for start in range(7))))
    assert list(grouping.groups.values()) == [tuple(range(7))]
    assert "no numbers" in grouping.note


def test_every_quantity_has_a_band_a_value(tmp_path: Path) -> None:
    reading = read_run(stacked(tmp_path / "run"))
    groups = charts(reading.log, {}, "points", reading.replicas)
    found = {chart.title: chart for charts_of in groups.values() for chart in charts_of}
    assert {title for title, chart in found.items() if chart.bands} == {
        "Discriminator's loss, total",
        "Discriminator's loss, real",
        "Generator's loss, total",
        "Discriminator's accuracy, real",
        "Learning rate, generator",
    }
    chart = found["Generator's loss, total"]
    assert list(chart.bands) == ["eta 0.1", "eta 0.5"]
    assert not chart.widest
    for members, bands in zip(((0, 1, 2, 3), (4, 5, 6)), chart.bands.values(), strict=True):
        for band in bands:
            alive = [replica for replica in members if ENDED.get(replica, band.update) >= band.update]
            assert band.median == statistics.median(float(number(replica, band.update, "generator/loss")) for replica in alive)
            assert (band.finite, band.asked, band.broken) == (len(alive), 4, 0)
    alive_chart = found["Replicas alive"]
    assert alive_chart.curves["eta 0.1"] == [(0, 4), (60, 4), (60, 3), (100, 3)]
    assert alive_chart.curves["eta 0.5"] == [(0, 4), (0, 4), (0, 3), (30, 3), (30, 2), (100, 2)]


def test_without_varying_values_curves_share_their_charts(tmp_path: Path) -> None:
    reading = read_run(many(tmp_path / "run"))
    groups = charts(reading.log, {}, "points", reading.replicas)
    assert list(groups["Losses"][0].bands) == ["total", "real"]
    assert groups["Losses"][0].widest
    assert groups["Measures"][0].bands["held-out"][0].median == 12.0
    assert groups["Replicas"][0].curves["alive"][-1] == (50, 16)


def test_a_band_is_drawn_where_it_lies() -> None:
    rows: list[tuple[int, Row]] = [(update, tuple(float(update + replica) for replica in range(5))) for update in (0, 50, 100)]
    chart = Chart("t", "m", bands={"total": [band_of(update, row, range(5)) for update, row in rows]})
    drawn, axis = draw(chart, last=100), axis_of(chart)
    paths = re.findall(r'<path class="(?:band )?[bc]0" d="([^"]*)"', drawn)
    assert len(paths) == 3
    for path, (low, high) in zip(paths, ((0.2, 3.8), (1, 3), (2, 2)), strict=True):
        places = [tuple(map(float, place.split())) for place in re.split("[MLZ]", path) if place]
        edges = [(x * 10, 1000 * (1 - axis(x + high))) for x in (0, 50, 100)]
        if low != high:
            edges += [(x * 10, 1000 * (1 - axis(x + low))) for x in (100, 50, 0)]
        assert len(places) == len(edges)
        assert all(place == pytest.approx(edge, abs=0.06) for place, edge in zip(places, edges, strict=True))


def test_a_chart_tells_median_range_and_how_many(tmp_path: Path) -> None:
    reading = read_run(many(tmp_path / "run"))
    drawn = draw(charts(reading.log, {}, "points", reading.replicas)["Losses"][0], last=50)
    # Replicas 0, 3, … 24 diverged after 30; of 0.1 r + 1 the others have the median at r = 12.
    alive = [0.1 * replica for replica in range(25) if replica % 3]
    low, high = (f"{float(f'{edge:.4g}'):g}" for edge in np.quantile(alive, [0.05, 0.95]))
    assert f"total: last median {statistics.median(alive):g}, 5 to 95 % {low} to {high}, over 16 replicas" in unescape(drawn)
    (told,) = re.findall(r'data-rows="([^"]*)"', drawn)
    rows = json.loads(unescape(told))
    assert rows[-1][:2] == [50, f"{statistics.median(alive):g} ({low} to {high}) of 16"]
    assert rows[0][1] == "1.2 (0.12 to 2.28)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("made", [many, stacked, divided], ids=["many", "stacked", "divided"])
def test_nothing_sticks_out_and_all_words_have_contrast(
    tmp_path: Path, tab: Tab, made: Callable[[Path], Path], width: int, scheme: str
) -> None:
    tab.show(write_report(made(tmp_path / "run")), width, scheme=scheme)
    assert tab.logs == []
    tab.ask("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert tab.ask("document.documentElement.scrollWidth") <= width
    # A wide table scrolls inside its own box.
    assert tab.ask(STICKING_OUT.replace("closest('svg')", "closest('svg, .wide')")) == []
    assert tab.ask(CONTRASTS) == []


def test_the_page_names_every_replica(tmp_path: Path, tab: Tab) -> None:
    everything = " ".join(ATTACKS)
    tab.call("Page.setBypassCSP", enabled=True)
    try:
        tab.show(write_report(many(tmp_path / "run", everything)), 1400)
        assert tab.ask("window.hacked") is None
        assert tab.ask("document.querySelectorAll('iframe, object, b#lure, #lure').length") == 0
    finally:
        tab.call("Page.setBypassCSP", enabled=False)
    assert tab.ask("document.querySelector('#replicas details').open") is False
    assert tab.ask("document.querySelectorAll('#replicas tbody tr').length") == 25
    row = tab.ask("[...document.querySelectorAll('#replicas tbody tr')[3].children].map(cell => cell.textContent)")
    assert row == ["3", "3", f"diverged at 30: {everything}", "0.3", "2.3", "3"]
    assert tab.ask("document.querySelector('.lede').textContent").endswith("25 replicas: seeds 0..24")
    assert tab.ask("document.querySelector('[role=alert]').textContent").startswith("9 of 25 replicas diverged")


def test_a_replica_is_repeated_by_its_command(tmp_path: Path, tab: Tab) -> None:
    run = stacked(tmp_path / "my run")
    reading, members = read_run(run), recipe_of().members()
    for replica, member in zip(reading.replicas, members, strict=True):
        _, train, stored, *overrides = shlex.split(alone_command(reading, replica))
        assert train == "train"
        assert load(Path(stored), overrides) == member
    tab.show(write_report(run), 1400)
    assert alone_command(reading, reading.replicas[0]) in tab.ask(
        "[...document.querySelectorAll('.command code')].map(code => code.textContent)"
    )


def test_pictures_of_parts_stand_side_by_side(tmp_path: Path, tab: Tab) -> None:
    run = divided(tmp_path / "run")
    (run / "parts/0003-0006/samples/000100.png").unlink()
    page = write_report(run)
    assert (run / "samples/training.gif").is_file()
    tab.show(page, 1400)
    assert tab.ask("[...document.querySelectorAll('.frames img')].map(image => image.dataset.update)") == ["0", "100"]
    # Two columns, as wide as a page's pictures are at most.
    assert tab.ask("document.images[0].naturalWidth") == 1200
    assert tab.ask("[...document.images].filter(image => image.naturalWidth === 0).length") == 0


def test_the_tables_of_runs_and_of_replicas(tmp_path: Path) -> None:
    stacked(tmp_path / "runs/a")
    divided(tmp_path / "runs/b", behind=50)
    one, other = runs_table(tmp_path / "runs")
    assert (one.replicas, one.diverged, one.parts, one.status) == (8, 3, None, "done")
    assert (other.replicas, other.diverged, other.parts, other.status) == (8, 3, (2, 3), "running")
    alive = [float(number(replica, 100, "generator/loss")) for replica in range(8) if replica not in ENDED]
    assert one.losses["generator"] == statistics.median(alive)
    listed = saddlepoint("runs", str(tmp_path / "runs/b"), "--json").json
    assert [row["replica"] for row in listed] == list(range(8))
    assert [row["status"] for row in listed] == [
        "done",
        "done",
        "diverged",
        "running",
        "running",
        "diverged",
        "running",
        "diverged",
    ]
    assert listed[2] == {
        "replica": 2,
        "seed": 2,
        "values": {"weightings.generator.eta": 0.1},
        "status": "diverged",
        "update": 60,
        "term": TERM,
        "losses": {"discriminator": number(2, 50, NAMES[0]), "generator": number(2, 50, "generator/loss")},
    }
    assert [row.update for row in replicas_table(tmp_path / "runs/b")] == [100, 100, 60, 50, 50, 30, 50, 0]
    plain = saddlepoint("runs", str(tmp_path / "runs/b")).out.splitlines()
    assert plain[0].split() == ["replica", "seed", "eta", "status", "update", "losses"]
    assert f"diverged: {TERM}" in plain[3]
    assert saddlepoint("runs", str(tmp_path / "runs")).out.splitlines()[0].split()[3:6] == ["replicas", "diverged", "parts"]


def test_the_csv_is_long(tmp_path: Path) -> None:
    with export_csv(stacked(tmp_path / "run"), tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["replica", "seed", "weightings.generator.eta", "update"]
    wanted = [(replica, update) for replica in range(8) for update in UPDATES if ENDED.get(replica, 100) >= update]
    assert [(int(row["replica"]), int(row["update"])) for row in rows] == wanted
    for row in rows:
        replica, update = int(row["replica"]), int(row["update"])
        assert (int(row["seed"]), float(row["weightings.generator.eta"])) == (replica % 4, 0.1 if replica < 4 else 0.5)
        assert [float(row[name]) for name in NAMES] == [number(replica, update, name) for name in NAMES]
        assert int(row["images"]) == 64 * update


def test_tensorboard_has_medians_and_each_replica_beside_them(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = export_tensorboard(stacked(tmp_path / "run"), tmp_path / "board")
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [f"replica-{index:04d}" for index in range(8)]
    for place, members in (("", [r for r in range(8) if r not in ENDED]), ("replica-0006", [6])):
        read = EventAccumulator(str(folder / place))
        read.Reload()
        last = read.Scalars("generator/loss")[-1]
        middle = statistics.median(float(number(replica, 100, "generator/loss")) for replica in members)
        assert (last.step, np.float32(last.value)) == (100, np.float32(middle))
    ended = EventAccumulator(str(folder / "replica-0002"))
    ended.Reload()
    assert [scalar.step for scalar in ended.Scalars("generator/loss")] == [25, 50]
