"""SDP, sample differences penalization (Zhang et al., "Reducing differences between real and realistic samples")."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Example, Features, Judgement, Meaning, Need, Round, State
from saddlepoint.schedules import After, Schedule, Staircase

SQUARED_FLOOR = 1e-4
UNIT_FLOOR = 1e-6

Normalization = Literal["squared", "unit", "none"]


class Pairs(NamedTuple):
    """Realistic fakes `[*, k]` and the real chosen for each, `[*, k]`: positions in their batches, constants for the gradient."""

    fakes: Tensor
    reals: Tensor


class SDP(Penalty):
    r"""Scores and features of the most realistic fakes are drawn to those of the real images nearest to them.

    With `T` the `k` fakes of highest score and `n(i)` the real nearest to fake i in pixels,

        1/k sum_{i in T} [ (s_f[i] - s_r[n(i)])^2 + sum_b || phi_b(x~_i) - phi_b(x_n(i)) ||^2 ],     phi_b = a / ||a||^2,

    `a` the maximum over space of block b's output, one number a channel. Both players add it to their loss, with the weight
    lambda, from round `start` of the weight's schedule on. The selection is a constant for the gradient. In the generator's
    turn gradients reach the fakes only. Where several processes share a batch, both are chosen among everyone's samples.

    `squared` inverts the features instead of normalising them, as the paper prints it:
    `||phi(a) - phi(b)||^2 = ||a - b||^2 / (||a||^2 ||b||^2)`. `unit` is `a / ||a||`, so the distance is
    `2 - 2 cos`. Norms are floored, so a dead block gives 0.

    Source: Zhang, Li, Li, Zhou, Chen, equations 4 to 10 and algorithm 1.

    >>> real, fake = torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0], [-9.0]])
    >>> round = Round.of(real=real, fake=fake, discriminator=lambda x: 2 * x)
    >>> SDP(k=2, terms="score")(round).item()
    4.0
    """

    name: ClassVar[str] = "sdp"
    reads: ClassVar[Rule] = "everyone"
    reads_scores_as: ClassVar[Meaning | None] = "realness"
    one_for_all: ClassVar[frozenset[str]] = frozenset({"k"})
    bibtex: ClassVar[str] = """@misc{zhang2021reducing,
  title={Reducing differences between real and realistic samples to improve {GANs}},
  author={Zhang, Shen and Li, Huaxiong and Li, Yaohui and Zhou, Xianzhong and Chen, Chunlin}
}"""

    weight: Weight = Field(default=After(start=3000, value=0.01), description="lambda, by default 0.01 from round t = 3000 on")
    k: Schedule = Field(
        default=Staircase(start=5, step=1, period=5000),
        description="how many fakes count as realistic; counted from round 0, not from t",
    )
    count: Literal["rounds", "discriminator_steps"] = Field(
        default="rounds", description="what the schedules of weight and k count: generator updates, or the discriminator's"
    )
    terms: Literal["both", "score", "features"] = Field(default="both", description="which differences are punished")
    normalization: Normalization = Field(
        default="squared", description="of a block's features: a/||a||^2 as printed, a/||a||, or none"
    )
    aggregator: Literal["max", "mean"] = Field(default="max", description="over space, of a block's output")
    score: Literal["raw", "probability"] = Field(default="raw", description="compare scores, or their sigmoids")
    scale: Literal["none", "batch"] = Field(default="none", description="batch: divide by the batch, as equation 9 weighs the term")
    same_label: bool = Field(default=False, description="neighbours have the fake's label; all reals where the label is absent")
    space: Literal["pixels"] | SkipJsonSchema[Callable[[Tensor], Tensor]] = Field(
        default="pixels", description="where distances are taken; in Python also a function from images to [*, n, d]"
    )
    select: Literal["top", "random"] = Field(default="top", description="which fakes; random is an ablation")
    neighbour: Literal["nearest", "random"] = Field(default="nearest", description="which real; random is an ablation")

    @field_validator("space", mode="before")
    @classmethod
    def _known_space(cls, value: object) -> object:
        if value != "pixels" and not callable(value):
            raise ValueError(f'{value!r} is not a space; give "pixels" or, in Python, a function from images to [*, n, d]')
        return value

    @property
    def counts(self) -> Literal["generator", "discriminator"]:
        return "generator" if self.count == "rounds" else "discriminator"

    @property
    def needs(self) -> frozenset[Need]:
        if self.terms == "score":
            return frozenset()
        return frozenset({Features("real"), Features("fake")})

    @property
    def draws(self) -> bool:
        return "random" in (self.select, self.neighbour)

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        fake = round.judge("fake")
        fake_scores = round.everyone(fake.scores)
        pairs = self._pairs(round, fake_scores)
        real, places, gathers = self._reals(round, pairs.reals)
        real_scores = round.everyone(real.scores) if gathers else real.scores

        gap = self._compared(take(fake_scores, pairs.fakes)) - self._compared(take(real_scores, places))
        score_term = gap.square().mean(-1)
        round.record("sdp/score term", score_term)
        if round.watched:
            _watch(round, pairs, gap.detach())
        total = torch.zeros_like(score_term) if self.terms == "features" else score_term
        if self.terms != "score":
            gather = round.everyone if round.streams.processes.world > 1 else None
            feature_term = self._feature_term(
                self._phis(fake, pairs.fakes, gather), self._phis(real, places, gather if gathers else None)
            )
            round.record("sdp/feature term", feature_term)
            total = total + feature_term
        return total / fake_scores.shape[-1] if self.scale == "batch" else total

    def _pairs(self, round: Round, scores: Tensor) -> Pairs:
        """Which fakes, and which real for each. Equal scores and equal distances go to the lowest position."""
        size = scores.shape[-1]
        k = min(size, max(1, math.floor(self.k(round.clock[self.counts]))))
        ranking = scores.detach() if self.select == "top" else round.streams.whole.uniform("sdp selection", size)
        fakes = ranking.argsort(dim=-1, descending=True, stable=True)[..., :k]
        return Pairs(fakes, self._distances(round, fakes).argmin(-1))

    def _distances(self, round: Round, fakes: Tensor) -> Tensor:
        """From each chosen fake to every real, `[*, k, n]`; for the ablation they are drawn, which makes each real as likely."""
        reals, batch_axis = round.everyones_images("real"), fakes.ndim - 1
        if self.neighbour == "random":
            distances = round.streams.whole.uniform("sdp neighbours", fakes.shape[-1], reals.shape[batch_axis])
        else:
            chosen = take(round.everyones_images("fake"), fakes)
            distances = squared_distances(self._points(chosen, batch_axis), self._points(reals, batch_axis))
        if self.same_label and round.real.label is not None and round.fake.label is not None:
            labels, real_labels = round.everyone(round.fake.label), round.everyone(round.real.label)
            differs = take(labels, fakes)[..., :, None] != real_labels[..., None, :]
            distances = distances.masked_fill(differs & ~differs.all(-1, keepdim=True), torch.inf)
        return distances

    def _points(self, image: Tensor, batch_axis: int) -> Tensor:
        """Images `[*, n, …]` as points `[*, n, d]`, before any augmentation."""
        points = image.detach() if self.space == "pixels" else self.space(image.detach()).detach()
        return in_full_precision(points.flatten(batch_axis + 1))

    def _reals(self, round: Round, reals: Tensor) -> tuple[Judgement, Tensor, bool]:
        """A judgement of the chosen reals, their places in it, and whether it is yet to be gathered.

        It is that of the whole batch when it is there already or couples, each process having judged its own; else a fresh pass on
        the chosen ones, the same in every process.
        """
        if round.couples_batch or round.judged("real"):
            return round.judge("real"), reals, True
        chosen, places = distinct(reals)
        extras = (None if part is None else take(round.everyone(part), chosen) for part in (round.real.label, round.real.latent))
        example = Example(take(round.everyones_images("real"), chosen), *extras)
        return round.judge(f"reals chosen by {self!r}", example, features=self.terms != "score"), places, False

    def _compared(self, scores: Tensor) -> Tensor:
        scores = in_full_precision(scores)
        return scores.sigmoid() if self.score == "probability" else scores

    def _feature_term(self, fakes: Mapping[str, Tensor], reals: Mapping[str, Tensor]) -> Tensor:
        if not fakes or not reals:
            raise ValueError(
                "SDP got no features by block: declare its needs to the round, give it a network that has some, or use terms: score"
            )
        squares = [(fake - reals[name]).square().sum(-1) for name, fake in fakes.items()]
        return torch.stack(squares).sum(0).mean(-1)

    def _phis(self, judged: Judgement, index: Tensor, gather: Callable[[Tensor], Tensor] | None) -> dict[str, Tensor]:
        """By block, one vector for each of the samples `index`, `[*, k, C]`; of everyone's where they are gathered."""
        normalize = NORMALIZATIONS[self.normalization]
        if gather is None:
            return {name: normalize(self._vectors(take(block, index), index.ndim)) for name, block in judged.features.items()}
        # Aggregated first, a vector travels in place of a picture.
        return {name: normalize(take(gather(self._vectors(block, index.ndim)), index)) for name, block in judged.features.items()}

    def _vectors(self, block: Tensor, channel_axis: int) -> Tensor:
        """One vector a sample, `[*, k, C]`, from a block's output `[*, k, C, …]`."""
        features = in_full_precision(block)
        if features.ndim == channel_axis + 1:
            return features
        space = features.flatten(channel_axis + 1)
        return space.amax(-1) if self.aggregator == "max" else space.mean(-1)


