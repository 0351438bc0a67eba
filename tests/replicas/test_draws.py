"""Replica r draws exactly what seed r draws alone: every kind of draw, across blocks and shuffles, and in whole games."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.streams import BLOCK_DRAWS, BLOCK_NUMBERS, ROWS, Streams
from tests.battery.games import recipe_with
from tests.replicas.games import SEEDS, Case, played, replicated, sessions

# Each is called with how often it was called before, and draws once.
KINDS: dict[str, Callable[[Streams, int], Tensor]] = {
    "normal": lambda streams, _: streams.normal("z", 3, 2),
    "normal of one number": lambda streams, _: streams.normal("z"),
    "normal of a block's numbers": lambda streams, _: streams.normal("z", BLOCK_NUMBERS // 4),
    "normal of more than a block": lambda streams, _: streams.normal("z", BLOCK_NUMBERS + 1),
    "normal of changing shapes": lambda streams, number: streams.normal("z", 1 + number % 3),
    "uniform": lambda streams, _: streams.uniform("z", 5),
    "integers": lambda streams, _: streams.integers("z", 7, 5),
    "order": lambda streams, _: streams.order("z", 11, 4),
    "order of more than a shuffle": lambda streams, _: streams.order("z", 3, 10),
    "normal rows": lambda streams, number: streams.rows("normal", "z", number, number + ROWS + 1, 2),
    "uniform rows": lambda streams, number: streams.rows("uniform", "z", ROWS - 1, ROWS + number, 2),
    "apart": lambda streams, number: streams.apart(f"log {number}").normal("z", 2),
}
METHODS = ("normal", "uniform", "integers", "order", "rows")


def test_how_many() -> None:
    drawing = {name for name in vars(Streams) if not name.startswith("_")} - {"state", "load_state", "apart", "whole"}
    assert drawing == set(METHODS)
    assert all(any(kind.split()[-1] == name or kind.split()[0] == name for kind in KINDS) for name in METHODS)
    assert len(KINDS) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_each_draw_of_a_replica_is_its_seeds_own(kind: str) -> None:
    draw, stacked, lone = KINDS[kind], Streams(SEEDS), [Streams(seed) for seed in SEEDS]
    seen = []
    for number in range(2 * BLOCK_DRAWS + 2):
        together, alone = draw(stacked, number), torch.stack([draw(streams, number) for streams in lone])
        assert torch.equal(together, alone), f"draw {number}"
        seen.append(together)
    assert all(streams.state() == stacked.state() for streams in lone)
    # Neither replicas nor draws repeat each other.
    for some in (seen[:8], seen[-8:]):
        assert not torch.equal(*(torch.cat([draws[replica].flatten() for draws in some]) for replica in (0, 1)))
    assert not all(torch.equal(seen[0], draws) for draws in seen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [1, BLOCK_DRAWS - 1, BLOCK_DRAWS, BLOCK_DRAWS + 1])
def test_streams_taken_up_again_go_on_with_each_seeds_draws(kind: str, stop: int) -> None:
    draw, stopped, lone = KINDS[kind], Streams(SEEDS), [Streams(seed) for seed in SEEDS]
    for number in range(stop):
        draw(stopped, number)
        for streams in lone:
            draw(streams, number)
    resumed = Streams(SEEDS)
    resumed.load_state(stopped.state())
    for number in range(stop, stop + 3):
        assert torch.equal(draw(resumed, number), torch.stack([draw(streams, number) for streams in lone])), f"draw {number}"


DIGITS = {"data": {"name": "digits", "resolution": 8, "flip": True}}
UNIFORM = {"networks": {"family": "mlp", "width": 6, "depth": 1, "latent": 3, "latent_distribution": "uniform"}}
RANDOM = {"name": "sdp", "select": "random", "neighbour": "random", "weight": 0.1}
NOISES = ("instance-noise", "adaptive-instance-noise")
STEPS = {"schedule.discriminator_steps": 2}
# Games, and the streams they draw from.
GAMES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "points": ({}, {"data component", "data noise", "latents discriminator", "latents generator"}),
    "images, uniform latents": (DIGITS | UNIFORM, {"data", "flips", "latents discriminator", "latents generator"}),
    "interpolates": (
        {"penalties.discriminator.0": "wgan-gp"} | STEPS,
        {"data component", "data noise", "latents discriminator", "latents generator", "interpolates"},
    ),
    "points around the reals": (
        {"penalties.discriminator.0": {"name": "dragan", "noise": "normal"}} | STEPS,
        {"data component", "data noise", "latents discriminator", "latents generator", "around", "around, steps"},
    ),
    "random pairs": (
        {"penalties.both.0": RANDOM} | STEPS,
        {"data component", "data noise", "latents discriminator", "latents generator", "sdp selection", "sdp neighbours"},
    ),
    "views": (
        {"views": list(NOISES), "penalties.both": [{"name": "sdp", "weight": 0.1}, "wgan-gp"]} | STEPS,
        {
            *("data component", "data noise", "latents discriminator", "latents generator", "interpolates"),
            *(f"{name} noise, {key}" for name in NOISES for key in ("real", "fake", "interpolates")),
        },
    ),
    "swiss roll": ({"data": {"name": "swiss-roll"}}, {"latents discriminator", "latents generator"}),
    "parallel lines": ({"data": {"name": "parallel-lines"}}, {"latents discriminator", "latents generator"}),
}


@pytest.mark.parametrize("game", GAMES)
def test_in_a_game_each_replica_draws_what_its_lone_run_draws(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields, names = GAMES[game]
    drawn: dict[Streams, list[tuple[str, Tensor]]] = {}

    def noting(method: str) -> Callable[..., Tensor]:
        original = getattr(Streams, method)

        def draw(streams: Streams, *arguments: Any) -> Tensor:
            found: Tensor = original(streams, *arguments)
            name = arguments[1] if method == "rows" else arguments[0]
            drawn.setdefault(streams, []).append((name, found))
            return found

        return draw

    for method in METHODS:
        monkeypatch.setattr(Streams, method, noting(method))
    stacked, lone = sessions(replicated(Case("game", game, fields).recipe("float32")))
    for session in (stacked, *lone):
        played(session, BLOCK_DRAWS + 2)
    for replica, session in enumerate(lone):
        together, alone = drawn[stacked.streams], drawn[session.streams]
        assert [name for name, _ in together] == [name for name, _ in alone]
        assert all(torch.equal(draw[replica], own) for (_, draw), (_, own) in zip(together, alone, strict=True))
    counts = Counter(name for name, _ in drawn[stacked.streams])
    assert names <= set(counts)
    assert all(count > BLOCK_DRAWS for count in counts.values()), "no block ended"


def test_initial_weights_are_each_seeds_own() -> None:
    stacked, lone = sessions(replicated(recipe_with()))
    own = [dict(session.game.generator.named_parameters()) for session in lone]
    for name, weight in stacked.game.generator.named_parameters():
        assert torch.equal(weight, torch.stack([parameters[name] for parameters in own])), name
