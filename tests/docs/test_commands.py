"""The page on the commands names the commands and options that there are, and no others."""

import re

import pytest
import typer.main

from saddlepoint.cli import app
from tests.cli.command_line import saddlepoint
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
SECTIONS = {title.strip(): text for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}
GROUP = typer.main.get_command(app)
COMMANDS = list(getattr(GROUP, "commands", {}))


def test_every_command_has_a_section() -> None:
    assert len(COMMANDS) == 11
    assert [*COMMANDS, "Exit codes"] == list(SECTIONS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_are_those_of_the_help(command: str) -> None:
    shown = saddlepoint(command, "--help")
    assert shown.code == 0
    in_help = set(re.findall(r"^  (--?[a-z]+)", shown.out, re.MULTILINE)) - {"--help"}
    in_page = set(re.findall(r"^\| `(--?[a-z]+)", SECTIONS[command], re.MULTILINE))
    assert "--json" in in_help
    assert in_page == in_help


@pytest.mark.parametrize("command", COMMANDS)
def test_a_section_opens_with_its_usage(command: str) -> None:
    assert SECTIONS[command].strip().startswith(f"saddlepoint {command}")


def test_the_exit_codes() -> None:
    codes = re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "130"]
    assert saddlepoint("methods", "no-such-method").code == 2
    assert saddlepoint("methods").code == 0