def _squared(features: Tensor) -> Tensor:
    return features / features.square().sum(-1, keepdim=True).clamp_min(SQUARED_FLOOR)


def _unit(features: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    return features / length.clamp_min(UNIT_FLOOR)


def _none(features: Tensor) -> Tensor:
    return features


NORMALIZATIONS: Mapping[Normalization, Callable[[Tensor], Tensor]] = {"squared": _squared, "unit": _unit, "none": _none}


def take(values: Tensor, index: Tensor) -> Tensor:
    """Entries `index` `[*, k]` along the batch axis of `values` `[*, n, …]`: `[*, k, …]`, with gradient.

    >>> take(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[2, 2], [0, 1]]))
    tensor([[3, 3],
            [4, 5]])
    """
    batch_axis = index.ndim - 1
    starts = values.shape[batch_axis] * torch.arange(index[..., 0].numel(), device=index.device)
    rows = index + starts.reshape(*index.shape[:-1], 1)
    return values.flatten(0, batch_axis).index_select(0, rows.flatten()).reshape(*index.shape, *values.shape[index.ndim :])


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """`||p_i - o_j||^2`, `[*, k, n]`, by differences (the form with a dot product cancels), one point at a time."""
    return torch.stack([(others - points[..., i : i + 1, :]).square().sum(-1) for i in range(points.shape[-2])], dim=-2)


def distinct(index: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct numbers of each row of `[*, k]`, ascending, and where in them each one stands, `[*, k]`.

    Rows that have fewer are filled up with their smallest.

    >>> distinct(torch.tensor([7, 3, 7]))
    (tensor([3, 7]), tensor([1, 0, 1]))
    """
    ascending, order = index.sort(dim=-1)
    ranks = (ascending.diff(dim=-1, prepend=ascending[..., :1]) != 0).cumsum(-1)
    places = torch.empty_like(index).scatter(-1, order, ranks)
    smallest = ascending[..., :1].repeat_interleave(int(ranks.max()) + 1, dim=-1)
    return smallest.scatter(-1, ranks, ascending), places


def _watch(round: Round, pairs: Pairs, gap: Tensor) -> None:
    """What the paper's theory speaks of: the slope of the score between the samples of a pair, and how near the neighbours are."""
    batch_axis = gap.ndim - 1
    reals = in_full_precision(round.everyones_images("real").flatten(batch_axis + 1))
    fakes = in_full_precision(take(round.everyones_images("fake"), pairs.fakes).flatten(batch_axis + 1))
    distance = (fakes - take(reals, pairs.reals)).square().sum(-1).sqrt()
    slope = gap.abs() / distance.clamp_min(torch.finfo(distance.dtype).eps)  # of a copy, rounding is not a slope
    round.record("sdp/slope mean", slope.mean(-1))
    round.record("sdp/slope max", slope.amax(-1))

    ascending = pairs.reals.sort(dim=-1).values
    round.record("sdp/distinct reals", 1 + (ascending.diff(dim=-1) != 0).sum(-1))
    if reals.shape[-2] > 1:
        among = squared_distances(reals, reals).sqrt()
        among.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)
        typical = among.amin(-1).median(-1, keepdim=True).values
        round.record("sdp/neighbours closer than reals", (distance < typical).to(distance.dtype).mean(-1))
