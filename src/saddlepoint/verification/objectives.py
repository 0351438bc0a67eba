"""Probes of objectives: values at scores whose losses are known, signs of gradients, boundaries, far scores."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from saddlepoint.objectives.began import BEGAN
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.lsgan import LSGAN
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.rounds import EMPTY, Sides, State
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

REAL = (-2.0, -0.5, 0.0, 0.75, 3.0)
FAKE = (-1.5, 0.25, 0.5, 2.0)
FAR = 1000.0
Loss = Callable[[float], float]


@dataclass(frozen=True)
class Players:
    """An objective as it is asked: per-sample losses of scores `[n]` and `[m]`.

    Args:
        discriminator: of real and fake scores, both sides' losses.
        generator: of real and fake scores, the fakes' losses.
        record: one of ours, when it is one.
    """

    discriminator: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    generator: Callable[[Tensor, Tensor], Tensor]
    record: Objective | None = None


@dataclass(frozen=True)
class Losses:
    """The formulas, a number at a time.

    Args:
        real, fake: of the discriminator.
        boundary: the score above which it says real; NaN where there is none.
        probability: whether the score's sigmoid is one.
        between: a score at which every player still wants to move.
    """

    real: Loss
    fake: Loss
    generator: Loss
    boundary: float = 0.0
    probability: bool = False
    between: float = 0.0


# A state in which every loss moves with its scores, of those that begin without one.
AWAKE: Mapping[type[Objective], State] = {BEGAN: {"k": torch.tensor(0.25), "real": torch.tensor(0.0)}}


def ask_record(objective: Objective) -> Players:
    """One of ours, with the state it begins with, or one in which all of it is awake."""
    state = AWAKE.get(type(objective)) or objective.initial_state(()) or EMPTY

    def discriminator(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        sides = objective.discriminator(Sides(real=real, fake=fake), state)
        if sides.real is None or sides.fake is None:
            raise ValueError("the discriminator's losses lack a side")
        return sides.real, sides.fake

    def generator(real: Tensor, fake: Tensor) -> Tensor:
        losses = objective.generator(Sides(real=real, fake=fake), state).fake
        if losses is None:
            raise ValueError("the generator's losses lack the fake side")
        return losses

    return Players(discriminator, generator, objective)


def softplus(score: float) -> float:
    """`ln(1 + e^s)`, whatever s is."""
    return max(score, 0.0) + math.log1p(math.exp(-abs(score)))


def _vanilla(record: Vanilla) -> Losses:
    saturating: Loss = lambda s: -softplus(s)  # noqa: E731
    generator: Loss = saturating if record.saturating else lambda s: softplus(-s)
    return Losses(lambda s: softplus(-s), softplus, generator, probability=True)


def _lsgan(record: LSGAN) -> Losses:
    between = record.fake + (min(record.real, record.target) - record.fake) / 2
    return Losses(
        lambda s: (s - record.real) ** 2 / 2,
        lambda s: (s - record.fake) ** 2 / 2,
        lambda s: (s - record.target) ** 2 / 2,
        boundary=(record.real + record.fake) / 2,
        between=between,
    )


def _hinge(record: Hinge) -> Losses:
    return Losses(lambda s: max(0.0, 1 - s), lambda s: max(0.0, 1 + s), lambda s: -s)


def _wasserstein(record: Wasserstein) -> Losses:
    return Losses(lambda s: -s, lambda s: s, lambda s: -s, boundary=math.nan)


def _began(record: BEGAN) -> Losses:
    k = float(AWAKE[BEGAN]["k"])
    return Losses(lambda s: s, lambda s: -k * s, lambda s: s, boundary=math.nan)


TRUTHS: Mapping[type[Objective], Callable[[Any], Losses]] = {
    Vanilla: _vanilla,
    LSGAN: _lsgan,
    Hinge: _hinge,
    Wasserstein: _wasserstein,
    BEGAN: _began,
}


def objective_probes(players: Players, like: Objective | None) -> list[Probe]:
    """All probes of an objective; `like` is the record whose formula it should have, if any."""
    truth = TRUTHS.get(type(like)) if like is not None else None
    losses = truth(like) if truth else None
    probes = [*_shapes(players), _signs(players, like, losses)]
    if losses is not None:
        probes += _values(players, losses)
        probes.append(_far(players, losses))
    if players.record is not None:
        probes += _declared(players, players.record)
        if losses is not None:
            probes.append(_declares(players.record, losses))
    return probes


def _scores(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _both(players: Players, real: tuple[float, ...], fake: tuple[float, ...]) -> Numbers:
    sides = players.discriminator(_scores(real), _scores(fake))
    return numbers(sides)


def _shapes(players: Players) -> Iterator[Probe]:
    real, fake = _scores(REAL), _scores(FAKE)
    averaged = (
        Slip("it is averaged or summed inside: a weighting needs one loss a sample", lambda came: 1.0 in came or 0.0 in came),
        Slip("real and fake scores were broadcast against each other", lambda came: float(len(REAL) * len(FAKE)) in came),
    )

    def of_discriminator() -> Numbers:
        return tuple(float(side.numel()) for side in players.discriminator(real, fake))

    fed = f"{len(REAL)} real and {len(FAKE)} fake scores"
    sizes = float(len(REAL)), float(len(FAKE))
    yield Probe("one loss a sample: discriminator", f"{fed}; how many losses a side", sizes, of_discriminator, averaged)
    generator = lambda: (float(players.generator(real, fake).numel()),)  # noqa: E731
    yield Probe("one loss a sample: generator", f"{fed}; how many losses", sizes[1:], generator, averaged)


def _slope(loss: Callable[[Tensor], Tensor], at: float) -> float:
    score = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    value = loss(score)
    if not value.requires_grad:
        return 0.0
    (found,) = torch.autograd.grad(value.sum(), score, allow_unused=True, materialize_grads=True)
    return float(found)


def _signs(players: Players, like: Objective | None, losses: Losses | None) -> Probe:
    boundary = like.boundary if like is not None else None
    at = losses.between if losses is not None else boundary if boundary is not None else 0.25
    other = _scores((at,))

    def signs() -> Numbers:
        slopes = (
            _slope(lambda s: players.discriminator(s, other)[0], at),
            _slope(lambda s: players.discriminator(other, s)[1], at),
            _slope(lambda s: players.generator(other, s), at),
        )
        return tuple(float((slope > 0) - (slope < 0)) for slope in slopes)

    up, down = ("raise", "lower") if like is not None and like.reads_scores_as == "error" else ("lower", "raise")
    real = -1.0 if up == "lower" else 1.0
    return Probe(
        "who wants what",
        f"scores of {at:g}: the sign of each loss's slope. A higher score of a real must {up} the discriminator's loss, of a "
        f"fake {down} it, and {up} the generator's",
        (real, -real, real),
        signs,
        (
            Slip("the sides are swapped in the discriminator's loss", lambda came: came[:2] == (-real, real)),
            Slip("the generator's sign is flipped: it works for the discriminator", lambda came: came == (real, -real, -real)),
            Slip("every sign is flipped", (-real, real, -real)),
            Slip("a loss does not move with its scores: they were detached, or it is flat there", lambda came: 0.0 in came),
        ),
    )


def _values(players: Players, losses: Losses) -> Iterator[Probe]:
    fed = f"real scores {list(REAL)} and fake scores {list(FAKE)}"
    yield Probe(
        "the discriminator's losses",
        fed,
        _of_discriminator(losses.real, losses.fake),
        lambda: _both(players, REAL, FAKE),
        tuple(Slip(what, gives) for what, gives in _discriminator_slips(losses)),
        scales=True,
    )
    yield Probe(
        "the generator's losses",
        fed,
        tuple(losses.generator(s) for s in FAKE),
        lambda: numbers(players.generator(_scores(REAL), _scores(FAKE))),
        tuple(Slip(what, gives) for what, gives in _generator_slips(losses)),
        scales=True,
    )


def sigmoid(score: float) -> float:
    """`1 / (1 + e^-s)`, whatever s is."""
    return math.exp(-softplus(-score))


def _of_discriminator(real: Loss, fake: Loss) -> Numbers:
    return (*(real(s) for s in REAL), *(fake(s) for s in FAKE))


def _of_sigmoid(loss: Loss) -> Loss:
    return lambda s: loss(sigmoid(s))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan if value < 0 else -math.inf


TWICE = "a sigmoid is taken of the scores first: scores are raw"
READ_AS_PROBABILITIES = "the scores are read as probabilities: take the sigmoid, or softplus of the score"


def _discriminator_slips(losses: Losses) -> Iterator[tuple[str, Numbers]]:
    right = _of_discriminator(losses.real, losses.fake)
    real, fake = right[: len(REAL)], right[len(REAL) :]
    yield "the sides are swapped in the discriminator's loss", _of_discriminator(losses.fake, losses.real)
    yield "every sign is flipped", tuple(-loss for loss in right)
    yield "it is averaged inside: a weighting needs one loss a sample", (sum(real) / len(real), sum(fake) / len(fake))
    yield "it is summed inside: a weighting needs one loss a sample", (sum(real), sum(fake))
    both = sum(real) / len(real) + sum(fake) / len(fake)
    yield "both sides come back as one number: a weighting needs one loss a sample", (both, both)
    yield TWICE, _of_discriminator(_of_sigmoid(losses.real), _of_sigmoid(losses.fake))
    yield READ_AS_PROBABILITIES, _of_discriminator(lambda s: -_log(s), lambda s: -_log(1 - s))
    yield "the margin of the hinge is missing", _of_discriminator(lambda s: max(0.0, -s), lambda s: max(0.0, s))
    yield "the hinge does not stop at 0", _of_discriminator(lambda s: 1 - s, lambda s: 1 + s)


def _generator_slips(losses: Losses) -> Iterator[tuple[str, Numbers]]:
    right = tuple(losses.generator(s) for s in FAKE)
    yield "the generator's sign is flipped: it works for the discriminator", tuple(-loss for loss in right)
    yield "it is the discriminator's loss of fakes", tuple(losses.fake(s) for s in FAKE)
    yield "it is minus the discriminator's loss of fakes, the saturating form", tuple(-losses.fake(s) for s in FAKE)
    yield "it is the discriminator's loss of reals: non-saturating where another was meant", tuple(losses.real(s) for s in FAKE)
    yield "it is averaged inside: a weighting needs one loss a sample", (sum(right) / len(right),)
    yield "it is summed inside: a weighting needs one loss a sample", (sum(right),)
    yield TWICE, tuple(losses.generator(sigmoid(s)) for s in FAKE)
    yield READ_AS_PROBABILITIES, tuple(-_log(s) for s in FAKE)


def _far(players: Players, losses: Losses) -> Probe:
    ends = (-FAR, FAR)

    def at_ends(real: Loss, fake: Loss, generator: Loss) -> Numbers:
        return tuple(loss(s) for loss in (real, fake, generator) for s in ends)

    squashed = at_ends(*(_of_sigmoid(loss) for loss in (losses.real, losses.fake, losses.generator)))
    read = at_ends(lambda s: -_log(s), lambda s: -_log(1 - s), lambda s: -_log(s))

    def answer() -> Numbers:
        return (*_both(players, ends, ends), *numbers(players.generator(_scores(ends), _scores(ends))))

    return Probe(
        "far scores",
        f"scores of {-FAR:g} and {FAR:g}: discriminator on reals, on fakes, generator",
        at_ends(losses.real, losses.fake, losses.generator),
        answer,
        (
            Slip(TWICE, squashed),
            Slip(READ_AS_PROBABILITIES, read),
            Slip(
                "the logarithm of a sigmoid that has rounded to 0: use softplus, or a loss with logits",
                lambda came: any(not math.isfinite(value) for value in came),
            ),
            Slip(
                "the logarithm is clamped at -100, as binary_cross_entropy does: use the loss with logits",
                lambda came: any(abs(abs(value) - 100) < 1e-9 for value in came),
            ),
            Slip("a small number inside the logarithm bounds the loss", lambda came: 5 < max(map(abs, came)) < 50),
        ),
    )


def _declared(players: Players, record: Objective) -> Iterator[Probe]:
    """What a record says of itself must be so."""
    boundary = record.boundary
    if boundary is not None:
        yield Probe(
            "its boundary is where real and fake pull alike",
            f"one real and one fake score at the boundary {boundary:g}: the slopes of both losses, added",
            (0.0,),
            lambda: (_pull(players, boundary, 0.5),),
            (Slip("the boundary is declared elsewhere", lambda came: True),),
        )
    if record.gives_probability:
        share = 0.8
        at = math.log(share / (1 - share))
        yield Probe(
            "its score's sigmoid is a probability",
            f"samples that are real with probability {share:g}: the slope of the mean loss at the score {at:.4g}, their logit",
            (0.0,),
            lambda: (_pull(players, at, share),),
            (Slip("the best score is another: gives_probability must be False", lambda came: True),),
        )
    yield Probe(
        "replicas keep apart",
        "scores with a leading axis of 2 against each row alone: the largest difference",
        (0.0,),
        lambda: (_apart(players),),
        (Slip("it mixes the axes before the batch: only the last axis is the batch", lambda came: True),),
    )


def _declares(record: Objective, losses: Losses) -> Probe:
    boundary = math.nan if record.boundary is None else record.boundary
    return Probe(
        "what it declares",
        "its boundary, NaN for none, and 1 if its score's sigmoid is a probability",
        (losses.boundary, float(losses.probability)),
        lambda: (boundary, float(record.gives_probability)),
    )


def _pull(players: Players, at: float, share: float) -> float:
    """Slope of `share l_real(s) + (1 - share) l_fake(s)`, times 2."""
    other = _scores((at,))
    on_real = _slope(lambda s: players.discriminator(s, other)[0], at)
    on_fake = _slope(lambda s: players.discriminator(other, s)[1], at)
    return 2 * (share * on_real + (1 - share) * on_fake)


def _apart(players: Players) -> float:
    real, fake = (torch.stack([_scores(side), 2 * _scores(side).flip(0)]) for side in (REAL, FAKE))
    together = (*players.discriminator(real, fake), players.generator(real, fake))
    alone = [(*players.discriminator(*pair), players.generator(*pair)) for pair in zip(real, fake, strict=True)]
    rows = [torch.stack(cast(tuple[Tensor, ...], parts)) for parts in zip(*alone, strict=True)]
    if any(whole.shape != row.shape for whole, row in zip(together, rows, strict=True)):
        return math.inf
    return max(float((whole - row).abs().amax()) for whole, row in zip(together, rows, strict=True))
