"""Probes of penalties that remember: three turns are played, and the third is compared with loops over all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saddlepoint.penalties.historical_averaging import HistoricalAveraging
from saddlepoint.penalties.lecam import LeCam
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from saddlepoint.verification.gradients import SHAPE, Critic, drawn, linear
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

REALS, FAKES = 6, 7
TURNS = 3


def memory_probes(record: Penalty, like: Penalty) -> list[Probe]:
    """What a record remembers, where `like` says what that should be."""
    weights = [drawn(f"weight of turn {turn}", *SHAPE) for turn in range(TURNS)]
    real, fake = drawn("remembered real", REALS, *SHAPE), drawn("remembered fake", FAKES, *SHAPE)
    if isinstance(like, LeCam) and isinstance(record, LeCam):
        # From its first turn on, or it would take a thousand.
        record, like = (lecam.model_copy(update={"start": 0}) for lecam in (record, like))
        right, slips = _lecam(like, weights, real, fake)
    elif isinstance(like, HistoricalAveraging):
        right, slips = _distances(like.window, weights)
    else:
        return []
    return [
        Probe(
            "what it remembers of earlier turns",
            f"a linear critic with new weights in each of {TURNS} turns, {REALS} reals and {FAKES} fakes; the last turn's penalty",
            (right,),
            lambda: _last(record, weights, real, fake),
            slips,
            scales=True,
        )
    ]


def _last(record: Penalty, weights: Sequence[Tensor], real: Tensor, fake: Tensor) -> Numbers:
    """The record's answer in the last turn; after each turn before, the critic moves on and the record observes."""
    critic = Critic(linear, weights[0].clone())
    state = record.initial_state_from(dict(critic.named_parameters()), ())

    def turn() -> Round:
        return Round.of(real=real, fake=fake, discriminator=critic, streams=Streams(0, dtype=real.dtype))

    for after in weights[1:]:
        round = turn()
        _ = round.scores.real, round.scores.fake  # as the turn's loss reads both
        with torch.no_grad():
            critic.weight.copy_(after)
        state = record.observe(round, state)
    return numbers(record(turn(), state))


def _lecam(like: LeCam, weights: Sequence[Tensor], real: Tensor, fake: Tensor) -> tuple[float, tuple[Slip, ...]]:
    scores = [[[float((weight * image).sum()) for image in side] for side in (real, fake)] for weight in weights]
    means = [[sum(side) / len(side) for side in turn] for turn in scores]

    def averages(turns: Sequence[Sequence[float]]) -> list[float]:
        found = list(turns[0])
        for taken, turn in enumerate(turns[1:], 2):
            share = (1 - like.decay) / (1 - like.decay**taken if like.debias else 1.0)
            found = [(1 - share) * average + share * mean for average, mean in zip(found, turn, strict=True)]
        return found

    def value(of_reals: float, of_fakes: float) -> float:
        last_reals, last_fakes = scores[-1]
        above = sum(max(0.0, score - of_fakes) ** 2 for score in last_reals) / len(last_reals)
        return above + sum(max(0.0, of_reals - score) ** 2 for score in last_fakes) / len(last_fakes)

    late = "the averages are updated after their use, not before"
    short = "only the last turn counts: nothing is remembered"
    return value(*averages(means)), (Slip(late, (value(*averages(means[:-1])),)), Slip(short, (value(*means[-1]),)))


def _distances(window: int | None, weights: Sequence[Tensor]) -> tuple[float, tuple[Slip, ...]]:
    def distance(turns: Sequence[Tensor]) -> float:
        mean = turns[0]
        for taken, weight in enumerate(turns[1:], 2):
            mean = mean + (weight - mean) / min(taken, window or taken)
        return float((weights[-1] - mean).square().sum())

    without = "the mean is without this turn's weights"
    first = "the distance is from the first weights, not from the mean"
    return distance(weights), (Slip(without, (distance(weights[:-1]),)), Slip(first, (distance(weights[:1]),)))
