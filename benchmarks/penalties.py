"""What each penalty adds to a discriminator's step, a weighting to a generator's; and two pieces against their usual forms.

    python -m benchmarks.penalties [penalties] [wegan] [gradient-penalty] [spectral]

The game is a DCGAN, 32 px, width 64, batch 64. Every way is a whole turn of the product: draw, passes, backward, Adam. The ways
are run in turn, a turn each, round after round.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

from benchmarks import plain
from benchmarks.race import Result, machine, race, show, timed, verdict
from benchmarks.training import DCGAN, WGAN_GP, images
from saddlepoint.networks.layers import Weighted
from saddlepoint.networks.network import Discriminator
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.streams import Streams
from saddlepoint.training.session import Session
from saddlepoint.turns.turn import Turn

ROUNDS = 9
PERIOD = 16
WARM = 2

# The most that a step with the penalty may cost, in steps without; the others are shown beside.
GOALS: Mapping[str, float] = {"sdp": 1.10, "lecam": 1.02, f"r1 every {PERIOD}": 1.15}

BASE: dict[str, Any] = DCGAN | {"networks": DCGAN["networks"] | {"normalization": {"generator": "batch", "discriminator": "none"}}}


def session_of(fields: Mapping[str, Any]) -> Session:
    """The game of the base recipe with other fields, some turns old."""
    recipe = load(dict(BASE), dict(fields))
    session = Session(recipe, recipe.data.open())
    for _ in range(WARM):
        session.trainer.update()
    return session


def stepping(session: Session, player: str, times: int = 1) -> Callable[[], float]:
    """Seconds of a step of one player, the mean of `times`."""
    turn = next(turn for turn in session.game.turns if turn.movers == (player,))
    once = Turn(turn.movers)

    def work() -> None:
        for _ in range(times):
            session.trainer.step(once)

    return lambda: timed(work) / times


def shown(title: str, result: Result, goals: Mapping[str, float]) -> bool:
    """Print what each way costs in plain steps; whether all goals are reached."""
    show(title, result, 1, "step")
    reached = True
    for name in list(result.seconds)[1:]:
        low, median, high = result.ratio(name, "plain")
        goal = goals.get(name)
        met = goal is None or median <= goal
        reached &= met
        said = "" if goal is None else f", goal {goal:.2f}: {'reached' if met else 'MISSED'}"
        print(f"  {name}: {median:.3f} of a plain step ({low:.2f} to {high:.2f}){said}")
    return reached


def penalties() -> bool:
    """Every penalty of the registry that a discriminator may carry, at a constant weight; and R1 lazily."""
    cases = {"plain": stepping(session_of({}), "discriminator")}
    carried = {name: record for name, record in PENALTIES.items() if "discriminator" in record.players}
    for name, record in carried.items():
        fields: dict[str, Any] = {"penalties.discriminator": [{"name": name, "weight": 0.01}]}
        if record.needs_dropout:
            fields["networks.dropout"] = 0.5
        cases[name] = stepping(session_of(fields), "discriminator")
    lazy = {"name": "r1", "weight": {"name": "every", "period": PERIOD, "value": 5.0}}
    cases[f"r1 every {PERIOD}"] = stepping(session_of({"penalties.discriminator": [lazy]}), "discriminator", PERIOD)
    return shown("A discriminator's step, no norm", race(cases, ROUNDS), GOALS)


def wegan() -> bool:
    cases = {
        "plain": stepping(session_of({}), "generator"),
        "wegan": stepping(session_of({"weightings.generator": "wegan"}), "generator"),
    }
    return shown("A generator's step", race(cases, 2 * ROUNDS), {"wegan": 1.02})


def gradient_penalty() -> bool:
    """A critic's step with the gradient penalty against the same step in a plain loop."""
    recipe = load(WGAN_GP)
    session = Session(recipe, recipe.data.open())
    game = plain.WGANGP(images(recipe.data.open()))

    def step() -> None:
        real = next(game.batches)
        with torch.no_grad():
            fake = game.generator(torch.randn(plain.BATCH, plain.LATENT))
        game.optimizer_d.zero_grad()
        loss = game.critic(fake).mean() - game.critic(real).mean() + 10 * game.penalty(real, fake)
        loss.backward()
        game.optimizer_d.step()

    for _ in range(WARM):
        session.trainer.update()
        step()
    result = race({"plain loop": lambda: timed(step), "saddlepoint": stepping(session, "discriminator")}, ROUNDS)
    show("A critic's step with the gradient penalty, layer norm", result, 1, "step")
    return verdict("against the plain loop", result, "plain loop", "saddlepoint", 1.2)


def spectral() -> bool:
    """The same discriminator under our spectral norm and under torch's: both passes, backward, and the power iteration."""
    family = load(dict(BASE)).networks
    batches = [torch.randn(plain.BATCH, 1, 32, 32).contiguous(memory_format=torch.channels_last) for _ in range(2)]

    def built(normalization: str) -> Discriminator:
        fields = family.model_dump() | {"normalization": {"generator": "batch", "discriminator": normalization}}
        network = type(family).model_validate(fields).discriminator((1, 32, 32), Streams(0))
        return network.to(memory_format=torch.channels_last)

    def step(network: nn.Module) -> None:
        network.zero_grad()
        sum((network(batch).square().mean() for batch in batches), torch.zeros(())).backward()

    ours, theirs = built("spectral"), built("none")
    for layer in [module for module in theirs.modules() if isinstance(module, Weighted)]:
        parametrizations.spectral_norm(layer, "weight")

    def our_step() -> None:
        step(ours)
        ours.observe()

    for work in (our_step, lambda: step(theirs)):
        work()
    result = race({"torch's": lambda: timed(lambda: step(theirs)), "ours": lambda: timed(our_step)}, 2 * ROUNDS)
    show("A discriminator's passes and gradients under spectral norm", result, 1, "step")
    return verdict("against torch's", result, "torch's", "ours", 1.0)


RACES = {"penalties": penalties, "wegan": wegan, "gradient-penalty": gradient_penalty, "spectral": spectral}


def main() -> None:
    """Run the races named, by default all; exit code 1 when a goal is missed."""
    print(machine())
    reached = [RACES[name]() for name in sys.argv[1:] or RACES]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
