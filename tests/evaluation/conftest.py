"""A cache and a current folder of their own for each test; two small runs, trained once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import saddlepoint
from saddlepoint import Run
from tests.evaluation.samples import MeanGap, registered

SMALL: dict[str, Any] = {"threads": 1, "samples.count": 4, "samples.every": 100, "checkpoints.every": 3, "average.decay": 0.5}
DIGITS: dict[str, Any] = {
    "data": "digits",
    "data.resolution": 8,
    "networks.width": 4,
    "latent": 4,
    "batch": 8,
    "updates": 6,
    **SMALL,
}
POINTS: dict[str, Any] = {"data": "8-gaussians", "networks.widths": [4], "latent": 2, "batch": 8, "updates": 6, **SMALL}
GAPS: dict[str, Any] = {"measures.every": 1, "measures.names": ["mean-gap"], "measures.best": "mean-gap", "checkpoints.keep": 1}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch, registered(MeanGap):
        patch.setenv("SADDLEPOINT_CACHE", str(folder / "cache"))
        saddlepoint.train("dcgan", out=folder / "digits", **DIGITS, **GAPS)
        saddlepoint.train("gan", out=folder / "points", **POINTS)
    return {name: folder / name for name in ("digits", "points")}


@pytest.fixture
def digits(trained: dict[str, Path], here: Path) -> Iterator[Run]:
    """A copy of the run on digits, measured at every update by `mean-gap`."""
    with registered(MeanGap):
        yield saddlepoint.open_run(shutil.copytree(trained["digits"], here / "digits"))


@pytest.fixture
def ring(trained: dict[str, Path], here: Path) -> Run:
    """A copy of the run on points."""
    return saddlepoint.open_run(shutil.copytree(trained["points"], here / "ring"))
