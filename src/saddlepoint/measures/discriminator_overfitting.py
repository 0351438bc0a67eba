"""Does the discriminator know its training images by heart (Brock et al. 2019; Karras et al. 2020)."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.modes import binomial_interval
from saddlepoint.streams import Streams

# Below this share of the largest score, a gap of means is rounding.
ROUNDING = 1e-9

Threshold = Annotated[float, Field(allow_inf_nan=False)] | Literal["midway"] | None


class Ratio(NamedTuple):
    """`r_v` and its standard error by the delta method."""

    value: float
    error: float


def overfitting_ratio(train: Tensor, held_out: Tensor, fake: Tensor) -> Ratio:
    r"""`r_v = (mean s_train - mean s_held_out) / (mean s_train - mean s_fake)`.

    0: held-out reals are scored like training reals. 1: like fakes, so all that the discriminator knows is its training images.

    Args:
        train, held_out, fake: raw scores in eval mode, `[n]` each, finite, two or more.

    Raises:
        InputError: too few, not finite; or training reals and fakes have the same mean score, so that the ratio is undefined.

    >>> overfitting_ratio(torch.tensor([3.0, 5.0]), torch.tensor([2.0, 4.0]), torch.tensor([-1.0, 1.0])).value
    0.25

    Source: Karras et al. 2020 (ADA), equation 1.
    """
    sides = {"train": train, "held-out": held_out, "fake": fake}
    problems = [problem for side, scores in sides.items() for problem in _problems(side, scores)]
    if problems:
        raise InputError(problems)
    means = {side: float(scores.double().mean()) for side, scores in sides.items()}
    spreads = {side: float(scores.double().var()) / len(scores) for side, scores in sides.items()}
    lost, gap = means["train"] - means["held-out"], means["train"] - means["fake"]
    if abs(gap) <= ROUNDING * max(float(scores.abs().max()) for scores in sides.values()):
        raise InputError(
            [f"discriminator-overfitting: training reals and fakes both score {means['fake']:.4g} on average; r_v is undefined"]
        )
    value = lost / gap
    of_lost, of_gap = spreads["train"] + spreads["held-out"], spreads["train"] + spreads["fake"]
    variance = (of_lost - 2 * value * spreads["train"] + value**2 * of_gap) / gap**2
    return Ratio(value, math.sqrt(max(0.0, variance)))


def _problems(side: str, scores: Tensor) -> list[str]:
    name = "discriminator-overfitting"
    if scores.ndim != 1 or len(scores) < 2:
        return [f"{name}: {side} scores of the shape {tuple(scores.shape)}; give [n] with two or more"]
    if scores.is_complex() or not bool(torch.isfinite(scores).all()):
        return [f"{name}: {side} scores are complex, NaN or infinite; the discriminator has diverged"]
    return value_problems(name, scores[:, None], side)


class DiscriminatorOverfitting(Measure):
    """Accuracies of the run's discriminator on training reals, held-out reals and fakes, and `overfitting_ratio`.

    Where the ratio is undefined it is left out, and the accuracies say why.
    """

    name: ClassVar[str] = "discriminator-overfitting"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "train-accuracy": Quantity("D's accuracy on training reals", higher_is_better=None),
        "held-out-accuracy": Quantity("D's accuracy on held-out reals", higher_is_better=None),
        "fake-accuracy": Quantity("D's accuracy on fakes", higher_is_better=None),
        "overfitting-ratio": Quantity("D's overfitting r_v", higher_is_better=False),
    }
    uses = frozenset({"scores", "train", "held-out"})
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{karras2020training,
  title={Training generative adversarial networks with limited data},
  author={Karras, Tero and Aittala, Miika and Hellsten, Janne and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo},
  booktitle={Advances in Neural Information Processing Systems},
  year={2020}
}"""

    threshold: Threshold = Field(
        default=None,
        description="a score above it says real: a number, or midway between the means of training reals and of fakes; "
        "null is what the run's objective says, midway where it says nothing",
    )

    def of_run(self, boundary: float | None) -> "DiscriminatorOverfitting":
        """With the objective's boundary as its threshold, midway where there is none; one that was given stays."""
        if self.threshold is not None:
            return self
        return type(self)(threshold="midway" if boundary is None else boundary)

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        scores = _scores(evidence)
        return known + [problem for side, found in scores.items() for problem in _problems(side, found)]

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        scores = _scores(evidence)
        means = {side: float(found.double().mean()) for side, found in scores.items()}
        threshold = self.threshold if isinstance(self.threshold, float) else (means["train"] + means["fake"]) / 2
        details: dict[str, Any] = {
            "threshold": threshold,
            "mean scores": means,
            "samples": {side: len(found) for side, found in scores.items()},
        }
        notes, ratio = _ratio(scores)
        if _one_sided(scores, threshold):
            notes += ("Every score is on one side of the threshold: for a critic set it to midway.",)
        right = {
            "train-accuracy": scores["train"] > threshold,
            "held-out-accuracy": scores["held-out"] > threshold,
            "fake-accuracy": scores["fake"] <= threshold,
        }
        estimates = {quantity: _share(hits, len(evidence.fake), notes, details) for quantity, hits in right.items()}
        if ratio is not None:
            estimates["overfitting-ratio"] = Estimate(ratio.value, len(evidence.fake), ratio.error, notes=notes, details=details)
        return estimates


def _scores(evidence: Evidence) -> dict[str, Tensor]:
    sides = {"train": evidence.train, "held-out": evidence.held_out, "fake": evidence.fake}
    return {side: sample.scores for side, sample in sides.items() if sample is not None and sample.scores is not None}


def _ratio(scores: Mapping[str, Tensor]) -> tuple[tuple[str, ...], Ratio | None]:
    try:
        ratio = overfitting_ratio(scores["train"], scores["held-out"], scores["fake"])
    except InputError as error:
        return (f"No r_v: {error.problems[0].split(': ', 1)[1]}.",), None
    train, fake = scores["train"].double(), scores["fake"].double()
    gap = abs(float(train.mean() - fake.mean()))
    if gap < 2 * math.sqrt(float(train.var()) / len(train) + float(fake.var()) / len(fake)):
        return ("D scores training reals and fakes alike within error: r_v says little.",), ratio
    return (), ratio


def _one_sided(scores: Mapping[str, Tensor], threshold: float) -> bool:
    above = torch.cat([found > threshold for found in scores.values()])
    return bool(above.all()) or not bool(above.any())


def _share(hits: Tensor, n: int, notes: tuple[str, ...], details: Mapping[str, Any]) -> Estimate:
    interval = binomial_interval(int(hits.sum()), len(hits))
    return Estimate(float(hits.double().mean()), n, interval=interval, notes=notes, details=details)
