"""Ctrl-C and SIGTERM: exit code 130, a checkpoint, and the printed command that goes on to the same bits."""

import os
import shlex
import signal
from pathlib import Path

import pytest

from saddlepoint.training.checkpoints import read_checkpoint, updates_at_hand
from tests.cli.command_line import DIGITS, saddlepoint
from tests.faults.processes import Command
from tests.faults.unbroken import LONG, same


def begun(run: Path) -> bool:
    return bool(updates_at_hand(run))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["run", "my runs/the 'first' one"])
def test_a_stopped_run_prints_the_command_that_goes_on(here: Path, unbroken: Path, number: signal.Signals, name: str) -> None:
    command = Command(("train", *DIGITS, *LONG, "--out", name), here)
    command.wait_for(lambda: begun(Path(name)))
    command.signal(number)
    assert command.code() == 130, command.errors
    stopped, go_on = command.errors.splitlines()
    last = read_checkpoint(Path(name)).update
    assert stopped == f"stopped at update {last}; a checkpoint is written"
    assert last < 60
    words = shlex.split(go_on.removeprefix("go on with: "))
    assert words == ["saddlepoint", "resume", name]
    assert saddlepoint(*words[1:]).code == 0
    assert same(unbroken, Path(name))


def test_a_resumed_run_can_be_stopped_again(here: Path, unbroken: Path) -> None:
    words: tuple[str, ...] = ("train", *DIGITS, *LONG, "--out", "run")
    for least in (5, 20, 40):
        command = Command(words, here)
        command.wait_for(lambda least=least: max(updates_at_hand(Path("run")), default=0) >= least)  # type: ignore[misc]
        command.signal(signal.SIGTERM)
        assert command.code() == 130, command.errors
        words = ("resume", "run")
    assert saddlepoint("resume", "run").code == 0
    assert same(unbroken, Path("run"))


def test_a_signal_before_anything_is_made_leaves_nothing(here: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waiting")
    # A recipe that is a pipe holds the command where it reads it.
    command = Command(("train", str(tmp_path / "waiting"), "--out", "run"), here)
    with (tmp_path / "waiting").open("w"):
        command.signal(signal.SIGTERM)
        assert command.code() == 130, command.errors
    assert command.errors == ""
    assert list(here.iterdir()) == []


def test_a_killed_run_goes_on(here: Path, unbroken: Path) -> None:
    command = Command(("train", *DIGITS, *LONG, "--out", "run"), here)
    command.wait_for(lambda: begun(Path("run")))
    command.signal(signal.SIGKILL)
    assert command.code() == -signal.SIGKILL
    assert saddlepoint("resume", "run").code == 0
    assert same(unbroken, Path("run"))
