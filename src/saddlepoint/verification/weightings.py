"""Probes of weightings: mean 1, constants for the gradient, the right axis, the right direction, the formula."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers
from saddlepoint.weightings.importance import Importance
from saddlepoint.weightings.wegan import WeGAN
from saddlepoint.weightings.weighting import Weighting

SCORES = (-1.0, 0.25, 0.75, 2.0, -0.5)
ROWS = ((-1.0, 0.25, 2.0), (0.75, -0.5, 1.5))
Ask = Callable[[Tensor], Tensor]


def ask_record(weighting: Weighting) -> Ask:
    """One of ours, with the state it begins with."""
    return lambda scores: weighting(scores, weighting.initial_state(scores.shape[:-1]))


def sigmoid(score: float) -> float:
    """`1 / (1 + e^-s)`."""
    return 1 / (1 + math.exp(-score))


def _powers_of_wegan(record: WeGAN, scores: Sequence[float], sign: float = 1.0) -> list[float]:
    """`eta^(1 - D)` up to a factor, for D by the squash."""
    n = len(scores)
    mean = sum(scores) / n
    deviation = math.sqrt(sum((s - mean) ** 2 for s in scores) / n)
    low, high = min(scores), max(scores)
    judged = {
        "sigmoid": [sigmoid(s) for s in scores],
        "standardized": [sigmoid((s - mean) / deviation) for s in scores],
        "minmax": [(s - low) / (high - low) for s in scores],
        "identity": list(scores),
        "clamp": [min(1.0, max(0.0, s)) for s in scores],
    }[record.squash]
    rate = sign * math.log(1 / record.eta) * (1 if record.prefers == "high" else -1)
    return [math.exp(rate * d) for d in judged]


def _powers_of_importance(record: Importance, scores: Sequence[float], sign: float = 1.0) -> list[float]:
    """`min(e^s, clip)^(1/temperature)`."""
    ratios = [math.exp(s) if record.clip is None else min(math.exp(s), record.clip) for s in scores]
    return [ratio ** (sign / record.temperature) for ratio in ratios]


TRUTHS: Mapping[type[Weighting], Callable[..., list[float]]] = {
    WeGAN: _powers_of_wegan,
    Importance: _powers_of_importance,
}


def mean_one(powers: Sequence[float]) -> Numbers:
    """Powers over their mean."""
    return tuple(len(powers) * power / sum(powers) for power in powers)


def weighting_probes(ask: Ask, like: Weighting | None) -> list[Probe]:
    """All probes of a weighting; `like` is the record whose formula it should have, if any."""
    truth = TRUTHS.get(type(like)) if like is not None else None
    powers = (lambda scores, sign=1.0: truth(like, scores, sign)) if truth else None
    probes = list(_common(ask, attached=bool(getattr(like, "attached", False)), named=powers is None))
    if powers is not None:
        probes += _formula(ask, powers)
    if isinstance(like, WeGAN) and like.eta == 1:
        probes.append(_plain(ask))
    return probes


def _tensor(scores: object) -> Tensor:
    return torch.tensor(scores, dtype=torch.float64)


def _common(ask: Ask, *, attached: bool, named: bool) -> Iterator[Probe]:
    """What every weighting owes; where the formula is known, its own probes name what is wrong (`named`)."""
    n = float(len(SCORES))
    yield Probe(
        "weights of mean 1",
        f"the scores {list(SCORES)}: how many weights, and their mean",
        (n, 1.0),
        lambda: (float(ask(_tensor(SCORES)).numel()), float(ask(_tensor(SCORES)).mean())),
        (
            Slip("the weights sum to 1, as in the paper: here their mean is 1, so multiply by their number", (n, 1 / n)),
            Slip("the weights are not normalised", lambda came: named and came[0] == n and abs(came[1] - 1 / n) > 1e-6),
            Slip("one number comes back, not a weight a sample", lambda came: came[0] == 1),
        ),
    )
    yield Probe(
        "equal scores weigh alike",
        "five scores of 0.7: the weights",
        (1.0,) * 5,
        lambda: numbers(ask(_tensor([0.7] * 5))),
        (Slip("the weights sum to 1, as in the paper: here their mean is 1, so multiply by their number", (0.2,) * 5),),
        tolerance=1e-12,
    )
    yield Probe(
        "they are attached, as the record says" if attached else "they are constants for the gradient",
        "scores that take a gradient: 1 if the weights are attached to them",
        (float(attached),),
        lambda: (float(ask(_tensor(SCORES).requires_grad_()).requires_grad),),
        (Slip("the weights are attached: use scores.detach()", (1.0,)), Slip("the weights are detached", (0.0,))),
    )
    order = [3, 0, 4, 1, 2]
    yield Probe(
        "the order of samples does not matter",
        f"the scores in the order {order}: the largest difference to the weights in that order",
        (0.0,),
        lambda: (float((ask(_tensor(SCORES)[order]) - ask(_tensor(SCORES))[order]).abs().amax()),),
        (Slip("a sample's weight depends on its place in the batch", lambda came: True),),
        tolerance=1e-9,
    )
    yield Probe(
        "replicas keep apart",
        "scores [2, 3] against each row alone: the largest difference",
        (0.0,),
        lambda: (float((ask(_tensor(ROWS)) - torch.stack([ask(_tensor(row)) for row in ROWS])).abs().amax()),),
        (Slip("the softmax is over the wrong axis: only the last axis is the batch", lambda came: named),),
        tolerance=1e-9,
    )


def _formula(ask: Ask, powers: Callable[..., list[float]]) -> Iterator[Probe]:
    right = powers(SCORES)
    flat = [power for row in ROWS for power in powers(row)]
    columns = [list(column) for column in zip(*(powers(row) for row in ROWS), strict=True)]
    over_columns = list(zip(*(mean_one(column) for column in columns), strict=True))
    logits = [math.exp(sigmoid(s)) for s in SCORES]
    ratios = [sigmoid(s) for s in SCORES]
    total = sum(right)
    yield Probe(
        "the weights of the formula",
        f"the scores {list(SCORES)}",
        mean_one(right),
        lambda: numbers(ask(_tensor(SCORES))),
        (
            Slip(
                "the weights sum to 1, as in the paper: here their mean is 1, so multiply by their number",
                tuple(power / total for power in right),
            ),
            Slip("the direction is wrong: samples that should weigh most weigh least", mean_one(powers(SCORES, -1.0))),
            Slip("the largest weight is 1: divided by the maximum, not by the mean", tuple(p / max(right) for p in right)),
            Slip("it is the softmax of the probability: the rate ln(1/eta), or the logit, is missing", mean_one(logits)),
            Slip(
                "it is the softmax of the raw score: the squash and its rate are missing", mean_one([math.exp(s) for s in SCORES])
            ),
            Slip("it is D, not D / (1 - D)", mean_one(ratios)),
            Slip("the weights are the plain mean's", (1.0,) * len(SCORES)),
        ),
        scales=True,
    )
    yield Probe(
        "the weights of two replicas",
        "scores [2, 3]; row by row",
        tuple(weight for row in ROWS for weight in mean_one(powers(row))),
        lambda: numbers(ask(_tensor(ROWS))),
        (
            Slip("the softmax is over the wrong axis: only the last axis is the batch", numbers(over_columns)),
            Slip("the softmax is over all axes at once: only the last axis is the batch", mean_one(flat)),
        ),
    )


def _plain(ask: Ask) -> Probe:
    return Probe(
        "with eta 1 it is the plain mean to the last bit",
        f"the scores {list(SCORES)}",
        (1.0,) * len(SCORES),
        lambda: numbers(ask(_tensor(SCORES))),
        tolerance=0.0,
    )
