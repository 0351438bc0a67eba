"""What a method must give on a few small tensors, worked out by hand from its paper; and what ours gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saddlepoint.combiners.aw_gan import AwGAN
from saddlepoint.combiners.combiner import Products
from saddlepoint.networks.minibatch import MINIBATCH
from saddlepoint.networks.normalization import Making
from saddlepoint.networks.normalizations import NORMALIZATIONS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import load
from saddlepoint.rounds import DrawnSides, Round, Sides
from saddlepoint.schedules import Linear
from saddlepoint.training.session import Session
from saddlepoint.views.instance_noise import InstanceNoise
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS

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
    real: Sequence[Any] = ((0.0, 0.0), (1.0, 2.0)),
    fake: Sequence[Any] = ((2.0, 1.0), (-1.0, 0.0)),
    features: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
    generator: Callable[[Tensor], Tensor] | None = None,
    **fields: Any,
) -> Callable[[], Tensor]:
    """A penalty without its weight."""

    def ours() -> Tensor:
        penalty = PENALTIES[name](**fields)
        images = [torch.tensor(side, dtype=torch.float64) for side in (real, fake)]
        round = Round.of(
            real=images[0],
            fake=images[1],
            discriminator=discriminator,
            features=features,
            # The fakes' own numbers, so that a generator may be anything.
            latents=images[1],
            generator=generator,
        )
        return penalty(round, penalty.initial_state(()))

    return ours


def _matrix(*rows: Sequence[float]) -> torch.nn.Linear:
    """A linear critic of one output a row, without bias."""
    layer = torch.nn.Linear(len(rows[0]), len(rows), bias=False, dtype=torch.float64)
    layer.weight.data.copy_(torch.tensor(rows))
    return layer


def _stepped(name: str, gradient: float, steps: int, **fields: Any) -> Callable[[], Tensor]:
    """A number that starts at 0, after some steps along a constant gradient."""

    def ours() -> Tensor:
        number = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = OPTIMIZERS[name](**fields).build({"number": number}, fused=False)
        for _ in range(steps):
            number.grad = torch.full_like(number, gradient)
            optimizer.step()
        return number.detach().squeeze()

    return ours


def _radius(updates: int, **fields: Any) -> Callable[[], Tensor]:
    """The distance from the equilibrium of the bilinear game that starts at (1, 1), steps of .1, over that of the start."""

    def ours() -> Tensor:
        game = {"data": "dirac", "networks": "dirac", "objective": "wasserstein", "optimizers": {"name": "sgd", "lr": 0.1}}
        recipe = load({**game, "precision": "float64", "average": {"decay": 0}, **fields})
        session = Session(recipe, recipe.data.open())
        for _ in range(updates):
            session.trainer.update()
        numbers = [
            parameter.detach().flatten() for player in session.game.players.values() for parameter in player.parameters.values()
        ]
        distance: Tensor = torch.cat(numbers).norm() / math.sqrt(2)
        return distance

    return ours


def _appended(name: str, x: Sequence[Sequence[float]], **fields: Any) -> Callable[[], Tensor]:
    """What a layer that looks at the batch appends to the first sample, its kernels at 1 and its shifts at 0."""

    def ours() -> Tensor:
        features = torch.tensor(x, dtype=torch.float64)
        made = MINIBATCH[name](**fields).layer((features.shape[-1],), Making((), torch.device("cpu"), torch.float64))
        for which, parameter in made.named_parameters():
            parameter.data.fill_(0.0 if "bias" in which or "scale" in which else 1.0)
        out: Tensor = made(features)
        return out[0, features.shape[-1] :]

    return ours


def _between(name: str, x: Tensor) -> Callable[[], Tensor]:
    """What stands between a layer and its activation, on `x` of C channels, with its gains at 1 and shifts at 0."""

    def ours() -> Tensor:
        making = Making((), torch.device("cpu"), torch.float64)
        norm = NORMALIZATIONS[name]().between("generator", x.shape[1], making)
        assert norm is not None
        for which, parameter in norm.named_parameters():
            parameter.data.fill_(1.0 if which.endswith("weight") else 0.0)
        out: Tensor = norm(x)
        return out[0].flatten()

    return ours


def _weights(name: str, *scores: float, **fields: Any) -> Callable[[], Tensor]:
    return lambda: WEIGHTINGS[name](**fields)(_scores(*scores))


def _sigmas(*updates: int) -> list[float]:
    sigma = InstanceNoise(sigma=Linear(start=0.1, last=4)).sigma
    return [sigma(update) for update in updates]


def _from_the_past(rounds: int) -> float:
    """min x max y of x y as a complex number w = x + i y, whose simultaneous direction is F(w) = -i w."""
    w = 1 + 1j
    past = -1j * w
    for _ in range(rounds):
        past = -1j * (w - 0.1 * past)
        w = w - 0.1 * past
    return abs(w) / math.sqrt(2)


def _drawn(name: str, **fields: Any) -> Tensor:
    """G's mean loss of two drawn symbols that the discriminator judges alike."""
    drawn = DrawnSides(fake=_scores(0, 0), log_probability=_scores(-1, -3))
    return _total(OBJECTIVES[name](**fields).generator(drawn, {"baseline": torch.tensor(0.0)}))


