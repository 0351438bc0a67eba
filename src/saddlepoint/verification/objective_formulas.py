"""The formulas of objectives in plain numbers, and what the usual slips make of them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from saddlepoint.objectives.began import BEGAN
from saddlepoint.objectives.bgan import BGAN
from saddlepoint.objectives.bgan_discrete import BGANDiscrete
from saddlepoint.objectives.f_gan import BOUNDS, FGAN
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.lsgan import LSGAN
from saddlepoint.objectives.maligan import MaliGAN
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.one_sided_label_smoothing import OneSidedLabelSmoothing
from saddlepoint.objectives.pu_gan import PUGAN
from saddlepoint.objectives.relativistic import Relativistic, RelativisticAverage
from saddlepoint.objectives.softmax import Softmax
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.rounds import State
from saddlepoint.verification.probe import Numbers

Scores = Sequence[float]
Loss = Callable[[float], float]
Wrong = Iterator[tuple[str, Numbers]]

TWICE = "a sigmoid is taken of the scores first: scores are raw"
READ_AS_PROBABILITIES = "the scores are read as probabilities: take the sigmoid, or softplus of the score"


def softplus(score: float) -> float:
    """`ln(1 + e^s)`, whatever s is."""
    return max(score, 0.0) + math.log1p(math.exp(-abs(score)))


def sigmoid(score: float) -> float:
    """`1 / (1 + e^-s)`, whatever s is."""
    return math.exp(-softplus(-score))


@dataclass(frozen=True)
class Losses:
    """The formulas, a score at a time.

    Args:
        on_real, on_fake: the discriminator's.
        of_fake: the generator's.
        boundary: the score above which it says real; NaN where there is none.
        probability: whether the score's sigmoid is one.
        between: a score at which every player still wants to move.
        balance: the share of reals among the samples whose best score is the boundary.
    """

    on_real: Loss
    on_fake: Loss
    of_fake: Loss
    boundary: float = 0.0
    probability: bool = False
    between: float = 0.0
    balance: float = 0.5

    def discriminator(self, real: Scores, fake: Scores) -> Numbers:
        """Its losses of reals, then of fakes."""
        return (*map(self.on_real, real), *map(self.on_fake, fake))

    def generator(self, real: Scores, fake: Scores) -> Numbers:
        """Its losses of fakes."""
        return tuple(map(self.of_fake, fake))

    def squashed(self) -> "Losses":
        """As they are when a sigmoid is taken first."""
        return Losses(_of_sigmoid(self.on_real), _of_sigmoid(self.on_fake), _of_sigmoid(self.of_fake))

    def wrong_discriminator(self, real: Scores, fake: Scores) -> Wrong:
        """Slip by slip, what it gives."""
        right = self.discriminator(real, fake)
        swapped = Losses(self.on_fake, self.on_real, self.of_fake)
        yield "the sides are swapped in the discriminator's loss", swapped.discriminator(real, fake)
        yield from _wrong_everywhere(right[: len(real)], right[len(real) :])
        yield TWICE, self.squashed().discriminator(real, fake)
        yield READ_AS_PROBABILITIES, READ.discriminator(real, fake)
        yield "the margin of the hinge is missing", WITHOUT_MARGIN.discriminator(real, fake)
        yield "the hinge does not stop at 0", WITHOUT_STOP.discriminator(real, fake)

    def wrong_generator(self, real: Scores, fake: Scores) -> Wrong:
        """Slip by slip, what it gives."""
        right = self.generator(real, fake)
        yield "the generator's sign is flipped: it works for the discriminator", tuple(-loss for loss in right)
        yield "it is the discriminator's loss of fakes", tuple(map(self.on_fake, fake))
        yield "it is minus the discriminator's loss of fakes, the saturating form", tuple(-self.on_fake(s) for s in fake)
        yield "it is the discriminator's loss of reals: non-saturating where another was meant", tuple(map(self.on_real, fake))
        yield "it is averaged inside: a weighting needs one loss a sample", (sum(right) / len(right),)
        yield "it is summed inside: a weighting needs one loss a sample", (sum(right),)
        yield TWICE, self.squashed().generator(real, fake)
        yield READ_AS_PROBABILITIES, READ.generator(real, fake)


@dataclass(frozen=True)
class Coupled:
    """The formulas of a batch, where a loss depends on other samples' scores.

    Args:
        of_discriminator: of the real and the fake scores, its losses of reals and of fakes; of a side without losses, none.
        of_generator: of both, its losses of fakes.
        slips: by name, both players' losses as a slip makes them.
        shifts: whether a constant added to all scores changes nothing.
        between: a real's and a fake's score at which every player still wants to move.
        boundary, probability, balance: as of `Losses`.
    """

    of_discriminator: Callable[[Scores, Scores], tuple[Scores, Scores]]
    of_generator: Callable[[Scores, Scores], Scores]
    slips: Mapping[str, "Coupled"] = field(default_factory=dict)
    shifts: bool = True
    between: tuple[float, float] = (0.75, 0.25)
    boundary: float = math.nan
    probability: bool = False
    balance: float = 0.5

    def discriminator(self, real: Scores, fake: Scores) -> Numbers:
        """Its losses of reals, then of fakes."""
        on_real, on_fake = self.of_discriminator(real, fake)
        return (*on_real, *on_fake)

    def generator(self, real: Scores, fake: Scores) -> Numbers:
        """Its losses of fakes."""
        return tuple(self.of_generator(real, fake))

    def wrong_discriminator(self, real: Scores, fake: Scores) -> Wrong:
        """Slip by slip, what it gives."""
        yield from _wrong_everywhere(*self.of_discriminator(real, fake))
        if len(real) == len(fake):
            yield "the sides are swapped in the discriminator's loss", self.discriminator(fake, real)
        yield TWICE, self.discriminator([*map(sigmoid, real)], [*map(sigmoid, fake)])
        yield from ((what, wrong.discriminator(real, fake)) for what, wrong in self.slips.items())

    def wrong_generator(self, real: Scores, fake: Scores) -> Wrong:
        """Slip by slip, what it gives."""
        right = self.generator(real, fake)
        yield "the generator's sign is flipped: it works for the discriminator", tuple(-loss for loss in right)
        yield "it is averaged inside: a weighting needs one loss a sample", (sum(right) / len(right),)
        yield "it is summed inside: a weighting needs one loss a sample", (sum(right),)
        yield TWICE, self.generator([*map(sigmoid, real)], [*map(sigmoid, fake)])
        yield from ((what, wrong.generator(real, fake)) for what, wrong in self.slips.items())


Formulas = Losses | Coupled


def _wrong_everywhere(real: Scores, fake: Scores) -> Wrong:
    sides = [side for side in (real, fake) if side]
    means, sums = tuple(sum(side) / len(side) for side in sides), tuple(sum(side) for side in sides)
    yield "every sign is flipped", tuple(-loss for side in sides for loss in side)
    yield "it is averaged inside: a weighting needs one loss a sample", means
    yield "it is summed inside: a weighting needs one loss a sample", sums
    yield "both sides come back as one number: a weighting needs one loss a sample", (sum(means),) * len(sides)


def _of_sigmoid(loss: Loss) -> Loss:
    return lambda s: loss(sigmoid(s))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan if value < 0 else -math.inf


def _minus(score: float) -> float:
    return -score


def _softplus_of_minus(score: float) -> float:
    return softplus(-score)


WITHOUT_MARGIN = Losses(lambda s: max(0.0, -s), lambda s: max(0.0, s), _minus)
WITHOUT_STOP = Losses(lambda s: 1 - s, lambda s: 1 + s, _minus)
READ = Losses(lambda s: -_log(s), lambda s: -_log(1 - s), lambda s: -_log(s))
"""The vanilla losses of scores that are read as probabilities."""


def _vanilla(record: Vanilla) -> Losses:
    of_fake: Loss = (lambda s: -softplus(s)) if record.saturating else _softplus_of_minus
    return Losses(_softplus_of_minus, softplus, of_fake, probability=True)


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
    return Losses(lambda s: max(0.0, 1 - s), lambda s: max(0.0, 1 + s), _minus)


def _wasserstein(record: Wasserstein) -> Losses:
    return Losses(_minus, lambda s: s, _minus, boundary=math.nan)


# A state in which every loss moves with its scores, of those that begin without one.
AWAKE: Mapping[type[Objective], State] = {BEGAN: {"k": torch.tensor(0.25), "real": torch.tensor(0.0)}}


def _began(record: BEGAN) -> Losses:
    k = float(AWAKE[BEGAN]["k"])
    return Losses(lambda s: s, lambda s: -k * s, lambda s: s, boundary=math.nan)


def _smoothed(record: OneSidedLabelSmoothing) -> Losses:
    a = record.target

    def smoothed(s: float) -> float:
        return a * softplus(-s) + (1 - a) * softplus(s)

    return Losses(smoothed, softplus, _softplus_of_minus, boundary=math.log(a) - math.log(2 - a))


def _bgan(record: BGAN) -> Losses:
    of_fake: Loss = (lambda s: s**2) if record.form == "squared" else lambda s: softplus(-s) + s / 2
    return Losses(_softplus_of_minus, softplus, of_fake, probability=True, between=-0.5)


def _maligan(record: MaliGAN) -> Coupled:
    """With each fake's score as its log-probability, at the first update."""
    beta = record.baseline(0)

    def of_discriminator(real: Scores, fake: Scores) -> tuple[Scores, Scores]:
        return [softplus(-s) for s in real], [softplus(s) for s in fake]

    def of_generator(real: Scores, fake: Scores) -> Scores:
        return [-(len(fake) * math.exp(s - _log_sum(fake)) - beta) * s for s in fake]

    def summed(real: Scores, fake: Scores) -> Scores:
        return [-(math.exp(s - _log_sum(fake)) - beta) * s for s in fake]

    slips = {"the weights sum to 1, and not to the number of fakes": Coupled(of_discriminator, summed, shifts=False)}
    return Coupled(of_discriminator, of_generator, slips, shifts=False, boundary=0.0, probability=True)


