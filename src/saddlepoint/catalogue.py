"""The list of all methods: the room, the paper and the shipped recipes of each."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from saddlepoint.citation import cited
from saddlepoint.methods import first_line, listed
from saddlepoint.recipe import load, shipped
from saddlepoint.rounds import Record


class Row(NamedTuple):
    """One line of the list."""

    method: str
    room: str
    paper: str
    about: str
    recipes: tuple[str, ...]


def rows() -> list[Row]:
    """Every method, measure and extractor, in the order of the registries.

    >>> next(row for row in rows() if row.method == "sdp").paper
    'Zhang et al.'
    """
    using = _recipes_by_record()
    return [
        Row(entry.name, entry.room, cited(entry.record.bibtex), first_line(entry.record), using.get(entry.record, ()))
        for entry in listed()
    ]


@functools.cache
def _recipes_by_record() -> dict[type[Record], tuple[str, ...]]:
    """The shipped recipes that name a record, by its class."""
    using: dict[type[Record], tuple[str, ...]] = {}
    for name in shipped():
        for record in dict.fromkeys(type(found) for found in _records(load(name))):
            using[record] = (*using.get(record, ()), name)
    return using


def _records(value: object) -> Iterator[Record]:
    """The records that a recipe holds, at any depth."""
    if isinstance(value, Record):
        yield value
    inner = (held for _, held in value) if isinstance(value, BaseModel) else value if isinstance(value, tuple) else ()
    for held in inner:
        yield from _records(held)