def _brightness(x: Tensor) -> Tensor:
    """The critic that sees the sum of an image, read from its left half."""
    return x[..., : x.shape[-1] // 2].flatten(1).sum(-1)


# Two flat images, [n, 1, 8, 8].
FLAT = tuple((tuple((level,) * 8 for _ in range(8)),) for level in (0.5, -0.25))

LN2 = math.log(2)
ZEROS = (0.0, 0.0)

QUESTIONS: tuple[Question, ...] = (
    Question("vanilla", "D's loss at all scores 0", "2 ln 2", 2 * LN2, _discriminator("vanilla", ZEROS, ZEROS)),
    Question("vanilla", "G's, non-saturating, at 0", "ln 2", LN2, _generator("vanilla", ZEROS, ZEROS)),
    Question("vanilla", "G's, saturating, at 0", "-ln 2", -LN2, _generator("vanilla", ZEROS, ZEROS, saturating=True)),
    Question("lsgan", "D's loss at all scores 1/2, targets 0 and 1", "1/4", 0.25, _discriminator("lsgan", (0.5,), (0.5,))),
    Question("hinge", "D's loss at all scores 0", "2", 2.0, _discriminator("hinge", ZEROS, ZEROS)),
    Question("hinge", "G's at 0", "0", 0.0, _generator("hinge", ZEROS, ZEROS)),
    Question(
        "wasserstein", "D's loss, reals 1 and 3, fakes 0 and -2", "-1 - 2", -3.0, _discriminator("wasserstein", (1, 3), (0, -2))
    ),
    Question(
        "softmax",
        "D's loss, four equal reals, four equal fakes",
        "ln 8",
        math.log(8),
        _discriminator("softmax", (1,) * 4, (1,) * 4),
    ),
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
    Question(
        "f-gan",
        "D's loss of the KL form at the optimal score 1 of equal densities",
        "-1 + e^0",
        0.0,
        _discriminator("f-gan", (1,), (1,)),
    ),
    Question(
        "f-gan",
        "D's loss of the Pearson form, real 2, fake 2",
        "-2 + (4/4 + 2)",
        1.0,
        _discriminator("f-gan", (2,), (2,), divergence="pearson"),
    ),
    Question("relativistic", "D's loss at equal scores", "ln 2", LN2, _discriminator("relativistic", (3, 3), (3, 3))),
    Question(
        "relativistic-average",
        "D's of RaSGAN at equal scores",
        "2 ln 2",
        2 * LN2,
        _discriminator("relativistic-average", (3, 3), (3, 3)),
    ),
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
    Question("ct", "two passes without dropout", "0", 0.0, _penalty("ct", features=lambda x: {"last": x})),
    Question("cr", "images that no flip and no shift changes", "0", 0.0, _penalty("cr", _brightness, FLAT, FLAT)),
    Question("bcr", "the same, of both sides", "0", 0.0, _penalty("bcr", _brightness, FLAT, FLAT)),
    Question("zcr", "latents that no noise changes", "0", 0.0, _penalty("zcr", generator=lambda z: z, sigma=0.0)),
    Question("zcr-generator", "the same", "0", 0.0, _penalty("zcr-generator", generator=lambda z: z, sigma=0.0)),
    Question(
        "feature-matching",
        "features are the points, fakes shifted by (3, 4)",
        "3^2 + 4^2",
        25.0,
        _penalty("feature-matching", real=((0.0, 0.0), (1.0, 2.0)), fake=((3.0, 4.0), (4.0, 6.0)), features=lambda x: {"all": x}),
    ),
    Question(
        "path-length", "a generator that is constant, average 0", "0", 0.0, _penalty("path-length", generator=lambda z: 0 * z)
    ),
    Question(
        "orthogonal",
        "rows (3, 0) and (1/2, 1)",
        "2 x 1.5^2",
        4.5,
        _penalty("orthogonal", discriminator=_matrix((3.0, 0.0), (0.5, 1.0))),
    ),
    Question(
        "historical-averaging", "at the first turn", "0", 0.0, _penalty("historical-averaging", discriminator=_matrix((3.0, 0.0)))
    ),
    Question("wegan", "eta 1/4, D = 0 and 1", "2 x (1/5, 4/5)", (0.4, 1.6), _weights("wegan", 0, 1, eta=0.25, squash="identity")),
    Question("importance", "scores 0 and ln 3", "2 x (1/4, 3/4)", (0.5, 1.5), _weights("importance", 0, math.log(3))),
    Question(
        "top-k",
        "the 2 best of scores .1, 3, 2, -1, k halved after 1,000 rounds",
        "4 x (0, 1/2, 1/2, 0)",
        (0.0, 2.0, 2.0, 0.0),
        lambda: (top := WEIGHTINGS["top-k"](gamma=0.5, nu=0.25))(_scores(0.1, 3, 2, -1), top.scheduled({"generator": 1000})),
    ),
    Question(
        "fake-can-be-real",
        "which 2 of the scores .1, -3, 2, -1 count as real",
        "the lowest",
        (0.0, 1.0, 0.0, 1.0),
        lambda: RELABELLINGS["fake-can-be-real"]()(_scores(0.1, -3, 2, -1), torch.tensor(2)).double(),
    ),
    Question(
        "began",
        "D's loss at errors .4 and .3, k = .5",
        ".4 - .5 x .3",
        0.25,
        lambda: _total(
            OBJECTIVES["began"]().discriminator(
                Sides(_scores(0.4), _scores(0.3)), {"k": torch.tensor(0.5), "real": torch.tensor(0.0)}
            )
        ),
    ),
    Question(
        "maligan",
        "G's loss of two symbols of log-probabilities -1 and -3 at equal scores, baseline 0",
        "(1 + 3) / 2",
        2.0,
        lambda: _drawn("maligan", baseline=0.0),
    ),
    Question(
        "bgan-discrete", "the same, two samples of one latent", "(1 + 3) / 2", 2.0, lambda: _drawn("bgan-discrete", samples=2)
    ),
    Question(
        "aw-gan",
        "weights of the gradients of norms 2 and 1, product -1, reals judged badly, eps 0",
        "1/2, and 1 / (1^2 x 2)",
        (0.5, 0.5),
        lambda: torch.stack(
            AwGAN(epsilon=0.0)(
                Products(real=torch.tensor(4.0), fake=torch.tensor(1.0), between=torch.tensor(-1.0)),
                {"real": torch.tensor(0.3), "fake": torch.tensor(0.6)},
            )
        ),
    ),
    Question(
        "instance-noise",
        "the standard deviation at the start and at the end, .1 over updates 0 to 4",
        ".1, 0",
        (0.1, 0.0),
        lambda: torch.tensor(_sigmas(0, 4)),
    ),
    Question("sgd", "two steps of .1 along 3", "-.6", -0.6, _stepped("sgd", 3.0, 2, lr=0.1)),
    Question(
        "rmsprop",
        "one step of .1 along 3, alpha .99",
        "-.1 x 3 / sqrt(.01 x 9)",
        -1.0,
        _stepped("rmsprop", 3.0, 1, lr=0.1, alpha=0.99, eps=1e-300),
    ),
    Question("adam", "two steps of .1 along 3", "-.2", -0.2, _stepped("adam", 3.0, 2, lr=0.1, eps=1e-300)),
    Question(
        "optimistic-mirror-descent",
        "two steps of .1 along 3",
        "-2 x .3 - .3",
        -0.9,
        _stepped("optimistic-mirror-descent", 3.0, 2, lr=0.1),
    ),
    Question(
        "optimistic-adam", "two steps of .1 along 3", "-.2 - .1", -0.3, _stepped("optimistic-adam", 3.0, 2, lr=0.1, eps=1e-300)
    ),
    Question(
        "weight-clipping",
        "(-1, .25, 3) within 1/2",
        "(-1/2, 1/4, 1/2)",
        (-0.5, 0.25, 0.5),
        lambda: _clipped(-1.0, 0.25, 3.0),
    ),
    Question(
        "simultaneous",
        "growth of the radius of the bilinear game in 100 rounds",
        "1.01^50",
        1.01**50,
        _radius(100, turns="simultaneous"),
    ),
    Question(
        "extragradient",
        "the same",
        "|1 - .1 i - .01|^100",
        abs(1 - 0.1j - 0.01) ** 100,
        _radius(100, turns="extragradient"),
    ),
    Question(
        "extragradient-from-the-past",
        "the same, steps from a first w' = w - .1 F(w)",
        "the recurrence w' = w - .1 F(w'), by hand",
        _from_the_past(100),
        _radius(100, turns="extragradient-from-the-past"),
    ),
    Question(
        "lookahead",
        "the same, simultaneous, k = 5, alpha = 1/2",
        "|1/2 + (1 - .1 i)^5 / 2|^20",
        abs(0.5 + 0.5 * (1 - 0.1j) ** 5) ** 20,
        _radius(100, turns="simultaneous", slow_weights={"name": "lookahead", "k": 5, "alpha": 0.5}),
    ),
    Question(
        "minibatch-discrimination",
        "four equal samples, two kernels, no shift",
        "the 3 others, e^0 each",
        (3.0, 3.0),
        _appended("minibatch-discrimination", ((2.0,),) * 4, kernels=2),
    ),
    Question(
        "minibatch-stddev",
        "a group of 0, 1, 0, 1",
        "1/2",
        (0.5,),
        _appended("minibatch-stddev", ((0.0,), (1.0,), (0.0,), (1.0,))),
    ),
    Question(
        "batch",
        "values 0 and 2 of one channel",
        "-1 / sqrt(1 + 1e-5), of the first",
        (-1 / math.sqrt(1 + 1e-5),),
        _between("batch", _scores(0, 2).reshape(2, 1)),
    ),
    Question(
        "layer",
        "one sample of the channels 0 and 2",
        "-1 and 1, over sqrt(1 + 1e-5)",
        (-1 / math.sqrt(1 + 1e-5), 1 / math.sqrt(1 + 1e-5)),
        _between("layer", _scores(0, 2).reshape(1, 2)),
    ),
)


def _clipped(*numbers: float) -> Tensor:
    weight = torch.nn.Parameter(_scores(*numbers))
    PROJECTIONS["weight-clipping"](bound=0.5)({"weight": weight})
    return weight.detach()
