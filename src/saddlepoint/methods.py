"""Every method there is, by name and room; and what measures it."""

from collections.abc import Mapping
from typing import NamedTuple

from saddlepoint.extractors import EXTRACTORS
from saddlepoint.measures import MEASURES
from saddlepoint.networks import NETWORKS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Record
from saddlepoint.weightings import WEIGHTINGS


class Entry(NamedTuple):
    """A method: its name, the room it lives in, and the record that its name builds."""

    name: str
    room: str
    record: type[Record]


def registered() -> list[Entry]:
    """All methods that a game is made of, room by room.

    >>> "sdp" in [entry.name for entry in registered()]
    True
    """
    rooms: dict[str, Mapping[str, type[Record]]] = {
        "objectives": OBJECTIVES,
        "penalties": PENALTIES,
        "weightings": WEIGHTINGS,
        "networks": NETWORKS,
        "optimizers": OPTIMIZERS,
        "projections": PROJECTIONS,
    }
    return _entries(rooms)


def listed() -> list[Entry]:
    """The same, with the measures and the extractors.

    >>> {"sdp", "frechet-distance", "inception"} <= {entry.name for entry in listed()}
    True
    """
    return registered() + _entries({"measures": MEASURES, "extractors": EXTRACTORS})


def _entries(rooms: Mapping[str, Mapping[str, type[Record]]]) -> list[Entry]:
    return [Entry(name, room, record) for room, registry in rooms.items() for name, record in registry.items()]
