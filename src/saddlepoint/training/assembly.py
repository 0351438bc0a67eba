"""From a recipe and its data to a game that can be played."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.alphabets import Alphabet
from saddlepoint.combiners.combiner import Combiner
from saddlepoint.data.source import Source
from saddlepoint.errors import InputError
from saddlepoint.games.gradients import Apart
from saddlepoint.games.players import ALWAYS, Player
from saddlepoint.games.shares import Share, stretches, views
from saddlepoint.games.two_players import RATES, STOP, TwoPlayers, view_key
from saddlepoint.networks.coupling import share_batch
from saddlepoint.networks.discrete import DiscreteGenerator, unbounded
from saddlepoint.networks.kernel_library import NoKernel
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import InputGradient, LatentGradient, Mover, Side, State
from saddlepoint.streams import Streams
from saddlepoint.training.side_by_side import Place, one_or_all, placing, side_by_side
from saddlepoint.turns.lookahead import Lookahead
from saddlepoint.turns.turn import REGULARIZE, Turn
from saddlepoint.weightings.relabelling import Relabelling
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
    alphabet = _alphabet(recipe)
    positions = 0 if alphabet is None else alphabet.positions
    return Latents(recipe.networks.latent + positions, recipe.networks.latent_distribution == "uniform")


def _alphabet(recipe: Recipe) -> Alphabet | None:
    """What the generator's samples are made of, where it is a distribution over symbols."""
    return recipe.data.alphabet if recipe.objective.needs_log_probability else None


def streams_of(
    recipe: Recipe, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, processes: Processes = ALONE
) -> Streams:
    """The streams of a recipe's seed, or those of its replicas' seeds side by side; of a process's own samples."""
    seeds = [member.seed for member in recipe.members()] if recipe.replicated else recipe.seed
    return Streams(seeds, device=device, dtype=dtype, processes=processes)


def build_networks(recipe: Recipe, shape: tuple[int, ...], device: torch.device) -> tuple[Generator, Discriminator]:
    """Both networks with their initial weights, drawn from the recipe's seed; of replicas, stacked."""
    problems = recipe.networks.problems(shape)
    if problems:
        raise InputError([f"networks: {problem}" for problem in problems])
    initial = streams_of(recipe)
    twice = _takes_input_gradients(recipe, "discriminator")
    networks = (
        build_generator(recipe, shape, initial),
        recipe.networks.discriminator(shape, initial, twice_differentiated=twice),
    )
    channels_last = recipe.memory_format == "channels_last" or (recipe.memory_format == "auto" and len(shape) == 3)
    for network in networks:
        network.to(device=device, dtype=DTYPES[recipe.precision])
        if channels_last and len(shape) == 3:
            _to_channels_last(network)
    return networks


def build_generator(recipe: Recipe, shape: tuple[int, ...], initial: Streams) -> Generator:
    """The generator with its initial weights; for an objective that reads log-probabilities it is a distribution over symbols."""
    alphabet = _alphabet(recipe)
    if alphabet is None:
        return recipe.networks.generator(shape, initial)
    network = unbounded(recipe.networks.generator(alphabet.outputs, initial))
    return DiscreteGenerator(network, alphabet, shape, uniform=recipe.networks.latent_distribution == "uniform")


def _takes_input_gradients(recipe: Recipe, player: Mover) -> bool:
    return any(isinstance(need, InputGradient) for penalty in recipe.penalties_of(player) for need in penalty.needs)


def choose_kernels(recipe: Recipe, networks: Sequence[Generator | Discriminator], device: torch.device) -> str | None:
    """Give stacked networks the kernels of the recipe, where they have such; a line on what that took, or why they stay plain.

    Only replicas: a lone run's bits do not depend on whether there is a compiler.
    """
    if not recipe.replicated or recipe.kernels == "plain" or device.type != "cpu" or recipe.precision == "bfloat16":
        return None
    # The kernels of the perceptron are differentiable once.
    if any(LatentGradient() in penalty.needs for penalty in recipe.penalties_of("generator")):
        networks = [network for network in networks if isinstance(network, Discriminator)]
    # In its turn the discriminator is frozen, and cannot tell a pass that is differentiated once from one that is twice.
    if _takes_input_gradients(recipe, "generator"):
        networks = [network for network in networks if isinstance(network, Generator)]
    try:
        if recipe.kernels == "compiled":
            seconds = sum(recipe.networks.compile(network, recipe.schedule.batch) for network in networks)
            return f"kernels: torch.compile took {seconds:.0f} s, and will again for other shapes" if seconds else None
        for network in networks:
            recipe.networks.fuse(network)
    except NoKernel as error:
        for network in networks:
            network.fused = None
        return f"kernels: {recipe.kernels} is not to be had, since {error}; the plain layers train, more slowly"
    return None


