"""Every test of the commands has a folder and a cache of its own; two small runs are trained once."""

import shutil
from pathlib import Path

import pytest

from tests.cli.command_line import DIGITS, OFTEN, POINTS, saddlepoint


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SADDLEPOINT_DATA", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run on digits and one on points, of 8 updates, with checkpoints at 4, 6 and 8."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADDLEPOINT_CACHE", str(folder / "cache"))
        for name, recipe in (("digits", DIGITS), ("points", POINTS)):
            assert saddlepoint("train", *recipe, *OFTEN, "updates=8", "--out", str(folder / name)).code == 0
    return {name: folder / name for name in ("digits", "points")}


@pytest.fixture
def digits(trained: dict[str, Path], here: Path) -> Path:
    """A copy of the run on digits, at `runs/digits`."""
    return Path(shutil.copytree(trained["digits"], here / "runs" / "digits")).relative_to(here)


@pytest.fixture
def points(trained: dict[str, Path], here: Path) -> Path:
    """A copy of the run on points, at `runs/points`."""
    return Path(shutil.copytree(trained["points"], here / "runs" / "points")).relative_to(here)
