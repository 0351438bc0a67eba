"""Write the table of all methods, docs/methods/index.md, from the registries and the shipped recipes.

python -m scripts.list_methods
"""

from pathlib import Path

from saddlepoint.catalogue import Row, rows
from saddlepoint.methods import Entry, parts_of_networks, registered

PAGES = Path(__file__).parent.parent / "docs" / "methods"
INDEX = PAGES / "index.md"
# Pages that tell of several methods.
SHARED = dict.fromkeys(("wgan-gp", "r1", "r2", "0-gp", "dragan"), "gradient") | {
    "adaptive-instance-noise": "instance-noise",
    "alternating": "simultaneous",
    "extragradient-from-the-past": "extragradient",
    "bcr": "cr",
    "zcr-generator": "zcr",
}
OPENING = """# The methods

Written by `python -m scripts.list_methods` from the registries; `saddlepoint methods` prints the same. A recipe is named where it
holds the method.
"""


def text() -> str:
    """The page as it should be."""
    entries = registered() + parts_of_networks()
    rooms = dict.fromkeys(entry.room for entry in entries)
    by_place = {(row.method, row.room): row for row in rows()}
    found = [f"{len(entries)} methods in {len(rooms)} rooms.", ""]
    for room in rooms:
        found += [f"## {room.capitalize()}", "", "| method | paper | recipes | what it is |", "| --- | --- | --- | --- |"]
        found += [_line(entry, by_place[entry.name, room]) for entry in entries if entry.room == room]
        found.append("")
    return OPENING + "\n" + "\n".join(found)


def page_of(entry: Entry) -> Path:
    """The page of a method: its own, that of its normalisation, or one it shares."""
    return PAGES / f"{SHARED.get(entry.name, getattr(entry.record, 'page', entry.name))}.md"


def _line(entry: Entry, row: Row) -> str:
    recipes = ", ".join(f"`{name}`" for name in row.recipes)
    about = row.about.replace("|", r"\|")
    return f"| [{row.method}]({page_of(entry).name}) | {row.paper} | {recipes} | {about} |"


if __name__ == "__main__":
    INDEX.write_text(text(), encoding="utf-8")