def build_game(
    recipe: Recipe, generator: Generator, discriminator: Discriminator, device: torch.device, processes: Processes = ALONE
) -> TwoPlayers:
    """The game of a recipe, or of its replicas: players with losses, weightings, penalties, optimisers; views, turns, states."""
    for network in (generator, discriminator):
        share_batch(network, processes)
    members = recipe.members()
    place = placing(device, DTYPES[recipe.precision])
    leading = (len(members),) if recipe.replicated else ()
    objective = side_by_side([member.objective for member in members], place)
    seen = [side_by_side(alike, place) for alike in zip(*(member.views for member in members), strict=True)]
    states: dict[str, State] = {}
    networks: dict[Mover, Generator | Discriminator] = {"discriminator": discriminator, "generator": generator}
    players: dict[Mover, Player] = {}
    for name, network in networks.items():
        parameters = dict(network.named_parameters())
        clips = [getattr(member.gradients.clip, name) for member in members]
        players[name] = Player(
            name=name,
            network=network,
            parameters=parameters,
            shares=_shares(members, name, parameters, states, leading),
            alone=frozenset(number for number, penalty in enumerate(recipe.penalties_of(name)) if penalty.own_turn is not None),
            objective=objective,
            loss=getattr(objective, name),
            states=states,
            leading=leading,
            weightings=_weightings(members, name, place),
            relabelling=_relabelling(members, place) if name == "discriminator" else None,
            penalties=_penalties(members, name, place),
            weight=recipe.objective_weights.generator if name == "generator" else ALWAYS,
            clip=one_or_all(clips, place),
            apart=_apart(members, name, place),
        )
        players[name].begin()
    for number, view in enumerate(seen):
        states[view_key(number)] = {what: tensor.to(device) for what, tensor in view.initial_state(leading).items()}
    if recipe.rates is not None:
        states[RATES] = {what: tensor.to(device) for what, tensor in recipe.rates.initial_state(leading).items()}
    if recipe.stop is not None:
        states[STOP] = {what: tensor.to(device) for what, tensor in recipe.stop.initial_state(leading).items()}
    schedule = recipe.schedule
    return TwoPlayers(
        generator,
        discriminator,
        players,
        _turns(recipe),
        latents=latents_of(recipe),
        states=states,
        batch=schedule.batch // processes.world,
        views=seen,
        slow_weights=_slow_weights(members, place),
        generator_batch=(schedule.generator_batch or schedule.batch) // processes.world,
        precision=precision_of(recipe, device),
        dtype=DTYPES[recipe.precision],
        rates=recipe.rates,
        stop=recipe.stop,
    )


def _weightings(members: Sequence[Recipe], player: Mover, place: Place) -> dict[Side, Weighting]:
    fields: dict[Side, str] = (
        {"real": "discriminator_real", "fake": "discriminator_fake"} if player == "discriminator" else {"fake": "generator"}
    )
    alike = {side: [getattr(member.weightings, field) for member in members] for side, field in fields.items()}
    return {side: side_by_side(records, place) for side, records in alike.items() if records[0] is not None}


def _apart(members: Sequence[Recipe], player: Mover, place: Place) -> Apart | None:
    named = [getattr(member.gradients.combine, player, None) for member in members]
    alike: list[Combiner] = [combiner for combiner in named if combiner is not None]
    return Apart(side_by_side(alike, place)) if alike else None


def _relabelling(members: Sequence[Recipe], place: Place) -> Relabelling | None:
    alike = [member.relabelling for member in members if member.relabelling is not None]
    return side_by_side(alike, place) if alike else None


def _penalties(members: Sequence[Recipe], player: Mover, place: Place) -> tuple[Penalty, ...]:
    by_member = [member.penalties_of(player) for member in members]
    return tuple(side_by_side(alike, place) for alike in zip(*by_member, strict=True))


@dataclass(frozen=True)
class Ruled:
    """A learning rate times the factor of the rule of the rates, of one replica or of a lone run."""

    learning_rate: Callable[[int], float]
    states: Mapping[str, State]
    replica: int | None

    def __call__(self, update: int) -> float:
        factor = self.states[RATES]["factor"]
        return self.learning_rate(update) * float(factor if self.replica is None else factor[self.replica])


def _turns(recipe: Recipe) -> list[Turn]:
    """The turns of a round; after a player's update come those of its penalties that have their own."""
    turns: list[Turn] = []
    for turn in recipe.turns.turns(recipe.schedule.discriminator_steps):
        turns.append(turn)
        for player in turn.movers:
            by_period: dict[int, list[int]] = {}
            for number, penalty in enumerate(recipe.penalties_of(player)):
                if penalty.own_turn is not None:
                    by_period.setdefault(penalty.own_turn, []).append(number)
            turns += [
                Turn((player,), every=period, penalties=frozenset(numbers), move=REGULARIZE)
                for period, numbers in sorted(by_period.items())
            ]
    return turns


def _pace(recipe: Recipe, player: Mover) -> float:
    """Updates of a player by its steps: a turn of its own every n updates makes it n / (n + 1)."""
    periods = {penalty.own_turn for penalty in recipe.penalties_of(player)} - {None}
    return 1 / (1 + sum(1 / period for period in periods if period is not None))


def _slow_weights(members: Sequence[Recipe], place: Place) -> Lookahead | None:
    records = [member.slow_weights for member in members if member.slow_weights is not None]
    return side_by_side(records, place) if records else None


@dataclass(frozen=True)
class AtPace:
    """A rate times the length of a step."""

    rate: Callable[[int], float]
    pace: float

    def __call__(self, update: int) -> float:
        return self.pace * self.rate(update)


def _shares(
    members: Sequence[Recipe],
    player: Mover,
    parameters: Mapping[str, Tensor],
    states: Mapping[str, State],
    leading: tuple[int, ...],
) -> list[Share]:
    """One optimizer for all replicas whose settings are the same, else one for each stretch of neighbours.

    Under a rule of the rates each replica has its own.
    """
    settings = [(getattr(member.optimizers, player), getattr(member.projections, player)) for member in members]
    ruled, pace = members[0].rates is not None, _pace(members[0], player)
    found = [slice(row, row + 1) for row in range(len(members))] if ruled else stretches(settings)
    shares = []
    for rows in found:
        optimizer, projections = settings[rows.start]
        own = parameters if len(found) == 1 else views(parameters, rows)
        built = optimizer.at_pace(pace).build(own, members[0].fused)
        rate: Callable[[int], float] = optimizer.lr if pace == 1 else AtPace(optimizer.lr, pace)
        rate = Ruled(rate, states, rows.start if leading else None) if ruled else rate
        shares.append(Share(own, built, rate, projections, None if len(found) == 1 else rows))
    return shares


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
