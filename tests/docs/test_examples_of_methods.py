"""An example on a method's page is a recipe as it stands, if it is one and not several to choose from."""

from pathlib import Path

import pytest

from saddlepoint.errors import InputError
from saddlepoint.recipe import load
from tests.docs.blocks import ROOT, blocks

PAGES = sorted((ROOT / "docs" / "methods").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_example_is_a_recipe(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(block for block in blocks(page) if block.language == "yaml"):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block.text, encoding="utf-8")
        assert [problem for problem in problems_of(file) if "is given twice" not in problem] == []


def problems_of(file: Path) -> tuple[str, ...]:
    try:
        load(str(file))
    except InputError as error:
        return tuple(error.problems)
    return ()
