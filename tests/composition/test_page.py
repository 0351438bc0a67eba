"""The page says how many pairs combine, how many are refused, and why."""

import re
from pathlib import Path

from tests.composition.covering import pairs
from tests.composition.reasons import REASONS, reasons
from tests.composition.rows import FACTORS, rows

PAGE = (Path(__file__).parents[2] / "docs" / "composition.md").read_text(encoding="utf-8")


def test_its_numbers() -> None:
    told = {name: int(number) for name, number in re.findall(r"^\| ([^|]+) \| (\d+) \|", PAGE, re.MULTILINE)}
    every = list(pairs(FACTORS))
    refused = [pair for pair in every if reasons(*pair)]
    sizes = [len(entries) for entries in FACTORS.values()]
    found = dict(zip(list(told)[: len(sizes)], sizes, strict=True))
    found |= {"pairs": len(every), "of these refused": len(refused)}
    found |= {f"rows that hold the other {len(every) - len(refused)}": len(rows())}
    found |= {reason: sum(reason in reasons(*pair) for pair in refused) for reason in REASONS}
    assert told == found
