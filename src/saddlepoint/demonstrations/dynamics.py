"""What a method does on the smallest games: the first update from everywhere, and trajectories to their end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import Diverged
from saddlepoint.recipe import Recipe, load
from saddlepoint.rounds import Features
from saddlepoint.training.session import Session

# Psi and theta. The first is where the papers' figures start.
STARTS = ((1.0, 1.0), (-1.6, 0.4), (0.3, -1.3))
EDGE, ROWS = 2.2, 15
UPDATES = 2000
PLAIN: Mapping[str, Any] = {"turns": "simultaneous", "optimizers": {"name": "sgd", "lr": 0.1}}
# What a method is made of on a game of two numbers; networks, views, averages and batches have no part in it.
METHOD = ("objective", "penalties", "weightings", "projections", "optimizers", "gradients", "turns", "slow_weights")


@dataclass(frozen=True)
class Game:
    """A method on one game.

    Args:
        field: `[2, places, 2]`: places (psi, theta), and the first update from each.
        paths: `[starts, updates + 1, 2]`; not a number after a trajectory's end.
    """

    name: str
    about: str
    field: Tensor
    paths: Tensor

    @property
    def radii(self) -> Tensor:
        """The distance from the equilibrium along each path, `[starts, updates + 1]`."""
        radii: Tensor = torch.linalg.vector_norm(self.paths, dim=-1)
        return radii

    def verdict(self) -> str:
        """What became of the first trajectory, by its radius at the end against the start's."""
        radii = self.radii[0]
        if not bool(torch.isfinite(radii[-1])):
            return "diverges"
        ratio = float(radii[-1] / radii[0])
        if ratio < 0.01:
            return "converges"
        return "comes nearer" if ratio < 0.95 else "keeps its distance" if ratio <= 1.05 else "moves away"


