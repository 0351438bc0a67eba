"""The factors of a composition, a row of them as a tiny recipe, and what the recipe's checks say of a pair."""

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from saddlepoint.errors import InputError
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.overrides import set_value
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import Recipe
from saddlepoint.recipe.agreement import WEIGHED
from saddlepoint.rounds import Meaning, Mover
from saddlepoint.views import VIEWS
from saddlepoint.weightings import WEIGHTINGS
from tests.battery.games import Method, asked_by, slots_of
from tests.composition.covering import Level, Row, covering

NOTHING = "nothing"
FACTORS: dict[str, tuple[str, ...]] = {
    "objective": tuple(OBJECTIVES),
    "penalty": (NOTHING, *PENALTIES),
    "weighting": (NOTHING, *WEIGHTINGS),
    "normalization": ("none", *(name for name in CHOICES if name != "none")),
    "view": (NOTHING, *VIEWS),
}
# The entry of each factor that stands beside a pair when only the pair is asked about.
PLAIN: Row = {"objective": "vanilla", "penalty": NOTHING, "weighting": NOTHING, "normalization": "none", "view": NOTHING}
ROOMS = {"objective": "objectives", "penalty": "penalties", "weighting": "weightings", "view": "views"}

# Images of 8 px, so that views have something to turn; plain descent, so that rounding stays rounding.
BASE: dict[str, Any] = {
    "data": {"name": "digits", "resolution": 8},
    "networks": {"family": "mlp", "latent": 3, "width": 6, "depth": 2},
    "optimizers": {"name": "sgd", "lr": 1e-2, "momentum": 0.5},
    "schedule": {"updates": 10, "batch": 8},
    "precision": "float64",
    "average": {"decay": 0.9},
    "seed": 3,
}
# By what an objective takes a score for, and whether the normalisation has a meaning for vectors.
NETWORKS: Mapping[tuple[Meaning | None, bool], Mapping[str, Any]] = {
    ("realness", True): {},
    ("realness", False): {"networks": {"family": "dcgan", "latent": 3, "width": 4}},
    ("error", True): {"networks": {**BASE["networks"], "family": "mlp-autoencoder", "code": 3}},
    ("error", False): {"networks": {"family": "autoencoder", "latent": 3, "width": 4}, "data.resolution": 16},
}
SYMBOLS: Mapping[str, Any] = {"data": {"name": "binary-digits", "resolution": 8}}
# So that an entry does something within three updates; a weight that is given is for scores of any scale.
AWAKE: Mapping[str, Mapping[str, Any]] = {name: {"weight": 0.1} for name in PENALTIES} | {
    "sdp": {"weight": 0.1, "k": 3},
    "top-k": {"gamma": 0.6, "period": 1},
}


def described(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as a recipe, each entry wherever it may stand, with what it declares to ask for."""
    raw = copy.deepcopy(BASE)
    for field, value in fields_of(row).items():
        parts = (int(part) if part.isdecimal() else part for part in field.split("."))
        set_value(raw, tuple(parts), copy.deepcopy(value))
    return Recipe.from_mapping(raw).to_mapping()


def fields_of(row: Mapping[str, str]) -> dict[str, Any]:
    """What a row changes in the base recipe."""
    normalization = CHOICES[row["normalization"]]()
    objective = OBJECTIVES[row["objective"]]
    fields = dict(NETWORKS[objective.reads_scores_as, normalization.not_of_vectors is None])
    if objective.needs_log_probability:
        fields |= SYMBOLS
    for factor, room in ROOMS.items():
        name = row[factor]
        if name == NOTHING:
            continue
        method: Method = (room, name)
        # The base recipe is of images already, and the row says which objective.
        fields |= {field: value for field, value in asked_by(method).items() if field not in ("data", "networks", "objective")}
        slots = [slot for slot in slots_of(method) if slot not in unweighed(row["objective"])]
        if objective.needs_log_probability:  # no gradient of a sample reaches its generator
            slots = [slot.replace("penalties.both", "penalties.discriminator") for slot in slots]
        fields |= {slot: {"name": name, **AWAKE.get(name, {})} for slot in slots}
    players = [player for player in get_args(Mover) if player not in normalization.refuses]
    return fields | {f"networks.normalization.{player}": row["normalization"] for player in players}


def unweighed(objective: str) -> set[str]:
    """Where no weighting can stand, since the objective has no losses of that side."""
    carries = OBJECTIVES[objective].carries
    return {f"weightings.{field}" for field, (player, side) in WEIGHED.items() if side not in carries[player]}


@functools.cache
def refusal(*levels: Level) -> tuple[str, ...]:
    """What the recipe's checks say of entries beside the plain ones; nothing when they may stand together."""
    try:
        described(PLAIN | dict(levels))
    except InputError as error:
        return tuple(error.problems)
    return ()


@functools.cache
def rows() -> tuple[Row, ...]:
    """The covering array of all pairs that are not refused."""
    return tuple(covering(FACTORS, lambda one, other: not refusal(one, other)))


def rows_of(objective: str) -> Iterator[Row]:
    """The rows in which an objective stands."""
    return (row for row in rows() if row["objective"] == objective)
