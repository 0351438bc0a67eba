"""The blocks of the page on extractors run."""

import pytest

from saddlepoint.extractors import EXTRACTORS
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "extractors.md"


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    programs = [block.text for block in blocks(PAGE) if block.language == "python"]
    assert len(programs) == 2
    for text in programs:
        exec(compile(text, str(PAGE), "exec"), {})
    digest = EXTRACTORS["digits-classifier"]().open().digest
    assert capsys.readouterr().out.splitlines() == [
        f"torch.Size([100, 64]) torch.Size([100, 10]) {digest[:8]}",
        "torch.Size([2, 48])",
    ]


def test_the_page_lists_every_extractor() -> None:
    text = PAGE.read_text()
    assert [name for name in EXTRACTORS if f"| `{name}` |" not in text] == []
