"""The factors of a composition, a row of them as a tiny recipe, and what the recipe's checks say of a pair."""

import functools
from collections.abc import Mapping
from typing import Any, get_args

from saddlepoint.errors import InputError
from saddlepoint.networks.layers import NormalizationName
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import Recipe
from saddlepoint.weightings import WEIGHTINGS
from tests.composition.covering import Level, Row, covering

NOTHING = "nothing"
FACTORS: dict[str, tuple[str, ...]] = {
    "objective": tuple(OBJECTIVES),
    "penalty": (NOTHING, *PENALTIES),
    "weighting": (NOTHING, *WEIGHTINGS),
    "normalization": ("none", *(name for name in get_args(NormalizationName) if name != "none")),
}
# The entry of each factor that stands beside a pair when only the pair is asked about.
PLAIN: Row = {"objective": "vanilla", "penalty": NOTHING, "weighting": NOTHING, "normalization": "none"}

# So that an entry does something within three updates.
AWAKE: Mapping[str, Mapping[str, Any]] = {"sdp": {"weight": 0.1, "k": 3}}


def described(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as a recipe: images of 8 px, so that views have something to turn; plain descent, so that rounding stays rounding."""
    raw: dict[str, Any] = {
        "data": {"name": "digits", "resolution": 8},
        "networks": {
            "family": "mlp",
            "latent": 3,
            "width": 6,
            "depth": 2,
            "normalization": dict.fromkeys(("generator", "discriminator"), row["normalization"]),
        },
        "objective": row["objective"],
        "optimizers": {"name": "sgd", "lr": 1e-2, "momentum": 0.5},
        "schedule": {"updates": 10, "batch": 8},
        "precision": "float64",
        "average": {"decay": 0.9},
        "seed": 3,
    }
    if row["penalty"] != NOTHING:
        raw["penalties"] = {"both": [{"name": row["penalty"], **AWAKE.get(row["penalty"], {})}]}
    if row["weighting"] != NOTHING:
        raw["weightings"] = {"generator": row["weighting"]}
    return raw


@functools.cache
def refusal(*levels: Level) -> tuple[str, ...]:
    """What the recipe's checks say of entries beside the plain ones; nothing when they may stand together."""
    try:
        Recipe.from_mapping(described(PLAIN | dict(levels)))
    except InputError as error:
        return tuple(error.problems)
    return ()


@functools.cache
def rows() -> tuple[Row, ...]:
    """The covering array of all pairs that are not refused."""
    return tuple(covering(FACTORS, lambda one, other: not refusal(one, other)))


def named(row: Mapping[str, str]) -> str:
    """A row in words."""
    return " ".join(entry for entry in row.values())
