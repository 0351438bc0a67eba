"""A recipe: the typed description of a run, its YAML form, what is wrong with it, and the recipes that ship.

Every value has a default that trains. Whatever is wrong is found before anything is allocated, all of it at once.
"""

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer

from saddlepoint.data import DATA
from saddlepoint.data.source import Data
from saddlepoint.errors import InputError
from saddlepoint.evaluation.naming import qualified
from saddlepoint.networks import NETWORKS
from saddlepoint.networks.network import Networks
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.optimizers import OPTIMIZERS
from saddlepoint.overrides import Override, apply_overrides, read_overrides, set_value, value_at
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.sdp import SDP
from saddlepoint.rounds import Features, InputGradient, LatentGradient, Mover, Parameters, Record, Side
from saddlepoint.schedules import Constant, Cosine, Linear, absences
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
    parameters,
    shown,
    takes_real_number,
    validated,
)
from saddlepoint.views import VIEWS
from saddlepoint.views.view import View
from saddlepoint.weightings.relabelling import Relabelling
from saddlepoint.weightings.weighting import Weighting
from saddlepoint.yaml_reading import LARGEST_INTEGER, one_line, read_yaml_file, write_yaml

SHIPPED = Path(__file__).parent / "recipes"
FILE = "recipe.yaml"

# What cannot change the result, and so is no part of a run's identity.
NOT_IDENTITY = ("device", "threads", "log", "samples", "checkpoints", "measures", "replicas", "kernels")

# What a replica's lone recipe has in place of the fields that describe many.
ALONE: Mapping[str, Any] = {"seeds": None, "vary": Vary(), "replicas": Replicas()}

# More than a system may give a process ends it without a word.
MOST_THREADS = 1024

PLAYERS: tuple[Mover, ...] = ("generator", "discriminator")

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
                with_values[key] = _with_values(self, values).model_copy(update=ALONE)
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
            return _with_values(self, values[start]).model_copy(update={**ALONE, "seed": seeds[start]})
        fields = {field: tuple(value[field] for value in values[start:stop]) for field in self.vary.fields}
        vary = Vary(how="zip", fields=fields) if fields else Vary()
        part = self.model_copy(update={"seeds": tuple(seeds[start:stop]), "vary": vary, "replicas": Replicas()})
        first = {field: listed[0] for field, listed in fields.items()}
        return _with_values(part, first) if fields else part

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
            problems += _varying_problems(recipe, tidy)
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
    raw, wrong_overrides = apply_overrides(raw, read, _tidy, _known)
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
        address = _address(name)
        if fields[name] == earlier.get(name) and value_at(raw, address) != value_at(before, address):
            del fields[name]


def _address(text: str) -> Address:
    return tuple(int(part) if part.isdecimal() else part for part in text.split("."))


def _with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with fields set."""
    if not values:
        return recipe
    mapping = recipe.to_mapping()
    for name, value in values.items():
        set_value(mapping, _address(name), value)
    return _with_schedules_closed(Recipe.model_validate(mapping))


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


def gives_images(data: type[Data]) -> bool:
    """Whether a data set holds images, which have a resolution, or points."""
    return "resolution" in data.model_fields


def _known(tidy: dict[str, Any]) -> list[Address]:
    return list(addresses(Recipe, _with_network_family(tidy)))


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
    last = {name: value.model_copy(update={"last": end}) for name, value in _changing(record) if value.last is None}
    return record.model_copy(update=last) if last else record


def _changing(record: BaseModel) -> Iterator[tuple[str, Linear | Cosine]]:
    yield from ((name, value) for name, value in record if isinstance(value, Linear | Cosine))


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


def _check_best(recipe: Recipe) -> Iterator[Problem]:
    if recipe.replicated and recipe.networks.stacks and recipe.measures.best is not None:
        yield Problem(("measures", "best"), "each of many replicas has its best at another update; leave it out, or train one seed")


def _varying_problems(recipe: Recipe, tidy: Mapping[str, Any]) -> Iterator[Problem]:
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


def _field_problems(recipe: Recipe, name: str, tidy: Mapping[str, Any]) -> Iterator[Problem]:
    address, values = _address(name), recipe.vary.fields[name]
    reason = _refused(recipe, address)
    if reason is None and not _is_there(recipe, address):
        near = nearest(name, [dotted(known) for known in _known(dict(tidy))])
        yield Problem(("vary", "fields", name), f"unknown field{near}")
    elif reason is not None:
        yield Problem(address, f"cannot vary from replica to replica: {reason}; train one run for each value")
    elif not values:
        yield Problem(address, "an empty list; give one value or more")
    for value in values if reason is None else ():
        if value is None or _holds_list(value):
            cure = " (for no bound, a number too large to count)" if value is None else ""
            yield Problem(address, f"in its list: {shown(value)} should be a number{cure}")


def _length_problems(recipe: Recipe) -> Iterator[Problem]:
    if recipe.vary.how == "product":
        return
    lengths = {name: len(values) for name, values in recipe.vary.fields.items()}
    seeds = None if recipe.seeds is None else len(recipe.seeds)
    most = seeds or max(lengths.values(), default=0)
    beside = f"a list of {most}" if seeds is None else f"{most} seeds"
    for name, length in lengths.items():
        if length not in (0, most):
            what = f"has {length} values beside {beside}; under zip give one value for each, or vary.how=product"
            yield Problem(_address(name), what)


def _value_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with the values as the replicas have them, each problem once."""
    seen: set[Problem] = set()
    for values in _rows(recipe):
        mapping = recipe.to_mapping() | {"vary": {}, "seeds": None}
        for name, value in values.items():
            set_value(mapping, _address(name), value)
        fresh = [problem for problem in Recipe._read(mapping)[1] if problem not in seen]
        seen.update(fresh)
        where = "in its list" if len(values) == 1 else f"with {_told(values)}"
        yield from (Problem(problem.address, f"{where}: {problem.message}") for problem in fresh)


