"""Probes of objectives: values at scores whose losses are known, signs of gradients, boundaries, far scores."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.objectives.objective import Objective
from saddlepoint.rounds import BOTH, EMPTY, DrawnSides, Side, Sides, State
from saddlepoint.verification.objective_formulas import AWAKE, READ, READ_AS_PROBABILITIES, TRUTHS, TWICE, Coupled, Formulas
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

REAL = (-2.0, -0.5, 0.0, 0.75, 3.0)
FAKE = (-1.5, 0.25, 0.5, 2.0)
# As many as reals, for an objective that compares pairs.
PAIRED_FAKE = (-1.5, 0.25, 0.5, 2.0, -0.75)
FAR = 1000.0
SHIFT = 4.0


@dataclass(frozen=True)
class Players:
    """An objective as it is asked: per-sample losses of scores `[n]` and `[m]`.

    Args:
        discriminator: of real and fake scores, the losses by side.
        generator: of real and fake scores, the fakes' losses.
        record: one of ours, when it is one.
    """

    discriminator: Callable[[Tensor, Tensor], Sides]
    generator: Callable[[Tensor, Tensor], Tensor]
    record: Objective | None = None


@dataclass(frozen=True)
class Asked:
    """An objective and what it should be.

    Args:
        players: whom the probes ask.
        like: the record whose formula it should have, if any.
        formulas: that formula, where it is known.
    """

    players: Players
    like: Objective | None
    formulas: Formulas | None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides on which the discriminator has losses."""
        return BOTH if self.like is None else self.like.carries["discriminator"]

    @property
    def fake(self) -> tuple[float, ...]:
        return PAIRED_FAKE if self.like is not None and self.like.pairs else FAKE

    def discriminator(self, real: Tensor, fake: Tensor) -> list[Tensor]:
        """Its losses of the sides it has losses on; raises `ValueError` naming one that is missing."""
        sides = self.players.discriminator(real, fake)
        by_side = {"real": sides.real, "fake": sides.fake}
        missing = [side for side in self.sides if by_side[side] is None]
        if missing:
            raise ValueError(f"the discriminator's losses lack the {' and the '.join(missing)} side")
        return [losses for side in self.sides if (losses := by_side[side]) is not None]


def ask_record(objective: Objective) -> Players:
    """One of ours, with the state it begins with, or one in which all of it is awake.

    Where it reads log-probabilities, each fake's is its score, and one sample is drawn of each latent.
    """
    state, drawn = _state(objective), objective.needs_log_probability
    objective = _pinned(objective)

    def discriminator(real: Tensor, fake: Tensor) -> Sides:
        return objective.discriminator(Sides(real=real, fake=fake), state)

    def generator(real: Tensor, fake: Tensor) -> Tensor:
        scores = DrawnSides(real, fake, log_probability=fake) if drawn else Sides(real, fake)
        losses = objective.generator(scores, state).fake
        if losses is None:
            raise ValueError("the generator's losses lack the fake side")
        return losses

    return Players(discriminator, generator, objective)


def _pinned(objective: Objective) -> Objective:
    """With one sample of each latent, where there may be more."""
    return objective.model_copy(update={"samples": 1}) if objective.draws > 1 else objective


def _state(objective: Objective) -> State:
    return AWAKE.get(type(objective)) or objective.initial_state(()) or EMPTY


def objective_probes(players: Players, like: Objective | None) -> list[Probe]:
    """All probes of an objective; `like` is the record whose formula it should have, if any."""
    truth = TRUTHS.get(type(like)) if like is not None else None
    formulas = truth(like) if truth else None
    asked = Asked(players, like, formulas)
    probes = [*_shapes(asked), _who_wants_what(asked)]
    if formulas is not None:
        probes += _values(asked, formulas)
        probes.append(_far(asked, formulas))
    if isinstance(formulas, Coupled) and formulas.shifts:
        probes.append(_shifts(asked))
    if players.record is not None:
        probes += _declared(asked, players.record)
        if formulas is not None:
            probes.append(_declares(players.record, formulas))
    return probes


