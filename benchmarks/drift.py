"""How far stacked replicas drift from their lone runs in float32.

    python -m benchmarks.drift

Both games are played with 64 replicas in one stack, and each replica once more alone. Printed is the largest absolute difference
over a replica's weights. Rounding differs because sums over a stack are taken in another order; what is drawn is the same.
"""

import argparse
import statistics
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.race import machine
from saddlepoint.recipe import Recipe, load
from saddlepoint.training.session import Session

# WeGAN's own game, and its networks with the gradient penalty of WGAN-GP.
PENALIZED: dict[str, Any] = {
    "objective": "wasserstein",
    "weightings.generator": None,
    "penalties.discriminator": ["wgan-gp"],
    "schedule.discriminator_steps": 5,
}
# A replica farther off has met a kink of a rectifier from its other side, or a step of Adam made of rounding.
APART = 1e-4
GAMES: Mapping[str, dict[str, Any]] = {"wegan": {}, "wgan-gp": PENALIZED}


def weights(session: Session) -> dict[str, Tensor]:
    """Of both players, by name."""
    players = session.game.players
    return {f"{name}/{key}": weight.detach() for name, player in players.items() for key, weight in player.parameters.items()}


def played(recipe: Recipe, updates: int) -> dict[str, Tensor]:
    """The weights after so many updates."""
    session = Session(recipe, recipe.data.open())
    for _ in range(updates):
        session.trainer.update()
    return weights(session)


def drifts(recipe: Recipe, updates: int) -> list[float]:
    """Of each replica, the largest absolute difference between its stacked weights and its lone run's; ascending."""
    stacked = played(recipe, updates)
    return sorted(
        max(float((stacked[name][replica] - weight).abs().max()) for name, weight in played(member, updates).items())
        for replica, member in enumerate(recipe.members())
    )


def main() -> None:
    """Print a line for each game."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", nargs="*", default=list(GAMES))
    parser.add_argument("--replicas", type=int, default=64)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    for game in arguments.games:
        recipe = load("wegan", {**GAMES[game], "seeds": f"0..{arguments.replicas - 1}", "precision": arguments.precision})
        found = drifts(recipe, arguments.updates)
        apart = sum(distance > APART for distance in found)
        print(
            f"  {game:<8} {arguments.precision}, {arguments.replicas} replicas, {arguments.updates} updates: distance to the lone "
            f"run, median {statistics.median(found):.1e}, largest {found[-1]:.1e}; {apart} replicas are more than {APART:g} apart",
            flush=True,
        )


if __name__ == "__main__":
    main()
