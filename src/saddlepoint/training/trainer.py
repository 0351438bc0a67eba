"""One loop for every method: a turn is a round, a backward pass for its movers, a step. No method is named here."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from saddlepoint.data.source import Source
from saddlepoint.errors import Diverged
from saddlepoint.games.players import Player
from saddlepoint.games.two_players import TwoPlayers
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from saddlepoint.training.average import Average
from saddlepoint.training.frozen import Frozen
from saddlepoint.training.monitors import score_monitors
from saddlepoint.turns.turn import Turn


class Trainer:
    """Plays a game, turn by turn.

    Args:
        batch: real images of this process in a turn.
        average: of the generator's weights, updated once a generator update; None for none.
        accumulation: rounds whose gradients are averaged into one step.
        channels_last: images are laid out so before the networks see them.
        frozen: the replicas that diverged, of a stacked game; a lone run stops instead.
    """

    def __init__(
        self,
        game: TwoPlayers,
        source: Source,
        streams: Streams,
        *,
        batch: int,
        average: Average | None = None,
        accumulation: int = 1,
        channels_last: bool = False,
        frozen: Frozen | None = None,
    ) -> None:
        self.game = game
        self.source = source
        self.streams = streams
        self.average = average
        self.frozen = frozen
        self.processes = streams.processes
        self.updates = 0
        self.images = 0
        self.latest: dict[str, Tensor] = {}
        self._batch = batch
        self._accumulation = accumulation
        self._channels_last = channels_last
        self._reals: list[Example] = []

    def update(self, *, watched: bool = False) -> dict[str, Tensor]:
        """One update: every turn that is due, then the average. What the last round of each turn noted, `[*]` by name.

        What was recorded as lasting is noted with its latest value where this update has none.
        """
        records: dict[str, Tensor] = {}
        for turn in self.game.turns:
            if not turn.due(self.updates):
                continue
            for time in range(turn.times):
                noted = self.step(turn, watched=watched and time == turn.times - 1 and turn.move.counts)
                # Beside an update, a turn adds to what that noted.
                records = records | noted if turn.move.counts else noted | records
        with self._still():
            self.game.settle(records)
            if self.game.end(self.updates + 1) and self.average is not None:
                self.average.update(self.updates)
        self.updates += 1
        if self.frozen is not None and self.game.over is not None:
            self.frozen.stop(self.game.over, self.updates)
        return self.latest | records

    @property
    def stopped(self) -> bool:
        """Whether the stop rule has ended the run, of replicas each that has not diverged."""
        if self.frozen is not None:
            return bool(self.frozen.stopped) and bool(self.frozen.mask.all())
        over = self.game.over
        return over is not None and bool(over)

    def step(self, turn: Turn, *, watched: bool = False) -> dict[str, Tensor]:
        """One turn: all losses before any step, the movers' gradients only, then each mover steps as the turn says."""
        movers = [self.game.players[name] for name in turn.movers]
        if turn.draws or not self._reals:
            self._reals = [self._draw() for _ in range(self._accumulation)]
            self.images += self.processes.world * self._batch * self._accumulation
        for player in movers:
            turn.move.look(player)
        held_out = self._held_out_scores() if watched and "discriminator" in turn.movers else None
        for real in self._reals:
            round = self.game.round(turn, real, self.streams, watched=watched)
            losses = [player.losses(round, turn.penalties) for player in movers]
            for number, (player, own) in enumerate(zip(movers, losses, strict=True), 1):
                player.differentiate(own, round, self._accumulation, retain_graph=number < len(movers))
        records = round.records
        self._share_gradients(movers, records)
        for player in movers:
            records |= player.combine()
        self.latest |= {name: records[name] for name in round.lasting}
        norms = [player.gradient_norm() for player in movers]
        for player, norm in zip(movers, norms, strict=True):
            self._check(player, records, norm)
            records[f"{player.name}/gradient norm"] = norm
        for player in movers:
            turn.move.back(player)
        with self._still():
            for player, norm in zip(movers, norms, strict=True):
                turn.move.step(player, norm, self.updates)
            self.game.observe(turn, round)
        if held_out is None:
            return records
        monitors = score_monitors(self.game, round, held_out)
        return records | dict(zip(monitors, self.processes.mean(list(monitors.values())), strict=True))

    def _share_gradients(self, movers: Sequence[Player], records: dict[str, Tensor]) -> None:
        """Means over processes of the movers' gradients and of what was noted, in one exchange: all see one loss, one norm."""
        if self.processes.world == 1:
            return
        gradients = [gradient for player in movers for gradient in player.shared()]
        means = self.processes.mean([*gradients, *records.values()])
        for gradient, mean in zip(gradients, means[: len(gradients)], strict=True):
            gradient.copy_(mean)
        records.update(zip(records, means[len(gradients) :], strict=True))

    def _draw(self) -> Example:
        return self._lay_out(self.source.batch(self.streams, self._batch))

    @torch.no_grad()
    def _held_out_scores(self) -> Tensor:
        # Before the update, by the weights that judge the round's own samples; the network forgets the pass.
        # Drawn apart, so that a run watched once more at its end goes on with the same streams.
        streams = self.streams.apart(f"log {self.updates}")
        example = self._lay_out(self.source.batch(streams, self._batch, "held-out"))
        return self.game.scores_apart(example, streams)

    def _lay_out(self, example: Example) -> Example:
        if self._channels_last:
            return example._replace(image=example.image.contiguous(memory_format=torch.channels_last))
        return example

    def _still(self) -> AbstractContextManager[None]:
        return nullcontext() if self.frozen is None else self.frozen.still()

    def _check(self, player: Player, records: Mapping[str, Tensor], norm: Tensor) -> None:
        # A sum over replicas is finite only if each is.
        if math.isfinite(records[f"{player.name}/loss"].sum().item() + norm.sum().item()):
            return
        if self.frozen is not None:
            self.frozen.mark(records, norm, player.name, self.updates)
            if not self.frozen.all:
                return
        own = {name: value for name, value in records.items() if name.startswith(f"{player.name}/") and not name.endswith("/loss")}
        losses = [name for name, value in own.items() if not bool(torch.isfinite(value).all())]
        raise Diverged((losses or [f"{player.name}/gradient norm"])[0], self.updates)
