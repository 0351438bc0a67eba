"""A folder and a cache for each test, and a run that nothing stopped, to compare with."""

from pathlib import Path

import pytest

from tests.cli.command_line import DIGITS, saddlepoint
from tests.faults.unbroken import LONG


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `LONG` that was never stopped."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert saddlepoint("train", *DIGITS, *LONG, "--out", str(run)).code == 0
    return run
