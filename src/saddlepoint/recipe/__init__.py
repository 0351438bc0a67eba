"""A recipe: the typed description of a run, its YAML form, what is wrong with it, and the recipes that ship.

Every value has a default that trains. Whatever is wrong is found before anything is allocated, all of it at once.
"""

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer

from saddlepoint.data import DATA
from saddlepoint.data.source import Data, gives_images
from saddlepoint.errors import InputError
from saddlepoint.networks import NETWORKS
from saddlepoint.networks.network import PLAYERS, Networks
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.overrides import Override, apply_overrides, read_overrides, set_value, value_at
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.recipe.agreement import CHECKS, changing
from saddlepoint.recipe.varying import address_of, varying_problems
from saddlepoint.rounds import InputGradient, Mover
from saddlepoint.sections import (
    AnyRateRule,
    AnyRelabelling,
    AnySlowWeights,
    AnyStop,
    AnyTurns,
    AnyView,
    Average,
    Checkpoints,
    Gradients,
    Log,
    Measures,
    ObjectiveWeights,
    Optimizers,
    Penalties,
    Projections,
    Replicas,
    Samples,
    Section,
    TrainingSchedule,
    Vary,
    Weightings,
)
from saddlepoint.seeds import read_seeds, written_seeds
from saddlepoint.turns import TURNS
from saddlepoint.validation import (
    Address,
    Chosen,
    Problem,
    Problems,
    addresses,
    dotted,
    expanded,
    nearest,
    numbers_listed,
    shown,
    validated,
)
from saddlepoint.yaml_reading import LARGEST_INTEGER, one_line, read_yaml_file, write_yaml

SHIPPED = Path(__file__).parent.parent / "recipes"
FILE = "recipe.yaml"

# What cannot change the result, and so is no part of a run's identity.
NOT_IDENTITY = ("device", "threads", "log", "samples", "checkpoints", "measures", "replicas", "kernels")

# What a replica's lone recipe has in place of the fields that describe many.
ALONE: Mapping[str, Any] = {"seeds": None, "vary": Vary(), "replicas": Replicas()}

# More than a system may give a process ends it without a word.
MOST_THREADS = 1024

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def _threads(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_THREADS):
        return value
    raise ValueError(f"should be auto, or a number of threads from 1 to {MOST_THREADS}")


