"""The fenced blocks of a page."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>\S*)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"""(\w+)=(["'])(.*?)\2""")


class Block(NamedTuple):
    """A fenced block: its language, what else stands after the fence (`title="…"`), and its text."""

    language: str
    marks: dict[str, str]
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order. A fence of four marks may hold fences of three."""
    return [
        Block(found["language"], {name: value for name, _, value in MARK.findall(found["rest"])}, found["text"])
        for found in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def commands(block: Block) -> list[str]:
    """The commands of a shell block, without comments; a line may go on after a backslash."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]
