"""Every command and every program of the README is run, in order, in an empty folder."""

import json
import shlex
from pathlib import Path

import pytest

from saddlepoint.recipe import load
from tests.cli.command_line import saddlepoint
from tests.docs.blocks import ROOT, blocks, commands

README = ROOT / "README.md"

# What this test does not run, and why.
ELSEWHERE = {
    "make demo": "installs first and trains for minutes; it is `saddlepoint train r1`, whose pieces have tests of their own",
    "make test": "runs this test",
}


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [command for block in blocks(README) if block.language == "sh" for command in commands(block)]
    assert set(ELSEWHERE) < set(lines)
    ours = [command for command in lines if command not in ELSEWHERE]
    assert len(ours) == 14
    printed = ""
    for command in ours:
        program, *words = shlex.split(command)
        assert program == "saddlepoint"
        outcome = saddlepoint(*words)
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        printed += outcome.out
    assert "none: the bits agree" in printed
    assert "zhang2021reducing" in printed
    done = json.loads((tmp_path / "runs/ring/events.jsonl").read_text().splitlines()[-1])
    assert (done["event"], done["update"]) == ("done", 150)
    assert (tmp_path / "runs/ring/log.csv").is_file()
    assert (tmp_path / "runs/many/replicas/0005/report.html").is_file()
    assert (tmp_path / "runs/wgan-gp-digits-1/report.html").is_file()


def test_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    programs = [block.text for block in blocks(README) if block.language == "python"]
    assert len(programs) == 2
    for program in programs:
        exec(compile(program, str(README), "exec"), {"__name__": "__main__"})
    assert "torch.Size([1000, 2])" in capfd.readouterr().out


def test_it_opens_with_the_two_commands_and_then_a_picture() -> None:
    text = README.read_text(encoding="utf-8")
    first = blocks(README)[0]
    assert commands(first) == ["make demo", "make test"]
    assert text.index("make test") < text.index("![") < text.index("## ")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/saddlepoint train r1" in makefile, "the picture's caption says which command made it"
    assert f"{load('r1').schedule.updates:,} updates" in text
