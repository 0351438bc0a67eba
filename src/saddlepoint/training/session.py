"""Everything of a run that lives in memory: networks, game, streams, counters; to and from a snapshot."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.source import Source
from saddlepoint.errors import InputError
from saddlepoint.networks.network import Generator
from saddlepoint.optimizers.state import load_optimizer_state, optimizer_state
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import State
from saddlepoint.training.assembly import DTYPES, build_game, build_networks, choose_device, choose_kernels, streams_of
from saddlepoint.training.average import Average
from saddlepoint.training.checkpoints import Snapshot, copy_into
from saddlepoint.training.frozen import Ended, Frozen
from saddlepoint.training.side_by_side import Place, one_or_all, placing
from saddlepoint.training.standing import sampling
from saddlepoint.training.trainer import Trainer
from saddlepoint.turns.turn import Kept


class Session:
    """A recipe and its data, ready to train at update 0 or to take up a snapshot.

    Raises:
        InputError: the networks cannot be built for the data, or the device is not there.
    """

    def __init__(self, recipe: Recipe, source: Source, processes: Processes = ALONE) -> None:
        self.recipe = recipe
        self.source = source
        self.device = choose_device(recipe.device)
        self.streams = streams_of(recipe, self.device, DTYPES[recipe.precision], processes)
        generator, discriminator = build_networks(recipe, source.shape, self.device)
        told = choose_kernels(recipe, (generator, discriminator), self.device)
        self.warnings = (*recipe.cautions(), *(() if told is None else (told,)))
        self.game = build_game(recipe, generator, discriminator, self.device, processes)
        self.average = (
            Average(generator, _decays(recipe, placing(self.device, DTYPES[recipe.precision]))) if recipe.averaged else None
        )
        leading = self.streams.leading
        self.frozen = Frozen(leading[0], self._stacked, self.game.states, self.device) if leading else None
        self.trainer = Trainer(
            self.game,
            source,
            self.streams,
            batch=recipe.schedule.batch // processes.world,
            average=self.average,
            accumulation=recipe.gradients.accumulation,
            channels_last=len(source.shape) == 3 and recipe.memory_format != "contiguous" and not leading,
            frozen=self.frozen,
        )

    @property
    def sampled(self) -> Generator:
        """The generator that samples are drawn from: the average where there is one, with standing statistics where asked for."""
        return sampling(self.recipe, self.game.generator if self.average is None else self.average.network, self.streams)

    @property
    def replicas(self) -> int:
        """How many games are played at once."""
        return math.prod(self.streams.leading)

    @property
    def kernels(self) -> str:
        """What computes the networks: `fused` or `compiled`, where at least one of them is, or `plain`."""
        networks = (self.game.generator, self.game.discriminator)
        if all(network.fused is None for network in networks):
            return "plain"
        return "compiled" if self.recipe.kernels == "compiled" else "fused"

    @property
    def images(self) -> int:
        """Real images shown to the discriminator so far, of each replica."""
        return self.trainer.images

    def snapshot(self, **more: Any) -> Snapshot:
        """The session as it is now (tensors by reference)."""
        training: dict[str, Tensor] = {}
        numbers: dict[str, dict[str, float]] = {}
        for name, player in self.game.players.items():
            for share in player.shares:
                place = _place(name, share.rows)
                tensors, numbers[place] = optimizer_state(share.optimizer, share.parameters)
                training |= {f"optimizer/{place}/{key}": tensor for key, tensor in tensors.items()}
            for what, tensors in player.kept.items():
                training |= {f"kept/{name}/{what}/{key}": tensor for key, tensor in tensors.items()}
        for key, remembered in self.game.states.items():
            training |= {f"state/{key}/{name}": tensor for name, tensor in remembered.items()}
        tensors_by_file = {name: _tensors(network) for name, network in self._networks().items()} | {"training": training}
        state: dict[str, Any] = {
            "players": {name: player.updates for name, player in self.game.players.items()},
            "images": self.trainer.images,
            "streams": self.streams.state(),
            "optimizers": numbers,
            "latest": {name: value.tolist() for name, value in self.trainer.latest.items()},
            "recipe": self.recipe.to_mapping(),
            "data": self.source.digest,
            "shape": list(self.source.shape),
            "diverged": [vars(ended) for ended in self.frozen.ended.values()] if self.frozen is not None else [],
            "stopped": [list(one) for one in self.frozen.stopped.items()] if self.frozen is not None else [],
            **more,
        }
        return Snapshot(self.trainer.updates, tensors_by_file, state)

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot of the same recipe, bit for bit.

        Raises:
            InputError: a tensor does not fit; all of them at once.
        """
        self.load_weights(snapshot)
        training = snapshot.tensors["training"]
        for name, player in self.game.players.items():
            for share in player.shares:
                place = _place(name, share.rows)
                stored = _within(training, f"optimizer/{place}/")
                load_optimizer_state(share.optimizer, share.parameters, stored, snapshot.state["optimizers"][place])
            player.updates = snapshot.state["players"][name]
            player.kept = _kept(player.parameters, _within(training, f"kept/{name}/"))
        for key, state in self.game.states.items():
            self.game.states[key] = _restored(state, _within(training, f"state/{key}/"), f"state of {key}")
        self.streams.load_state(snapshot.state["streams"])
        self.trainer.updates = snapshot.update
        a_turn = self.recipe.schedule.batch * self.recipe.gradients.accumulation
        # A checkpoint that does not say is of turns that each drew once.
        self.trainer.images = snapshot.state.get("images", self.game.players["discriminator"].updates * a_turn)
        if self.frozen is not None:
            for ended in snapshot.state["diverged"]:
                self.frozen.add(Ended(**ended))
            for replica, update in snapshot.state.get("stopped", []):
                self.frozen.stopped[replica] = update
                self.frozen.mask[replica] = True
        latest = snapshot.state["latest"]
        self.trainer.latest = {name: torch.tensor(value, dtype=torch.float64) for name, value in latest.items()}

    def load_weights(self, snapshot: Snapshot) -> None:
        """Take the networks' weights only (a warm start); every replica takes those of a lone run.

        Raises:
            InputError: the networks differ; every tensor that does not fit, at once.
        """
        problems: list[str] = []
        for name, network in self._networks().items():
            if name not in snapshot.tensors:
                problems.append(f"{name}: the checkpoint holds no such network; it holds {', '.join(snapshot.tensors)}")
                continue
            try:
                copy_into(_tensors(network), self._for_all(snapshot.tensors[name], _tensors(network)), name)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)
        self.game.begin()

    def _for_all(self, stored: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What a lone run stored, for each replica; anything else as it is."""
        leading = self.streams.leading
        fits = leading and all(name in own and own[name].shape == leading + tensor.shape for name, tensor in stored.items())
        return {name: tensor.expand(*leading, *tensor.shape) for name, tensor in stored.items()} if fits else stored

    def _stacked(self) -> list[Tensor]:
        kept = [tensor for player in self.game.players.values() for copies in player.kept.values() for tensor in copies.values()]
        return [tensor for network in self._networks().values() for tensor in _tensors(network).values()] + kept

    def _networks(self) -> Mapping[str, nn.Module]:
        networks: dict[str, nn.Module] = {"generator": self.game.generator, "discriminator": self.game.discriminator}
        return networks if self.average is None else networks | {"average": self.average.network}


def _decays(recipe: Recipe, place: Place) -> Callable[[int], float | Tensor]:
    """From the updates made before to the decay of the average: the number that all replicas have, or theirs."""
    averages = [member.average for member in recipe.members()]
    images = recipe.schedule.batch * recipe.gradients.accumulation
    every = 1 if recipe.slow_weights is None else recipe.slow_weights.k
    alike = len(set(averages)) == 1

    def decay(update: int) -> float | Tensor:
        if alike:
            return averages[0].decay_at(update, images, every)
        return one_or_all([average.decay_at(update, images, every) for average in averages], place)

    return decay


def _place(player: str, rows: slice | None) -> str:
    return player if rows is None else f"{player} {rows.start}-{rows.stop - 1}"


def _restored(initial: State, stored: Mapping[str, Tensor], what: str) -> State:
    # Into fresh tensors: a term may begin with one tensor under several names, and in less precision than it goes on in.
    fresh = {name: torch.empty_like(tensor, dtype=stored.get(name, tensor).dtype) for name, tensor in initial.items()}
    copy_into(fresh, stored, what)
    return fresh


def _kept(parameters: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> Kept:
    """What a player's moves kept, laid out as its parameters."""
    kept: Kept = {}
    for key, tensor in stored.items():
        what, _, name = key.partition("/")
        kept.setdefault(what, {})[name] = torch.empty_like(parameters[name], requires_grad=False).copy_(tensor)
    return kept


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
