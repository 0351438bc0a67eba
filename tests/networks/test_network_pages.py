"""Each family and each normalisation has a page; a family's names every field, and holds its BibTeX."""

from pathlib import Path
from typing import get_args

import pytest

from saddlepoint.networks import NETWORKS
from saddlepoint.networks.layers import NormalizationName

PAGES = Path(__file__).parents[2] / "docs" / "methods"
PARTS = ("## The maths", "## In a recipe", "## Pitfalls", "## Where ours differs, and why", "## BibTeX")
NORMALIZATIONS = [f"{name}-normalization" for name in get_args(NormalizationName) if name != "none"]


@pytest.mark.parametrize("name", [*NETWORKS, *NORMALIZATIONS])
def test_a_page_has_all_its_parts(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert [part for part in PARTS if part not in page] == []
    assert page.startswith(f"# {name.replace('-', ' ')}\n")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_familys_page_names_every_field_and_default(name: str) -> None:
    page, record = (PAGES / f"{name}.md").read_text(encoding="utf-8"), NETWORKS[name].model_validate({})
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == {f"`{field}`" for field in NETWORKS[name].model_fields}
    for field, value in record.model_dump().items():
        if isinstance(value, int | str):
            assert f"| `{value}` |" in rows[f"`{field}`"]
    assert record.bibtex in page


def test_how_many() -> None:
    assert (len(NETWORKS), len(NORMALIZATIONS)) == (4, 3)
