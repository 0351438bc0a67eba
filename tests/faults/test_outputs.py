"""Terminals, pipes whose reader leaves, outputs on a full disk."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from saddlepoint.training.checkpoints import updates_at_hand
from tests.cli.command_line import DIGITS
from tests.faults.processes import PATIENCE_SECONDS, Command
from tests.faults.unbroken import LONG


class Screen:
    """A terminal of 80 columns that remembers what was written to it."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.path = Path(os.ttyname(self._theirs))
        self._read = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while chunk := os.read(self._ours, 65536):
                self._read += chunk
        except OSError:
            return

    def text(self) -> str:
        """All that was shown, without colours and movements, once the command has ended."""
        os.close(self._theirs)
        self._thread.join(10)
        os.close(self._ours)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._read.decode())

    @property
    def raw(self) -> bytes:
        return bytes(self._read)


LIVE = re.compile(r"updates [━╸╺ ]*\s+(\d+)/60 +[\d,]+ images/s \d:\d\d:\d\d left D -?[\d.e+-]+  G -?[\d.e+-]+")


def test_a_terminal_shows_a_live_line(here: Path) -> None:
    screen = Screen()
    command = Command(("train", *DIGITS, *LONG, "--out", "run"), here, out=screen.path, environment={"TERM": "xterm-256color"})
    assert command.code() == 0, command.errors
    text = screen.text()
    assert LIVE.findall(text)[-1] == "60", text[-2000:]
    assert b"\x1b[?25l" in screen.raw
    assert screen.raw.rfind(b"\x1b[?25h") > screen.raw.rfind(b"\x1b[?25l")
    assert "run/report.html" in text


def test_a_stopped_terminal_is_left_as_it_was(here: Path) -> None:
    screen = Screen()
    command = Command(("train", *DIGITS, *LONG, "--out", "run"), here, out=screen.path, environment={"TERM": "xterm-256color"})
    command.wait_for(lambda: bool(updates_at_hand(Path("run"))))
    command.signal(signal.SIGINT)
    assert command.code() == 130
    screen.text()
    assert screen.raw.rfind(b"\x1b[?25h") > screen.raw.rfind(b"\x1b[?25l")
    assert command.errors.splitlines()[-1] == "go on with: saddlepoint resume run"


def test_training_goes_on_when_the_reader_of_its_output_leaves(here: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = Command(("train", *DIGITS, *LONG, "--out", "run"), here, out=pipe)
    # Opened so, it waits for nobody: a command that ends before it writes fails the test, and does not hold it.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert select.select([reader], [], [], PATIENCE_SECONDS)[0], "nothing came"
    assert os.read(reader, 1)
    os.close(reader)
    assert command.code() == 0, command.errors
    assert command.errors == ""
    assert updates_at_hand(Path("run"))[-1] == 60
    assert Path("run/report.html").exists()


def test_training_goes_on_when_its_output_fills_a_disk_and_says_so(here: Path) -> None:
    command = Command(("train", *DIGITS, *LONG, "--out", "run"), here, out=Path("/dev/full"))
    assert command.code() == 2
    (line,) = command.errors.splitlines()
    assert line.startswith("saddlepoint: standard output: No space left on device; ")
    assert updates_at_hand(Path("run"))[-1] == 60


HELP = [sys.executable, "-m", "saddlepoint.cli", "--help"]


def test_a_full_disk_under_an_output_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(HELP, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("saddlepoint: standard output: No space left on device; ")


def test_a_reader_that_has_left_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(HELP, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_cannot_show_every_letter_shows_escapes(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    for words in (["--help"], ["train", "--help"]):
        done = subprocess.run([*HELP[:-1], *words], env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
