"""The card that every number carries: how it was made, which decides what it may be compared with, and where it is from."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Of a digest, as many digits as tell two apart to the eye.
DIGEST, SHOWN_DIGITS = re.compile("[0-9a-f]{64}"), 12
# Of the provenance, what does not tell one value from another.
NOT_IDENTITY = ("versions", "date")
# Of the protocol, what the values of one evaluation do not share.
OF_THE_MEASURE = ("measure", "quantity", "fields")


class Incomparable(Exception):
    """Two values were made by different protocols; `differences` is a line for each field (exit code 1)."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__("\n".join(differences))
        self.differences = tuple(differences)


@dataclass(frozen=True)
class Card:
    """What stands behind a number; both parts hold plain JSON values.

    Args:
        protocol: measure and its fields, how many samples, which data and split, preprocessing, extractor, weights, batch norm's
            mode, the rule that chose the checkpoint. Two numbers stand in one table only when it is equal.
        provenance: run, update, seed, versions: shown, never a reason to refuse.

    >>> ours, theirs = Card({"n_fake": 1000, "weights": "average"}), Card({"n_fake": 1000, "weights": "raw"})
    >>> ours.differences(theirs)
    ['weights: average, and raw']
    """

    protocol: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The identity of the number, 16 hexadecimal digits: protocol and provenance, versions and date apart."""
        provenance = {name: value for name, value in self.provenance.items() if name not in NOT_IDENTITY}
        text = json.dumps([dict(self.protocol), provenance], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: "Card") -> list[str]:
        """The fields in which two protocols differ, a line each, with both values."""
        lines = []
        for place, one, two in _differing("", self.protocol, other.protocol):
            lines.append(f"{place}: {self._told(place, one)}, and {other._told(place, two)}")
        return lines

    def _told(self, place: str, value: object) -> str:
        # A digest alone says little to a reader.
        name = self.provenance.get("data") if place == "data" else None
        return f"{_word(value)} ({name})" if name else _word(value)

    def conditions(self) -> "Card":
        """Without what is the measure's own: what all values of one evaluation share."""
        return Card({name: value for name, value in self.protocol.items() if name not in OF_THE_MEASURE}, self.provenance)


def _differing(place: str, one: object, other: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in [*one, *(name for name in other if name not in one)]:
            yield from _differing(f"{place}.{name}" if place else name, one.get(name), other.get(name))
    elif one != other:
        yield place, one, other


def _word(value: object) -> str:
    if isinstance(value, str) and DIGEST.fullmatch(value):
        return value[:SHOWN_DIGITS]
    return "unknown" if value is None else value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Floor:
    """The same quantity between two disjoint halves of the real data, `n` samples each: what a perfect generator would show."""

    mean: float
    n: int
    error: float | None = None


@dataclass(frozen=True)
class Value:
    """A measured number with its card.

    Args:
        name: `MEASURE` or `MEASURE.QUANTITY`.
        title: as tables show it.
        mean: the value, in `unit`.
        n: generated samples it was computed on.
        error: its standard error; None where there is none that holds.
        interval: of 95 %.
        higher_is_better: None where neither direction is better.
        floor: None where it means nothing, or there is too little data for it.
        notes: what the number does not say, a sentence each.
        details: what stands behind it, plain JSON values.
    """

    name: str
    title: str
    mean: float
    n: int
    card: Card
    error: float | None = None
    interval: tuple[float, float] | None = None
    unit: str = ""
    higher_is_better: bool | None = None
    floor: Floor | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite as words."""
        mapping = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("card", "floor")}
        mapping["floor"] = None if self.floor is None else vars(self.floor)
        mapping["card"] = {"protocol": self.card.protocol, "provenance": self.card.provenance}
        plain: dict[str, Any] = plain_json(mapping)
        return plain

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Value":
        """Back from `to_mapping`.

        Raises:
            KeyError, TypeError, ValueError: the mapping is not one.
        """
        fields = {name: mapping[name] for name in cls.__dataclass_fields__}
        card, floor, interval = fields["card"], fields["floor"], fields["interval"]
        return cls(
            **{
                **fields,
                "mean": float(fields["mean"]),
                "n": int(fields["n"]),
                "error": None if fields["error"] is None else float(fields["error"]),
                "interval": None if interval is None else (float(interval[0]), float(interval[1])),
                "floor": None if floor is None else Floor(float(floor["mean"]), int(floor["n"]), floor["error"]),
                "notes": tuple(map(str, fields["notes"])),
                "card": Card(dict(card["protocol"]), dict(card["provenance"])),
            }
        )


def plain_json(value: Any) -> Any:
    """The value as JSON gives it back: tuples as lists, numbers that are not finite as words.

    >>> plain_json({"mean": float("inf"), "by class": (1, 2)})
    {'mean': 'inf', 'by class': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def refuse_different(values: Sequence[Value]) -> None:
    """Raise `Incomparable` unless all values may stand in one table.

    That is when they were made under the same conditions, and those of one name by the same protocol.

    Raises:
        Incomparable: a line per field that differs from the first value's.
    """
    lines: list[str] = []
    firsts: dict[str, Value] = {}
    for value in values:
        conditions = values[0].card.conditions().differences(value.card.conditions())
        first = firsts.setdefault(value.name, value)
        own = first.card.differences(value.card) if not conditions else []
        lines += [*conditions, *(f"{value.name}: {line}" for line in own)]
    if lines:
        raise Incomparable(list(dict.fromkeys(lines)))
