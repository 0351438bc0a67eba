"""The classifier score (Salimans et al. 2016): sharp and varied classes; the inception score where the classifier is Inception."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.blocks import block_error
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.feature_sets import LARGEST, is_shuffled
from saddlepoint.measures.measure import Estimate, Measure, Quantity, Use
from saddlepoint.streams import Streams

NAME = "classifier-score"

# Samples for each class in a split, below which the split's mean prediction is so rough that the score is visibly low.
ENOUGH = 10


class Score(NamedTuple):
    """The mean over splits, and the population standard deviation over splits that the literature prints behind it."""

    mean: float
    std: float
    splits: tuple[float, ...]


def classifier_score(logits: Tensor, order: Tensor | None = None, splits: int = 10) -> Score:
    r"""`exp( mean_x KL(p(y|x) || p(y)) )` on each of `splits` consecutive parts of the shuffled samples; between 1 and K.

    `p(y|x)` is the softmax of x's logits, `p(y)` its mean over the part. Computed from log-softmax in float64.

    Args:
        logits: `[n, K]`, n >= splits.
        order: the shuffle, int64 `[n]`; None takes the samples as they come, which is wrong when they are sorted by class.
        splits: part i holds the samples `i n // splits` to `(i + 1) n // splits - 1`.

    Raises:
        InputError: fewer samples than splits, an order that is no shuffle of them, or logits that are not finite.

    >>> round(classifier_score(100 * torch.eye(4).repeat(5, 1), splits=1).mean, 9)
    4.0

    Source: Salimans et al. 2016, section 4.
    """
    if logits.ndim != 2 or len(logits) < splits or splits < 1:
        raise InputError([f"{NAME}: the logits have the shape {tuple(logits.shape)}; {splits} splits need [n, K], n >= {splits}"])
    if logits.is_complex():
        raise InputError([f"{NAME}: the logits are complex; give real numbers"])
    bad = int((~(logits.abs() <= LARGEST)).any(1).sum())
    if bad:
        raise InputError([f"{NAME}: {bad} of {len(logits)} samples have logits that are NaN, infinite or beyond {LARGEST:g}"])
    n = len(logits)
    if order is not None:
        if order.ndim != 1 or not is_shuffled(order, n):
            raise InputError([f"{NAME}: the order {tuple(order.shape)} is no shuffle of the {n} samples"])
        logits = logits[order]
    log_p = logits.detach().double().log_softmax(1)
    scores = [_score(log_p[i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    parts = torch.tensor(scores, dtype=torch.float64)
    return Score(parts.mean().item(), parts.std(correction=0).item(), tuple(scores))


def _score(log_p: Tensor) -> float:
    log_q = log_p.logsumexp(0) - torch.tensor(float(len(log_p)), dtype=torch.float64).log()
    return (log_p.exp() * (log_p - log_q)).sum(1).mean().exp().item()


class ClassifierScore(Measure):
    """The classifier score of the fakes; beside it stands that of real samples, since only the two together say something.

    >>> from saddlepoint.measures.evidence import Sample
    >>> logits = 100 * torch.eye(2).repeat(10, 1)
    >>> evidence = Evidence(*(Sample(logits, logits, logits) for _ in range(2)))
    >>> round(ClassifierScore(splits=1)(evidence, Streams(0))["classifier-score"].mean, 9)
    2.0
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {NAME: Quantity("classifier score ({extractor})", higher_is_better=True)}
    uses: ClassVar[frozenset[Use]] = frozenset({"logits"})
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title={Improved techniques for training {GANs}},
  author={Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle={Advances in Neural Information Processing Systems},
  year={2016}
}"""

    splits: int = Field(default=10, ge=1, description="consecutive parts of the shuffled samples, each with a score of its own")

    @property
    def least(self) -> int:
        return max(2, self.splits)

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        logits = evidence.fake.logits
        assert logits is not None
        n, classes = logits.shape
        score = classifier_score(logits, streams.order(NAME, n, n), self.splits)
        smallest = n // self.splits
        notes: tuple[str, ...] = ()
        if smallest < ENOUGH * classes:
            largest = min(smallest, classes)
            notes = (
                f"{smallest:,} samples a split for {classes:,} classes: biased downward, and at most {largest:,} by construction",
            )
        spread = block_error(score.splits) if self.splits > 1 else None
        details = {"std over splits": score.std, "splits": list(score.splits), "classes": classes}
        error, interval = spread or (None, None)
        return {NAME: Estimate(score.mean, n, error, interval, notes, details)}
