"""Probes of penalties: what all of them owe, and what the gradient family and SDP must answer."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from saddlepoint.penalties.gradient import Gradient
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.sdp import SDP
from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from saddlepoint.verification.consistency import Forgetful, consistency_probes
from saddlepoint.verification.formulas import earlier, formula_probes
from saddlepoint.verification.gradients import SHAPE, Ask, Critic, Maker, Shape, drawn, gradient_probes, linear
from saddlepoint.verification.memories import memory_probes
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

REALS, FAKES = 6, 7
STEP = 1e-4


def asked_in_rounds(penalty: Callable[[Round], Tensor]) -> Ask:
    """A penalty of rounds, asked of a critic and two sides."""

    def ask(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        streams, maker = Streams(0, dtype=real.dtype), critic.maker
        latents = None if maker is None else maker.latents
        return penalty(
            Round.of(
                real=real,
                fake=fake,
                discriminator=critic,
                features=critic.features,
                streams=streams,
                latents=latents,
                generator=maker,
            )
        )

    return ask


def ask_record(penalty: Penalty) -> Ask:
    """One of ours, with the state it begins with; what it remembers of weights is of others than the critic's."""

    def ask(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        state = penalty.initial_state_from(earlier(critic), ())
        return asked_in_rounds(lambda round: penalty(round, state))(critic, real, fake)

    return ask


def penalty_probes(ask: Ask, like: Penalty | None, shape: Shape = SHAPE, *, record: Penalty | None = None) -> list[Probe]:
    """All probes of a penalty; `like` is the record whose formula it should have, if any.

    Args:
        record: what is asked, where it is a record and so may remember.
    """
    of_generator = like is not None and "discriminator" not in like.players
    probes = _common(ask, shape, Forgetful if like is not None and like.needs_dropout else Bent, of_generator)
    if like is not None:
        probes += consistency_probes(ask, like, shape)
    if isinstance(like, Gradient):
        probes += gradient_probes(ask, like, shape)
    if isinstance(like, SDP) and _has_formula(like):
        probes += _sdp_probes(ask, like)
    if like is not None and shape == SHAPE:
        probes += formula_probes(ask, like, remembers=record is not None)
    if like is not None and record is not None:
        probes += memory_probes(record, like)
    return probes


class Bent(Critic):
    """A critic that is nowhere flat."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(self._score, weight)

    @staticmethod
    def _score(weight: Tensor, image: Tensor) -> Tensor:
        return (weight * image).flatten(1).tanh().sum(1) + (weight * image).flatten(1).sum(1).square() / 2


def _common(ask: Ask, shape: Shape, made: Callable[[Tensor], Critic], of_generator: bool) -> list[Probe]:
    """What every penalty owes: one finite number, the same again, that teaches its player something."""
    real, fake = drawn("any real", 8, *shape), drawn("any fake", 8, *shape)
    player = "generator" if of_generator else "critic"

    def asked() -> tuple[Tensor, Tensor]:
        """The answer, and the weights that it should teach."""
        critic, maker = made(drawn("any weight", *shape)), Maker(8, drawn("any matrix", 4, *shape))
        critic.maker = maker
        return ask(critic, real, maker(maker.latents) if of_generator else fake), maker.matrix if of_generator else critic.weight

    def answer() -> Tensor:
        return asked()[0]

    def teaches() -> Numbers:
        value, weight = asked()
        if not value.requires_grad:
            return (0.0,)
        (found,) = torch.autograd.grad(value.sum(), weight, allow_unused=True, materialize_grads=True)
        return (float(bool(found.isfinite().all()) and bool((found != 0).any())),)

    fed = f"a critic that {'forgets' if made is Forgetful else 'bends'}, 8 images {list(shape)} a side"
    return [
        Probe(
            "one finite number",
            f"{fed}; how many numbers come, and how many are not finite",
            (1.0, 0.0),
            lambda: (float(answer().numel()), float((~answer().isfinite()).sum())),
            (Slip("the mean over the batch is missing: one number a sample comes back", (8.0, 0.0)),),
        ),
        Probe(
            f"a gradient for the {player}",
            f"{fed}; 1 if its weights get a gradient that is finite and not 0",
            (1.0,),
            teaches,
            (Slip("no gradient reaches the weights: create_graph=True is missing, or the gradient was detached", (0.0,)),),
        ),
    ]


Choice = Literal["highest", "lowest", "first"]
Partner = Literal["real for fake", "fake for real", "by score"]


@dataclass(frozen=True)
class Formula:
    """SDP by plain loops, equations 4 to 10 of the paper, and the ways to get them wrong."""

    like: SDP
    choice: Choice = "highest"
    partner: Partner = "real for fake"
    summed: bool = False
    rooted: bool = False
    blocks: Literal["sum", "mean"] = "sum"

    def value(self, weight: Tensor, real: Tensor, fake: Tensor, on_real: float = 1.0, on_fake: float = 1.0) -> float:
        """Its value with the weight times `on_real` where reals are judged and times `on_fake` where fakes are."""
        pairs = list(self._pairs(weight, real, fake))
        total = 0.0
        for mine, other in pairs:
            gap = self._score(on_fake * weight, fake[mine]) - self._score(on_real * weight, real[other])
            there = self._blocks(on_real * weight, real[other])
            apart = [float((one - there[name]).square().sum()) for name, one in self._blocks(on_fake * weight, fake[mine]).items()]
            terms = [math.sqrt(square) if self.rooted else square for square in (gap**2, *apart)]
            features = sum(terms[1:]) / (len(apart) if self.blocks == "mean" else 1)
            total += (self.like.terms != "features") * terms[0] + (self.like.terms != "score") * features
        total /= len(fake) if self.like.scale == "batch" else 1
        return total if self.summed else total / len(pairs)

    def _pairs(self, weight: Tensor, real: Tensor, fake: Tensor) -> Iterator[tuple[int, int]]:
        k = min(len(fake), max(1, math.floor(self.like.k(0))))
        scores, others = ([float((weight * image).sum()) for image in side] for side in (fake, real))
        order = sorted(range(len(fake)), key=lambda i: -scores[i])
        chosen = {"highest": order, "lowest": order[::-1], "first": list(range(len(fake)))}[self.choice][:k]
        if self.partner == "fake for real":
            for j in range(len(real)):
                yield min(chosen, key=lambda i: float((fake[i] - real[j]).square().sum())), j
            return
        for i in chosen:
            apart = [
                abs(scores[i] - others[j]) if self.partner == "by score" else float((fake[i] - real[j]).square().sum())
                for j in range(len(real))
            ]
            yield i, apart.index(min(apart))

    def _score(self, weight: Tensor, image: Tensor) -> float:
        score = float((weight * image).sum())
        return 1 / (1 + math.exp(-score)) if self.like.score == "probability" else score

    def _blocks(self, weight: Tensor, image: Tensor) -> Mapping[str, Tensor]:
        seen = weight * image
        space = seen.flatten(1)
        first = space.amax(1) if self.like.aggregator == "max" else space.mean(1)
        return {"first": self._normalised(first), "second": self._normalised(seen.flatten()[:4])}

    def _normalised(self, features: Tensor) -> Tensor:
        square = float(features.square().sum())
        return features / {"squared": square, "unit": math.sqrt(square), "none": 1.0}[self.like.normalization]

    def wrong(self) -> Iterator[tuple[str, "Formula"]]:
        """Slip by slip, the formula it makes."""
        like = self.like
        yield "the fakes of lowest score are taken, not of highest", replace(self, choice="lowest")
        yield "the first fakes are taken, not those of highest score", replace(self, choice="first")
        yield "each real gets its nearest fake, not each realistic fake its nearest real", replace(self, partner="fake for real")
        yield "neighbours are sought among the scores, not in pixels", replace(self, partner="by score")
        yield "sum over the pairs instead of mean", replace(self, summed=True)
        yield "differences are not squared", replace(self, rooted=True)
        yield "mean over the blocks instead of sum", replace(self, blocks="mean")
        for normalization in ("squared", "unit", "none"):
            words = {"squared": "a / |a|^2", "unit": "a / |a|", "none": "raw"}[normalization]
            yield f"the features are {words}", replace(self, like=like.model_copy(update={"normalization": normalization}))
        for aggregator in ("max", "mean"):
            over = f"the {'maximum' if aggregator == 'max' else 'mean'} is taken over space"
            yield over, replace(self, like=like.model_copy(update={"aggregator": aggregator}))
        for terms in ("score", "features"):
            yield f"the {terms} term stands alone", replace(self, like=like.model_copy(update={"terms": terms}))


def _has_formula(like: SDP) -> bool:
    """Random ablations and other spaces are not what the loops compute."""
    return like.select == "top" and like.neighbour == "nearest" and like.space == "pixels"


def _sdp_probes(ask: Ask, like: SDP) -> list[Probe]:
    weight = drawn("sdp weight", *SHAPE)
    real, fake = drawn("sdp real", REALS, *SHAPE), drawn("sdp fake", FAKES, *SHAPE)
    formula = Formula(like)

    def slope(which: Formula, on_real: bool, on_fake: bool) -> float:
        ends = [which.value(weight, real, fake, 1 + on_real * step, 1 + on_fake * step) for step in (STEP, -STEP)]
        return (ends[0] - ends[1]) / (2 * STEP)

    def derivative() -> Numbers:
        critic = Critic(linear, weight)
        value = ask(critic, real, fake)
        if not value.requires_grad:
            return (0.0,)
        (found,) = torch.autograd.grad(value.sum(), critic.weight, allow_unused=True, materialize_grads=True)
        return (float((found * weight).sum()),)

    wrong = list(formula.wrong())
    fed = f"a linear critic of two blocks, {REALS} reals and {FAKES} fakes"
    return [
        Probe(
            "the formula, by loops",
            f"{fed}; pairs, scores and features are compared one by one",
            (formula.value(weight, real, fake),),
            lambda: numbers(ask(Critic(linear, weight), real, fake)),
            tuple(Slip(what, (slipped.value(weight, real, fake),)) for what, slipped in wrong),
            scales=True,
        ),
        Probe(
            "its gradient reaches the critic's weights from both sides",
            f"{fed}; the derivative when the weight grows along itself, by finite differences",
            (slope(formula, True, True),),
            derivative,
            (
                Slip("no gradient reaches the weights", (0.0,)),
                Slip("the reals' scores and features are constants for the gradient", (slope(formula, False, True),)),
                Slip("the fakes' scores and features are constants for the gradient", (slope(formula, True, False),)),
                *(Slip(what, (slope(slipped, True, True),)) for what, slipped in wrong),
            ),
            tolerance=1e-5,
            scales=True,
        ),
    ]
