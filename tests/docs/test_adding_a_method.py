"""The page that adds a method is followed to the letter, in a copy of the repository."""

import contextlib
import hashlib
import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, blocks, commands

PAGE = ROOT / "docs" / "adding-a-method.md"
COPIED = ("src", "scripts", "tests", "docs", "pyproject.toml")

NEW = {
    "src/saddlepoint/penalties/logit_squeezing.py",
    "tests/penalties/test_logit_squeezing.py",
    "docs/methods/logit-squeezing.md",
}
CHANGED = {"src/saddlepoint/penalties/__init__.py", "tests/mutants/training_tests.py"}


def digests(root: Path) -> dict[str, str]:
    """Of every file that is kept in the repository, by relative path."""
    files = [root / name for name in COPIED if (root / name).is_file()]
    files += [path for name in COPIED for path in (root / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def apply(block: Block, root: Path) -> None:
    """Write the file of a `title`; put the text of an `insert` before the first line that starts as it says."""
    if "title" in block.marks:
        path = root / block.marks["title"]
        assert not path.exists(), "the page makes a file that is there already"
        path.write_text(block.text, encoding="utf-8")
    if "insert" in block.marks:
        path = root / block.marks["insert"]
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        at = next(number for number, line in enumerate(lines) if line.startswith(block.marks["before"]))
        path.write_text("".join([*lines[:at], block.text, *lines[at:]]), encoding="utf-8")


def run(command: str, root: Path) -> str:
    """Run one of the page's commands in the copy; what it printed."""
    program, *rest = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *rest],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, root / name)
    return root


@pytest.mark.slow
def test_the_page_adds_a_penalty(copy: Path) -> None:
    page = blocks(PAGE)
    before = digests(copy)
    for block in page:
        apply(block, copy)
    printed = {command: run(command, copy) for block in page if block.language == "sh" for command in commands(block)}

    after = digests(copy)
    assert {path for path in after if path not in before} == NEW
    assert {path for path in before if after[path] != before[path]} == CHANGED
    assert not [path for path in NEW | CHANGED if path.startswith(("src/saddlepoint/training", "src/saddlepoint/games"))]

    shown = next(text for command, text in printed.items() if command == "saddlepoint methods logit-squeezing")
    assert "kannan2018adversarial" in shown
    assert "weight" in shown
    assert '"discriminator/penalty logit-squeezing"' in (copy / "runs" / "squeezed" / "events.jsonl").read_text(encoding="utf-8")
    tests = next(text for command, text in printed.items() if command.startswith("pytest"))
    assert "passed" in tests
    assert len(printed) == 4


def test_the_method_that_remembers_prints_what_the_page_says() -> None:
    page = blocks(PAGE)
    (program,) = [block.text for block in page if block.language == "python" and not block.marks]
    (printed,) = [block.text for block in page if block.language == "text"]
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        exec(compile(program, str(PAGE), "exec"), {"__name__": "lecam"})
    assert screen.getvalue() == printed