@dataclass(frozen=True)
class Dynamics:
    """What came of it.

    Args:
        method: in a line.
        notes: what of the recipe has no part in such a game.
    """

    name: str
    method: str
    updates: int
    games: tuple[Game, ...]
    notes: tuple[str, ...] = ()

    def marks(self) -> list[int]:
        """The updates at which radii are told."""
        return [mark for mark in (500, 1000, 2000) if mark < self.updates] + [self.updates]

    def rows(self) -> list[dict[str, str]]:
        """A table: each game's radius from (1, 1), and what became of it."""
        return [
            {
                "game": game.name,
                "start": f"{float(game.radii[0, 0]):.4g}",
                **{f"after {mark:,}": f"{float(game.radii[0, mark]):.4g}" for mark in self.marks()},
                "it": game.verdict(),
            }
            for game in self.games
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values; null where a trajectory has ended."""
        games = [
            {
                "name": game.name,
                "verdict": game.verdict(),
                "paths": _plain(game.paths),
                "radii": _plain(game.radii),
                "field": _plain(game.field),
            }
            for game in self.games
        ]
        return {"name": self.name, "method": self.method, "updates": self.updates, "notes": list(self.notes), "games": games}


def dynamics(recipe: str | None = None, overrides: Sequence[str] = ()) -> Dynamics:
    """Play the method of a recipe on the bilinear game and on the Dirac game, from several starts.

    Args:
        recipe: a name, a file or a run folder; None is plain simultaneous descent of rate .1.
        overrides: `field=value`, as for training; `updates` is 2,000 where it is not given.

    Raises:
        InputError: the recipe cannot be, or its method cannot be played on two numbers.
    """
    fields = dict(PLAIN)
    notes: list[str] = []
    if recipe is not None:
        whole = load(recipe).to_mapping()
        fields = {name: whole[name] for name in METHOD}
        fields["penalties"], notes = _without_features(load(recipe))
        fields["schedule"] = {"discriminator_steps": whole["schedule"]["discriminator_steps"]}
    common = {
        **fields,
        "data": "dirac",
        "networks": "dirac",
        "schedule": {**fields.get("schedule", {}), "updates": UPDATES, "batch": 1},
        "average": {"decay": 0},
        "precision": "float64",
        "kernels": "plain",
    }
    own = load(common, overrides)
    bilinear = load(_bilinear(own.to_mapping()))
    games = (
        _played("bilinear game", "min max of psi theta", bilinear),
        _played("Dirac game", f"the {own.objective.name} loss", own),
    )
    reach = max(float((game.paths[0].nan_to_num() - game.paths[0, 0]).norm(dim=-1).max()) for game in games)
    if reach < 0.5:
        cure = "larger steps show more, such as optimizers='{name: sgd, lr: 0.1}'"
        notes.append(f"in {own.schedule.updates:,} updates these steps go no farther than {reach:.2g}; {cure}")
    return Dynamics(recipe or "plain descent", _told(own), own.schedule.updates, games, tuple(notes))


def _without_features(recipe: Recipe) -> tuple[dict[str, Any], list[str]]:
    """The penalties that two numbers can carry, and a line for each that compares features."""
    kept: dict[str, Any] = {whose: [] for whose, _ in recipe.penalties}
    notes = []
    for (_, whose, *_), penalty in recipe.penalties_with_addresses():
        if any(isinstance(need, Features) for need in penalty.needs):
            notes.append(f"left out: {penalty.name} compares features, and a slope has none")
        else:
            kept[str(whose)].append({"name": penalty.name, **penalty.model_dump(mode="json")})
    return kept, notes


def _bilinear(mapping: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the Wasserstein loss, and without what weighs the sides of another."""
    return mapping | {"objective": "wasserstein", "weightings": {}, "gradients": mapping["gradients"] | {"combine": {}}}


def _played(name: str, about: str, recipe: Recipe) -> Game:
    steps = torch.linspace(-EDGE, EDGE, ROWS, dtype=torch.float64)
    places = torch.cartesian_prod(steps, steps)
    first = _paths(recipe, places, 1)
    paths = _paths(recipe, torch.tensor(STARTS, dtype=torch.float64), recipe.schedule.updates)
    return Game(name, about, torch.stack([places, first[:, 1] - first[:, 0]]), paths)


def _paths(recipe: Recipe, starts: Tensor, updates: int) -> Tensor:
    """Trajectories of replicas that start at (psi, theta), `[starts, updates + 1, 2]`; not a number after their end."""
    many = load(recipe.to_mapping() | {"seeds": list(range(len(starts)))})
    session = Session(many, many.data.open())
    psi, theta = (next(iter(session.game.players[name].parameters.values())) for name in ("discriminator", "generator"))
    with torch.no_grad():
        psi.copy_(starts[:, 0].reshape(psi.shape))
        theta.copy_(starts[:, 1].reshape(theta.shape))
    session.game.begin()
    paths = torch.full((len(starts), updates + 1, 2), math.nan, dtype=torch.float64)
    paths[:, 0] = starts
    assert session.frozen is not None
    for update in range(1, updates + 1):
        try:
            session.trainer.update()
        except Diverged:
            break
        now = torch.stack([psi.detach().flatten(), theta.detach().flatten()], -1)
        now[session.frozen.mask] = math.nan
        paths[:, update] = now
    return paths


def _told(recipe: Recipe) -> str:
    """A method in a line."""
    rates = {player: f"{record.name} {record.lr(0):g}" for player, record in recipe.optimizers}
    parts = [recipe.objective.name, recipe.turns.name]
    if recipe.schedule.discriminator_steps > 1:
        parts.append(f"{recipe.schedule.discriminator_steps} steps of D")
    parts.append(f"D {rates['discriminator']}, G {rates['generator']}" if len(set(rates.values())) > 1 else rates["generator"])
    parts += [f"{penalty.name} {penalty.weight(0):g}" for _, penalty in recipe.penalties_with_addresses()]
    parts += [projection.name for _, projections in recipe.projections for projection in projections]
    if recipe.slow_weights is not None:
        parts.append(f"lookahead {recipe.slow_weights.k}, {recipe.slow_weights.alpha:g}")
    return "; ".join(parts)


def _plain(tensor: Tensor) -> Any:
    listed = tensor.tolist()

    def plain(value: Any) -> Any:
        return [plain(one) for one in value] if isinstance(value, list) else value if math.isfinite(value) else None

    return plain(listed)
