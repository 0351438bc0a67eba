"""From plain values to records: names looked up in a registry, every problem found, each told in one line.

`Chosen` marks a field that holds one entry of a registry; `validated` builds a model from plain values or tells all that is
wrong; `expanded` writes raw values out in full, and `addresses` lists the fields they have, which is what an override may name.
"""

import difflib
import json
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticSerializationError, core_schema

from saddlepoint.rounds import Record
from saddlepoint.schedules import SCHEDULES, Constant
from saddlepoint.yaml_reading import DEEPEST, LARGEST_INTEGER, one_line

Address = tuple[str | int, ...]
LONGEST_VALUE = 60


class Problem(NamedTuple):
    """What is wrong at one field."""

    address: Address
    message: str

    def line(self) -> str:
        """The problem in one line, its field first."""
        return one_line(f"{dotted(self.address) or 'recipe'}: {self.message}")


class Problems(ValueError):
    """Problems on their way through pydantic, with addresses relative to the field that raises them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Marks a field that holds a record of `registry`: written as its name, or as a mapping whose `key` is its name.

    Args:
        kind: what the entries are called in messages.
        default: the name meant when the mapping gives none.
        bare: a record with nothing but defaults is written as its name.
    """

    registry: Mapping[str, type[BaseModel]]
    kind: str
    key: str = "name"
    default: str | None = None
    bare: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        writing = core_schema.plain_serializer_function_ser_schema(self.to_mapping)
        return core_schema.no_info_plain_validator_function(self.build, serialization=writing)

    def build(self, value: object) -> Any:
        """The record that `value` writes; a record of the registry is taken as it is. Raises `Problems`."""
        if isinstance(value, Record):
            self._check_record(value)
            return value
        fields = self.fields(value)
        return validated(self.entry(value), {key: field for key, field in fields.items() if key != self.key})

    def fields(self, value: object) -> Mapping[str, Any]:
        """`value` as a mapping. Raises `Problems` when it is neither a name nor a mapping."""
        if isinstance(value, str):
            return {self.key: value}
        if not isinstance(value, Mapping):
            raise Problems(
                [Problem((), f"{shown(value)} should be the name of one {self.kind} or a mapping; one of {self._names()}")]
            )
        return value

    def entry(self, value: object) -> type[BaseModel]:
        """The registry's entry that `value` names. Raises `Problems` with the nearest names."""
        fields = self.fields(value)
        at = () if isinstance(value, str) else (self.key,)
        if self.key not in fields and self.default is None:
            raise Problems([Problem(at, f"missing; give one of {self._names()}")])
        name = fields.get(self.key, self.default)
        if not isinstance(name, str) or name not in self.registry:
            near = nearest(name, self.registry) if isinstance(name, str) else ""
            raise Problems([Problem(at, f"{shown(name)} is not a known {self.kind}{near} (one of {self._names()})")])
        return self.registry[name]

    def known(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the entry that a mapping names, or none when it names none."""
        try:
            entry = self.entry(fields)
        except Problems:
            return {}
        return {name: annotation for name, annotation in parameters(entry).items() if name != self.key}

    def to_mapping(self, record: Record) -> dict[str, Any] | str:
        """The record with every field, its name first; or its name alone."""
        name = next(name for name, entry in self.registry.items() if entry is type(record))
        if self.bare and record == type(record).model_construct():
            return name
        return {self.key: name} | {field: value for field, value in record.model_dump(mode="json").items() if field != self.key}

    def _check_record(self, record: Record) -> None:
        if type(record) not in self.registry.values():
            raise Problems([Problem((), f"{type(record).__name__} is not one of {self._names()}")])
        try:
            record.model_dump_json()
        except PydanticSerializationError:
            raise Problems(
                [Problem((), f"this {type(record).__name__} holds what cannot be written in a recipe, such as a function")]
            ) from None

    def _names(self) -> str:
        return ", ".join(self.registry)


def validated(entry: type[BaseModel], raw: object) -> Any:
    """A model built from plain values. A group of fields that is given in part keeps its defaults for the rest.

    Raises:
        Problems: everything that is wrong, or that is no plain value.
    """
    known, groups = parameters(entry), _groups(entry)
    if not isinstance(raw, Mapping):
        raise Problems([Problem((), f"{shown(raw)} should be a mapping of fields ({', '.join(known)})")])
    problems = list(_strange_values(raw, ()))
    problems += [
        Problem((name,), f"{shown(value)} should not be true or false")
        for name, value in raw.items()
        if name in known and name not in groups and _holds_boolean(value) and not _takes_boolean(known[name])
    ]
    told = {problem.address[:1] for problem in problems}
    fine = {name: value for name, value in raw.items() if isinstance(name, str) and (name,) not in told}
    for name, default in groups.items():
        if isinstance(fine.get(name), Mapping):
            try:
                fine[name] = validated(type(default), fine[name])
            except Problems as error:
                problems += [Problem((name, *problem.address), problem.message) for problem in error.problems]
                del fine[name]
    try:
        built = entry.model_validate(fine)
    except ValidationError as error:
        problems += [problem for problem in _problems(error, entry) if problem.address not in told]
    if problems:
        raise Problems(problems)
    return built


def parameters(entry: type[BaseModel]) -> dict[str, Any]:
    """The fields of a model, by the name they have in YAML, with their types."""
    return {info.alias or name: _annotated(info) for name, info in entry.model_fields.items()}


def expanded(annotation: Any, value: object) -> Any:
    """`value`, raw, written out in full for a field of this type: a name as a mapping, a lone record as a list of one."""
    chosen, model = _chosen(annotation), _model(annotation)
    items = _items(annotation)
    if items is not None:
        listed = [value] if isinstance(value, str | Mapping) and _chosen(items) is not None else value
        return [expanded(items, item) for item in listed] if isinstance(listed, list | tuple) else value
    if chosen is not None:
        if not isinstance(value, str | Mapping):
            return value
        fields = chosen.fields(value)
        inner = chosen.known(fields)
        return {name: expanded(inner[name], field) if name in inner else field for name, field in fields.items()}
    if model is not None and isinstance(value, Mapping):
        known = parameters(model)
        return {name: expanded(known[name], field) if name in known else field for name, field in value.items()}
    return value


def addresses(annotation: Any, value: object) -> Iterator[Address]:
    """Where `value`, raw but written out in full, has fields below a field of this type: what an override can reach.

    The place after the last item of a list is one of them.
    """
    chosen, model, items = _chosen(annotation), _model(annotation), _items(annotation)
    fields = value if isinstance(value, Mapping) else {}
    if items is not None:
        listed = value if isinstance(value, list) else []
        yield from ((number,) for number in range(len(listed) + 1))
        for number, item in enumerate(listed):
            yield from ((number, *rest) for rest in addresses(items, item))
    elif chosen is not None:
        yield (chosen.key,)
        if value is not None or chosen.default is not None:
            yield from _addresses_below(chosen.known(fields), fields)
    elif model is not None:
        yield from _addresses_below(parameters(model), fields)
    elif _is_schedule(annotation) and fields.get("name") in SCHEDULES:
        yield from ((name,) for name in SCHEDULES[fields["name"]].model_fields if name != "name")


def numbers_listed(annotation: Any, value: object) -> Iterator[Address]:
    """Where `value`, raw but written out in full, has a list below a field that takes one number, or one schedule.

    >>> list(numbers_listed(tuple[float, float], [0.5, [0.9, 0.99]]))
    [(1,)]
    """
    chosen, model, items = _chosen(annotation), _model(annotation), _items(annotation)
    if chosen is not None:
        inner = value if isinstance(value, Mapping) else {}
        for name, field in chosen.known(inner).items():
            yield from ((name, *rest) for rest in numbers_listed(field, inner.get(name)))
    elif model is not None:
        inner = value if isinstance(value, Mapping) else {}
        for name, field in parameters(model).items():
            yield from ((name, *rest) for rest in numbers_listed(field, inner.get(name)))
    elif items is not None or _pair(annotation) is not None:
        listed = value if isinstance(value, list | tuple) else []
        for number, item in enumerate(listed):
            below = _below(annotation, number)
            yield from ((number, *rest) for rest in numbers_listed(below, item))
    elif isinstance(value, list | tuple) and (_is_schedule(annotation) or _is_number(annotation)):
        yield ()
    elif _is_schedule(annotation) and isinstance(value, Mapping) and value.get("name") in SCHEDULES:
        for name, field in parameters(SCHEDULES[value["name"]]).items():
            yield from ((name, *rest) for rest in numbers_listed(field, value.get(name)))


def dotted(address: Address) -> str:
    """
    >>> dotted(("penalties", "discriminator", 0, "weight"))
    'penalties.discriminator.0.weight'
    """
    return ".".join(str(part) for part in address)


def nearest(word: str, known: Iterable[str], count: int = 1) -> str:
    """`"; nearest: …"` with the known words closest to `word`, or nothing when none is close.

    >>> nearest("hindge", ["hinge", "lsgan"])
    '; nearest: hinge'
    """
    close = difflib.get_close_matches(word, list(known), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""


def shown(value: object) -> str:
    """A value as a person would write it in one short line."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a value of type {type(value).__name__}"
    text = one_line(text) if text else '""'
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _addresses_below(fields: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Address]:
    for name, annotation in fields.items():
        yield (name,)
        yield from ((name, *rest) for rest in addresses(annotation, values.get(name)))


def _problems(error: ValidationError, entry: type[BaseModel]) -> Iterator[Problem]:
    """The problems of a pydantic error, one a field: what the alternatives of a union say is joined."""
    found: dict[Address, list[str]] = {}
    for detail in error.errors():
        inner = detail.get("ctx", {}).get("error")
        if isinstance(inner, Problems):
            above = _walk(detail["loc"], entry)[0]
            told = [Problem(above + problem.address, problem.message) for problem in inner.problems]
        else:
            told = [_explained(detail, entry)]
        for address, message in told:
            if message not in found.setdefault(address, []):
                found[address].append(message)
    yield from (Problem(address, ", or ".join(messages)) for address, messages in found.items())


def _explained(detail: ErrorDetails, entry: type[BaseModel]) -> Problem:
    kind, given, value = detail["type"], detail["input"], shown(detail["input"])
    if kind == "extra_forbidden":
        *above, name = detail["loc"]
        address, annotation = _walk(above, entry)
        known = list(parameters(_model(annotation) or entry))
        return Problem((*address, name), f"unknown field (given {value}){_near_or_all(str(name), known)}")
    address, annotation = _walk(detail["loc"], entry)
    if kind == "missing":
        return Problem(address, f"missing; give {_description(detail['loc'], entry)}")
    if _is_schedule(annotation) and kind in ("model_type", "union_tag_invalid", "union_tag_not_found"):
        schedule = given.get("name") if isinstance(given, Mapping) else None
        near = nearest(schedule, SCHEDULES) if isinstance(schedule, str) else ""
        return Problem(address, f"{value} should be a number, or a mapping with a name ({', '.join(SCHEDULES)}){near}")
    if kind == "model_type" and (model := _model(annotation)) is not None:
        return Problem(address, f"{value} should be a mapping of fields ({', '.join(parameters(model))})")
    if kind == "literal_error" and isinstance(given, str):
        choices = [str(choice) for choice in _literals(annotation)]
        return Problem(address, f"{value} should be one of {', '.join(choices)}{nearest(given, choices)}")
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ")
    message = message.replace("a valid tuple", "a list").replace("a valid string", "text")
    if kind == "string_type" and isinstance(given, int | float):
        message += "; write it in quotes"
    if message.startswith("should"):
        return Problem(address, f"{value} {message}")
    return Problem(address, message if message.startswith(value) else f"{value}: {message}")


def _near_or_all(name: str, known: Sequence[str]) -> str:
    return nearest(name, known) or f"; known: {', '.join(known) or 'none'}"


def _walk(loc: Sequence[str | int], entry: type[BaseModel]) -> tuple[Address, Any]:
    """Where `loc` leads and the type there, without the names of a union's alternatives that pydantic puts between."""
    address: Address = ()
    annotation: Any = entry
    for part in loc:
        if _is_schedule(annotation) and part in SCHEDULES:
            annotation = SCHEDULES[str(part)]
            continue
        below: Any = _below(annotation, part)
        if below is not None:
            address, annotation = (*address, part), below
    return address, annotation


def _below(annotation: Any, part: str | int) -> Any:
    """The type of the field or item `part` of a value of this type; None when it has none."""
    if isinstance(part, int):
        pairs = [typing.get_args(inner) for inner in _alternatives(annotation) if typing.get_origin(inner) is tuple]
        return _items(annotation) or next((inner[part] for inner in pairs if part < len(inner)), None)
    model = _model(annotation)
    return parameters(model).get(part) if model is not None else None


def _description(loc: Sequence[str | int], entry: type[BaseModel]) -> str:
    model = _model(_walk(loc[:-1], entry)[1])
    fields = model.model_fields if model is not None else {}
    return next(
        (info.description for name, info in fields.items() if loc[-1] in (name, info.alias) and info.description), "a value"
    )


def _annotated(info: FieldInfo) -> Any:
    annotation: Any = info.annotation
    for note in info.metadata:
        annotation = typing.Annotated[annotation, note]
    return annotation


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The type itself, and what its `Annotated`s and unions hold."""
    yield annotation
    if typing.get_origin(annotation) not in (list, tuple, typing.Literal):
        for inner in typing.get_args(annotation):
            yield from _alternatives(inner)


def _groups(entry: type[BaseModel]) -> dict[str, BaseModel]:
    """The fields that are groups of fields, with their defaults: a family's own group may be narrower than the field's type."""
    models = {info.alias or name: info.default for name, info in entry.model_fields.items() if _model(_annotated(info)) is not None}
    return {name: default for name, default in models.items() if isinstance(default, BaseModel)}


def _items(annotation: Any) -> Any:
    """The type of the items of a list that the type is or may be; None when it is no list."""
    for alternative in _alternatives(annotation):
        inner = typing.get_args(alternative)
        if typing.get_origin(alternative) is list or (typing.get_origin(alternative) is tuple and inner[-1] is Ellipsis):
            return inner[0]
    return None


def _pair(annotation: Any) -> Any:
    """The tuple of a fixed length that the type is or may be; None when it is none."""
    tuples = (inner for inner in _alternatives(annotation) if typing.get_origin(inner) is tuple)
    return next((inner for inner in tuples if typing.get_args(inner)[-1] is not Ellipsis), None)


def _is_number(annotation: Any) -> bool:
    """Whether one number may stand there, as against text or true and false."""
    return any(inner in (int, float) for inner in _alternatives(annotation))


def takes_real_number(annotation: Any) -> bool:
    """Whether a number of a formula may stand there, or a schedule of one, as against a count or a choice.

    >>> takes_real_number(float | None), takes_real_number(int)
    (True, False)
    """
    return _is_schedule(annotation) or float in list(_alternatives(annotation))


def _chosen(annotation: Any) -> Chosen | None:
    return next((inner for inner in _alternatives(annotation) if isinstance(inner, Chosen)), None)


def _model(annotation: Any) -> type[BaseModel] | None:
    if _chosen(annotation) is not None or _is_schedule(annotation):
        return None
    return next((inner for inner in _alternatives(annotation) if isinstance(inner, type) and issubclass(inner, BaseModel)), None)


def _literals(annotation: Any) -> list[object]:
    found = [inner for inner in _alternatives(annotation) if typing.get_origin(inner) is typing.Literal]
    return [choice for literal in found for choice in typing.get_args(literal)]


def _is_schedule(annotation: Any) -> bool:
    return Constant in list(_alternatives(annotation)) and annotation is not Constant


def _holds_boolean(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_boolean(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_boolean(item) for item in value)
    return isinstance(value, bool)


def _takes_boolean(annotation: Any) -> bool:
    """Whether true or false may stand somewhere in a value of this type; records check their own fields."""
    if annotation is bool or annotation is Any or _chosen(annotation) is not None:
        return True
    model = _model(annotation)
    if model is not None:
        return any(_takes_boolean(inner) for inner in parameters(model).values())
    return any(_takes_boolean(inner) for inner in typing.get_args(annotation))


def _strange_values(value: object, address: Address) -> Iterator[Problem]:
    """What is no plain value: other types, integers and nesting without bound, text that is no Unicode."""
    if len(address) > DEEPEST:
        yield Problem(address[:4], f"nested deeper than {DEEPEST} levels")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str) and _is_unicode(key):
                yield from _strange_values(item, (*address, key))
            else:
                yield Problem(address, f"{shown(key)} is not the name of a field; names are text")
    elif isinstance(value, list | tuple | range):
        for number, item in enumerate(value):
            yield from _strange_values(item, (*address, number))
    elif isinstance(value, str):
        if not _is_unicode(value):
            yield Problem(address, f"{shown(value)} is no Unicode text")
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            yield Problem(address, f"too large; the largest whole number is {LARGEST_INTEGER}")
    elif not isinstance(value, float | BaseModel | type(None)):
        yield Problem(address, f"{shown(value)} is no plain value; give text, a number, true or false, null, a list or a mapping")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
