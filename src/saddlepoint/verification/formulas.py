"""Probes of penalties whose value is a short sum: it is written out by loops, with what each slip makes of it.

The critic is linear. What a penalty holds constant for the gradient is taken at weights of its own, `held`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from saddlepoint.penalties.drift import Drift
from saddlepoint.penalties.historical_averaging import HistoricalAveraging
from saddlepoint.penalties.lecam import LeCam
from saddlepoint.penalties.orthogonal import Orthogonal
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.verification.gradients import SHAPE, Ask, Critic, drawn, linear
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

REALS, FAKES = 6, 7
STEP = 1e-4

# From the weights, the weights that are held, and both sides.
Value = Callable[[Tensor, Tensor, Tensor, Tensor], float]


def earlier(critic: Critic) -> dict[str, Tensor]:
    """The parameters with which a critic is said to have entered its first turn."""
    return {name: drawn(f"earlier {name}", *weight.shape).to(weight) for name, weight in critic.named_parameters()}


def formula_probes(ask: Ask, like: Penalty, *, remembers: bool) -> list[Probe]:
    """The probes of a penalty with the formula of `like`; none where it has none here.

    Args:
        remembers: whether what is asked has a state: a plain function has none.
    """
    kinds: list[tuple[type[Penalty], tuple[Value, Mapping[str, Value]]]] = [
        (Drift, (_drift, DRIFT_SLIPS)),
        (LeCam, (_lecam, LECAM_SLIPS)),
        (HistoricalAveraging, (_distance, DISTANCE_SLIPS)),
        (Orthogonal, (_orthogonal, ORTHOGONAL_SLIPS)),
    ]
    unasked = None
    if isinstance(like, HistoricalAveraging) and not remembers:
        unasked = "a function remembers no weights; a subclass of Penalty does"
    return [probe for kind, (right, slips) in kinds if isinstance(like, kind) for probe in _probes(ask, right, slips, unasked)]


def _probes(ask: Ask, right: Value, slips: Mapping[str, Value], unasked: str | None) -> Iterator[Probe]:
    weight = drawn("formula weight", *SHAPE)
    real, fake = drawn("formula real", REALS, *SHAPE), 0.5 * drawn("formula fake", FAKES, *SHAPE)
    fed = f"a linear critic, {REALS} reals and {FAKES} fakes"

    def slope(value: Value, *, follow: bool = False) -> Numbers:
        ends = [value(factor * weight, factor * weight if follow else weight, real, fake) for factor in (1 + STEP, 1 - STEP)]
        return ((ends[0] - ends[1]) / (2 * STEP),)

    def derivative() -> Numbers:
        critic = Critic(linear, weight)
        value = ask(critic, real, fake)
        if not value.requires_grad:
            return (0.0,)
        (found,) = torch.autograd.grad(value.sum(), critic.weight, allow_unused=True, materialize_grads=True)
        return (float((found * weight).sum()),)

    followed = Slip("the averages carry a gradient: detach them", slope(right, follow=True))
    yield Probe(
        "the formula, by loops",
        f"{fed}; its terms are summed one by one",
        (right(weight, weight, real, fake),),
        lambda: numbers(ask(Critic(linear, weight), real, fake)),
        tuple(Slip(what, (value(weight, weight, real, fake),)) for what, value in slips.items()),
        scales=True,
        unasked=unasked,
    )
    yield Probe(
        "its gradient, by differences",
        f"{fed}; the derivative when the weight grows along itself, with what is held constant held",
        slope(right),
        derivative,
        (
            Slip("no gradient reaches the weights", (0.0,)),
            *([followed] if followed.gives != slope(right) else []),
            *(Slip(what, slope(value)) for what, value in slips.items()),
        ),
        tolerance=1e-5,
        scales=True,
        unasked=unasked,
    )


def _scores(weight: Tensor, images: Tensor) -> list[float]:
    return [float((weight * image).sum()) for image in images]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _drift(weight: Tensor, held: Tensor, real: Tensor, fake: Tensor) -> float:
    return _mean([score**2 for score in _scores(weight, real)])


DRIFT_SLIPS: Mapping[str, Value] = {
    "it is of the fakes' scores, not of the reals'": lambda w, h, real, fake: _drift(w, h, fake, real),
    "it is of both sides' scores": lambda w, h, real, fake: _drift(w, h, real, fake) + _drift(w, h, fake, real),
    "the square is of the mean score, not of each": lambda w, h, real, fake: _mean(_scores(w, real)) ** 2,
    "the scores are not squared": lambda w, h, real, fake: _mean([abs(score) for score in _scores(w, real)]),
    "sum over the batch instead of mean": lambda w, h, real, fake: REALS * _drift(w, h, real, fake),
}


def _lecam(
    weight: Tensor,
    held: Tensor,
    real: Tensor,
    fake: Tensor,
    *,
    floor: bool = True,
    own: bool = False,
    sign: int = 1,
    power: int = 2,
    summed: bool = False,
) -> float:
    """In its first turn, whose averages are the turn's means."""
    averages = [_mean(_scores(held, side)) for side in ((real, fake) if own else (fake, real))]
    total = 0.0
    for side, average, direction in ((real, averages[0], sign), (fake, averages[1], -sign)):
        gaps = [direction * (score - average) for score in _scores(weight, side)]
        costs = [(max(gap, 0.0) if floor else gap) ** power for gap in gaps]
        total += sum(costs) if summed else _mean(costs)
    return total


LECAM_SLIPS: Mapping[str, Value] = {
    "the maximum with 0 is missing": partial(_lecam, floor=False),
    "each side is drawn to its own average, not to the other's": partial(_lecam, own=True),
    "the differences have the wrong sign": partial(_lecam, sign=-1),
    "differences are not squared": partial(_lecam, power=1),
    "sum over the batch instead of mean": partial(_lecam, summed=True),
}


def _distance(
    weight: Tensor, held: Tensor, real: Tensor, fake: Tensor, *, origin: bool = False, power: float = 1.0, mean: bool = False
) -> float:
    """In its first turn but with other weights than it was entered with."""
    before = torch.zeros_like(weight) if origin else drawn("earlier weight", *weight.shape)
    squares = [(float(now) - float(then)) ** 2 for now, then in zip(weight.flatten(), before.flatten(), strict=True)]
    total = _mean(squares) if mean else sum(squares)
    return float(total**power)


DISTANCE_SLIPS: Mapping[str, Value] = {
    "the distance is from 0, not from the mean of the weights": partial(_distance, origin=True),
    "the distance is not squared": partial(_distance, power=0.5),
    "mean over the parameters instead of sum": partial(_distance, mean=True),
}


def _orthogonal(
    weight: Tensor, held: Tensor, real: Tensor, fake: Tensor, *, axis: int = 0, diagonal: float | None = None, power: int = 2
) -> float:
    """Products of different rows; with `diagonal`, also of each with itself, less that number."""
    rows = list(weight.movedim(axis, 0).flatten(1))
    found = [
        abs(float((one * other).sum()) - (diagonal or 0.0) * (i == j)) ** power
        for i, one in enumerate(rows)
        for j, other in enumerate(rows)
        if i != j or diagonal is not None
    ]
    return sum(found)


ORTHOGONAL_SLIPS: Mapping[str, Value] = {
    "a row's product with itself counts too": partial(_orthogonal, diagonal=0.0),
    "the rows' lengths are drawn to 1: it is the soft form, W W^T - I": partial(_orthogonal, diagonal=1.0),
    "the rows are those of the last axis, not of the outputs": partial(_orthogonal, axis=-1),
    "products are not squared": partial(_orthogonal, power=1),
}
