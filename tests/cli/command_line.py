"""The command line in this process: what a command leaves with, prints and refuses."""

import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from saddlepoint.cli import main

# What trains in a blink: scans of digits, and points.
DIGITS = ("dcgan", "data.resolution=8", "networks.width=4", "latent=4", "batch=8", "threads=1", "samples.count=4")
POINTS = ("gan", "data=8-gaussians", "networks.widths=[4]", "latent=2", "batch=8", "threads=1")
OFTEN = ("log.every=2", "samples.every=4", "checkpoints.every=2")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()

    @property
    def json(self) -> Any:
        """What `--json` printed: the whole of standard output."""
        return json.loads(self.out)


def saddlepoint(*words: str) -> Outcome:
    """Run `saddlepoint WORDS`, in the folder that is current."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with patch.object(sys, "argv", ["saddlepoint", *words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code: Any = 0
        except SystemExit as leaving:
            code = leaving.code
    texts = []
    for stream in (out, err):
        stream.flush()
        binary = stream.buffer
        assert isinstance(binary, io.BytesIO)
        texts.append(binary.getvalue().decode())
    return Outcome(code if isinstance(code, int) else 0 if code is None else 1, *texts)


def refused(outcome: Outcome, *said: Sequence[str] | str) -> None:
    """Assert exit code 2, nothing on standard output, and one line for each group of words, which holds them all."""
    assert outcome.code == 2, outcome
    assert outcome.out == "", outcome
    assert "Traceback" not in outcome.err
    assert len(outcome.lines) == len(said), outcome.err
    for line, words in zip(outcome.lines, said, strict=True):
        assert line.startswith("saddlepoint: "), line
        for word in [words] if isinstance(words, str) else words:
            assert word in line, (word, line)


def listing(folder: Path) -> dict[str, bytes | str]:
    """Every file below a folder with what is in it, and every folder and link."""
    found: dict[str, bytes | str] = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file" if path.is_file() else "other"
            found[str(path.relative_to(folder))] = path.read_bytes() if kind == "file" else kind
    return found


def draw(folder: Path, count: int = 3) -> None:
    """Pictures of noise, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 255, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
