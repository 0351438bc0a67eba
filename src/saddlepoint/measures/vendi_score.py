"""The Vendi score (Friedman & Dieng 2023): the effective number of distinct samples."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.neighbours import flat
from saddlepoint.streams import Streams


def vendi_score(features: Tensor) -> float:
    r"""The exponential of the entropy of the eigenvalues of `K / n`, K the cosine similarities of n samples.

        VS = exp(-sum_i l_i ln l_i),     K_ij = x_i . x_j / (|x_i| |x_j|)

    From 1 (all alike) to min(n, d). The non-zero eigenvalues are those of the d x d matrix `X'X / n` of unit features, so the
    smaller of both is decomposed, in float64: 8 min(n, d)^2 bytes beside the features.

    Args:
        features: `[n, d]`, none of them 0.

    Raises:
        InputError: no samples, or features that are 0 or not finite and have no direction.

    Source: Friedman, Dieng, "The Vendi score: a diversity evaluation metric for machine learning", definition 3.1.

    >>> round(vendi_score(torch.eye(4).repeat(2, 1)), 9)
    4.0
    """
    if features.ndim < 2 or features.is_complex():
        raise InputError([f"vendi-score: features {tuple(features.shape)} of {features.dtype}; give real numbers [n, d]"])
    points = flat(features).detach().double()
    lost = undirected(points)
    if len(points) == 0 or lost:
        what = f"{lost} of {len(points)} features are 0 or not finite and have no direction" if lost else "no samples"
        raise InputError([f"vendi-score: {what}; leave such samples out"])
    # The largest entry first: squares of very small or very large features would leave the range.
    points = points / points.abs().amax(1, keepdim=True)
    points = points / torch.linalg.vector_norm(points, dim=1, keepdim=True)
    n, d = points.shape
    eigenvalues = torch.linalg.eigvalsh((points.T @ points if d <= n else points @ points.T) / n).clamp_min(0)
    return math.exp(-float(torch.special.xlogy(eigenvalues, eigenvalues).sum()))


def undirected(features: Tensor) -> int:
    """How many features are 0 or not finite."""
    points = flat(features)
    return int((~torch.isfinite(points).all(1) | (points == 0).all(1)).sum())


class VendiScore(Measure):
    """The Vendi score of generated samples, with the cosine of their features.

    Diversity alone: noise scores high. It is bounded by the number of samples and of features, so compare it at equal n with the
    reals' value, which `details` hold at the same n.
    """

    name: ClassVar[str] = "vendi-score"
    quantities: ClassVar[Mapping[str, Quantity]] = {"vendi-score": Quantity("Vendi score ({extractor})", higher_is_better=True)}
    bibtex: ClassVar[str] = """@article{friedman2023vendi,
  title={The {V}endi Score: A Diversity Evaluation Metric for Machine Learning},
  author={Friedman, Dan and Dieng, Adji Bousso},
  journal={Transactions on Machine Learning Research},
  year={2023}
}"""

    def problems(self, evidence: Evidence) -> list[str]:
        problems = super().problems(evidence)
        if problems:
            return problems
        sides: tuple[tuple[str, Sample], ...] = (("real", evidence.real), ("fake", evidence.fake))
        return [
            f"{self.name}: {lost} of {len(sample)} {side} features are 0, without direction; use another extractor"
            for side, sample in sides
            if (lost := undirected(sample.features))
        ]

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        n = len(evidence.fake)
        value = vendi_score(evidence.fake.features)
        details = {"at most": min(n, flat(evidence.fake.features).shape[1])}
        if len(evidence.real) < n:
            notes = (f"the reals are {len(evidence.real)}, fewer than the {n} samples: there is no value of theirs at equal n",)
            return {"vendi-score": Estimate(value, n, notes=notes, details=details)}
        rows = streams.order("vendi-score reals", len(evidence.real), n)
        real = vendi_score(evidence.real.features[rows])
        return {"vendi-score": Estimate(value, n, details={**details, "real": real})}
