"""The log is append only, cut back on resume, and plain JSON."""

import json
import math
from pathlib import Path

from saddlepoint.training.events import Events


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_resume_cuts_back_to_the_stored_length(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Events(path) as events:
        events.write("progress", 1)
        length = events.sync()
        events.write("progress", 2)
    with Events(path, length) as events:
        events.write("progress", 3)
    assert [line["update"] for line in lines(path)] == [1, 3]


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Events(path) as events:
        events.write("progress", 1)
        length = events.sync()
    with path.open("ab") as file:
        file.write(b'{"event": "prog')
    with Events(path, length) as events:
        events.write("progress", 2)
    assert [line["update"] for line in lines(path)] == [1, 2]


def test_numbers_that_are_not_finite_are_strings_of_standard_json(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Events(path) as events:
        events.write("progress", 1, values={"a": math.nan, "b": -math.inf, "c": 1.5})
    assert lines(path)[0]["values"] == {"a": "nan", "b": "-inf", "c": 1.5}
    assert "NaN" not in path.read_text()
