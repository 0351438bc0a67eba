"""From a recipe and its data to a game that can be played."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.data.source import Source
from saddlepoint.errors import InputError
from saddlepoint.games.players import Player, Turn
from saddlepoint.games.two_players import TwoPlayers
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import InputGradient, Mover, Side, State
from saddlepoint.streams import Streams
from saddlepoint.weightings.weighting import Weighting

DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


def choose_device(name: str) -> torch.device:
    """The device of a recipe: `auto` is CUDA, then MPS, then the CPU.

    Raises:
        InputError: the device asked for is not on this machine.
    """
    at_hand = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in at_hand.items() if there))
    if not at_hand[name]:
        there = ", ".join(kind for kind, found in at_hand.items() if found)
        raise InputError([f"device: {name} is not on this machine; there is {there}"])
    return torch.device(name)


def choose_threads(recipe: Recipe, source: Source) -> int:
    """Threads of a run: the recipe's number; else one for points, where two can be 100 x slower, and all cores for images."""
    if recipe.threads != "auto":
        return int(recipe.threads)
    return 1 if len(source.shape) == 1 else torch.get_num_threads()


@dataclass(frozen=True)
class Latents:
    """Where latents come from: N(0, I) or U(-1, 1)."""

    size: int
    uniform: bool

    def __call__(self, streams: Streams, name: str, n: int) -> Tensor:
        """`[*, n, size]`, fresh."""
        return 2 * streams.uniform(name, n, self.size) - 1 if self.uniform else streams.normal(name, n, self.size)

    def rows(self, streams: Streams, start: int, stop: int) -> Tensor:
        """`[*, stop - start, size]`: latent i depends on (seed, i) only."""
        if self.uniform:
            return 2 * streams.rows("uniform", "samples", start, stop, self.size) - 1
        return streams.rows("normal", "samples", start, stop, self.size)


def latents_of(recipe: Recipe) -> Latents:
    """Where a recipe's latents come from."""
    return Latents(recipe.networks.latent, recipe.networks.latent_distribution == "uniform")


def build_networks(recipe: Recipe, shape: tuple[int, ...], device: torch.device) -> tuple[Generator, Discriminator]:
    """Both networks with their initial weights, drawn from the recipe's seed."""
    problems = recipe.networks.problems(shape)
    if problems:
        raise InputError([f"networks: {problem}" for problem in problems])
    initial = Streams(recipe.seed)
    twice = any(isinstance(need, InputGradient) for penalty in recipe.penalties_of("discriminator") for need in penalty.needs)
    networks = (
        recipe.networks.generator(shape, initial),
        recipe.networks.discriminator(shape, initial, twice_differentiated=twice),
    )
    channels_last = recipe.memory_format == "channels_last" or (recipe.memory_format == "auto" and len(shape) == 3)
    for network in networks:
        network.to(device=device, dtype=DTYPES[recipe.precision])
        if channels_last and len(shape) == 3:
            _to_channels_last(network)
    return networks


def build_game(recipe: Recipe, generator: Generator, discriminator: Discriminator, device: torch.device) -> TwoPlayers:
    """The game of a recipe: players with their losses, weightings, penalties, optimisers; turns; what the terms remember."""
    states: dict[str, State] = {}
    networks: dict[Mover, Generator | Discriminator] = {"discriminator": discriminator, "generator": generator}
    weightings: dict[Mover, dict[Side, Weighting | None]] = {
        "discriminator": {"real": recipe.weightings.discriminator_real, "fake": recipe.weightings.discriminator_fake},
        "generator": {"fake": recipe.weightings.generator},
    }
    players: dict[Mover, Player] = {}
    for name, network in networks.items():
        parameters = dict(network.named_parameters())
        optimizer = getattr(recipe.optimizers, name)
        players[name] = Player(
            name=name,
            network=network,
            parameters=parameters,
            optimizer=optimizer.build(parameters, recipe.fused),
            learning_rate=optimizer.lr,
            objective=recipe.objective,
            loss=getattr(recipe.objective, name),
            states=states,
            weightings={side: weighting for side, weighting in weightings[name].items() if weighting is not None},
            penalties=recipe.penalties_of(name),
            projections=getattr(recipe.projections, name),
            clip=getattr(recipe.gradients.clip, name),
        )
        for key, term in players[name].terms():
            states[key] = {what: tensor.to(device) for what, tensor in term.initial_state(()).items()}
    schedule = recipe.schedule
    return TwoPlayers(
        generator,
        discriminator,
        players,
        [Turn(("discriminator",), times=schedule.discriminator_steps), Turn(("generator",))],
        latents=latents_of(recipe),
        states=states,
        batch=schedule.batch,
        generator_batch=schedule.generator_batch or schedule.batch,
        precision=precision_of(recipe, device),
        dtype=DTYPES[recipe.precision],
    )


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; a CPU without them is some twenty times slower in it than in float32."""
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def precision_of(recipe: Recipe, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """The context networks run in: bfloat16 autocast when asked for, else none."""
    if recipe.precision == "bfloat16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def _to_channels_last(network: nn.Module) -> None:
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