def _bgan_discrete(record: BGANDiscrete) -> Losses:
    """With one sample of each latent, and its score as its log-probability."""
    return Losses(_softplus_of_minus, softplus, _minus, probability=True)


@dataclass(frozen=True)
class Divergence:
    """`f` and its derivative, and the density ratio u whose best score is v."""

    f: Loss
    slope: Loss
    ratio: Loss

    def of_reals(self, v: float) -> float:
        """`T = f'(u)`."""
        return self.slope(self.ratio(v))

    def of_fakes(self, v: float) -> float:
        """`f*(T) = u f'(u) - f(u)`."""
        u = self.ratio(v)
        return u * self.slope(u) - self.f(u)


DIVERGENCES: Mapping[str, Divergence] = {
    "kl": Divergence(lambda u: u * math.log(u), lambda u: math.log(u) + 1, lambda v: math.exp(v - 1)),
    "reverse-kl": Divergence(lambda u: -math.log(u), lambda u: -1 / u, math.exp),
    "pearson": Divergence(lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1), lambda v: 1 + v / 2),
    "neyman": Divergence(lambda u: (1 - u) ** 2 / u, lambda u: 1 - 1 / u**2, lambda v: math.exp(v / 2)),
    "squared-hellinger": Divergence(lambda u: (u**0.5 - 1) ** 2, lambda u: 1 - u**-0.5, lambda v: math.exp(2 * v)),
    "jeffrey": Divergence(lambda u: (u - 1) * math.log(u), lambda u: math.log(u) + 1 - 1 / u, math.exp),
}

