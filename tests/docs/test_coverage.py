"""What must be documented is: methods, dependencies, modules; links lead somewhere; no page names a place on one machine."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.list_methods import page_of

import saddlepoint
from saddlepoint.methods import Entry, parts_of_networks, registered
from tests.docs.blocks import ROOT
from tests.test_rooms import ORDER

PACKAGE = Path(saddlepoint.__file__).parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

SECTIONS = ("## The maths", "## In a recipe", "## Pitfalls", "## Where ours differs, and why", "## BibTeX")

# Places that are the same on every machine.
STANDARD = ("/usr/share/", "/dev/full", "/dev/null")

# Distributions that go by another name on the pages.
SPOKEN = {"pyyaml": "PyYAML", "types-PyYAML": "PyYAML"}


@pytest.mark.parametrize("entry", [*registered(), *parts_of_networks()], ids=lambda entry: entry.name)
def test_every_method_has_its_page(entry: Entry) -> None:
    page = page_of(entry).read_text(encoding="utf-8")
    assert [section for section in SECTIONS if section not in page] == []
    assert entry.name in page
    if entry.record.model_fields:
        assert "| default |" in page
    assert entry.record.bibtex.strip() in page


def test_how_many_methods() -> None:
    named = ("objectives", "penalties", "weightings", "views", "optimizers", "networks")
    assert sum(entry.room in named for entry in registered()) >= 53
    pages = {path.name for path in (DOCS / "methods").glob("*.md")} - {"index.md"}
    assert pages == {page_of(entry).name for entry in registered() + parts_of_networks()}, "a page without a method"


def undocumented(path: Path) -> Iterator[str]:
    """What a module makes public without a docstring: itself, classes, functions."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    if not ast.get_docstring(module):
        yield "the module"
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name


def test_what_is_public_has_a_docstring() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) >= 70
    missing = {str(path.relative_to(PACKAGE)): list(undocumented(path)) for path in modules}
    assert {path: names for path, names in missing.items() if names} == {}


def anchor(heading: str) -> str:
    """A heading's address, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^(`{3,}).*?^\1$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, place = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if place:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in [anchor(heading) for heading in headings], target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_place_on_one_machine(page: Path) -> None:
    found = re.findall(r"(?<![\w./:)\]>*~$}|-])/[A-Za-z_]+/[\w./-]*", page.read_text(encoding="utf-8"))
    assert [path for path in found if not path.startswith(STANDARD)] == []


def test_how_many_pages() -> None:
    assert len(PAGES) >= 35


def test_every_dependency_is_a_decision() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in asked} - {"saddlepoint"}
    assert len(names) >= 15
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "decisions").glob("*.md")).lower()
    assert [name for name in sorted(names) if SPOKEN.get(name, name).lower() not in text] == []


def test_the_design_page_lists_the_rooms_in_their_order() -> None:
    (listed,) = re.findall(r"## The rooms\n\n(.*?)\n\n", (DOCS / "design.md").read_text(encoding="utf-8"), re.DOTALL)
    rooms = [{room.strip() for room in line.split(",")} for line in listed.splitlines()]
    assert rooms == ORDER


def test_the_pages_of_the_docs_are_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [path.name for path in DOCS.glob("*.md") if path.name != "index.md" and f"({path.name})" not in index] == []
