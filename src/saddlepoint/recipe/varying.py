"""Numbers that differ from replica to replica: which may, and what is wrong with those that a recipe lists."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from saddlepoint.overrides import set_value
from saddlepoint.rounds import Record
from saddlepoint.schedules import Constant, absences
from saddlepoint.validation import Address, Problem, dotted, nearest, parameters, shown, takes_real_number

if TYPE_CHECKING:
    from saddlepoint.recipe import Recipe


def address_of(text: str) -> Address:
    """A dotted name as an address.

    >>> address_of("penalties.both.0.weight")
    ('penalties', 'both', 0, 'weight')
    """
    return tuple(int(part) if part.isdecimal() else part for part in text.split("."))


# Sections whose numbers may differ between stacked replicas; the data and the networks are one for all.
MAY_VARY = (
    "objective",
    "penalties",
    "weightings",
    "relabelling",
    "views",
    "projections",
    "optimizers",
    "gradients",
    "slow_weights",
    "average",
)


def varying_problems(recipe: "Recipe", tidy: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the replicas of a recipe that is right for one."""
    if recipe.seeds is not None and recipe.seed != 0 and recipe.seed != recipe.seeds[0]:
        yield Problem(("seed",), f"{recipe.seed} would not be read beside seeds; give one of the two")
    wrong = [problem for name in recipe.vary.fields for problem in _field_problems(recipe, name, tidy)]
    wrong += _length_problems(recipe)
    yield from wrong
    if not wrong:
        yield from _repeated(recipe)
        problems = list(_value_problems(recipe))
        yield from problems or _absence_problems(recipe)


def _field_problems(recipe: "Recipe", name: str, tidy: Mapping[str, Any]) -> Iterator[Problem]:
    address, values = address_of(name), recipe.vary.fields[name]
    reason = _refused(recipe, address)
    if reason is None and not _is_there(recipe, address):
        near = nearest(name, [dotted(known) for known in type(recipe).known(tidy)])
        yield Problem(("vary", "fields", name), f"unknown field{near}")
    elif reason is not None:
        yield Problem(address, f"cannot vary from replica to replica: {reason}; train one run for each value")
    elif not values:
        yield Problem(address, "an empty list; give one value or more")
    for value in values if reason is None else ():
        if value is None or _holds_list(value):
            cure = " (for no bound, a number too large to count)" if value is None else ""
            yield Problem(address, f"in its list: {shown(value)} should be a number{cure}")


def _length_problems(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.vary.how == "product":
        return
    lengths = {name: len(values) for name, values in recipe.vary.fields.items()}
    seeds = None if recipe.seeds is None else len(recipe.seeds)
    most = seeds or max(lengths.values(), default=0)
    beside = f"a list of {most}" if seeds is None else f"{most} seeds"
    for name, length in lengths.items():
        if length not in (0, most):
            what = f"has {length} values beside {beside}; under zip give one value for each, or vary.how=product"
            yield Problem(address_of(name), what)


def _value_problems(recipe: "Recipe") -> Iterator[Problem]:
    """What is wrong with the values as the replicas have them, each problem once."""
    seen: set[Problem] = set()
    for values in _rows(recipe):
        mapping = recipe.to_mapping() | {"vary": {}, "seeds": None}
        for name, value in values.items():
            set_value(mapping, address_of(name), value)
        fresh = [problem for problem in type(recipe)._read(mapping)[1] if problem not in seen]
        seen.update(fresh)
        where = "in its list" if len(values) == 1 else f"with {_told(values)}"
        yield from (Problem(problem.address, f"{where}: {problem.message}") for problem in fresh)


def _absence_problems(recipe: "Recipe") -> Iterator[Problem]:
    """What is there for some replicas only. They draw at once, so a penalty that draws is absent for all at the same updates, or
    for some always; and all keep an average, or none does."""
    rows = [recipe.with_values(values) for values in _rows(recipe)]
    if len({row.averaged for row in rows}) > 1:
        yield Problem(("average", "decay"), "in its list: 0 keeps no average, and the replicas keep one or none of them does")
    # A pass more of a discriminator with dropout draws its masks.
    drops = recipe.networks.drops
    for address, penalty in recipe.penalties_with_addresses():
        if len({dict(row.penalties_with_addresses())[address].own_turn for row in rows} | {penalty.own_turn}) > 1:
            what = "its turn of its own comes at other updates, and replicas take their turns together"
            yield Problem((*address, "weight"), f"cannot vary so: {what}; train one run for each value")
    drawing = [address for address, penalty in recipe.penalties_with_addresses() if penalty.draws or drops]
    for whose, *number in drawing:
        found = {absences(dict(row.penalties_with_addresses())[(whose, *number)].weight) for row in rows}
        if len(drawing) == 1:
            found.discard(("always",))
        if len(found) > 1:
            what = "its values are 0 at different updates, and replicas draw the points of this penalty together"
            yield Problem((whose, *number, "weight"), f"cannot vary so: {what}; train one run for each value")


def _rows(recipe: "Recipe") -> list[dict[str, Any]]:
    """The different values that replicas have in the varying fields."""
    return list({json.dumps(values): values for values in recipe.axis()[1] if values}.values())


def _refused(recipe: "Recipe", address: Address) -> str | None:
    """Why a field is one for all replicas; None when it may vary, or is not there."""
    if address[0] in ("networks", "schedule"):
        return "it changes shapes, or how long a run is"
    if address[0] not in MAY_VARY:
        return "the replicas share it" if address[0] in parameters(type(recipe)) else None
    if not _is_there(recipe, address):
        return None
    above = [(_held(recipe, address[:end]), address[end]) for end in range(1, len(address))]
    if any(isinstance(holder, Record) and part in type(holder).one_for_all for holder, part in above):
        return "it changes shapes"
    holder, part = above[-1] if above else (recipe, address[0])
    if isinstance(holder, BaseModel):
        number = takes_real_number(parameters(type(holder))[str(part)])
    else:
        number = isinstance(_held(recipe, address), float)
    return None if number else "it is no number of the method's formula"


def _is_there(recipe: "Recipe", address: Address) -> bool:
    """Whether a recipe has such a field."""
    holder, part = _held(recipe, address[:-1]), address[-1]
    if isinstance(holder, BaseModel) and not isinstance(holder, Constant):
        return part in parameters(type(holder))
    return isinstance(holder, tuple) and isinstance(part, int) and part < len(holder)


def _held(recipe: "Recipe", address: Address) -> Any:
    """The value that a recipe holds at an address; None where it has no such field."""
    found: Any = recipe
    for part in address:
        if isinstance(found, BaseModel) and isinstance(part, str) and part in type(found).model_fields:
            found = getattr(found, part)
        elif isinstance(found, tuple) and isinstance(part, int) and part < len(found):
            found = found[part]
        else:
            return None
    return found


def _holds_list(value: object) -> bool:
    inner = value.values() if isinstance(value, Mapping) else ()
    return isinstance(value, list | tuple) or any(_holds_list(item) for item in inner)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in values.items())


def _repeated(recipe: "Recipe") -> Iterator[Problem]:
    seen: set[tuple[int, str]] = set()
    for seed, values in zip(*recipe.axis(), strict=True):
        key = (seed, json.dumps(values))
        if key in seen:
            told = f" with {_told(values)}" if values else ""
            yield Problem(("seeds",), f"{seed} is there twice{told}; name each replica once")
            return
        seen.add(key)
