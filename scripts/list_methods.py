"""Write the table of all methods, docs/methods/index.md, from the registries and the shipped recipes.

python -m scripts.list_methods
"""

from pathlib import Path

from saddlepoint.catalogue import Row, rows
from saddlepoint.methods import parts_of_networks, registered

PAGES = Path(__file__).parent.parent / "docs" / "methods"
INDEX = PAGES / "index.md"
OPENING = """# The methods

Written by `python -m scripts.list_methods` from the registries; `saddlepoint methods` prints the same. A recipe is named where it
holds the method.
"""


def text() -> str:
    """The page as it should be."""
    methods = {(entry.name, entry.room) for entry in registered() + parts_of_networks()}
    chosen = [row for row in rows() if (row.method, row.room) in methods]
    found = [f"{len(chosen)} methods in {len({row.room for row in chosen})} rooms.", ""]
    for room in dict.fromkeys(row.room for row in chosen):
        found += [f"## {room.capitalize()}", "", "| method | paper | recipes | what it is |", "| --- | --- | --- | --- |"]
        found += [_line(row) for row in chosen if row.room == room]
        found.append("")
    return OPENING + "\n" + "\n".join(found)


def page_of(method: str) -> Path:
    """A method's own page, or the page on which a row of a table is its.

    Raises:
        FileNotFoundError: there is none.
    """
    own = PAGES / f"{method}.md"
    if own.exists():
        return own
    for page in sorted(PAGES.glob("*.md")):
        if page != INDEX and f"\n| `{method}` |" in page.read_text(encoding="utf-8"):
            return page
    raise FileNotFoundError(f"no page of docs/methods is called {method}.md or has a row for `{method}`")


def _line(row: Row) -> str:
    recipes = ", ".join(f"`{name}`" for name in row.recipes)
    about = row.about.replace("|", r"\|")
    return f"| [{row.method}]({page_of(row.method).name}) | {row.paper} | {recipes} | {about} |"


if __name__ == "__main__":
    INDEX.write_text(text(), encoding="utf-8")
