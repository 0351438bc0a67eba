"""Every method of these rooms has a page that names each of its fields and ends with its BibTeX."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from scripts.list_methods import SHARED

from saddlepoint.combiners import COMBINERS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Record
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS

ROOMS: tuple[Mapping[str, type[Record]], ...] = (
    OBJECTIVES,
    PENALTIES,
    WEIGHTINGS,
    RELABELLINGS,
    VIEWS,
    OPTIMIZERS,
    PROJECTIONS,
    COMBINERS,
    RATES,
)
METHODS: dict[str, type[Record]] = {name: record for room in ROOMS for name, record in room.items()}
PAGES = Path(__file__).parents[2] / "docs" / "methods"


def test_how_many() -> None:
    entries = sum(map(len, ROOMS))
    assert len(METHODS) == entries >= 15, "no name stands in two registries"


@pytest.mark.parametrize("name", METHODS)
def test_page(name: str) -> None:
    page = (PAGES / f"{SHARED.get(name, name)}.md").read_text(encoding="utf-8")
    record = METHODS[name]
    assert [field for field in record.model_fields if f"`{field}`" not in page] == []
    assert record.bibtex.strip() in page
    for part in ("## In a recipe", "## Pitfalls", "## Where ours differs, and why", "## BibTeX"):
        assert part in page
    assert name in page
