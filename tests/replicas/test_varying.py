"""Numbers that differ from replica to replica: each does what its lone runs do; what cannot differ is refused by its name."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from saddlepoint.errors import InputError
from saddlepoint.methods import registered
from saddlepoint.overrides import value_at
from saddlepoint.recipe import Recipe, load
from saddlepoint.rounds import Record
from saddlepoint.schedules import SCHEDULES
from saddlepoint.validation import addresses, dotted, parameters, takes_real_number
from tests.battery.games import recipe_with, slots_of
from tests.recipe.telling import told
from tests.replicas.games import AT_ONCE, PLAYERS, everything, played, replicated, sessions, too_far

UPDATES, MOST = 20, 1e-5

# Two values of each field, of which the first may be the default; a new field asks for two more.
VALUES: dict[str, tuple[float, float]] = {
    "alpha": (0.9, 0.99),
    "baseline": (0.0, 0.9),
    "betas.0": (0.0, 0.6),
    "betas.1": (0.9, 0.999),
    "bound": (0.05, 0.2),
    "centre": (0.0, 1.0),
    "clamp": (0.05, 0.2),
    "clip": (0.7, 1.1),
    "decay": (0.5, 0.9),
    "delta": (0.0, 0.5),
    "eps": (1e-8, 1e-2),
    "epsilon": (0.05, 0.5),
    "eta": (0.05, 0.7),
    "fake": (0.0, -1.0),
    "fakes": (0.5, 2.0),
    "features": (0.1, 2.0),
    "gamma": (0.5, 0.9),
    "images": (50.0, 400.0),
    "high": (0.75, 0.5),
    "lambda_k": (0.05, 0.2),
    "low": (0.5, 0.7),
    "lr": (1e-3, 4e-3),
    "margin": (0.0, 0.001),
    "momentum": (0.0, 0.6),
    "most": (0.1, 0.85),
    "noise": (0.05, 0.3),
    "nu": (0.2, 0.8),
    "rate": (0.01, 0.5),
    "share": (0.2, 0.6),
    "real": (1.0, 2.0),
    "sigma": (0.1, 0.4),
    "target": (1.0, 0.5),
    "temperature": (1.0, 3.0),
    "weight": (0.5, 2.0),
    "weight_decay": (0.0, 0.3),
}
# Where the values above would change nothing in so few updates.
OWN_VALUES: dict[tuple[str, str], tuple[float, float]] = {
    (name, "target"): (-0.9, 1.0) for name in ("ada-lite", "adaptive-instance-noise")
}
BESIDE: dict[str, dict[str, Any]] = dict.fromkeys(("ada-lite", "adaptive-instance-noise"), AT_ONCE) | {
    "lecam": {"weight": 0.5, "start": 2},
    "top-k": {"gamma": 0.7, "period": 2, "nu": 0.3},
}
# Of the sections that hold no method.
SECTIONS: dict[str, tuple[float, float]] = {
    "gradients.clip.generator": (0.001, 0.01),
    "gradients.clip.discriminator": (0.001, 0.01),
    "average.decay": (0.5, 0.9),
    "average.half_life": (20.0, 80.0),
    "average.ramp_up": (0.1, 0.5),
}
Varied = tuple[str, str, str]


def numbers_of(record: type[Record]) -> Iterator[str]:
    """The fields of a record that may vary: its numbers and schedules, and the numbers in its tuples."""
    for name, annotation in parameters(record).items():
        if name in record.one_for_all:
            continue
        if name == "betas":
            yield from ("betas.0", "betas.1")
        elif takes_real_number(annotation):
            yield name


VARIED: list[Varied] = [(entry.room, entry.name, field) for entry in registered() for field in numbers_of(entry.record)]


def test_how_many() -> None:
    # LSGAN 3, BEGAN 2, smoothing 1, f-GAN 1, PU-GAN 2, MaliGAN 1; six gradient penalties of 2, LeCam 2, SDP, drift, historical
    # averaging and orthogonal 1, CT 3, CR 2, bCR 3, zCR 2 and 2, feature matching 1, path length 2; WeGAN 1, importance weights 2,
    # top-k 2; relabelling 1; views 3, 1, 4; Adam 5, RMSProp 5, SGD 3, the optimistic two 1 and 4; clipping 1; aw-GAN 4;
    # lookahead 1.
    penalties = 6 * 2 + 2 + 4 + 3 + 12
    assert len(VARIED) == len(set(VARIED)) == 5 + 5 + penalties + (1 + 2 + 2) + 1 + (3 + 1 + 4) + (5 + 5 + 3 + 1 + 4) + 1 + 4 + 1
    assert {field for _, _, field in VARIED} == set(VALUES)


def differ_and_are_near(recipe: Recipe) -> None:
    """The replicas of one seed end apart, since a number differs, and near their lone runs."""
    stacked, lone = sessions(recipe)
    for session in (stacked, *lone):
        played(session, UPDATES)
    found = everything(stacked)
    assert too_far(found, [everything(session) for session in lone], MOST) == {}
    weights = torch.cat([tensor.flatten(1) for name, tensor in found.items() if name.startswith(("generator/", "average/"))], 1)
    assert len({tuple(row.tolist()) for row in weights}) == len(lone), "the number changes nothing"


def varying(room: str, name: str, field: str, how: str) -> Recipe:
    values, slots = OWN_VALUES.get((name, field), VALUES[field]), slots_of((room, name))
    settings = {"name": name, **BESIDE.get(name, {})}
    recipe = recipe_with((room, name), {"precision": "float32"} | dict.fromkeys(slots, settings))
    seeds = (3,) * len(values) if how == "zip" else (3,)
    return replicated(recipe, seeds, {f"{slot}.{field}": values for slot in slots}, how)


@pytest.mark.parametrize("varied", VARIED, ids=" ".join)
def test_two_values_side_by_side_are_two_lone_runs(varied: Varied) -> None:
    differ_and_are_near(varying(*varied, how="zip"))


@pytest.mark.parametrize("field", SECTIONS)
def test_numbers_of_no_method_vary_too(field: str) -> None:
    half_life = {"average.ramp_up": {"average.half_life": 1000.0}, "average.half_life": {"average.ramp_up": 100.0}}.get(field, {})
    differ_and_are_near(replicated(recipe_with(None, {"precision": "float32", **half_life}), (3,), {field: SECTIONS[field]}))


SCHEDULED: dict[str, dict[str, Any]] = {
    "after": {"start": 2, "value": 0.5},
    "every": {"period": 3, "value": 0.5},
    "linear": {"start": 1.0, "end": 0.2, "last": 9},
    "cosine": {"start": 1.0, "end": 0.2, "last": 9},
    "staircase": {"start": 0.5, "step": 0.1, "period": 4},
}
PARTS = [
    (name, field) for name, fields in SCHEDULED.items() for field in fields if takes_real_number(parameters(SCHEDULES[name])[field])
]


def test_how_many_schedules() -> None:
    assert set(SCHEDULED) == set(SCHEDULES) - {"constant"}
    assert len(PARTS) == 1 + 1 + 2 + 2 + 2


@pytest.mark.parametrize(("name", "field"), PARTS, ids=[" ".join(part) for part in PARTS])
def test_numbers_within_a_schedule_vary(name: str, field: str) -> None:
    """A penalty's weight, by the field's own list, at a penalty that draws."""
    schedule = {"name": name, **SCHEDULED[name]}
    schedule[field] = [schedule[field], 2 * schedule[field] + 0.1]
    penalty = {"name": "wgan-gp", "weight": schedule}
    recipe = load(recipe_with(None, {"precision": "float32", "penalties.both.0": penalty}), ["seeds=[3]"])
    assert list(recipe.vary.fields) == [f"penalties.both.0.weight.{field}"]
    differ_and_are_near(recipe)


def test_schedules_of_any_kind_stand_side_by_side() -> None:
    schedules = [1.0, 0.0, *({"name": name, **fields} for name, fields in SCHEDULED.items())]
    recipe = recipe_with(None, {"precision": "float32", "penalties.both.0": "r1"})
    differ_and_are_near(replicated(recipe, (3,), {"penalties.both.0.weight": schedules}))


def test_a_schedule_without_an_end_ends_with_the_run() -> None:
    rates = [{"name": "linear", "start": start} for start in (1e-3, 5e-3)]
    recipe = recipe_with(None, {"precision": "float32", "schedule.updates": 30})
    differ_and_are_near(replicated(recipe, (3,), {"optimizers.generator.lr": rates}))


def test_a_product_is_every_value_with_every_seed() -> None:
    recipe = recipe_with(None, {"precision": "float32", "weightings.generator": "wegan"})
    values = {"weightings.generator.eta": (0.05, 0.7), "optimizers.generator.lr": (1e-3, 4e-3)}
    both = replicated(recipe, (3, 4), values)
    members = [(m.seed, dict(m.weightings.generator or ())["eta"], m.optimizers.generator.lr(0)) for m in both.members()]
    assert members == [(seed, eta, rate) for eta in (0.05, 0.7) for rate in (1e-3, 4e-3) for seed in (3, 4)]
    assert not any(member.replicated for member in both.members())
    differ_and_are_near(both)


# A penalty that draws is absent for all replicas at the same updates, or for some always.


def drawing(weights: list[Any], *more: str) -> dict[str, Any]:
    listed = [{"name": "wgan-gp", "weight": weights}, *({"name": name} for name in more)]
    return load(recipe_with(None, {"precision": "float32"})).to_mapping() | {"penalties": {"both": listed}}


def test_with_and_without_a_penalty_that_draws() -> None:
    differ_and_are_near(load(drawing([0.0, 10.0])))


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        ([{"name": "every", "period": 2, "value": 1.0}, {"name": "every", "period": 3, "value": 1.0}], ()),
        ([{"name": "after", "start": 2, "value": 1.0}, 1.0], ()),
        ([{"name": "linear", "start": 0.0, "end": 1.0}, 1.0], ()),
        ([0.0, 10.0], ("gradient",)),
    ],
)
def test_a_penalty_that_draws_and_begins_at_different_updates_is_refused(weights: list[Any], more: tuple[str, ...]) -> None:
    (problem,) = told(drawing(weights, *more))
    assert problem.startswith("penalties.both.0.weight: cannot vary so: ")
    assert "train one run for each value" in problem


@pytest.mark.parametrize("name", ["wgan-gp", "dragan", "sdp"])
def test_what_draws_says_so(name: str) -> None:
    """Draws counted in a game, against what the record declares."""
    settings: Mapping[str, list[dict[str, Any]]] = {
        "wgan-gp": [{}, {"at": "real"}, {"at": "fake"}, {"at": "around"}],
        "dragan": [{}, {"noise": "normal"}, {"at": "real"}],
        "sdp": [{}, {"select": "random"}, {"neighbour": "random"}],
    }
    for fields in settings[name]:
        recipe = load(recipe_with(None, {"penalties.both.0": {"name": name, "weight": 1.0, **fields}}))
        (session,) = sessions(recipe)[1]
        played(session, 1)
        beyond = {stream for stream in session.streams.state() if not stream.startswith(("data ", "latents "))}
        assert bool(beyond) == recipe.penalties.both[0].draws


# Refused, by name


def full(method: tuple[str, str]) -> dict[str, Any]:
    room, name = method
    return recipe_with(method, {f"{slot}.{'family' if room == 'networks' else 'name'}": name for slot in slots_of(method)})


def may_vary(room: str, name: str) -> set[str]:
    own = {f"{slot}.{field}" for slot in slots_of((room, name)) for kind, entry, field in VARIED if (kind, entry) == (room, name)}
    rates = {f"optimizers.{player}.{field}" for player in PLAYERS for _, entry, field in VARIED if entry == "adam"}
    return own | set(SECTIONS) | (rates if room != "optimizers" else set())


@pytest.mark.parametrize("method", [(entry.room, entry.name) for entry in registered()], ids=" ".join)
def test_every_other_field_is_refused_by_its_name(method: tuple[str, str]) -> None:
    raw, refused = full(method), 0
    objective = raw["objective"]["name"]
    allowed = may_vary(*method) | {f"objective.{field}" for *entry, field in VARIED if entry == ["objectives", objective]}
    for address in addresses(Recipe, raw):
        field, value = dotted(address), value_at(raw, address)
        above = value_at(raw, address[:-1]) if dotted(address[:-1]) in allowed else None
        if field in allowed or (isinstance(above, dict) and (above["name"], address[-1]) in PARTS):
            continue
        problems = told({**raw, "vary": {"fields": {field: [value, value]}}})
        assert any(line.startswith((f"{field}: ", f"vary.fields.{field}: ")) for line in problems), (field, problems)
        refused += 1
    assert refused >= 60
    for field in allowed:
        two = SECTIONS.get(field) or VALUES[".".join(field.split(".")[-2:]) if "betas" in field else field.split(".")[-1]]
        with_both = load({**raw, "vary": {"fields": {field: list(two)}}})
        assert len(with_both.members()) == 2, field


def test_a_refused_list_is_not_half_taken() -> None:
    with pytest.raises(InputError) as caught:
        load("wegan", ["networks.width=[8, 16]", "eta=[.1, .5]", "updates=[5, 6]", "std=[1, 2]"])
    assert {line.split(": ")[0] for line in caught.value.problems} == {"networks.width", "schedule.updates", "data.std"}
    assert all("cannot vary from replica to replica" in line for line in caught.value.problems)
