"""The page on the run folder names every file, event and value that a run leaves."""

import json
from pathlib import Path

import pytest

from tests.cli.command_line import saddlepoint
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = saddlepoint(
        *("train", "wegan", "data=8-gaussians", "networks={family: mlp, latent: 2, width: 8}", "updates=4", "log.every=2"),
        *("checkpoints.every=2", "--out", str(folder)),
    )
    assert done.code == 0, done.err
    return folder


def test_files(run: Path) -> None:
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    assert len(files) >= 14
    names = {path.name for path in files if not path.stem.isdecimal()}
    assert [name for name in sorted(names) if name not in PAGE] == []
    assert {path.parts[1] for path in files if path.parts[0] == "checkpoints"} == {"000002", "000004"}
    assert Path("samples/000004.png") in files


def test_events(run: Path) -> None:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {event["event"] for event in events} == {"start", "progress", "samples", "done"}
    for event in events:
        fields = [field for field in event if field not in ("event", "update")]
        assert [name for name in (event["event"], *fields) if f"`{name}`" not in PAGE] == []
    values = {name.split("/", 1)[1] for event in events for name in event.get("values", {})}
    assert len(values) >= 9
    kinds = {value.removesuffix(" real").removesuffix(" fake").removesuffix(" held-out") for value in values}
    assert [kind for kind in sorted(kinds) if f"/{kind}" not in PAGE] == []


def test_environment(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    (session,) = environment["sessions"]
    assert [key for key in (*environment, *session, *environment["data"]) if f'"{key}"' not in PAGE] == []