class Recipe(Section):
    """The typed, frozen description of a run. `load` and `from_mapping` make one; constructing it directly checks the least.

    >>> recipe = Recipe.from_mapping({"data": "8-gaussians", "objective": "hinge"})
    >>> type(recipe.objective).__name__, recipe.schedule.batch
    ('Hinge', 64)
    >>> Recipe.from_mapping(recipe.to_mapping()) == recipe
    True
    """

    data: Annotated[Data, Chosen(DATA, "data set", default="digits")] = Field(
        default=DATA["digits"](), description="where real samples come from"
    )
    networks: Annotated[Networks, Chosen(NETWORKS, "network family", key="family", default="dcgan")] = Field(
        default=NETWORKS["dcgan"].model_validate({}), description="generator and discriminator"
    )
    objective: Annotated[Objective, Chosen(OBJECTIVES, "objective", default="vanilla")] = Field(
        default=OBJECTIVES["vanilla"](), description="what each player minimises"
    )
    objective_weights: ObjectiveWeights = Field(default=ObjectiveWeights(), description="of the objective in each player's loss")
    penalties: Penalties = Field(default=Penalties(), description="terms added to the losses")
    weightings: Weightings = Field(default=Weightings(), description="how per-sample losses become one")
    relabelling: AnyRelabelling | None = Field(
        default=None, description="which fakes the discriminator's loss counts among the reals; null for none"
    )
    views: tuple[AnyView, ...] = Field(
        default=(), description="what is done to every image before the discriminator sees it, in this order"
    )
    projections: Projections = Field(default=Projections(), description="done to parameters after an update")
    optimizers: Optimizers = Field(default=Optimizers(), description="how each player steps")
    rates: AnyRateRule | None = Field(default=None, description="what changes both learning rates by what was recorded")
    gradients: Gradients = Field(default=Gradients(), description="clipping and accumulation")
    turns: AnyTurns = Field(default=TURNS["alternating"](), description="how a round goes")
    slow_weights: AnySlowWeights | None = Field(default=None, description="what both players return to after some rounds")
    schedule: TrainingSchedule = Field(default=TrainingSchedule(), description="updates and batches")
    stop: AnyStop | None = Field(default=None, description="a rule that ends the run before its last update; null for none")
    average: Average = Field(default=Average(), description="of the generator's weights")
    log: Log = Field(default=Log(), description="of numbers")
    samples: Samples = Field(default=Samples(), description="drawn while training")
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="of the run's state")
    measures: Measures = Field(default=Measures(), description="taken while training")
    seed: int = Field(default=0, ge=0, le=LARGEST_INTEGER, description="of all randomness")
    seeds: Annotated[tuple[int, ...] | None, BeforeValidator(read_seeds), PlainSerializer(written_seeds)] = Field(
        default=None, description="many replicas at once, one a seed: 0..127 or a list; null is the one run of `seed`"
    )
    vary: Vary = Field(default=Vary(), description="numbers that differ from replica to replica; a list in their place says it too")
    replicas: Replicas = Field(default=Replicas(), description="how replicas are spread over the machine")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where it trains")
    precision: Literal["float32", "bfloat16", "float64"] = Field(default="float32", description="bfloat16 is mixed with float32")
    threads: Annotated[int | Literal["auto"], BeforeValidator(_threads)] = Field(default="auto", description="of the CPU")
    memory_format: Literal["auto", "contiguous", "channels_last"] = Field(default="auto", description="of images in memory")
    fused: bool = Field(default=True, description="use the fused form of an optimizer where there is one")
    kernels: Literal["auto", "compiled", "plain"] = Field(
        default="auto", description="of replicas' networks: auto is a fused one where it can be had; compiled, by torch.compile"
    )
    warm_start: str | None = Field(
        default=None, alias="from", min_length=1, description="a run folder whose weights are the first ones"
    )

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> "Recipe":
        """The recipe that plain values describe, as YAML gives them.

        A schedule whose `last` is open ends with the run.

        Raises:
            InputError: everything that is wrong, one line a problem: field, value, what would be right.
        """
        recipe, problems = cls._read(raw)
        if problems:
            raise InputError([problem.line() for problem in problems])
        return recipe

    def to_mapping(self) -> dict[str, Any]:
        """Plain values of every field, which `from_mapping` reads as this recipe."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """`to_mapping` as YAML text."""
        return write_yaml(self.to_mapping())

    def digest(self) -> str:
        """The recipe's identity, 16 hexadecimal digits: equal for recipes that differ only in what cannot change the result."""
        identity = {name: value for name, value in self.to_mapping().items() if name not in NOT_IDENTITY}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: "Recipe") -> list[str]:
        """The fields in which two recipes differ, dotted.

        >>> recipe = Recipe.from_mapping({})
        >>> recipe.differences(load(recipe.to_mapping(), ["updates=5", "optimizers.generator.lr=1e-3"]))
        ['optimizers.generator.lr', 'schedule.updates']
        """
        return [dotted(address) for address in _differing((), self.to_mapping(), other.to_mapping())]

    def cautions(self) -> list[str]:
        """What is allowed and seldom meant, a line each."""
        found = []
        for address, penalty in self.penalties_with_addresses():
            elsewhere = any(isinstance(need, InputGradient) and need.key != "fake" for need in penalty.needs)
            if address[1] == "generator" and elsewhere:
                what = f"{penalty.name} is taken at points that do not depend on the generator, so it changes nothing there"
                found.append(f"{dotted(address)}: {what}; list it under penalties.discriminator")
        if self.networks.couples_batch:
            changed = [penalty.name for _, penalty in self.penalties_with_addresses() if penalty.judges_changed]
            why = (
                "batch norm in the discriminator judges a sample by its batch, so what is compared differs by more than the change"
            )
            found += [f"penalties: {name}: {why}; layer, none or spectral would not" for name in dict.fromkeys(changed)]
        return found

    @property
    def replicated(self) -> bool:
        """Whether it describes many runs side by side."""
        return self.seeds is not None or bool(self.vary.fields)

    def members(self) -> tuple["Recipe", ...]:
        """The lone recipe of each replica, in their order: all seeds under the first values, then under the next.

        >>> recipe = Recipe.from_mapping({"seeds": "0..1", "weightings": {"generator": {"name": "wegan", "eta": [0.1, 0.5]}}})
        >>> [(member.seed, dict(member.weightings.generator)["eta"]) for member in recipe.members()]
        [(0, 0.1), (1, 0.1), (0, 0.5), (1, 0.5)]
        """
        if not self.replicated:
            return (self,)
        with_values: dict[str, Recipe] = {}
        members = []
        for seed, values in zip(*self.axis(), strict=True):
            key = json.dumps(values)
            if key not in with_values:
                with_values[key] = self.with_values(values).model_copy(update=ALONE)
            members.append(with_values[key].model_copy(update={"seed": seed}))
        return tuple(members)

    @property
    def replica_count(self) -> int:
        """How many runs it describes."""
        return len(self.axis()[0]) if self.replicated else 1

    def part(self, start: int, stop: int) -> "Recipe":
        """The recipe of replicas `start` to `stop - 1`, as they stand in the axis; of one alone it is that member's.

        >>> Recipe.from_mapping({"seeds": "0..9"}).part(2, 5).seeds
        (2, 3, 4)
        """
        seeds, values = self.axis()
        if stop - start == 1:
            return self.with_values(values[start]).model_copy(update={**ALONE, "seed": seeds[start]})
        fields = {field: tuple(value[field] for value in values[start:stop]) for field in self.vary.fields}
        vary = Vary(how="zip", fields=fields) if fields else Vary()
        part = self.model_copy(update={"seeds": tuple(seeds[start:stop]), "vary": vary, "replicas": Replicas()})
        first = {field: listed[0] for field, listed in fields.items()}
        return part.with_values(first) if fields else part

    def with_values(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with other values in some fields, by their dotted names."""
        if not values:
            return self
        mapping = self.to_mapping()
        for name, value in values.items():
            set_value(mapping, address_of(name), value)
        return _with_schedules_closed(Recipe.model_validate(mapping))

    def axis(self) -> tuple[list[int], list[dict[str, Any]]]:
        """The seed of each replica, and its values of the varying fields.

        >>> recipe = Recipe.from_mapping({"seeds": "5..6", "average": {"decay": [0.9, 0.99]}})
        >>> recipe.axis()[0], [values["average.decay"] for values in recipe.axis()[1]]
        ([5, 6, 5, 6], [0.9, 0.9, 0.99, 0.99])
        """
        seeds = list(self.seeds or (self.seed,))
        fields = self.vary.fields
        if self.vary.how == "zip" and fields:
            rows = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
            return (seeds if len(seeds) == len(rows) else seeds * len(rows)), rows
        rows = [dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())]
        return seeds * len(rows), [row for row in rows for _ in seeds]

    @property
    def averaged(self) -> bool:
        """Whether weights other than the generator's own are kept to sample from: an average, or the slow ones."""
        return self.average.keeps or self.slow_weights is not None

    def penalties_of(self, player: Mover) -> tuple[Penalty, ...]:
        """A player's own penalties, then those of both."""
        own = self.penalties.discriminator if player == "discriminator" else self.penalties.generator
        return own + self.penalties.both

    def penalties_with_addresses(self) -> Iterator[tuple[Address, Penalty]]:
        """Every penalty with the field it stands in."""
        for whose, penalties in self.penalties:
            for number, penalty in enumerate(penalties):
                yield ("penalties", whose, number), penalty

    @classmethod
    def known(cls, tidy: Mapping[str, Any]) -> list[Address]:
        """The address of every field that a recipe of these plain values has."""
        return list(addresses(cls, _with_network_family(dict(tidy))))

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> "tuple[Recipe, list[Problem]]":
        """The recipe and what is wrong; a section that is wrong has its default there, so that the others are checked too."""
        tidy = _with_network_family(_tidy(raw)) if isinstance(raw, Mapping) else raw
        problems: list[Problem] = []
        try:
            recipe = validated(cls, tidy)
        except Problems as error:
            problems = list(error.problems)
            wrong = {problem.address[0] for problem in problems if problem.address}
            rest = {name: value for name, value in tidy.items() if name not in wrong} if isinstance(tidy, Mapping) else {}
            recipe = cls.model_validate({name: value for name, value in rest.items() if isinstance(name, str)})
        else:
            wrong = set()
        for sections, check in CHECKS:
            if not wrong & sections:
                problems += check(recipe)
        if not wrong and isinstance(tidy, Mapping):
            problems += varying_problems(recipe, tidy)
        return _with_schedules_closed(recipe), problems


def load(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Iterable[str] | Mapping[str, Any] = ()) -> Recipe:
    """The recipe of a shipped name, a YAML file, a run folder or plain values, with overrides.

    Args:
        overrides: `field=value` texts, or a mapping from fields to values. A field is a dotted path, or the end of one when only
            one field ends so.

    >>> load("wgan-gp", ["penalties.discriminator.0.weight=5", "updates=100", "data=fashion-mnist"]).schedule.updates
    100

    Raises:
        InputError: everything that is wrong, one line a problem.
    """
    raw = dict(source) if isinstance(source, Mapping) else _read_source(source)
    read: list[Override] = []
    unreadable: list[str] = []
    for given in [overrides] if isinstance(overrides, Mapping) else [[text] for text in overrides]:
        try:
            read += read_overrides(given)
        except InputError as error:
            unreadable += error.problems
    before = _tidy(raw)
    raw, wrong_overrides = apply_overrides(raw, read, _tidy, Recipe.known)
    _forget_replaced(raw, before)
    recipe, problems = Recipe._read(raw)
    if unreadable or wrong_overrides or problems:
        raise InputError([*unreadable, *(problem.line() for problem in wrong_overrides + problems)])
    return recipe


def shipped() -> dict[str, Path]:
    """The recipes that ship: name to file.

    >>> "wgan-gp" in shipped()
    True
    """
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"), key=lambda path: path.stem)}


def header(path: Path) -> list[str]:
    """The comment lines a recipe file opens with, without their marks: its command, its paper, what it should reach."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return lines


def _read_source(source: str | os.PathLike[str]) -> dict[str, Any]:
    name = os.fspath(source)
    known = shipped()
    if isinstance(source, str) and name in known:
        path = known[name]
    elif os.path.isdir(os.path.expanduser(name)):
        path = Path(os.path.expanduser(name)) / FILE
        if not path.is_file():
            raise InputError([f"{one_line(name)}: a folder without {FILE}; give a recipe's name, its file, or the folder of a run"])
    elif os.path.exists(os.path.expanduser(name)):
        path = Path(os.path.expanduser(name))
    else:
        raise InputError(
            [f"{shown(name)}: no recipe of that name, and no such file{nearest(name, known)} (shipped: {', '.join(known)})"]
        )
    raw = read_yaml_file(path)
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else f"holds {'a list' if isinstance(raw, list) else shown(raw)}"
        raise InputError([f"{one_line(str(path))}:1: the file {what}; a recipe is a mapping of fields, such as `data: digits`"])
    return dict(raw)


def _tidy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Raw values written out in full: names as mappings, one optimizer for both players, a path as a folder of images."""
    tidy = dict(raw)
    optimizers = tidy.get("optimizers")
    if isinstance(optimizers, str) or (isinstance(optimizers, Mapping) and optimizers and not set(optimizers) & set(PLAYERS)):
        tidy["optimizers"] = {player: copy.deepcopy(optimizers) for player in PLAYERS}
    if isinstance(tidy.get("data"), str) and _is_path(tidy["data"]):
        tidy["data"] = {"name": "folder", "path": tidy["data"]}
    expanded_values: dict[str, Any] = expanded(Recipe, tidy)
    data, start = expanded_values.get("data"), expanded_values.get("from")
    if isinstance(data, dict):
        data |= {key: _absolute(data[key]) for key in ("path", "root") if isinstance(data.get(key), str) and data[key]}
    if isinstance(start, str) and start:
        expanded_values["from"] = _absolute(start)
    return _with_lists_moved(expanded_values)


def _with_lists_moved(tidy: dict[str, Any]) -> dict[str, Any]:
    """With each list that stands for one number among the varying fields, and its first value in its place."""
    listed = list(numbers_listed(Recipe, _with_network_family(tidy)))
    if not listed:
        return tidy
    tidy = copy.deepcopy(tidy)
    vary = tidy.setdefault("vary", {})
    if isinstance(vary, dict) and isinstance(vary.setdefault("fields", {}), dict):
        for address in listed:
            values = value_at(tidy, address)
            if len(values) > 0:
                vary["fields"][dotted(address)] = list(values)
                set_value(tidy, address, values[0])
    return tidy


def _varying_fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    vary = raw.get("vary")
    fields = vary.get("fields") if isinstance(vary, Mapping) else None
    return fields if isinstance(fields, dict) else {}


def _forget_replaced(raw: dict[str, Any], before: Mapping[str, Any]) -> None:
    """A field that varied and was then given one value varies no more."""
    fields, earlier = _varying_fields(raw), _varying_fields(before)
    for name in list(fields):
        address = address_of(name)
        if fields[name] == earlier.get(name) and value_at(raw, address) != value_at(before, address):
            del fields[name]


def _is_path(text: str) -> bool:
    return text not in DATA and (os.sep in text or text.startswith("~") or os.path.exists(text))


def _absolute(path: str) -> str:
    """The path that still holds when a run is resumed from another folder."""
    return os.path.abspath(os.path.expanduser(path))


def _with_network_family(tidy: dict[str, Any]) -> dict[str, Any]:
    """With the default family for the data: a perceptron for points, convolutions for images."""
    data, networks = tidy.get("data", {}), tidy.get("networks", {})
    if not isinstance(networks, Mapping) or "family" in networks:
        return tidy
    name = data.get("name") if isinstance(data, Mapping) else getattr(data, "name", None)
    points = isinstance(name, str) and name in DATA and not gives_images(DATA[name])
    return tidy | {"networks": {"family": "mlp" if points else "dcgan"} | dict(networks)}


def _differing(address: Address, one: object, other: object) -> Iterator[Address]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in [*one, *(name for name in other if name not in one)]:
            yield from _differing((*address, name), one.get(name), other.get(name))
    elif isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str) and not isinstance(other, str):
        for number in range(max(len(one), len(other))):
            pair = [values[number] if number < len(values) else None for values in (one, other)]
            yield from _differing((*address, number), *pair)
    elif one != other:
        yield address