# Those whose f overflows where their bound does not.
BOUNDED: Mapping[str, tuple[Loss, Loss]] = {
    "jensen-shannon": (lambda v: math.log(2) - softplus(-v), lambda v: softplus(v) - math.log(2)),
    "gan": (lambda v: -softplus(-v), softplus),
    "total-variation": (lambda v: math.tanh(v) / 2, lambda v: math.tanh(v) / 2),
}


def _f_gan(record: FGAN) -> Losses:
    if record.divergence in BOUNDED:
        of_reals, of_fakes = BOUNDED[record.divergence]
    else:
        divergence = DIVERGENCES[record.divergence]
        if record.parameterization == "log_ratio":
            divergence = Divergence(divergence.f, divergence.slope, math.exp)
        bound = BOUNDS[record.parameterization][record.divergence]
        most = record.clamp if bound.exponential else math.inf
        of_reals, of_fakes = (_within(most, loss) for loss in (divergence.of_reals, divergence.of_fakes))
    of_logs = record.parameterization == "log_ratio"
    return Losses(
        lambda v: -of_reals(v),
        of_fakes,
        (lambda v: -of_fakes(v)) if record.saturating else lambda v: -of_reals(v),
        boundary=1.0 if record.divergence == "kl" and not of_logs else 0.0,
        probability=of_logs or record.divergence in ("reverse-kl", "jensen-shannon", "gan", "jeffrey"),
    )


def _within(most: float, loss: Loss) -> Loss:
    return lambda v: loss(min(most, max(-most, v)))


def _mean(values: Scores) -> float:
    return sum(values) / len(values)


