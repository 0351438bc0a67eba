"""Each family and each normalisation has a page; a family's names every field, and holds its BibTeX."""

from pathlib import Path

import pytest

from saddlepoint.methods import parts_of_networks
from saddlepoint.networks import NETWORKS

PAGES = Path(__file__).parents[2] / "docs" / "methods"
PARTS = ("## The maths", "## In a recipe", "## Pitfalls", "## Where ours differs, and why", "## BibTeX")
PARTS_OF_NETWORKS = {entry.name: entry.record for entry in parts_of_networks()}
PAGE_OF = {name: getattr(record, "page", name) for name, record in PARTS_OF_NETWORKS.items()}


@pytest.mark.parametrize("name", [*NETWORKS, *sorted(set(PAGE_OF.values()))])
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


@pytest.mark.parametrize("name", PARTS_OF_NETWORKS)
def test_the_page_of_a_part_names_it_with_every_field_and_default(name: str) -> None:
    page, record = (PAGES / f"{PAGE_OF[name]}.md").read_text(encoding="utf-8"), PARTS_OF_NETWORKS[name].model_validate({})
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| `")}
    assert f"`{name}`" in page
    for field, value in record.model_dump().items():
        shown = str(value).lower() if isinstance(value, bool) else value
        assert f"| `{shown}` |" in rows[f"`{field}`"]
    assert record.bibtex
    assert record.bibtex in page


def test_how_many() -> None:
    assert (len(NETWORKS), len(PARTS_OF_NETWORKS)) == (9, 13)