def _with_schedules_closed(recipe: Recipe) -> Recipe:
    """With every open `last` set to the end of the run, in the updates that its schedule counts."""
    updates, steps = recipe.schedule.updates, recipe.schedule.discriminator_steps

    def end(penalty: Penalty, whose: str) -> int:
        counts = whose if penalty.counts == "own" else penalty.counts
        return updates * steps if counts == "discriminator" else updates

    penalties = {
        whose: tuple(_closed(penalty, end(penalty, whose)) for penalty in penalties) for whose, penalties in recipe.penalties
    }
    optimizers = {player: _closed(optimizer, updates) for player, optimizer in recipe.optimizers}
    views = tuple(_closed(view, max(1, int(view.open_end * updates))) for view in recipe.views)
    relabelling = None if recipe.relabelling is None else _closed(recipe.relabelling, updates)
    return recipe.model_copy(
        update={
            "views": views,
            "relabelling": relabelling,
            "objective_weights": _closed(recipe.objective_weights, updates),
            "penalties": recipe.penalties.model_copy(update=penalties),
            "optimizers": recipe.optimizers.model_copy(update=optimizers),
            "objective": _closed(recipe.objective, updates * steps),
        }
    )


def _closed(record: AnyModel, end: int) -> AnyModel:
    last = {name: value.model_copy(update={"last": end}) for name, value in changing(record) if value.last is None}
    return record.model_copy(update=last) if last else record