def _log_sum(values: Scores) -> float:
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def _softmax(record: Softmax) -> Coupled:
    def of_discriminator(real: Scores, fake: Scores) -> tuple[Scores, Scores]:
        return [_log_sum([*real, *fake]) - s for s in real], []

    def of_generator(real: Scores, fake: Scores) -> Scores:
        n, m = len(real), len(fake)
        return [_log_sum([*real, *fake]) - (m * s + n * _mean(real)) / (n + m) for s in fake]

    def halved(real: Scores, fake: Scores) -> Scores:
        return [_log_sum([*real, *fake]) - (s + _mean(real)) / 2 for s in fake]

    def alone(real: Scores, fake: Scores) -> Scores:
        return [_log_sum([*real, *fake]) - s for s in fake]

    return Coupled(
        of_discriminator,
        of_generator,
        {
            "each fake has the target 1/(2n): right only where there are as many fakes as reals": Coupled(of_discriminator, halved),
            "the reals are missing in the generator's target: it is -ln p of fakes alone": Coupled(of_discriminator, alone),
            "the softmax is over reals alone": Coupled(
                lambda real, fake: ([_log_sum(real) - s for s in real], []), lambda real, fake: [_log_sum(fake) - s for s in fake]
            ),
        },
    )


def _relativistic(record: Relativistic) -> Coupled:
    def against(real: Scores, fake: Scores) -> list[float]:
        return [softplus(f - r) for r, f in zip(real, fake, strict=True)]

    return Coupled(
        lambda real, fake: (against(real, fake), []),
        lambda real, fake: against(fake, real),
        {
            "the samples are compared with the mean of the other side, not in pairs": Coupled(
                lambda real, fake: ([softplus(_mean(fake) - r) for r in real], []),
                lambda real, fake: [softplus(_mean(real) - f) for f in fake],
            )
        },
    )


MARGINS: Mapping[str, Loss] = {
    "standard": _softplus_of_minus,
    "least-squares": lambda margin: (margin - 1) ** 2,
    "hinge": lambda margin: max(0.0, 1 - margin),
}


def _average(record: RelativisticAverage) -> Coupled:
    high = MARGINS[record.form]

    def of_discriminator(real: Scores, fake: Scores) -> tuple[list[float], list[float]]:
        return [high(r - _mean(fake)) for r in real], [high(_mean(real) - f) for f in fake]

    def of_generator(real: Scores, fake: Scores) -> list[float]:
        of_reals = _mean([high(_mean(fake) - r) for r in real])
        return [high(f - _mean(real)) + of_reals for f in fake]

    def halved(real: Scores, fake: Scores) -> tuple[list[float], list[float]]:
        on_real, on_fake = of_discriminator(real, fake)
        return [loss / 2 for loss in on_real], [loss / 2 for loss in on_fake]

    return Coupled(
        of_discriminator,
        of_generator,
        {
            "it is half of the sum of the sides, as in the paper's code": Coupled(
                halved, lambda real, fake: [loss / 2 for loss in of_generator(real, fake)]
            ),
            "the reals are missing in the generator's loss": Coupled(
                of_discriminator, lambda real, fake: [high(f - _mean(real)) for f in fake]
            ),
        },
    )


def _pu_gan(record: PUGAN) -> Coupled:
    share = min(record.share(0), record.most)
    good, bad = (_softplus_of_minus, softplus) if record.form == "vanilla" else (lambda s: (s - 1) ** 2, lambda s: (s + 1) ** 2)

    def switched(real: Scores, fake: Scores, c: float) -> tuple[list[float], list[float]]:
        return [share * (good(s) - c * bad(s)) for s in real], [c * bad(s) for s in fake]

    def of_discriminator(real: Scores, fake: Scores) -> tuple[list[float], list[float]]:
        return switched(real, fake, float(_mean([*map(bad, fake)]) >= share * _mean([*map(bad, real)])))

    def of_generator(real: Scores, fake: Scores) -> list[float]:
        return [good(s) for s in fake]

    return Coupled(
        of_discriminator,
        of_generator,
        {
            "it does not stop at 0: the fakes' risk may be negative": Coupled(
                lambda real, fake: switched(real, fake, 1.0), of_generator
            ),
            "the fakes are taken for bad, all of them": Coupled(
                lambda real, fake: ([share * good(s) for s in real], [bad(s) for s in fake]), of_generator
            ),
        },
        shifts=False,
        between=(-0.5, 0.5),
        boundary=0.0,
        balance=1 / (1 + 2 * share),
    )


TRUTHS: Mapping[type[Objective], Callable[[Any], Formulas]] = {
    Vanilla: _vanilla,
    LSGAN: _lsgan,
    Hinge: _hinge,
    Wasserstein: _wasserstein,
    BEGAN: _began,
    Softmax: _softmax,
    OneSidedLabelSmoothing: _smoothed,
    FGAN: _f_gan,
    Relativistic: _relativistic,
    RelativisticAverage: _average,
    PUGAN: _pu_gan,
    BGAN: _bgan,
    MaliGAN: _maligan,
    BGANDiscrete: _bgan_discrete,
}
