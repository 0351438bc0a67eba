"""Every test of the data room has a cache of its own, and no data of the user's."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(folder))
    monkeypatch.delenv("SADDLEPOINT_DATA", raising=False)
    return folder
