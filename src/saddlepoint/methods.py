"""Every method there is, by name and room; and what measures it."""

import inspect
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from saddlepoint.combiners import COMBINERS
from saddlepoint.extractors import EXTRACTORS
from saddlepoint.measures import MEASURES
from saddlepoint.measures.measure import Measure, Quantity
from saddlepoint.networks import LAYERS, NETWORKS
from saddlepoint.networks.normalizations import NORMALIZATIONS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Record
from saddlepoint.schedules import SCHEDULES, Constant
from saddlepoint.stops import STOPS
from saddlepoint.turns import SLOW_WEIGHTS, TURNS
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS


class Entry(NamedTuple):
    """A method: its name, the room it lives in, and the record that its name builds."""

    name: str
    room: str
    record: type[Record]


def registered() -> list[Entry]:
    """All methods that stand in a recipe by themselves, room by room.

    >>> "sdp" in [entry.name for entry in registered()]
    True
    """
    rooms: dict[str, Mapping[str, type[Record]]] = {
        "objectives": OBJECTIVES,
        "penalties": PENALTIES,
        "weightings": WEIGHTINGS,
        "relabellings": RELABELLINGS,
        "views": VIEWS,
        "networks": NETWORKS,
        "optimizers": OPTIMIZERS,
        "projections": PROJECTIONS,
        "combiners": COMBINERS,
        "rates": RATES,
        "turns": TURNS,
        "slow weights": SLOW_WEIGHTS,
    }
    return _entries(rooms)


def parts_of_networks() -> list[Entry]:
    """What the networks of a recipe are made of: normalisations, and layers that a family may be given.

    >>> {"spectral", "self-attention"} <= {entry.name for entry in parts_of_networks()}
    True
    """
    return _entries({"normalizations": NORMALIZATIONS, "layers": LAYERS})


def listed() -> list[Entry]:
    """All of them, with the stop rules, the measures and the extractors.

    >>> {"sdp", "batch", "frechet-distance", "inception"} <= {entry.name for entry in listed()}
    True
    """
    return registered() + parts_of_networks() + _entries({"stops": STOPS, "measures": MEASURES, "extractors": EXTRACTORS})


def _entries(rooms: Mapping[str, Mapping[str, type[Record]]]) -> list[Entry]:
    return [Entry(name, room, record) for room, registry in rooms.items() for name, record in registry.items()]


def first_line(record: type) -> str:
    """What a record is, in its docstring's first line."""
    return (record.__doc__ or "").strip().splitlines()[0]


def described_in_full(record: type[Record]) -> str:
    """A record's docstring without its examples, what it gives, its fields with their defaults, its BibTeX."""
    fields = [
        f"  {name:<22} {field.description or ''}" + ("" if field.is_required() else f"  [default: {_shown(field.get_default())}]")
        for name, field in record.model_fields.items()
    ]
    return "\n".join(
        [
            _without_examples(inspect.cleandoc(record.__doc__ or "")),
            *_gives(record),
            "",
            "Fields:",
            *(fields or ["  none"]),
            *(["", record.bibtex] if record.bibtex else []),
        ]
    )


def _shown(default: object) -> str:
    """A default as a recipe writes it; a constant schedule is its number.

    >>> from saddlepoint.schedules import After, Constant
    >>> _shown(Constant(value=0.5)), _shown(After(start=1000, value=0.3))
    ('0.5', '{name: after, start: 1000, value: 0.3}')
    """
    if isinstance(default, Constant):
        return str(default.value)
    if type(default).__name__.lower() in SCHEDULES and isinstance(default, BaseModel):
        return "{" + ", ".join(f"{name}: {value}" for name, value in default) + "}"
    return str(default)


def _without_examples(text: str) -> str:
    """A docstring without its interpreter sessions."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.lstrip().startswith(">>>"))


def _gives(record: type[Record]) -> list[str]:
    """What a measure gives, a line a quantity."""
    words = {True: "higher is better", False: "lower is better", None: "neither direction is better"}
    quantities: Mapping[str, Quantity] = record.quantities if issubclass(record, Measure) else {}
    lines = [f"  {name:<22} {words[quantity.higher_is_better]}" for name, quantity in quantities.items()]
    return ["", "Gives:", *lines] if lines else []