def _scores(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _of_discriminator(asked: Asked, real: Sequence[float], fake: Sequence[float]) -> Numbers:
    return numbers(asked.discriminator(_scores(real), _scores(fake)))


def _of_generator(asked: Asked, real: Sequence[float], fake: Sequence[float]) -> Numbers:
    return numbers(asked.players.generator(_scores(real), _scores(fake)))


def _shapes(asked: Asked) -> Iterator[Probe]:
    n, m = len(REAL), len(asked.fake)
    real, fake = _scores(REAL), _scores(asked.fake)
    averaged = (
        Slip("it is averaged or summed inside: a weighting needs one loss a sample", lambda came: 1.0 in came or 0.0 in came),
        Slip("real and fake scores were broadcast against each other", lambda came: float(n * m) in came),
    )
    lengths = {"real": float(n), "fake": float(m)}
    fed = f"{n} real and {m} fake scores"
    yield Probe(
        "one loss a sample: discriminator",
        f"{fed}; how many losses a side",
        tuple(lengths[side] for side in asked.sides),
        lambda: tuple(float(side.numel()) for side in asked.discriminator(real, fake)),
        averaged,
    )

    def generator() -> tuple[float]:
        return (float(asked.players.generator(real, fake).numel()),)

    yield Probe("one loss a sample: generator", f"{fed}; how many losses", (float(m),), generator, averaged)


def _slope(loss: Callable[[Tensor], Tensor], at: float) -> float:
    score = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    value = loss(score)
    if not value.requires_grad:
        return 0.0
    (found,) = torch.autograd.grad(value.sum(), score, allow_unused=True, materialize_grads=True)
    return float(found)


def _who_wants_what(asked: Asked) -> Probe:
    """Of a coupled loss all sides together, and a real that is ahead of its fake: at equal scores some rest."""
    coupled = isinstance(asked.formulas, Coupled)
    at_real, at_fake = _between(asked)
    real, fake = _scores((at_real,)), _scores((at_fake,))

    def loss(side: Side, real: Tensor, fake: Tensor) -> Tensor:
        losses = asked.discriminator(real, fake)
        return torch.stack([part.sum() for part in losses]).sum() if coupled else losses[asked.sides.index(side)]

    def signs() -> Numbers:
        slopes = (
            _slope(lambda s: loss("real", s, fake), at_real),
            _slope(lambda s: loss("fake", real, s), at_fake),
            _slope(lambda s: asked.players.generator(real, s), at_fake),
        )
        return tuple(float((slope > 0) - (slope < 0)) for slope in slopes)

    fed = f"a real's score of {at_real:g}, a fake's of {at_fake:g}" if coupled else f"scores of {at_real:g}"
    higher, lower = ("raise", "lower") if asked.like is not None and asked.like.reads_scores_as == "error" else ("lower", "raise")
    real_sign = -1.0 if higher == "lower" else 1.0
    return Probe(
        "who wants what",
        f"{fed}: the sign of each loss's slope. A higher score of a real must {higher} the discriminator's loss, of a "
        f"fake {lower} it, and {higher} the generator's",
        (real_sign, -real_sign, real_sign),
        signs,
        (
            Slip("the sides are swapped in the discriminator's loss", lambda came: came[:2] == (-real_sign, real_sign)),
            Slip(
                "the generator's sign is flipped: it works for the discriminator",
                lambda came: came == (real_sign, -real_sign, -real_sign),
            ),
            Slip("every sign is flipped", (-real_sign, real_sign, -real_sign)),
            Slip("a loss does not move with its scores: they were detached, or it is flat there", lambda came: 0.0 in came),
        ),
    )


def _between(asked: Asked) -> tuple[float, float]:
    if isinstance(asked.formulas, Coupled):
        return asked.formulas.between
    boundary = asked.like.boundary if asked.like is not None else None
    at = asked.formulas.between if asked.formulas is not None else boundary if boundary is not None else 0.25
    return at, at


def _values(asked: Asked, formulas: Formulas) -> Iterator[Probe]:
    fed = f"real scores {list(REAL)} and fake scores {list(asked.fake)}"
    yield Probe(
        "the discriminator's losses",
        fed,
        formulas.discriminator(REAL, asked.fake),
        lambda: _of_discriminator(asked, REAL, asked.fake),
        tuple(Slip(what, gives) for what, gives in formulas.wrong_discriminator(REAL, asked.fake)),
        scales=True,
    )
    yield Probe(
        "the generator's losses",
        fed,
        formulas.generator(REAL, asked.fake),
        lambda: _of_generator(asked, REAL, asked.fake),
        tuple(Slip(what, gives) for what, gives in formulas.wrong_generator(REAL, asked.fake)),
        scales=True,
    )


def _far(asked: Asked, formulas: Formulas) -> Probe:
    real = (-FAR, FAR)
    # Where losses compare the sides, far apart from each other.
    fake = (FAR, -FAR) if isinstance(formulas, Coupled) else real

    def of(formulas: Formulas) -> Numbers:
        return (*formulas.discriminator(real, fake), *formulas.generator(real, fake))

    known = [] if isinstance(formulas, Coupled) else [(TWICE, of(formulas.squashed())), (READ_AS_PROBABILITIES, of(READ))]
    return Probe(
        "far scores",
        f"real scores of {list(real)} and fake scores of {list(fake)}: the discriminator's losses, then the generator's",
        of(formulas),
        lambda: (*_of_discriminator(asked, real, fake), *_of_generator(asked, real, fake)),
        (
            *(Slip(what, gives) for what, gives in known),
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


def _shifts(asked: Asked) -> Probe:
    def apart() -> Numbers:
        real, fake = ([s + SHIFT for s in side] for side in (REAL, asked.fake))
        moved = (*_of_discriminator(asked, real, fake), *_of_generator(asked, real, fake))
        still = (*_of_discriminator(asked, REAL, asked.fake), *_of_generator(asked, REAL, asked.fake))
        return (max(abs(one - other) for one, other in zip(moved, still, strict=True)),)

    return Probe(
        "a constant added to all scores changes nothing",
        f"all scores {SHIFT:g} higher: the largest difference",
        (0.0,),
        apart,
        (Slip("it reads the level of the scores, not their differences", lambda came: True),),
        tolerance=1e-9,
    )


def _declared(asked: Asked, record: Objective) -> Iterator[Probe]:
    """What a record says of itself must be so."""
    boundary, formulas = record.boundary, asked.formulas
    yield Probe(
        "the sides that it says have losses",
        "1 where the discriminator's reals, its fakes, the generator's reals, its fakes have losses",
        tuple(float(side in record.carries[player]) for player in ("discriminator", "generator") for side in BOTH),
        lambda: _carried(record, _scores(REAL), _scores(asked.fake)),
        (Slip("carries is declared otherwise: a weighting would weigh nothing", lambda came: True),),
    )
    if boundary is not None:
        balance = formulas.balance if formulas is not None else 0.5
        yield Probe(
            "its boundary is where real and fake pull alike",
            f"real and fake scores at the boundary {boundary:g}, {balance:.4g} of them real: the slopes of both losses, added",
            (0.0,),
            lambda: (_pull(asked, boundary, balance),),
            (Slip("the boundary is declared elsewhere", lambda came: True),),
        )
    if record.gives_probability:
        share = 0.8
        at = math.log(share / (1 - share))
        yield Probe(
            "its score's sigmoid is a probability",
            f"samples that are real with probability {share:g}: the slope of the mean loss at the score {at:.4g}, their logit",
            (0.0,),
            lambda: (_pull(asked, at, share),),
            (Slip("the best score is another: gives_probability must be False", lambda came: True),),
        )
    yield Probe(
        "replicas keep apart",
        "scores with a leading axis of 2 against each row alone: the largest difference",
        (0.0,),
        lambda: (_apart(asked),),
        (Slip("it mixes the axes before the batch: only the last axis is the batch", lambda came: True),),
        tolerance=1e-12,
    )
    yield Probe(
        "it reads what it says it reads",
        "1 if a loss of the discriminator or the generator changes with the scores of others, as among several processes",
        (float(record.reads == "everyone"),),
        lambda: (float(_reads_others(asked)),),
        (
            Slip('it reads the whole batch: reads must be "everyone"', (1.0,)),
            Slip('it reads its own samples only: reads must be "own"', (0.0,)),
        ),
    )


def _declares(record: Objective, formulas: Formulas) -> Probe:
    boundary = math.nan if record.boundary is None else record.boundary
    return Probe(
        "what it declares",
        "its boundary, NaN for none, and 1 if its score's sigmoid is a probability",
        (formulas.boundary, float(formulas.probability)),
        lambda: (boundary, float(record.gives_probability)),
    )


def _carried(record: Objective, real: Tensor, fake: Tensor) -> Numbers:
    state = _state(record)
    drawn = DrawnSides(real, fake, log_probability=fake) if record.needs_log_probability else Sides(real, fake)
    found = (*record.discriminator(drawn, state), *_pinned(record).generator(drawn, state))
    return tuple(float(losses is not None) for losses in found)


def _pull(asked: Asked, at: float, share: float) -> float:
    """Slope of `share l_real(s) + (1 - share) l_fake(s)`, times 2."""
    other = _scores((at,))
    on_real = _slope(lambda s: asked.discriminator(s, other)[0], at)
    on_fake = _slope(lambda s: asked.discriminator(other, s)[1], at)
    return 2 * (share * on_real + (1 - share) * on_fake)


def _reads_others(asked: Asked) -> bool:
    """Whether the losses of the first half of a batch, each process's own samples, change when the second half does."""
    half = 2
    real, fake = _scores(REAL[: 2 * half]), _scores(FAKE)
    moved = torch.cat([torch.zeros(half), torch.full((half,), FAR)])

    def first_half(real: Tensor, fake: Tensor) -> Numbers:
        return numbers([losses[:half] for losses in (*asked.discriminator(real, fake), asked.players.generator(real, fake))])

    before = first_half(real, fake)
    others = [(real + moved, fake), (real - moved, fake), (real, fake + moved), (real, fake - moved)]
    return any(first_half(*scores) != before for scores in others)


def _apart(asked: Asked) -> float:
    real, fake = (torch.stack([_scores(side), 2 * _scores(side).flip(0)]) for side in (REAL, asked.fake))

    def losses(real: Tensor, fake: Tensor) -> list[Tensor]:
        return [*asked.discriminator(real, fake), asked.players.generator(real, fake)]

    together = losses(real, fake)
    alone = [losses(*pair) for pair in zip(real, fake, strict=True)]
    rows = [torch.stack(parts) for parts in zip(*alone, strict=True)]
    if any(whole.shape != row.shape for whole, row in zip(together, rows, strict=True)):
        return math.inf
    return max(float((whole - row).abs().amax()) for whole, row in zip(together, rows, strict=True))
