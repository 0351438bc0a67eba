"""The Dirac game and the bilinear game as ordinary recipes, and the radius of where they are."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from saddlepoint.recipe import load
from saddlepoint.training.session import Session

# From (1, 1), plain steps of .1, both players at once; the bilinear game min_x max_y x y is the Wasserstein objective's.
BILINEAR: Mapping[str, Any] = {
    "data": "dirac",
    "networks": "dirac",
    "objective": "wasserstein",
    "turns": "simultaneous",
    "optimizers": {"name": "sgd", "lr": 0.1},
    "schedule": {"batch": 1},
    "average": {"decay": 0},
    "precision": "float64",
}
DIRAC: Mapping[str, Any] = {**BILINEAR, "objective": {"name": "vanilla", "saturating": True}}


def session_of(game: Mapping[str, Any] = BILINEAR, **fields: Any) -> Session:
    recipe = load(game, fields)
    return Session(recipe, recipe.data.open())


def players(session: Session) -> list[Tensor]:
    """Psi and theta."""
    return [tensor for player in session.game.players.values() for tensor in player.parameters.values()]


def place(session: Session) -> tuple[float, ...]:
    return tuple(tensor.item() for tensor in players(session))


def play(session: Session, updates: int) -> Session:
    for _ in range(updates):
        session.trainer.update()
    return session


def radii(session: Session, *marks: int) -> list[float]:
    """The distance from the equilibrium after so many updates."""
    found, done = [], 0
    for mark in marks:
        play(session, mark - done)
        found.append(math.hypot(*place(session)))
        done = mark
    return found
