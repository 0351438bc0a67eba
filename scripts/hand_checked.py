"""What a method must give on a few small tensors, worked out by hand from its paper; and what ours gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Round, Sides
from saddlepoint.weightings import WEIGHTINGS

Numbers = float | Sequence[float]


class Question(NamedTuple):
    """One question to a method.

    Args:
        asked: in words, with the tensors.
        expected: the formula's value, in words and as numbers.
        ours: what the function of this package gives.
    """

    method: str
    asked: str
    worked_out: str
    expected: Numbers
    ours: Callable[[], Tensor]


def _scores(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _discriminator(name: str, real: Sequence[float], fake: Sequence[float], **fields: Any) -> Callable[[], Tensor]:
    """The mean loss of the discriminator."""
    return lambda: _total(OBJECTIVES[name](**fields).discriminator(Sides(_scores(*real), _scores(*fake))))


def _generator(name: str, real: Sequence[float], fake: Sequence[float], **fields: Any) -> Callable[[], Tensor]:
    """The mean loss of the generator."""
    return lambda: _total(OBJECTIVES[name](**fields).generator(Sides(_scores(*real), _scores(*fake))))


def _total(sides: Sides) -> Tensor:
    means = [side.mean() for side in sides if side is not None]
    return torch.stack(means).sum()


def _linear(x: Tensor) -> Tensor:
    """The critic `<w, x>` with w = (0, 3)."""
    return x @ x.new_tensor([0.0, 3.0])


def _penalty(
    name: str,
    discriminator: Callable[[Tensor], Tensor] = _linear,
    real: Sequence[Sequence[float]] = ((0.0, 0.0), (1.0, 2.0)),
    fake: Sequence[Sequence[float]] = ((2.0, 1.0), (-1.0, 0.0)),
    features: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
    **fields: Any,
) -> Callable[[], Tensor]:
    """A penalty without its weight."""

    def ours() -> Tensor:
        penalty = PENALTIES[name](**fields)
        images = [torch.tensor(side, dtype=torch.float64) for side in (real, fake)]
        round = Round.of(real=images[0], fake=images[1], discriminator=discriminator, features=features)
        return penalty(round, penalty.initial_state(()))

    return ours


def _weights(name: str, *scores: float, **fields: Any) -> Callable[[], Tensor]:
    return lambda: WEIGHTINGS[name](**fields)(_scores(*scores))


LN2 = math.log(2)
ZEROS = (0.0, 0.0)

QUESTIONS: tuple[Question, ...] = (
    Question("vanilla", "D's loss at all scores 0", "2 ln 2", 2 * LN2, _discriminator("vanilla", ZEROS, ZEROS)),
    Question("vanilla", "G's, non-saturating, at 0", "ln 2", LN2, _generator("vanilla", ZEROS, ZEROS)),
    Question("vanilla", "G's, saturating, at 0", "-ln 2", -LN2, _generator("vanilla", ZEROS, ZEROS, saturating=True)),
    Question("lsgan", "D's loss at all scores 1/2, targets 0 and 1", "1/4", 0.25, _discriminator("lsgan", (0.5,), (0.5,))),
    Question("hinge", "D's loss at all scores 0", "2", 2.0, _discriminator("hinge", ZEROS, ZEROS)),
    Question("hinge", "G's at 0", "0", 0.0, _generator("hinge", ZEROS, ZEROS)),
    Question("wasserstein", "D's loss, reals 1 and 3, fakes 0 and -2", "-1 - 2", -3.0, _discriminator("wasserstein", (1, 3), (0, -2))),
    Question("softmax", "D's loss, four equal reals, four equal fakes", "ln 8", math.log(8), _discriminator("softmax", (1,) * 4, (1,) * 4)),
    Question("softmax", "G's, the same", "ln 8", math.log(8), _generator("softmax", (1,) * 4, (1,) * 4)),
    Question(
        "softmax",
        "D's loss as the fakes' scores fall, four equal reals",
        "ln 4",
        math.log(4),
        _discriminator("softmax", (0,) * 4, (-800,) * 4),
    ),
    Question(
        "one-sided-label-smoothing",
        "D's loss at a real score of ln 9, the optimum, and a fake of -800",
        "the entropy of .9",
        -0.9 * math.log(0.9) - 0.1 * math.log(0.1),
        _discriminator("one-sided-label-smoothing", (math.log(9),), (-800,)),
    ),
    Question("f-gan", "D's loss of the KL form at the optimal score 1 of equal densities", "-1 + e^0", 0.0, _discriminator("f-gan", (1,), (1,))),
    Question(
        "f-gan",
        "D's loss of the Pearson form, real 2, fake 2",
        "-2 + (4/4 + 2)",
        1.0,
        _discriminator("f-gan", (2,), (2,), divergence="pearson"),
    ),
    Question("relativistic", "D's loss at equal scores", "ln 2", LN2, _discriminator("relativistic", (3, 3), (3, 3))),
    Question("relativistic-average", "D's of RaSGAN at equal scores", "2 ln 2", 2 * LN2, _discriminator("relativistic-average", (3, 3), (3, 3))),
    Question(
        "relativistic-average",
        "D's of RaLSGAN at equal scores",
        "1 + 1",
        2.0,
        _discriminator("relativistic-average", (3, 3), (3, 3), form="least-squares"),
    ),
    Question(
        "relativistic-average",
        "D's of RaHinge at equal scores",
        "1 + 1",
        2.0,
        _discriminator("relativistic-average", (3, 3), (3, 3), form="hinge"),
    ),
    Question(
        "pu-gan",
        "D's loss, share .3, reals 0 and 1, fakes 0",
        "ln 2 - .3 x .5",
        LN2 - 0.15,
        _discriminator("pu-gan", (0, 1), ZEROS, share=0.3),
    ),
    Question("bgan", "G's loss at a score of 2", "2^2", 4.0, _generator("bgan", (0,), (2,))),
    Question("gradient", "w = (0, 3), centre 1", "(3 - 1)^2", 4.0, _penalty("gradient", centre=1.0)),
    Question("wgan-gp", "w = (0, 3)", "(3 - 1)^2", 4.0, _penalty("wgan-gp")),
    Question("wgan-gp", "a constant critic", "(0 - 1)^2", 1.0, _penalty("wgan-gp", discriminator=lambda x: 0 * x.sum(-1))),
    Question("r1", "w = (0, 3)", "3^2", 9.0, _penalty("r1")),
    Question("r2", "w = (0, 3)", "3^2", 9.0, _penalty("r2")),
    Question("0-gp", "w = (0, 3)", "3^2", 9.0, _penalty("0-gp")),
    Question("dragan", "w = (0, 3)", "(3 - 1)^2", 4.0, _penalty("dragan")),
    Question("drift", "real scores 0 and 6", "(0 + 36) / 2", 18.0, _penalty("drift")),
    Question(
        "lecam",
        "real scores 3, fake scores -3, anchors at the turn's own means",
        "(3 + 3)^2 + (3 + 3)^2",
        72.0,
        _penalty("lecam", real=((0.0, 1.0),), fake=((0.0, -1.0),)),
    ),
    Question(
        "sdp",
        "the score term of x -> 2 x; reals 0 and 5, best fakes 4 and 1, their neighbours 5 and 0",
        "((8 - 10)^2 + (2 - 0)^2) / 2",
        4.0,
        _penalty(
            "sdp",
            discriminator=lambda x: 2 * x.squeeze(-1),
            real=((0.0,), (5.0,)),
            fake=((4.0,), (1.0,), (-9.0,)),
            k=2,
            terms="score",
        ),
    ),
    Question("wegan", "eta 1/4, D = 0 and 1", "2 x (1/5, 4/5)", (0.4, 1.6), _weights("wegan", 0, 1, eta=0.25, squash="identity")),
    Question("importance", "scores 0 and ln 3", "2 x (1/4, 3/4)", (0.5, 1.5), _weights("importance", 0, math.log(3))),
)
