"""Probes of penalties that compare judgements: critics that forget something at each pass, and what each slip makes of them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from saddlepoint.penalties.ct import CT
from saddlepoint.verification.gradients import SHAPE, Ask, Critic, Shape, drawn, linear
from saddlepoint.verification.probe import Probe, Slip, numbers

N = 6


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


def consistency_probes(ask: Ask, like: CT, shape: Shape = SHAPE) -> list[Probe]:
    """The probes of CT-GAN's term with the fields of `like`."""
    weight, real, fake = drawn("ct weight", *shape), drawn("ct real", N, *shape), drawn("ct fake", N, *shape)
    passes = [_pass(weight, real, number) for number in (1, 2)]
    gaps, features = (passes[0][part] - passes[1][part] for part in (0, 1))
    return [
        Probe(
            "two passes of the reals",
            f"a linear critic that sees other pixels at its second pass of {N} reals; scores and last activations by loops",
            (_value(like, gaps, features),),
            lambda: numbers(ask(Forgetful(weight), real, fake)),
            tuple(_slips(like, gaps, features)),
            scales=like.margin == 0,
        )
    ]


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
