"""The page on several processes names every entry of every registry under the rule that its record declares."""

import re

import pytest

from saddlepoint.methods import parts_of_networks, registered
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "processes.md").read_text(encoding="utf-8")


def test_the_table_of_rules() -> None:
    shown = {
        (room, name): rule
        for room, *cells in re.findall(r"^\| (\w+(?: \w+)?) \| (.*?) ?\| (.*?) ?\|$", PAGE, re.MULTILINE)
        if room not in ("room", "outcome", "done", "diverged")
        for rule, cell in zip(("own", "everyone"), cells, strict=True)
        for name in cell.split(", ")
        if name
    }
    declared = {(entry.room, entry.name): entry.record.reads for entry in [*registered(), *parts_of_networks()]}
    declared |= {("normalizations", "none"): "own"}
    assert shown == declared
    assert len(shown) >= 22


def test_the_line_of_a_lost_process() -> None:
    from pathlib import Path

    from saddlepoint.processes import Member, Processes
    from saddlepoint.training.folder import resume_command

    (line,) = re.findall(r"^    saddlepoint: (.*)$", PAGE, re.MULTILINE)
    members = (Member.own(), Member("lab", 4711, ""))
    lost = Processes(0, 2, members).lost
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saddlepoint.processes.GRACE_SECONDS", 0.0)
        told = lost("closed")
    assert isinstance(told, str)
    assert line.startswith(told)
    assert line.endswith(f"`{resume_command(Path('runs/two'), 2)}`")
