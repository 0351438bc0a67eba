"""Dotted overrides: `penalties.discriminator.0.weight=5`, `eta=.1`, `data=fashion-mnist`, `penalties.both=[sdp]`.

An override names a field by its path, or by the end of its path when only one field has that end. It is set on the raw values
of a recipe, before validation, so what it sets is checked with everything else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from os import PathLike
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.validation import Address, Problem, dotted, nearest
from saddlepoint.yaml_reading import one_line, read_yaml

Override = tuple[str, Any]


def read_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> list[Override]:
    """`field=value` texts, their values read as YAML; the values of a mapping are taken as they are.

    >>> read_overrides(["lr=1e-4", "penalties.both=[sdp]", "data=photos #1"])
    [('lr', 0.0001), ('penalties.both', ['sdp']), ('data', 'photos #1')]

    Raises:
        InputError: a text without `=`, or a value that is no YAML.
    """
    if isinstance(overrides, Mapping):
        return [(str(key), str(value) if isinstance(value, PathLike) else value) for key, value in overrides.items()]
    read: list[Override] = []
    problems: list[str] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            problems.append(f"{one_line(text)}: an override is written field=value")
            continue
        try:
            read.append((key.strip(), _read_value(value.strip(), text)))
        except InputError as error:
            problems.extend(problem.replace(f"{one_line(text)}:1:", f"{one_line(text)}:", 1) for problem in error.problems)
    if problems:
        raise InputError(problems)
    return read


def apply_overrides(
    raw: dict[str, Any],
    overrides: Iterable[Override],
    tidy: Callable[[dict[str, Any]], dict[str, Any]],
    known: Callable[[dict[str, Any]], Sequence[Address]],
) -> tuple[dict[str, Any], list[Problem]]:
    """`raw` with each override set, the last one of a field winning, and what could not be set.

    Args:
        tidy: writes raw values out in full, so that every part of an address is a mapping's key or a list's index.
        known: the addresses of all fields that tidy raw values have.
    """
    raw = tidy(raw)
    problems: list[Problem] = []
    # Choosing a record or a section first makes its fields known, in whichever order the overrides were written.
    for key, value in sorted(overrides, key=lambda override: not _chooses(override[0], known(raw))):
        addresses = known(raw)
        found = find_fields(key, addresses)
        if len(found) == 1:
            set_value(raw, found[0], value)
            raw = tidy(raw)
        elif found:
            which = " or ".join(dotted(address) for address in found)
            problems.append(Problem((key,), f"more than one field ends so; say {which}"))
        else:
            problems.append(Problem((key,), f"unknown field{_nearest_fields(key, addresses)}"))
    return raw, problems


def find_fields(key: str, known: Sequence[Address]) -> list[Address]:
    """The known addresses that `key` may mean: the one it writes in full, else all that end so.

    >>> find_fields("lr", [("optimizers", "generator", "lr"), ("optimizers", "discriminator", "lr"), ("seed",)])
    [('optimizers', 'generator', 'lr'), ('optimizers', 'discriminator', 'lr')]
    """
    parts = key.split(".")
    whole = [address for address in known if [str(part) for part in address] == parts]
    return whole[:1] or [address for address in known if [str(part) for part in address[-len(parts) :]] == parts]


def _read_value(text: str, override: str) -> Any:
    value = read_yaml(text, override)
    quoted = text[:1] in ("'", '"')
    return text if isinstance(value, str) and not quoted else value


def _chooses(key: str, known: Sequence[Address]) -> bool:
    """Whether `key` names something that holds fields, or the name of a record."""
    found = find_fields(key, known)
    if len(found) != 1:
        return False
    (address,) = found
    holds = any(len(other) > len(address) and other[: len(address)] == address for other in known)
    return holds or address[-1] in ("name", "family")


def value_at(raw: Mapping[str, Any], address: Address) -> Any:
    """The raw value at an address; None where there is none."""
    found: Any = raw
    for part in address:
        if isinstance(part, int):
            found = found[part] if isinstance(found, list) and part < len(found) else None
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def set_value(raw: dict[str, Any], address: Address, value: Any) -> None:
    """Set the raw value at an address, with what is missing above it."""
    container: Any = raw
    for part, following in pairwise(address):
        inner = container[part] if isinstance(part, int) else container.get(part)
        if not isinstance(inner, dict | list):
            inner = [] if isinstance(following, int) else {}
            container[part] = inner
        container = inner
    last = address[-1]
    if isinstance(last, int) and last == len(container):
        container.append(value)
    else:
        container[last] = value


def _nearest_fields(key: str, known: Sequence[Address]) -> str:
    """The fields a mistyped key may have meant: by its whole path, else by its last part."""
    paths = [dotted(address) for address in known]
    near = nearest(key, paths) if "." in key else ""
    if near:
        return near
    last = key.rpartition(".")[2]
    close = nearest(last, {str(address[-1]) for address in known}).removeprefix("; nearest: ")
    return f"; nearest: {', '.join(dotted(address) for address in known if address[-1] == close)}" if close else ""
