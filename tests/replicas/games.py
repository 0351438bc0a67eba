"""Small stacked games beside the lone games of their replicas."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data import DATA
from saddlepoint.data.source import gives_images
from saddlepoint.networks import LAYERS, NETWORKS
from saddlepoint.networks.network import Networks
from saddlepoint.networks.normalizations import NORMALIZATIONS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.recipe import Recipe, load
from saddlepoint.training.session import Session
from tests.battery.games import (
    METHODS,
    MLP,
    PARTS,
    POINTS,
    SMALL,
    SMALL_IMAGES,
    asked_by,
    judged_by,
    judging,
    networks_with,
    recipe_with,
    slots_of,
)

SEEDS = (3, 11, 4)
PLAYERS = ("generator", "discriminator")

# Data sets that are drawn, and one of images that needs no download; the others are read in the same way as that one.
DRAWN = tuple(name for name, data in DATA.items() if not gives_images(data))
PICTURES = ("digits",)


@dataclass(frozen=True)
class Case:
    """An entry of a registry in a small recipe."""

    room: str
    name: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.room} {self.name}"

    def recipe(self, precision: str) -> dict[str, Any]:
        return recipe_with(None, {"precision": precision, **self.fields})


# What an entry does only under other settings than its own, and what must begin early to do anything in so few updates.
BEGUN = {"weight": {"name": "after", "start": 1, "value": 0.5}}
TOP_K = {"name": "top-k", "gamma": 0.9, "period": 2}
AT_ONCE = {"every": 2, "images": 100, "target": -0.9}
MORE: dict[str, dict[str, Any]] = {
    "sdp": {
        "penalties.both.0": {"name": "sdp", "k": 3, **BEGUN},
        "penalties.both.1": {"name": "sdp", "select": "random", "neighbour": "random", **BEGUN},
    },
    "top-k": {f"weightings.{side}": TOP_K for side in ("generator", "discriminator_real", "discriminator_fake")},
    "fake-can-be-real": {"relabelling": {"name": "fake-can-be-real", "share": 0.4}},
    "diffaugment": {**SMALL_IMAGES, "views.0": {"name": "diffaugment"}},
    "ada-lite": {**SMALL_IMAGES, "views.0": {"name": "ada-lite", **AT_ONCE}},
    "adaptive-instance-noise": {"views.0": {"name": "adaptive-instance-noise", **AT_ONCE}},
    "dragan": {"penalties.both.0": "dragan", "penalties.both.1": {"name": "dragan", "noise": "normal"}},
    "lecam": {
        "penalties.discriminator.0": {"name": "lecam", "start": 2, **BEGUN},
        "penalties.discriminator.1": {"name": "lecam", "start": 2, "debias": True, **BEGUN},
    },
    "historical-averaging": {
        "penalties.both.0": {"name": "historical-averaging", "weight": 0.1},
        "penalties.both.1": {"name": "historical-averaging", "weight": 0.1, "window": 5},
    },
    "rmsprop": {f"optimizers.{player}": {"name": "rmsprop", "momentum": 0.5, "lr": 1e-3} for player in PLAYERS},
    "sgd": {f"optimizers.{player}": {"name": "sgd", "momentum": 0.5, "nesterov": True} for player in PLAYERS},
    "plateau": {"rates": {"name": "plateau", "window": 3, "quantity": "generator/loss"}},
    # Some of its scores are clamped.
    "f-gan": {"objective": {"name": "f-gan", "clamp": 0.05}},
    "pu-gan": {
        "objective": {"name": "pu-gan", "share": {"name": "staircase", "start": 0.2, "step": 0.2, "period": 4}, "most": 0.7}
    },
    "weight-clipping": {f"projections.{player}.0": {"name": "weight-clipping", "bound": 0.3} for player in PLAYERS},
}

# A discriminator with batch norm does not see where its batch lies, so the generator's last bias has a gradient of nothing but
# rounding; and of a critic's last bias the hinge (inside its margin) and losses of differences see nothing: the sides cancel. Adam
# makes whole steps of such rounding: there, and only there, no order of sums gives the same weights.
# Under affine weight normalisation first weights of a hundredth turn with every such step, and 200 of them leave 1e-10.
UNSEEN_SHIFT = {f"optimizers.{player}": {"name": "sgd", "lr": 1e-2} for player in PLAYERS}

# An absolute error has a kink at each number that is copied, and five samples under batch norm meet many.
SLOWLY = {"mlp-autoencoder": {f"optimizers.{player}": {"name": "sgd", "lr": 2e-4} for player in PLAYERS}}


# Whether a family can be given a part of networks.
SUITS: dict[str, Callable[[type[Networks], str], bool]] = {
    "normalizations": lambda family, name: family.refusal(NORMALIZATIONS[name](), "generator") is None,
    "layers": lambda family, name: LAYERS[name].slot in family.model_fields,
}
# The layers are the same in every family: all of them are tried in the first.
IN_OTHERS = ("batch", "layer", "spectral")


def _cases() -> list[Case]:
    methods = [(room, name) for room, name in METHODS if room != "networks"]
    fields = {
        name: MORE.get(name, {slot: {"name": name} for slot in slots_of((room, name))} | asked_by((room, name)))
        for room, name in methods
    }
    unseen = dict.fromkeys(("hinge", "wasserstein", "softmax", "relativistic", "relativistic-average"), UNSEEN_SHIFT)
    companions: dict[str, dict[str, Any]] = {name: judged_by(objective) for name, objective in OBJECTIVES.items()}
    cases = [Case(room, name, {**fields[name], **unseen.get(name, {}), **companions.get(name, {})}) for room, name in methods]
    for family in [name for name, record in NETWORKS.items() if record.stacks]:
        if family == "dirac":
            cases.append(Case("networks", "dirac", {"networks": "dirac"}))
            continue
        judged = {"objective": judging(NETWORKS[family])}
        cases.append(Case("networks", f"{family} none", {"networks": SMALL[family], **judged}))
        for room, name in PARTS:
            if SUITS[room](NETWORKS[family], name) and (family == "mlp" or name in IN_OTHERS):
                settings = SLOWLY.get(family, UNSEEN_SHIFT) if name in ("batch", "weight-affine") else {}
                sizes = {"schedule.batch": 4} if name == "minibatch-stddev" else {}
                given = {**networks_with((room, name), family), **settings, **sizes}
                cases.append(Case("networks", f"{family} {name}", given))
    cases += [Case("data", name, {"data": {"name": name}}) for name in DRAWN]
    small, networks = {"resolution": 8, "flip": True}, MLP | {"latent": 3, "latent_distribution": "uniform"}
    return cases + [Case("data", name, {"data": {"name": name, **small}, "networks": networks}) for name in PICTURES]


CASES = _cases()


def replicated(
    recipe: Mapping[str, Any],
    seeds: tuple[int, ...] = SEEDS,
    fields: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    how: str = "product",
) -> Recipe:
    """The recipe with these seeds, and with these fields varying."""
    varying = {name: list(values) for name, values in fields.items()}
    return load({**recipe, "seeds": list(seeds), "vary": {"how": how, "fields": varying}})


def session_of(recipe: Recipe) -> Session:
    return Session(recipe, POINTS if recipe.data.name == POINTS.name else recipe.data.open())


def sessions(recipe: Recipe) -> tuple[Session, list[Session]]:
    """The stacked session of a recipe, and the lone ones of its replicas."""
    return session_of(recipe), [session_of(member) for member in recipe.members()]


def played(session: Session, updates: int) -> dict[str, Tensor]:
    """What the last of the updates noted for the log."""
    for number in range(1, updates + 1):
        records = session.trainer.update(watched=number == updates)
    return records


def everything(session: Session) -> dict[str, Tensor]:
    """Copies of weights, buffers, averages, what terms remember, and what undivided optimizers do, by name."""
    named = session.snapshot().clone().tensors
    found = {f"{file}/{name}": tensor for file, tensors in named.items() for name, tensor in tensors.items()}
    divided = any(len(player.shares) > 1 for player in session.game.players.values())
    # A count of steps is one for all replicas.
    return {
        name: tensor
        for name, tensor in found.items()
        if not name.endswith(".step") and not (divided and name.startswith("training/optimizer/"))
    }


def distances(stacked: Mapping[str, Tensor], lone: list[dict[str, Tensor]]) -> dict[str, float]:
    """By name, the largest difference between the rows of a stacked tensor and the lone ones: absolute, of numbers above 1 relative
    to the largest (mean squared gradients have no bound)."""
    found = {}
    for name, tensor in stacked.items():
        rows = torch.stack([own[name] for own in lone])
        assert rows.shape == tensor.shape, name
        assert bool(torch.isfinite(tensor).all()), name
        found[name] = float((tensor.double() - rows.double()).abs().max() / rows.abs().max().clamp(min=1))
    return found


def too_far(stacked: Mapping[str, Tensor], lone: list[dict[str, Tensor]], most: float) -> dict[str, float]:
    """What lies farther than `most` from the lone runs."""
    return {name: distance for name, distance in distances(stacked, lone).items() if distance > most}
