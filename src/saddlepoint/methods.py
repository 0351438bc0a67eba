"""Every method there is, by name and room."""

from functools import partial
from typing import Any, NamedTuple

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
    """All entries of all registries, room by room.

    >>> "sdp" in [entry.name for entry in registered()]
    True
    """
    rooms: dict[str, Any] = {
        "objectives": OBJECTIVES,
        "penalties": PENALTIES,
        "weightings": WEIGHTINGS,
        "networks": NETWORKS,
        "optimizers": OPTIMIZERS,
        "projections": PROJECTIONS,
    }
    return [Entry(name, room, _record(made)) for room, registry in rooms.items() for name, made in registry.items()]


def _record(made: Any) -> Any:
    # A name such as "r1" builds a record with some fields given.
    return made.func if isinstance(made, partial) else made
