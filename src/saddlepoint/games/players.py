"""A player: the parameters it moves, what it minimises, and how it steps."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from saddlepoint.games.gradients import Apart, Losses, differentiate
from saddlepoint.games.shares import Share
from saddlepoint.objectives.objective import Objective
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import BOTH, Clock, EveryonesScores, Mover, Need, Round, Scores, Side, Sides, State, Term, present
from saddlepoint.schedules import Constant
from saddlepoint.turns.turn import Kept
from saddlepoint.weightings.relabelling import Relabelling, counted, relabelled
from saddlepoint.weightings.weighting import Weighting

ALWAYS = Constant(value=1.0)


class Remembering(Protocol):
    """A network whose layers note what passes through them, and settle it once a turn."""

    def observe(self) -> None: ...
    def forget(self) -> None: ...


@dataclass
class Player:
    """One side of the game.

    Args:
        loss: the objective's side of this player, from scores to per-sample losses by side.
        weightings: how a side's per-sample losses become one; a side without one takes the plain mean.
        relabelling: which fakes the loss counts among the reals; None for none.
        penalties: added to the loss, each times its weight; one whose weight is 0 this turn runs no pass.
        shares: who steps the parameters.
        states: what the terms remember, by key; the game's, shared by its players.
        weight: of the objective's losses, a schedule of the player's updates; where it is 0 they are not taken.
        clip: the largest norm of the player's gradient, per replica; a tensor `[*]` where they differ.
        alone: numbers of the penalties that have turns of their own.
        kept: copies of the parameters that its moves keep, by what they are and by name.
        apart: keeps the gradients of the sides apart and combines them; None differentiates the sum of all losses in one pass.
    """

    name: Mover
    network: Remembering
    parameters: Mapping[str, Tensor]
    shares: Sequence[Share]
    objective: Objective
    loss: Callable[[Scores, State], Sides]
    states: dict[str, State]
    leading: tuple[int, ...] = ()
    weightings: Mapping[Side, Weighting] = field(default_factory=dict)
    relabelling: Relabelling | None = None
    penalties: Sequence[Penalty] = ()
    weight: Callable[[int], float] = ALWAYS
    clip: float | Tensor | None = None
    apart: Apart | None = None
    updates: int = 0
    alone: frozenset[int] = frozenset()
    kept: Kept = field(default_factory=dict)

    def terms(self) -> Iterator[tuple[str, Term]]:
        """Every term of this player with the key of its state."""
        yield from self.terms_of(frozenset())
        for number in sorted(self.alone):
            yield self._penalty_key(number), self.penalties[number]

    def terms_of(self, penalties: frozenset[int]) -> Iterator[tuple[str, Term]]:
        """The terms of a turn of these penalties alone; of none, of the turns in which all others are."""
        if penalties:
            yield from ((self._penalty_key(number), self.penalties[number]) for number in sorted(penalties))
            return
        yield "objective", self.objective
        for side, weighting in self.weightings.items():
            yield self._weighting_key(side), weighting
        for number, penalty in enumerate(self.penalties):
            if number not in self.alone:
                yield self._penalty_key(number), penalty

    def learning_rates(self, update: int) -> list[float]:
        """One for all replicas, or one a replica where they differ."""
        spans = [1 if share.rows is None else share.rows.stop - share.rows.start for share in self.shares]
        return [share.learning_rate(update) for share, span in zip(self.shares, spans, strict=True) for _ in range(span)]

    def begin(self) -> None:
        """What every term remembers before the first turn, of the parameters as they are."""
        device = next(iter(self.parameters.values())).device
        for key, term in self.terms():
            state = term.initial_state_from(self.parameters, self.leading)
            self.states[key] = {name: tensor.to(device) for name, tensor in state.items()}

    def due(self, clock: Clock, penalties: frozenset[int] = frozenset()) -> list[tuple[int, Penalty, float | Tensor]]:
        """The penalties whose weight is not 0 this turn, with their number and weight.

        Args:
            penalties: those that the turn is for, each as it weighs when it is due.
        """
        if penalties:
            weighted = [(number, self.penalties[number], self.penalties[number].weight(0)) for number in sorted(penalties)]
        else:
            weighted = [
                (number, penalty, penalty.weight(clock[self.name if penalty.counts == "own" else penalty.counts]))
                for number, penalty in enumerate(self.penalties)
                if number not in self.alone
            ]
        return [entry for entry in weighted if _counts(entry[2])]

    def needs(self, clock: Clock, penalties: frozenset[int] = frozenset()) -> frozenset[Need]:
        """What the terms due this turn need from the passes of the discriminator."""
        terms: list[Term] = [] if penalties else [self.objective, *self.weightings.values()]
        terms += [penalty for _, penalty, _ in self.due(clock, penalties)]
        return frozenset().union(*(term.needs for term in terms))

    def total(self, round: Round) -> Tensor:
        """The loss of this turn, `[*]`."""
        return self.losses(round).total

    def losses(self, round: Round, only: frozenset[int] = frozenset()) -> Losses:
        """What is minimised this turn: each side's weighted mean, and each due penalty times its weight.

        Args:
            only: the penalties of a turn that is theirs alone.
        """
        round.mover = self.name
        round.prefix = f"{self.name}/"
        means = {} if only else self._means(round)
        penalties = []
        for number, penalty, weight in self.due(round.clock, only):
            label = self._label(number, penalty)
            round.prefix = f"{self.name}/" if label == penalty.name else f"{self.name}/{number} "
            value = penalty(round, self.states[self._penalty_key(number)])
            round.prefix = f"{self.name}/"
            round.record(f"penalty {label}", value, lasting=True)
            penalties.append(weight * value)
        total = functools.reduce(torch.add, [*means.values(), *penalties])
        round.record("loss", total)
        return Losses(means, penalties, total)

    def differentiate(self, losses: Losses, round: Round, batches: int, *, retain_graph: bool) -> None:
        """Take up the gradient of one of the `batches` rounds that are averaged into a step, for this player's parameters only."""
        if self.apart is None:
            differentiate(losses.total, self.parameters, batches, retain_graph=retain_graph)
        else:
            self.apart.add(losses, round, self.parameters, batches, retain_graph=retain_graph)
        if not losses.sides:
            # A penalty alone need not reach every parameter: an input gradient does not know the last bias.
            for parameter in self.parameters.values():
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

    def shared(self) -> list[Tensor]:
        """What several processes average before the step."""
        return self.gradients() if self.apart is None else self.apart.tensors()

    def combine(self) -> dict[str, Tensor]:
        """Make one gradient of those that were kept apart; what is noted of it, `[*]` by name."""
        weights = {} if self.apart is None else self.apart.combine(self.parameters, self.leading)
        return {f"{self.name}/gradient weight {side}": weight for side, weight in weights.items()}

    def gradients(self) -> list[Tensor]:
        """What the backward pass left, a parameter each; raises `ValueError` naming those that the loss does not reach."""
        unreached = [name for name, parameter in self.parameters.items() if parameter.grad is None]
        if unreached:
            raise ValueError(f"the loss of the {self.name} does not reach {', '.join(unreached)}")
        return [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]

    def gradient_norm(self) -> Tensor:
        """The norm of this player's gradient, `[*]`, one a replica."""
        gradients = self.gradients()
        if not self.leading:
            norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            return norm
        flat = [gradient.flatten(len(self.leading)) for gradient in gradients]
        joint: Tensor = torch.linalg.vector_norm(torch.cat(flat, dim=-1), dim=-1)
        return joint

    def descend(self, norm: Tensor, update: int) -> None:
        """Clip and optimise; the gradients are gone afterwards."""
        if self.clip is not None:
            self._clip(norm, self.clip)
        for share in self.shares:
            share.step(self.parameters, update)
        for parameter in self.parameters.values():
            parameter.grad = None

    def project(self) -> None:
        """What is done to the parameters after a step."""
        for share in self.shares:
            share.project()

    def _means(self, round: Round) -> dict[Side, Tensor]:
        sides, moved = self._relabelled(self._sides(round), round)
        by_side: dict[Side, Tensor | None] = {"real": sides.real, "fake": sides.fake}
        means = {side: self._mean(side, losses, round) for side, losses in by_side.items() if losses is not None}
        if moved is not None:
            means["real"] = means["real"] + moved
            round.record("loss real", means["real"])
        return means

    def _state(self, round: Round) -> State:
        """What the objective remembers, and what its schedules say this turn."""
        return {**self.states["objective"], **self.objective.scheduled(round.clock)}

    def _losses(self, round: Round) -> Sides:
        """Per-sample losses by side, of this process's samples; an objective that reads everyone's is given everyone's scores."""
        apart = self.objective.reads == "own"
        scores: Scores = round.scores if apart else EveryonesScores(round)
        state = self._state(round)
        sides = self.loss(scores, state)
        if round.watched:
            judged = [present(scores, side) if round.judged(side) else None for side in BOTH]
            for name, value in self.objective.watched(Sides(*judged), state).items():
                round.record(name, value)
        return sides if apart else Sides(*(None if losses is None else round.own(losses) for losses in sides))

    def _relabelled(self, sides: Sides, round: Round) -> tuple[Sides, Tensor | None]:
        """Losses by side, without the fakes that count as real this turn, and the mean of those, if there are any."""
        share = 0.0 if self.relabelling is None else self.relabelling.share(round.clock["generator"])
        if self.relabelling is None or not _counts(share):
            return sides, None
        real, fake = (present(round.scores, side) for side in BOTH)
        everyones = round.everyone(fake.detach())
        count = counted(share, everyones.shape[-1])
        moved = round.own(self.relabelling(everyones, count))
        as_real = self.loss(Sides(real=fake, fake=real), self._state(round)).real
        assert as_real is not None
        n, m = (scores.shape[-1] * round.streams.processes.world for scores in (real, fake))
        losses = relabelled(sides, as_real, moved, count, n, m)
        return Sides(losses.real, losses.fake), losses.moved.mean(-1)

    def _sides(self, round: Round) -> Sides:
        """The losses times the objective's weight; none where it is 0."""
        weight = self.weight(round.clock[self.name])
        if weight == 0:
            return Sides()
        sides = self._losses(round)
        return sides if weight == 1 else Sides(*(None if losses is None else weight * losses for losses in sides))

    def _mean(self, side: Side, losses: Tensor, round: Round) -> Tensor:
        if side in self.weightings:
            scores = round.everyone(present(round.scores, side))
            weighting, state = self.weightings[side], self.states[self._weighting_key(side)]
            weights = weighting(scores, {**state, **weighting.scheduled(round.clock)})
            round.weights[self.name, side] = weights
            losses = round.own(weights) * losses
        mean = losses.mean(-1)
        round.record(f"loss {side}", mean)
        if side in self.weightings and round.watched:
            round.record(f"weights variance {side}", weights.var(-1, correction=0))
            round.record(f"effective sample size {side}", weights.sum(-1).square() / weights.square().sum(-1) / weights.shape[-1])
        return mean

    def _clip(self, norm: Tensor, largest: float | Tensor) -> None:
        scale = (largest / (norm + 1e-6)).clamp(max=1.0)
        for gradient in self.gradients():
            gradient.mul_(scale.reshape(scale.shape + (1,) * (gradient.ndim - scale.ndim)))

    def _label(self, number: int, penalty: Penalty) -> str:
        """What the log calls a penalty: its name, with its number where the player has several of that name."""
        several = sum(other.name == penalty.name for other in self.penalties) > 1
        return f"{penalty.name} {number}" if several else penalty.name

    def _weighting_key(self, side: Side) -> str:
        return f"{self.name}/weighting {side}"

    def _penalty_key(self, number: int) -> str:
        return f"{self.name}/penalty {number}"


def _counts(weight: float | Tensor) -> bool:
    """Whether a weight is not 0, of any replica."""
    return bool(weight.any()) if isinstance(weight, Tensor) else weight != 0
