"""Classes a generator reaches, and how evenly, as the extractor's classifier sees them (Che et al. 2017; Santurkar et al. 2018)."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.modes import divergence, expected_unseen
from saddlepoint.streams import Streams

# Below this expected count the law of the chi-squared statistic is only roughly known.
SMALL_COUNT = 5


class ClassModes(NamedTuple):
    """Classes of the fakes against those of the reals.

    Args:
        found: classes with enough of their real share.
        divergence: KL of the fakes' shares to the reals', in nats; infinite where fakes are of a class that no real is.
        p_value: of the chi-squared test that both sides have the same shares.
        smallest: expected count of the table that the test is based on.
    """

    found: int
    divergence: float
    p_value: float
    smallest: float


def class_modes(real: Tensor, fake: Tensor, share: float = 0.2) -> ClassModes:
    r"""Classes found, KL to the data's class shares, and a test of both being equal.

    With shares `q` of the fakes and `p` of the reals: a class counts if `q_k >= share p_k > 0`; `KL = sum_k q_k ln(q_k / p_k)`; the
    test is of homogeneity, both histograms being samples: `chi^2 = sum (O - E)^2 / E` over the two rows, K - 1 degrees of freedom
    (classes that neither side has are left out; p is 1 where one class is left).

    Args:
        real, fake: samples by class, counts `[K]` each.
        share: of its real share that a class must hold.

    Raises:
        InputError: histograms of different lengths, negative, or empty.

    >>> class_modes(torch.tensor([50, 50]), torch.tensor([100, 0])).found
    1

    Source: Che et al. 2017 (missing modes), Santurkar et al. 2018 (class shares); the threshold is ours.
    """
    if (
        real.ndim != 1
        or real.shape != fake.shape
        or min(int(real.sum()), int(fake.sum())) < 1
        or bool((real < 0).any() | (fake < 0).any())
    ):
        raise InputError(
            [f"class-modes: real counts {real.tolist()} and fake counts {fake.tolist()}; give two histograms [K], not empty"]
        )
    p, q = real.double() / real.sum(), fake.double() / fake.sum()
    found = int(((q >= share * p) & (p > 0)).sum())
    p_value, smallest = _homogeneity(real, fake)
    return ClassModes(found, divergence(q, p), p_value, smallest)


def _homogeneity(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """p-value of the chi-squared test of a 2 x K table, and its smallest expected count."""
    from scipy.stats import chi2

    table = torch.stack([real, fake]).double()
    table = table[:, table.sum(0) > 0]
    expected = table.sum(1, keepdim=True) * table.sum(0) / table.sum()
    statistic = float(((table - expected).square() / expected).sum())
    freedom = table.shape[1] - 1
    return (float(chi2.sf(statistic, freedom)) if freedom else 1.0), float(expected.min())


class ClassModesCounted(Measure):
    """`class_modes` of what the extractor's classifier takes both sides for, so that its errors are on both."""

    name: ClassVar[str] = "class-modes"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "classes": Quantity("classes found ({extractor})", higher_is_better=True),
        "class-kl": Quantity("KL of classes to the data's ({extractor})", higher_is_better=False, unit="nats"),
        "class-p": Quantity("p-value of equal class shares ({extractor})", higher_is_better=None),
    }
    uses = frozenset({"logits"})
    bibtex: ClassVar[str] = """@inproceedings{santurkar2018classification,
  title={A classification-based study of covariate shift in {GAN} distributions},
  author={Santurkar, Shibani and Schmidt, Ludwig and Madry, Aleksander},
  booktitle={International Conference on Machine Learning},
  year={2018}
}"""

    share: float = Field(default=0.2, gt=0, le=1, description="of its real share that makes a class count as found")

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        sides = [("real", evidence.real.logits), ("fake", evidence.fake.logits)]
        return known + [
            f"class-modes: {side} samples have logits that are NaN or infinite; mend the extractor"
            for side, logits in sides
            if logits is not None and not bool(torch.isfinite(logits).all())
        ]

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        real, fake = _histogram(evidence.real), _histogram(evidence.fake)
        value = class_modes(real, fake, self.share)
        m, shares = len(evidence.fake), real.double() / real.sum()
        unseen = expected_unseen(shares[shares > 0], m)
        details = {
            "classes of the data": int((real > 0).sum()),
            "reals, by the classifier": real.tolist(),
            "fakes, by the classifier": fake.tolist(),
            "unseen by chance": unseen,
        } | _by_label(evidence.real, real)
        notes = [f"{m} samples are few: {unseen:.2g} classes would be missed by chance."] if unseen > 0.01 else []
        tested = ["Expected counts below 5: the test holds only roughly."] if value.smallest < SMALL_COUNT else []
        estimates = {
            "classes": Estimate(float(value.found), m, notes=tuple(notes), details=details),
            "class-p": Estimate(value.p_value, m, notes=tuple(notes + tested)),
        }
        alien = ((fake > 0) & (real == 0)).nonzero().flatten().tolist()
        if alien:
            infinite = f"No KL: the classifier takes fakes for classes {alien[:5]}, of which it sees no real; it would be infinite."
            estimates["classes"] = Estimate(float(value.found), m, notes=(*notes, infinite), details=details)
        else:
            estimates["class-kl"] = Estimate(value.divergence, m, notes=tuple(notes))
        return estimates


def _histogram(sample: Sample) -> Tensor:
    assert sample.logits is not None
    return sample.logits.argmax(1).bincount(minlength=sample.logits.shape[1])


def _by_label(real: Sample, seen: Tensor) -> dict[str, list[int]]:
    """The reals' own labels, so that the classifier's error is beside what it says."""
    if real.labels is None or int(real.labels.max()) >= len(seen):
        return {}
    return {"reals, by their labels": real.labels.bincount(minlength=len(seen)).tolist()}