def _absence_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is there for some replicas only. They draw at once, so a penalty that draws is absent for all at the same updates, or
    for some always; and all keep an average, or none does."""
    rows = [_with_values(recipe, values) for values in _rows(recipe)]
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


def _rows(recipe: Recipe) -> list[dict[str, Any]]:
    """The different values that replicas have in the varying fields."""
    return list({json.dumps(values): values for values in recipe.axis()[1] if values}.values())


def _refused(recipe: Recipe, address: Address) -> str | None:
    """Why a field is one for all replicas; None when it may vary, or is not there."""
    if address[0] in ("networks", "schedule"):
        return "it changes shapes, or how long a run is"
    if address[0] not in MAY_VARY:
        return "the replicas share it" if address[0] in parameters(Recipe) else None
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


def _is_there(recipe: Recipe, address: Address) -> bool:
    """Whether a recipe has such a field."""
    holder, part = _held(recipe, address[:-1]), address[-1]
    if isinstance(holder, BaseModel) and not isinstance(holder, Constant):
        return part in parameters(type(holder))
    return isinstance(holder, tuple) and isinstance(part, int) and part < len(holder)


def _held(recipe: Recipe, address: Address) -> Any:
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


def _repeated(recipe: Recipe) -> Iterator[Problem]:
    seen: set[tuple[int, str]] = set()
    for seed, values in zip(*recipe.axis(), strict=True):
        key = (seed, json.dumps(values))
        if key in seen:
            told = f" with {_told(values)}" if values else ""
            yield Problem(("seeds",), f"{seed} is there twice{told}; name each replica once")
            return
        seen.add(key)


def _check_networks(recipe: Recipe) -> Iterator[Problem]:
    shape = dict(recipe.data)["resolution"] if gives_images(type(recipe.data)) else (type(recipe.data).dimensions,)
    yield from (Problem(("networks",), problem) for problem in recipe.networks.problems(shape))


def _check_batches(recipe: Recipe) -> Iterator[Problem]:
    least, minibatch = recipe.networks.smallest_batch, recipe.networks.minibatch
    for field, size in (("batch", recipe.schedule.batch), ("generator_batch", recipe.schedule.generator_batch)):
        if size is not None and size < least:
            cure = f"give {least} or more, or set networks.normalization of both players to layer or none"
            yield Problem(("schedule", field), f"{size} is too few for this {recipe.networks.family}'s batch norm; {cure}")
        uneven = None if minibatch is None or size is None else minibatch.batch_problem(size)
        if uneven is not None:
            yield Problem(("schedule", field), f"{uneven}, or set networks.minibatch to null")


def _check_penalties(recipe: Recipe) -> Iterator[Problem]:
    mixing = recipe.networks.mixing
    for address, penalty in recipe.penalties_with_addresses():
        if mixing is not None and any(isinstance(need, InputGradient) for need in penalty.needs):
            what = f"{penalty.name} takes gradients of single images, which {mixing.what} in the discriminator mixes"
            yield Problem(address, f"{what}; {mixing.cure}")
        whose, carriers = str(address[1]), penalty.players
        if set(PLAYERS if whose == "both" else (whose,)) - set(carriers):
            yield Problem(address, f"{penalty.name} is a term of the {carriers[0]}'s loss; list it in penalties.{carriers[0]}")
        if penalty.needs_dropout and not recipe.networks.drops:
            what = f"{penalty.name} compares two judgements of one sample, which without dropout are the same"
            yield Problem(address, f"{what}; give networks.dropout of the discriminator, such as 0.5")
        if recipe.networks.batch_normalized("generator") and LatentGradient() in penalty.needs:
            what = f"{penalty.name} takes gradients at single latents, which batch norm in the generator mixes"
            yield Problem(address, f"{what}; {recipe.networks.without_coupling('generator')}")
        if not recipe.networks.block_names and any(isinstance(need, Features) for need in penalty.needs):
            what = f"{penalty.name} compares features, and this {recipe.networks.family} discriminator has none"
            with_features = ", ".join(name for name, family in NETWORKS.items() if family.model_validate({}).block_names)
            yield Problem(address, f"{what}; give it a hidden layer, or choose a family that has features ({with_features})")


def _check_logits(recipe: Recipe) -> Iterator[Problem]:
    """A default weight is for scores that are no logits."""
    if not recipe.objective.gives_probability:
        return
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.weight_for_logits is not None and "weight" not in penalty.model_fields_set:
            what = f"the default of {penalty.name} hardly lets the scores of {recipe.objective.name} apart, which are logits"
            yield Problem((*address, "weight"), f"{what}; give it, such as {penalty.weight_for_logits:g}")


def _check_scales(recipe: Recipe) -> Iterator[Problem]:
    """A default weight is for scores of a known scale."""
    if not recipe.objective.unscaled or recipe.networks.normalization.discriminator.spectral:
        return
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.needs_scale and "weight" not in penalty.model_fields_set:
            what = f"{penalty.name} squares differences of scores, and those of {recipe.objective.name} have no scale of their own"
            yield Problem((*address, "weight"), f"{what}; give it, or set networks.normalization.discriminator to spectral")


def _judges_each_by_itself(objective: type[Objective]) -> bool:
    return objective.reads == "own" and not objective.pairs


def _check_stop(recipe: Recipe) -> Iterator[Problem]:
    stop = recipe.stop
    if stop is None:
        return
    if stop.needs_weights and recipe.weightings.generator is None:
        what = f"{stop.name} reads the weights of the generator's fakes, and they have none"
        yield Problem(("stop",), f"{what}; give weightings.generator, or leave it out")
    if stop.needs_weights and absences(recipe.objective_weights.generator) != ("never",):
        what = f"{stop.name} reads the weights of the generator's fakes, which have none where objective_weights.generator is 0"
        yield Problem(("stop",), f"{what}; leave one of the two out")
    if stop.needs_probability and not recipe.objective.gives_probability:
        giving = ", ".join(name for name, objective in OBJECTIVES.items() if objective().gives_probability)
        what = f"{stop.name} needs scores that are probabilities, and those of {recipe.objective.name} are not"
        yield Problem(("stop",), f"{what}; choose an objective that gives them ({giving})")


def _check_accumulation(recipe: Recipe) -> Iterator[Problem]:
    """An accumulated step is that of one large batch, so what reads the batch as a whole cannot be given a part of it at a time."""
    parts, networks, where = recipe.gradients.accumulation, recipe.networks, ("gradients", "accumulation")
    if parts == 1:
        return
    records = (recipe.objective, recipe.relabelling, recipe.stop, *recipe.views, *(record for _, record in recipe.weightings))
    terms = [*(record for record in records if record is not None), *(penalty for _, penalty in recipe.penalties_with_addresses())]
    for name in dict.fromkeys(term.name for term in terms if term.reads == "everyone" or term.follows_batch):
        yield Problem(
            where, f"{parts}: {name} reads the batch as a whole, not a part of it at a time; set it to 1, or leave {name} out"
        )
    if networks.mixing is not None:
        what = f"{parts}: {networks.mixing.what} in the discriminator would be of a part of the batch at a time"
        yield Problem(where, f"{what}; set it to 1, or {networks.mixing.cure}")
    if networks.batch_normalized("generator"):
        what = f"{parts}: batch norm in the generator would be of a part of the batch at a time"
        yield Problem(where, f"{what}; set it to 1, or networks.normalization.generator to layer or none")


def _check_relabelling(recipe: Recipe) -> Iterator[Problem]:
    if recipe.relabelling is None or _judges_each_by_itself(type(recipe.objective)):
        return
    what = f"{recipe.relabelling.name} gives a fake the loss of a real, and the losses of {recipe.objective.name} compare samples"
    fitting = ", ".join(name for name, objective in OBJECTIVES.items() if _judges_each_by_itself(objective))
    yield Problem(("relabelling",), f"{what}; choose an objective that judges each by itself ({fitting})")


def _check_views(recipe: Recipe) -> Iterator[Problem]:
    images = gives_images(type(recipe.data))
    for number, view in enumerate(recipe.views):
        least, address = view.least_resolution, ("views", number)
        if least is None:
            continue
        if not images:
            fitting = ", ".join(name for name, other in VIEWS.items() if other.least_resolution is None)
            what = f"{view.name} changes images, and {recipe.data.name} holds points"
            yield Problem(address, f"{what}; leave it out, choose images, or a view that takes points ({fitting})")
        elif dict(recipe.data)["resolution"] < least:
            yield Problem(address, f"{view.name} takes images of {least} px or more; raise data.resolution, or leave it out")


def _check_objective_weights(recipe: Recipe) -> Iterator[Problem]:
    """A generator whose objective is left out at some updates needs a penalty that is always there."""
    absent = absences(recipe.objective_weights.generator)
    always = any(absences(penalty.weight) == ("never",) for penalty in recipe.penalties_of("generator"))
    if absent != ("never",) and not always:
        what = "the generator would have no loss where this is 0"
        yield Problem(("objective_weights", "generator"), f"{what}; list a penalty in penalties.generator whose weight is never 0")
    if absent == ("always",) and recipe.weightings.generator is not None:
        what = "would not be read, since objective_weights.generator is 0; leave one of the two out"
        yield Problem(("weightings", "generator"), what)


def _check_probabilities(recipe: Recipe) -> Iterator[Problem]:
    if recipe.objective.gives_probability:
        return
    giving = ", ".join(name for name, objective in OBJECTIVES.items() if objective().gives_probability)
    cure = f"the scores of {recipe.objective.name} are not; choose an objective that gives them ({giving})"
    for side, weighting in recipe.weightings:
        if weighting is not None and weighting.needs_probability:
            yield Problem(("weightings", side), f"{weighting.name} needs scores that are probabilities, and {cure}")
    for address, penalty in recipe.penalties_with_addresses():
        if isinstance(penalty, SDP) and penalty.score == "probability":
            yield Problem((*address, "score"), f"probability needs scores that are probabilities, and {cure}, or score: raw")


def _check_scores(recipe: Recipe) -> Iterator[Problem]:
    """What reads scores must read them as the discriminator means them."""
    meant = recipe.networks.scores
    words = {"realness": "how real a sample looks", "error": "the error of its reconstruction"}
    if recipe.objective.reads_scores_as not in (None, meant):
        families = ", ".join(name for name, family in NETWORKS.items() if family.scores == recipe.objective.reads_scores_as)
        others = ", ".join(name for name, objective in OBJECTIVES.items() if objective.reads_scores_as in (None, meant))
        what = f"{recipe.objective.name} reads a score as {words[recipe.objective.reads_scores_as or meant]}"
        cure = f"choose another family ({families}), or another objective ({others})"
        yield Problem(("objective",), f"{what}, and a discriminator of {recipe.networks.family} gives {words[meant]}; {cure}")
    readers: list[tuple[Address, Weighting | Penalty | Relabelling | View | None]] = [
        (("weightings", side), record) for side, record in recipe.weightings
    ]
    readers += [(("relabelling",), recipe.relabelling), *((("views", number), view) for number, view in enumerate(recipe.views))]
    for address, term in [*readers, *recipe.penalties_with_addresses()]:
        if term is not None and term.reads_scores_as not in (None, meant):
            what = f"{term.name} reads a score as {words[term.reads_scores_as or meant]}"
            yield Problem(address, f"{what}, and a discriminator of {recipe.networks.family} gives {words[meant]}; leave it out")


def _check_symbols(recipe: Recipe) -> Iterator[Problem]:
    """What a generator that is a distribution over symbols asks of the rest."""
    if not recipe.objective.needs_log_probability:
        return
    name = recipe.objective.name
    if type(recipe.data).alphabet is Data.alphabet:
        discrete = ", ".join(kind for kind, data in DATA.items() if data.alphabet is not Data.alphabet)
        what = f"{name} reads log-probabilities of samples, and those of {recipe.data.name} are no symbols"
        yield Problem(("objective",), f"{what}; choose data that are ({discrete}), or another objective")
    for address, penalty in recipe.penalties_with_addresses():
        if address[1] != "discriminator" and Parameters() not in penalty.needs:
            what = f"{penalty.name} reads samples, through which no gradient reaches a generator of symbols"
            yield Problem(address, f"{what}; list it under penalties.discriminator")


def _check_rates(recipe: Recipe) -> Iterator[Problem]:
    if recipe.rates is None:
        return
    known = ["discriminator/loss", "generator/loss", *(f"generator/{name}" for name in recipe.objective.quantities)]
    if recipe.rates.quantity not in known:
        near = nearest(recipe.rates.quantity, known)
        what = f"{recipe.rates.quantity} is not recorded at every update with {recipe.objective.name}"
        yield Problem(("rates", "quantity"), f"{what}{near} (one of {', '.join(known)})")


def _check_combiner(recipe: Recipe) -> Iterator[Problem]:
    combiner = recipe.gradients.combine.discriminator
    if combiner is None or not combiner.needs_boundary or recipe.objective.boundary == 0:
        return
    asked = f"{combiner.name} asks on which side of 0 a score lies"
    where = "say nothing there" if recipe.objective.boundary is None else f"turn at {recipe.objective.boundary:g}"
    with_one = ", ".join(name for name, objective in OBJECTIVES.items() if objective.model_validate({}).boundary == 0)
    cure = f"choose an objective whose boundary is 0 ({with_one})"
    yield Problem(("gradients", "combine", "discriminator"), f"{asked}, and those of {recipe.objective.name} {where}; {cure}")


def _check_sides(recipe: Recipe) -> Iterator[Problem]:
    """A weighting weighs losses, and pairs need as many reals as fakes."""
    objective, batch, fakes = recipe.objective, recipe.schedule.batch, recipe.schedule.generator_batch
    for field, (player, side) in WEIGHED.items():
        weighting = getattr(recipe.weightings, field)
        if weighting is not None and side not in objective.carries[player]:
            what = f"{weighting.name} weighs the {player}'s losses of {side}s, and {objective.name} has none there"
            instead = [other for other, (whose, which) in WEIGHED.items() if whose == player and which in objective.carries[whose]]
            yield Problem(("weightings", field), f"{what}; leave it out, or weigh {', '.join(instead)}")
    if objective.pairs and fakes is not None and fakes != batch:
        what = f"{fakes} fakes, and {objective.name} compares each with a real of its own, of which there are {batch}"
        yield Problem(("schedule", "generator_batch"), f"{what}; leave it out")


# The losses that each field of `weightings` weighs.
WEIGHED: Mapping[str, tuple[Mover, Side]] = {
    "generator": ("generator", "fake"),
    "discriminator_real": ("discriminator", "real"),
    "discriminator_fake": ("discriminator", "fake"),
}


def _check_schedules(recipe: Recipe) -> Iterator[Problem]:
    records: list[tuple[Address, Record]] = [(("optimizers", player), record) for player, record in recipe.optimizers]
    records += [(("views", number), view) for number, view in enumerate(recipe.views)]
    records += [(("relabelling",), recipe.relabelling)] if recipe.relabelling is not None else []
    records.append((("objective",), recipe.objective))
    weights: tuple[Address, Section] = (("objective_weights",), recipe.objective_weights)
    for address, record in [*records, weights, *recipe.penalties_with_addresses()]:
        for name, value in _changing(record):
            last = recipe.schedule.updates if value.last is None else value.last
            if value.first >= last:
                yield Problem((*address, name, "first"), f"{value.first} should lie before the schedule's last update, {last}")
    for address, penalty in recipe.penalties_with_addresses():
        ends = address[1] != "both" or penalty.counts != "own" or recipe.schedule.discriminator_steps == 1
        for name, value in _changing(penalty):
            if value.last is None and not ends:
                why = "the players make different numbers of updates, so the end of the run is not one number"
                yield Problem((*address, name, "last"), f"null: {why}; give it, or list the penalty for each player")


def _check_turns(recipe: Recipe) -> Iterator[Problem]:
    turns, steps = recipe.turns, recipe.schedule.discriminator_steps
    if turns.one_to_one and steps > 1:
        what = f"{steps} steps, and under {turns.name} each player makes one update a round"
        yield Problem(("schedule", "discriminator_steps"), f"{what}; set it to 1, or turns to alternating")
    for player, optimizer in recipe.optimizers:
        if turns.extrapolates and optimizer.extrapolates:
            plain = ", ".join(name for name, record in OPTIMIZERS.items() if not record.extrapolates)
            what = f"{optimizer.name} looks ahead of its gradient, and so does {turns.name}"
            yield Problem(("optimizers", player), f"{what}; choose one of {plain}, or turns: alternating")
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.own_turn is None:
            continue
        where, cure = (*address, "weight", "turn"), "set it to shared"
        if turns.extrapolates:
            yield Problem(where, f"own: under {turns.name} a step of the penalty alone would not be extrapolated; {cure}")
        ahead = [
            optimizer.name for player, optimizer in recipe.optimizers if optimizer.extrapolates and address[1] in (player, "both")
        ]
        if ahead:
            what = f"own: {ahead[0]} would take the next step's direction to be that of the penalty alone"
            yield Problem(where, f"{what}; {cure}")
        if steps > 1 and address[1] != "generator":
            what = f"own: its period counts rounds, and the discriminator makes {steps} updates in each"
            yield Problem(where, f"{what}; {cure}, or schedule.discriminator_steps to 1")


def _check_device(recipe: Recipe) -> Iterator[Problem]:
    if recipe.device == "mps" and recipe.precision == "float64":
        yield Problem(("precision",), "float64 is not there on mps; choose float32, or device: cpu")


def _check_measures(recipe: Recipe) -> Iterator[Problem]:
    section = recipe.measures
    if section.best is not None and section.every is None:
        yield Problem(("measures", "best"), f"{section.best}: nothing is measured; give measures.every too")
    named = [measure.name for measure in section.names]
    twice = [name for name in dict.fromkeys(named) if named.count(name) > 1]
    yield from (Problem(("measures", "names"), f"{name} is there twice; name it once") for name in twice)
    quantities = [qualified(measure, name) for measure in section.names for name in measure.quantities]
    if section.best is not None and section.names and section.best not in quantities:
        near = nearest(section.best, quantities)
        yield Problem(("measures", "best"), f"{section.best} is not among what is measured{near} (one of {', '.join(quantities)})")


Check = Callable[[Recipe], Iterator[Problem]]

# Each check with the sections it reads: it runs when these were right.
CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"data", "networks"}), _check_networks),
    (frozenset({"networks", "schedule"}), _check_batches),
    (frozenset({"networks", "penalties"}), _check_penalties),
    (frozenset({"networks", "objective", "penalties"}), _check_scales),
    (frozenset({"objective", "penalties"}), _check_logits),
    (frozenset({"data", "views"}), _check_views),
    (frozenset({"objective", "relabelling"}), _check_relabelling),
    (frozenset({"objective_weights", "penalties", "weightings"}), _check_objective_weights),
    (frozenset({"objective", "objective_weights", "weightings", "stop"}), _check_stop),
    (
        frozenset({"gradients", "networks", "objective", "penalties", "relabelling", "stop", "views", "weightings"}),
        _check_accumulation,
    ),
    (frozenset({"objective", "weightings", "penalties"}), _check_probabilities),
    (frozenset({"objective", "networks", "weightings", "penalties"}), _check_scores),
    (frozenset({"objective", "data", "penalties"}), _check_symbols),
    (frozenset({"objective", "rates"}), _check_rates),
    (frozenset({"objective", "gradients"}), _check_combiner),
    (frozenset({"objective", "weightings", "schedule"}), _check_sides),
    (
        frozenset({"objective", "objective_weights", "optimizers", "penalties", "relabelling", "views", "schedule"}),
        _check_schedules,
    ),
    (frozenset({"turns", "optimizers", "penalties", "schedule"}), _check_turns),
    (frozenset({"device", "precision"}), _check_device),
    (frozenset({"measures"}), _check_measures),
    (frozenset({"measures", "networks", "seeds", "vary"}), _check_best),
)
