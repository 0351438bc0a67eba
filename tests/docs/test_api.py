"""The blocks of the page on the API run one after another, as it says."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "api.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    programs = [block.text for block in blocks(PAGE) if block.language == "python"]
    assert len(programs) == 9
    program: dict[str, Any] = {"__name__": "__main__"}
    for text in programs:
        exec(compile(text, str(PAGE), "exec"), program)
    printed = capfd.readouterr().out
    assert "runs/ring 80" in printed
    assert "wgan-gp" in printed, "the nearest recipe is named"
    assert "['data.name'" in printed or "'schedule.updates'" in printed
    assert program["raw"].shape == (10, 2)
