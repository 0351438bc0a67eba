import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from saddlepoint.errors import InputError
from saddlepoint.report.export import export_csv, export_tensorboard
from tests.report.run_folders import VALUES, progress, write_run


def test_the_csv_is_the_events(tmp_path: Path) -> None:
    odd: dict[str, float | str] = {"discriminator/loss": "nan", "generator/loss": 0.1 + 0.2, 'late, "quoted"': 1e-300}
    events = [progress(50), progress(100), progress(150, odd), {"event": "done", "update": 150}]
    path = export_csv(write_run(tmp_path / "run", events), tmp_path / "table.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert [name for name in rows[0] if "/" in name and not name.endswith("/updates")] == list(VALUES)
    for row, event in zip(rows, events, strict=False):
        assert (int(row["update"]), int(row["images"])) == (event["update"], event["images"])
        assert {player: int(row[f"{player}/updates"]) for player in event["updates"]} == event["updates"]
        assert (float(row["seconds"]), float(row["images_per_second"])) == (
            event["time"]["seconds"],
            event["time"]["images_per_second"],
        )
        for name in (*VALUES, 'late, "quoted"'):
            value = event["values"].get(name)
            if value == "nan":
                assert math.isnan(float(row[name]))
            else:
                assert row[name] == "" if value is None else float(row[name]) == value


def test_a_run_without_progress_gives_a_header(tmp_path: Path) -> None:
    path = export_csv(write_run(tmp_path / "run", []), tmp_path / "table.csv")
    assert path.read_text() == "update,images,seconds,images_per_second\n"


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = [progress(50), progress(100), progress(150, {"generator/loss": "inf", "discriminator/loss": 2.5})]
    warning = {"event": "warning", "update": 7, "message": "look out"}
    run = write_run(tmp_path / "run", [*events, warning], pictures=(0, 100))
    folder = export_tensorboard(run, tmp_path / "tensorboard")

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    read.Reload()
    assert sorted(read.Tags()["scalars"]) == sorted([*VALUES, "images per second"])
    for name in VALUES:
        wanted = [(event["update"], np.float32(float(event["values"][name]))) for event in events if name in event["values"]]
        assert [(scalar.step, np.float32(scalar.value)) for scalar in read.Scalars(name)] == wanted
    first = read.Scalars("generator/loss")
    assert first[1].wall_time - first[0].wall_time == pytest.approx(
        progress(100)["time"]["seconds"] - progress(50)["time"]["seconds"]
    )
    pictures = read.Images("samples")
    assert [picture.step for picture in pictures] == [0, 100]
    original = Image.open(run / "samples" / "000100.png")
    assert (pictures[1].width, pictures[1].height) == original.size
    (tmp_path / "back.png").write_bytes(pictures[1].encoded_image_string)
    assert Image.open(tmp_path / "back.png").convert("RGB").tobytes() == original.convert("RGB").tobytes()
    assert read.Tensors("warnings/text_summary")[0].tensor_proto.string_val == [b"look out"]
    assert b"family: dcgan" in read.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]


MEASURED = {
    "frechet-distance": {"title": "FD (pixels)", "mean": 0.1 + 0.2, "error": None, "n": 9, "better": "lower"},
    "recall": {"title": "recall (pixels)", "mean": "nan", "error": 0.25, "n": 9, "better": "higher"},
}


def measured(update: int) -> dict[str, Any]:
    return {
        "event": "measures",
        "update": update,
        "split": "held-out",
        "values": MEASURED,
        "left_out": [],
        "time": {"seconds": 1.0},
    }


def test_what_was_measured_is_exported(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = write_run(tmp_path / "run", [progress(50), measured(50), measured(75), progress(100)])
    with export_csv(run, tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == [50, 75, 100]
    for row in rows[:2]:
        assert float(row["measures/frechet-distance"]) == 0.1 + 0.2
        assert math.isnan(float(row["measures/recall"]))
        assert float(row["measures/recall/error"]) == 0.25
    assert [row["measures/recall"] for row in rows[2:]] == [""]
    assert [row["images"] == "" for row in rows] == [row["generator/loss"] == "" for row in rows] == [False, True, False]
    assert "measures/frechet-distance/error" not in rows[0]

    read = EventAccumulator(str(export_tensorboard(run, tmp_path / "board")))
    read.Reload()
    scalars = read.Scalars("measures/frechet-distance")
    assert [(scalar.step, np.float32(scalar.value)) for scalar in scalars] == [(update, np.float32(0.3)) for update in (50, 75)]
    assert scalars[1].wall_time == read.Scalars("generator/loss")[0].wall_time
    assert [scalar.value for scalar in read.Scalars("measures/recall/error")] == [0.25, 0.25]


def test_a_second_export_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [progress(50)])
    folder = export_tensorboard(run, tmp_path / "tensorboard")
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="holds TensorBoard events already"):
        export_tensorboard(run, folder)
    assert sorted(folder.iterdir()) == before


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'saddlepoint\[tensorboard\]'"):
        export_tensorboard(write_run(tmp_path / "run", [progress(50)]), tmp_path / "tensorboard")
    assert not (tmp_path / "tensorboard").exists()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [progress(50)])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        export_csv(run, tmp_path / "file" / "table.csv")
    with pytest.raises(InputError, match="cannot be written"):
        export_csv(run, tmp_path / "missing" / "table.csv")
    with pytest.raises(InputError, match="no folder"):
        export_tensorboard(run, tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        export_tensorboard(run, tmp_path / "file" / "tensorboard")
    assert json.loads((run / "events.jsonl").read_text())["update"] == 50
