"""Probes of penalties that compare judgements, features or what is made: critics and generators by hand, and their slips."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from saddlepoint.penalties.consistency import BCR, CR
from saddlepoint.penalties.ct import CT
from saddlepoint.penalties.feature_matching import FeatureMatching
from saddlepoint.penalties.path_length import PathLength
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.zcr import ZCR, ZCRGenerator
from saddlepoint.verification.gradients import SHAPE, Ask, Critic, Maker, Shape, drawn, linear
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

N = 6
# Where only an expectation is known.
MANY = 20_000


class Forgetful(Critic):
    """A linear critic that drops some of what it sees, at each pass something else: the first pass sees the first mask."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(lambda weight, image: linear(weight, self.masked(image)), weight)

    def masked(self, image: Tensor) -> Tensor:
        """What this pass sees of images."""
        mask = drawn(f"mask {len(self.seen)}", *self.weight.shape) > 0
        return image * mask

    def features(self, image: Tensor) -> dict[str, Tensor]:
        return super().features(self.masked(image))


class Changeable(Critic):
    """A critic that says another number at each pass, whatever it sees; its weight is the number of its numbers."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(lambda weight, image: weight[(len(self.seen) - 1) % len(weight), : len(image)], weight)

    def features(self, image: Tensor) -> dict[str, Tensor]:
        return {"first": image}


def consistency_probes(ask: Ask, like: Penalty, shape: Shape = SHAPE) -> list[Probe]:
    """The probes of a penalty with the fields of `like`, where it compares judgements; none of others."""
    if isinstance(like, CT):
        return [_of_masks(ask, like, shape)]
    if isinstance(like, CR):
        return [_of_passes(ask, like, 4 if isinstance(like, BCR) else 2, shape), *_of_changes(ask, like, shape)]
    if isinstance(like, ZCR):
        return [_of_passes(ask, like, 2, shape)]
    if isinstance(like, ZCRGenerator):
        return [_of_steps(ask, like, shape)] if like.sigma > 0 else []
    if isinstance(like, FeatureMatching):
        return [_of_means(ask, like, shape)]
    if isinstance(like, PathLength):
        return [_of_lengths(ask, like, shape)]
    return []


def _of_passes(ask: Ask, like: Penalty, passes: int, shape: Shape) -> Probe:
    """Of a critic that says another number at each pass, pairs of passes are compared sample by sample."""
    said, sides = drawn("said", passes, N), [drawn(f"any {side}", N, *shape) for side in ("real", "fake")]
    fakes = like.fakes if isinstance(like, BCR) else 1.0

    def asked() -> Tensor:
        critic = Changeable(said)
        critic.maker = Maker(N, drawn("any matrix", 4, *shape))
        return ask(critic, sides[0], sides[1])

    def total(of: Callable[[Tensor], Tensor]) -> float:
        return sum(factor * float(of(one - other)) for one, other, factor in zip(said[::2], said[1::2], (1.0, fakes), strict=False))

    slips = [
        Slip("nothing is changed: both judgements are one", (0.0,)),
        Slip("differences are not squared", (total(lambda gap: gap.abs().mean()),)),
        Slip("the square is of the batch's mean, not of each sample", (total(lambda gap: gap.mean().square()),)),
        Slip("sum over the batch instead of mean", (total(lambda gap: gap.square().sum()),)),
    ]
    if passes == 4:
        slips.append(Slip("the fakes are left out", (float((said[0] - said[1]).square().mean()),)))
    return Probe(
        "judgements in pairs",
        f"a critic that says other numbers at each of its {passes} passes of {N} samples",
        (total(lambda gap: gap.square().mean()),),
        lambda: numbers(asked()),
        tuple(slips),
        scales=True,
    )


def _of_changes(ask: Ask, like: CR, shape: Shape) -> list[Probe]:
    """What the critic is shown: the reals as they are, and changed ones."""
    if not like.flip and len(shape) > 1:
        return []
    real, fake = drawn("any real", N, *shape), drawn("any fake", N, *shape)

    def shown() -> Numbers:
        critic = Critic(linear, drawn("any weight", *shape))
        ask(critic, real, fake)
        as_they_are = any(torch.equal(seen, real) for seen in critic.seen)
        changed = [seen for seen in critic.seen if not any(torch.equal(seen, side) for side in (real, fake))]
        return (float(as_they_are), float(len(changed)))

    count = 2.0 if isinstance(like, BCR) else 1.0
    fed = f"{N} reals and fakes; 1 if the reals were judged as they are, and how many passes saw something changed"
    return [
        Probe(
            "what is judged",
            fed,
            (1.0, count),
            shown,
            (Slip("nothing is changed", (1.0, 0.0)), Slip("the reals are judged changed only", (0.0, count))),
        )
    ]


def _of_steps(ask: Ask, like: ZCRGenerator, shape: Shape) -> Probe:
    """Of a linear generator whose expectation is 1."""
    matrix = drawn("matrix", 4, *shape)
    pixels = matrix[0].numel()
    matrix *= math.sqrt(pixels) / (like.sigma * float(matrix.norm()))

    def asked() -> Tensor:
        critic, maker = Critic(linear, drawn("any weight", *shape)), Maker(MANY, matrix)
        critic.maker = maker
        made = maker(maker.latents)
        return ask(critic, made.detach(), made)

    return Probe(
        "what is made near, pushed apart",
        f"a linear generator of {MANY} images, for which the mean square of a step of its latents is 1",
        (-1.0,),
        lambda: numbers(asked()),
        (
            Slip("it is punished, not rewarded: the sign is missing", (1.0,)),
            Slip("sum over the pixels instead of mean", (-float(pixels),)),
            Slip("the latents stand still", (0.0,)),
            Slip("the square is missing", (-math.sqrt(2 / math.pi),)),
        ),
        tolerance=0.1,
    )


def _of_means(ask: Ask, like: FeatureMatching, shape: Shape) -> Probe:
    weight, real, fake = drawn("matched weight", *shape), drawn("matched real", N, *shape), drawn("matched fake", N + 1, *shape)
    blocks = {"last": [4], "blocks": [weight.numel(), 4]}[like.features]
    gaps = [((weight * fake).mean(0) - (weight * real).mean(0)).flatten()[:size] for size in blocks]
    pairs = [(weight * (fake[:N] - real)).flatten(1)[:, :size] for size in blocks]
    squared, absolute = sum(float(gap.square().sum()) for gap in gaps), sum(float(gap.abs().mean()) for gap in gaps)
    return Probe(
        "means of features",
        f"a linear critic of two blocks, {N} reals and {N + 1} fakes; the means are compared",
        (squared if like.distance == "l2" else absolute,),
        lambda: numbers(ask(Critic(linear, weight), real, fake)),
        (
            Slip(
                "the mean absolute difference is given" if like.distance == "l2" else "the squared distance is given",
                (absolute if like.distance == "l2" else squared,),
            ),
            Slip("the distance is not squared", (sum(float(gap.norm()) for gap in gaps),)),
            Slip("mean over the features instead of sum", (sum(float(gap.square().mean()) for gap in gaps),)),
            Slip("samples are compared one by one, not their means", (sum(float(p.square().sum(1).mean()) for p in pairs),)),
        ),
        scales=True,
    )


def _of_lengths(ask: Ask, like: PathLength, shape: Shape) -> Probe:
    """`G(z) = (u, z) v`: a length is `2 |N(0, 1)|`, where `|u| |v|` is 2 sqrt(HW); the average is taken up from 0."""
    u, v = drawn("step", 4), drawn("way", *shape)
    pixels = v[0].numel() if len(shape) > 1 else 1
    matrix = torch.tensordot(2 * math.sqrt(pixels) * u / u.norm(), v / v.norm(), 0)

    def asked() -> Tensor:
        critic, maker = Critic(linear, drawn("any weight", *shape)), Maker(MANY, matrix)
        critic.maker = maker
        made = maker(maker.latents).detach()
        return ask(critic, made, made)

    kept = 1 - (1 - like.rate) ** 2
    return Probe(
        "lengths of a generator of one direction",
        f"{MANY} latents; half of the lengths are 2 |N(0, 1)|, and their average is remembered from 0 on",
        (4 * (1 - kept * 2 / math.pi),),
        lambda: numbers(asked()),
        (
            Slip("the noise is not divided by the root of the pixels", (4 * pixels * (1 - kept * 2 / math.pi),)),
            Slip("the square is missing", (2 * (1 - like.rate) * math.sqrt(2 / math.pi),)),
            Slip("sum over the batch instead of mean", (2 * MANY * (1 - kept * 2 / math.pi),)),
        ),
        tolerance=0.06,
    )


def _of_masks(ask: Ask, like: CT, shape: Shape) -> Probe:
    weight, real, fake = drawn("ct weight", *shape), drawn("ct real", N, *shape), drawn("ct fake", N, *shape)
    passes = [_pass(weight, real, number) for number in (1, 2)]
    gaps, features = (passes[0][part] - passes[1][part] for part in (0, 1))
    return Probe(
        "two passes of the reals",
        f"a linear critic that sees other pixels at its second pass of {N} reals; scores and last activations by loops",
        (_value(like, gaps, features),),
        lambda: numbers(ask(Forgetful(weight), real, fake)),
        tuple(_slips(like, gaps, features)),
        scales=like.margin == 0,
    )


def _pass(weight: Tensor, image: Tensor, number: int) -> tuple[Tensor, Tensor]:
    seen = weight * image * (drawn(f"mask {number}", *weight.shape) > 0)
    return seen.flatten(1).sum(1), seen.flatten(1)[:, :4]


def _value(like: CT, gaps: Tensor, features: Tensor) -> float:
    total = 0.0
    for gap, apart in zip(gaps, features, strict=True):
        square = sum(float(one) ** 2 for one in apart) / len(apart)
        total += max(0.0, float(gap) ** 2 + like.features * square - like.margin)
    return total / len(gaps)


def _slips(like: CT, gaps: Tensor, features: Tensor) -> Iterator[Slip]:
    squares, mean = gaps.square(), features.square().mean(1)
    rest = like.features * mean - like.margin
    yield Slip("the second pass is the first one: its mask is not drawn anew", (float(torch.tensor(-like.margin).relu()),))
    yield Slip("differences of scores are not squared", (float((gaps.abs() + rest).relu().mean()),))
    yield Slip("sum over the activations instead of mean", (float((squares + rest + 3 * like.features * mean).relu().mean()),))
    yield Slip("the activations are left out", (float((squares - like.margin).relu().mean()),))
    yield Slip("the activations count as much as the scores", (float((squares + mean - like.margin).relu().mean()),))
    yield Slip("the square is of the batch's mean, not of each sample", (float((gaps.mean().square() + rest.mean()).relu()),))
    yield Slip("sum over the batch instead of mean", (float((squares + rest).relu().sum()),))
    if like.margin:
        yield Slip("the margin is left out", (float((squares + like.features * mean).mean()),))
