"""A small game for every entry of every registry, and what the battery counts in it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

import torch
from torch import Tensor, nn

from saddlepoint.data.gaussians import EightGaussians
from saddlepoint.games.two_players import TwoPlayers
from saddlepoint.methods import parts_of_networks, registered
from saddlepoint.networks import LAYERS, NETWORKS
from saddlepoint.networks.network import Networks
from saddlepoint.networks.normalizations import NORMALIZATIONS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import Mover
from saddlepoint.training.session import Session
from saddlepoint.views import VIEWS

# Where an entry of a room stands in a recipe: on every player that may carry it.
SLOTS: dict[str, tuple[str, ...]] = {
    "objectives": ("objective",),
    "penalties": ("penalties.both.0",),
    "weightings": ("weightings.generator", "weightings.discriminator_real", "weightings.discriminator_fake"),
    "relabellings": ("relabelling",),
    "views": ("views.0",),
    "networks": ("networks",),
    "optimizers": ("optimizers.generator", "optimizers.discriminator"),
    "turns": ("turns",),
    "slow weights": ("slow_weights",),
    "projections": ("projections.generator.0", "projections.discriminator.0"),
    "combiners": ("gradients.combine.discriminator",),
    "rates": ("rates",),
}
# The slots of a penalty that not every player may carry.
PENALTY_SLOTS: dict[tuple[Mover, ...], tuple[str, ...]] = {(player,): (f"penalties.{player}.0",) for player in get_args(Mover)}
MLP = {"family": "mlp", "width": 6, "depth": 2}
SMALL: dict[str, dict[str, Any]] = {
    "mlp": MLP,
    "dcgan": {"family": "dcgan", "width": 4, "latent": 4},
    "dirac": {"family": "dirac"},
    "resnet": {"family": "resnet", "width": 4, "latent": 4},
    "autoencoder": {"family": "autoencoder", "width": 4, "latent": 4},
    "mlp-autoencoder": MLP | {"family": "mlp-autoencoder"},
    "sn-cnn": {"family": "sn-cnn", "width": 4, "latent": 4},
    "sagan": {"family": "sagan", "width": 4, "latent": 4, "attention": {"at": 8}},
    "robustness": {"family": "robustness", "width": 8, "latent": 4},
}
# For what needs images, and over replicas too.
SMALL_IMAGES: dict[str, Any] = {"data": {"name": "digits", "resolution": 8}, "networks": MLP | {"latent": 3}}
RESOLUTIONS = {"robustness": 32}
POINTS = EightGaussians().open()

Method = tuple[str, str]
METHODS: list[Method] = [(entry.room, entry.name) for entry in registered()]
# Of networks; what no family offers stands in no recipe.
PARTS: list[Method] = [(entry.room, entry.name) for entry in parts_of_networks() if getattr(entry.record, "slot", "") is not None]


def judging(family: type[Networks]) -> str:
    """The first objective that reads the scores of a family as they are meant."""
    return next(name for name, objective in OBJECTIVES.items() if objective.reads_scores_as in (None, family.scores))


def judged_by(objective: type[Objective]) -> dict[str, Any]:
    """The small perceptron whose scores are meant as an objective reads them; and symbols, where it reads probabilities of them."""
    networks = MLP if objective.reads_scores_as in (None, NETWORKS["mlp"].scores) else SMALL["mlp-autoencoder"]
    return {"networks": networks} | ({"data": {"name": "symbols"}} if objective.needs_log_probability else {})


def recipe_with(method: Method | None = None, fields: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """A tiny recipe in which an entry of a registry stands wherever it may; double precision, so that bits are about order."""
    raw: dict[str, Any] = {
        "data": {"name": "8-gaussians"},
        "networks": MLP,
        "schedule": {"updates": 10, "batch": 5},
        "precision": "float64",
        "average": {"decay": 0.9},
    }
    if method is not None and method[0] == "networks":
        raw["networks"], raw["objective"] = SMALL[method[1]], judging(NETWORKS[method[1]])
        if not NETWORKS[method[1]].stacks:
            raw["data"] = {"name": "digits", "resolution": RESOLUTIONS.get(method[1], 16)}
    elif method is not None:
        if method[0] == "objectives":
            raw |= judged_by(OBJECTIVES[method[1]])
        fields = {slot: {"name": method[1]} for slot in slots_of(method)} | asked_by(method) | dict(fields)
    return load(raw, dict(fields)).to_mapping()


def networks_with(part: Method, family: str | None = None) -> dict[str, Any]:
    """The fields of a recipe whose networks have a normalisation, on every player that may have it, or a layer."""
    room, name = part
    if room == "layers":
        slot = str(LAYERS[name].slot)
        chosen = family or ("mlp" if slot == "minibatch" else "dcgan")
        part_of: dict[str, Any] = {slot: {"name": name, **({"at": 8} if slot == "attention" else {})}}
    else:
        record = NORMALIZATIONS[name]
        chosen = family or ("mlp" if record.not_of_vectors is None else "dcgan")
        fewer = {"reference": 4} if name == "virtual-batch" else {}
        players = {player: "none" if player in record.refuses else {"name": name, **fewer} for player in get_args(Mover)}
        part_of = {"normalization": players}
    data = {"name": "8-gaussians"} if NETWORKS[chosen].stacks else {"name": "digits", "resolution": RESOLUTIONS.get(chosen, 16)}
    return {"data": data, "networks": SMALL[chosen] | part_of, "objective": judging(NETWORKS[chosen])}


def slots_of(method: Method) -> tuple[str, ...]:
    """Where it stands in a recipe."""
    room, name = method
    return PENALTY_SLOTS.get(PENALTIES[name].players, SLOTS[room]) if room == "penalties" else SLOTS[room]


def asked_by(method: Method) -> dict[str, Any]:
    """What else a recipe must have, where an entry declares so."""
    if method[0] == "penalties" and PENALTIES[method[1]].needs_dropout:
        return {"networks.dropout": 0.3}
    if method[0] == "penalties" and PENALTIES[method[1]].weight_for_logits is not None:
        return {"objective": "hinge"}
    if method[0] == "views" and VIEWS[method[1]].least_resolution is not None:
        return SMALL_IMAGES
    return {}


def session_of(recipe: Mapping[str, Any]) -> Session:
    described = load(recipe)
    return Session(described, POINTS if described.data.name == POINTS.name else described.data.open())


def play(session: Session, updates: int) -> Session:
    for _ in range(updates):
        session.trainer.update()
    return session


def kept(session: Session) -> dict[str, Tensor]:
    """Copies of all that a session keeps: weights, buffers, averages, optimizers' and terms' states."""
    snapshot = session.snapshot().clone()
    return {f"{file}/{name}": tensor for file, named in snapshot.tensors.items() for name, tensor in named.items()}


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of what is not equal to the bit, or only in one of the two."""
    shared = one.keys() & other.keys()
    return sorted((one.keys() ^ other.keys()) | {name for name in shared if not torch.equal(one[name], other[name])})


class Passes:
    """The discriminator's passes by the player whose turn it was: how many samples each of them judged."""

    def __init__(self, game: TwoPlayers) -> None:
        self.by_turn: dict[Mover, list[int]] = {"discriminator": [], "generator": []}
        self._players = game.players
        game.discriminator.head.register_forward_hook(self._note)

    def _note(self, head: nn.Module, given: tuple[Tensor, ...], scores: Tensor) -> None:
        moving = next(name for name, player in self._players.items() if all(p.requires_grad for p in player.parameters.values()))
        self.by_turn[moving].append(len(given[0]))
