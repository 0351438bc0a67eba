"""The game of Goodfellow et al. 2014: one generator against one discriminator (or critic)."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from saddlepoint.games.players import Player
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.optimizers.rate_rule import RateRule
from saddlepoint.rounds import Clock, Example, Judgement, Learned, Mover, Need, Parameters, Round, State, Term
from saddlepoint.stops.stop import Stop
from saddlepoint.streams import Streams
from saddlepoint.turns.lookahead import Lookahead
from saddlepoint.turns.turn import Turn
from saddlepoint.views.view import View

# The key of what the rule of the rates remembers.
RATES = "rates"


class TwoPlayers:
    """Generator and discriminator, their turns, and what their terms remember.

    Args:
        latent: `[*, n, latent]` from a stream's name and n.
        views: what is done to every image before the discriminator sees it, in this order.
        slow_weights: what the players return to after some rounds.
        batch: fakes in a discriminator's turn; `generator_batch` in a generator's.
        rates: what changes the learning rates by what was recorded; what it remembers is the state `rates`.
        precision: a context in which the networks are run (mixed precision); their outputs leave it in `dtype`.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        players: Mapping[Mover, Player],
        turns: Sequence[Turn],
        *,
        latents: Callable[[Streams, str, int], Tensor],
        states: dict[str, State],
        batch: int,
        generator_batch: int,
        views: Sequence[View] = (),
        slow_weights: Lookahead | None = None,
        precision: Callable[[], AbstractContextManager[object]],
        dtype: torch.dtype = torch.float32,
        rates: RateRule | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.players = dict(players)
        self.turns = tuple(turns)
        self.states = states
        self.views = tuple(views)
        self.rates = rates
        self.stop = stop
        self._latents = latents
        self._fakes: dict[Mover, int] = {"discriminator": batch, "generator": generator_batch}
        # The generator's turn may look at several samples of one latent.
        draws: dict[Mover, int] = {"discriminator": 1, "generator": players["generator"].objective.draws}
        self._draws = draws
        self._precision = precision
        self._dtype = dtype
        self._moving: tuple[Mover, ...] | None = None
        # Of dropout's masks, which are drawn for a batch, each process has those of its own samples.
        self._couples_batch = discriminator.couples_batch or discriminator.drops
        # On points a pass costs its calls, not its arithmetic: one for both sides is a third of a turn less.
        self._together = len(discriminator.shape) == 1 and not self._couples_batch
        networks: dict[Mover, Generator | Discriminator] = {"generator": generator, "discriminator": discriminator}
        self._learned = {name: Learned.by(network) for name, network in networks.items()}
        self._remembering: dict[tuple[Mover, frozenset[int]], list[tuple[str, Term]]] = {}
        self.slow_weights = slow_weights
        self._slow_down()

    @property
    def over(self) -> Tensor | None:
        """Whether the stop rule is met, `[*]`; None where there is none."""
        return None if self.stop is None else self.stop.over(self.states[STOP])

    @property
    def clock(self) -> Clock:
        """Updates made so far by each player."""
        return {name: player.updates for name, player in self.players.items()}

    def round(self, turn: Turn, batch: Example, streams: Streams, *, watched: bool) -> Round:
        """The round of one turn: only its movers' parameters take part in gradients."""
        self._freeze_all_but(turn.movers)
        clock = self.clock
        needs: frozenset[Need] = frozenset().union(*(self.players[name].needs(clock, turn.penalties) for name in turn.movers))
        latents = functools.cache(lambda: self.latents(streams, turn.movers[-1]))
        # A term that remembers reads them also in the turns in which it is not due.
        own = [term for name in turn.movers for _, term in self._remembering_of(name, turn.penalties)]
        remembering = {need for term in own for need in term.needs}
        return Round(
            lambda: batch,
            lambda: self.fakes(latents(), turn.movers[-1]),
            lambda example, features: self.judge(example, features, streams),
            streams=streams,
            clock=clock,
            needs=needs | (remembering & {Parameters()}),
            view=self.view,
            watched=watched,
            couples_batch=self._couples_batch or bool(self.views),
            movers=turn.movers,
            together=self._together and "discriminator" in turn.movers,
            latents=latents,
            generate=self.generate,
            learned=self._learned,
        )

    def latents(self, streams: Streams, mover: Mover) -> Tensor:
        """Fresh latents for a turn of `mover`, `[*, n, latent]`."""
        return self._latents(streams, f"latents {mover}", self._fakes[mover] * self._draws[mover])

    def view(self, image: Tensor, round: Round) -> Tensor:
        """The image as the discriminator sees it in a pass of the round."""
        for number, view in enumerate(self.views):
            image = view(image, round, self.states[view_key(number)])
        return image

    def scores_apart(self, example: Example, streams: Streams) -> Tensor:
        """The discriminator's scores of samples that take no part in a turn, seen as the turn's are; no network notes it."""
        round = Round(
            lambda: example, lambda: example, self.judge, streams=streams, clock=self.clock, view=self.view, watched=False
        )
        scores = round.scores.real
        self.discriminator.forget()
        return scores

    def fake(self, streams: Streams, mover: Mover) -> Example:
        """Fresh fakes for a turn of `mover`."""
        return self.fakes(self.latents(streams, mover), mover)

    def fakes(self, latents: Tensor, mover: Mover) -> Example:
        """What the generator makes of latents in a turn of `mover`."""
        with self._precision():
            made = self.generator.fakes(latents, self._draws[mover])
        log_probability = None if made.log_probability is None else made.log_probability.to(self._dtype)
        return made._replace(image=made.image.to(self._dtype), log_probability=log_probability)

    def generate(self, latents: Tensor) -> Tensor:
        with self._precision():
            images: Tensor = self.generator(latents)
        return images.to(self._dtype)

    def judge(self, example: Example, features: bool, streams: Streams | None = None) -> Judgement:
        """What the discriminator says; in training, where its dropout draws from `streams`."""
        with self._precision():
            judgement = self.discriminator.judge(example, features, streams)
        return Judgement(
            judgement.scores.to(self._dtype),
            {name: block.to(self._dtype) for name, block in judgement.features.items()},
            None if judgement.last is None else judgement.last.to(self._dtype),
        )

    def observe(self, turn: Turn, round: Round) -> None:
        """After the step: the movers' networks and the turn's terms settle what they noted, the others' forget it; views go by
        the discriminator's turns. A term of both players, such as the objective, settles once.
        """
        if not turn.move.settles:
            for player in self.players.values():
                player.network.forget()
            return
        if self.stop is not None and turn.move.counts:
            self.states[STOP] = self.stop.observe(round, self.states[STOP])
        if turn.draws:
            for number, view in enumerate(self.views):
                self.states[view_key(number)] = view.observe(round, self.states[view_key(number)])
        settled: set[str] = set()
        for name, player in self.players.items():
            if name not in turn.movers:
                player.network.forget()
                continue
            player.network.observe()
            round.mover = name
            round.prefix = f"{name}/"
            for key, term in self._remembering_of(name, turn.penalties):
                if key not in settled:
                    self.states[key] = term.observe(round, self.states[key])
                settled.add(key)

    def settle(self, records: Mapping[str, Tensor]) -> None:
        """After an update, all of its turns: what the rule of the rates learns from what was recorded."""
        if self.rates is not None and self.rates.quantity in records:
            self.states[RATES] = self.rates.observe(records[self.rates.quantity], self.states[RATES])

    def begin(self) -> None:
        """What terms remember and slow weights are before the first turn, of other weights that were put in place."""
        for player in self.players.values():
            player.begin()
        self._slow_down()

    def _slow_down(self) -> None:
        if self.slow_weights is not None:
            for player in self.players.values():
                self.slow_weights.begin(player)

    def end(self, rounds: int) -> bool:
        """After so many rounds: whether the weights are now those that are averaged and sampled."""
        if self.slow_weights is None:
            return True
        if not self.slow_weights.due(rounds):
            return False
        for player in self.players.values():
            self.slow_weights.settle(player, rounds)
        return True

    def _remembering_of(self, name: Mover, penalties: frozenset[int]) -> list[tuple[str, Term]]:
        """The terms of a player's turn that remember something."""
        key = (name, penalties)
        if key not in self._remembering:
            terms = self.players[name].terms_of(penalties)
            self._remembering[key] = [term for term in terms if self.states[term[0]]]
        return self._remembering[key]

    def _freeze_all_but(self, movers: tuple[Mover, ...]) -> None:
        if movers == self._moving:
            return
        for name, player in self.players.items():
            for parameter in player.parameters.values():
                parameter.requires_grad_(name in movers)
        self._moving = movers


STOP = "stop"
"""The key of the stop rule's state."""


def view_key(number: int) -> str:
    """The key of a view's state."""
    return f"view {number}"
