"""The Fréchet distance class by class: the mean and the worst (intra-FID, Miyato and Koyama 2018)."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.feature_sets import check_feature_sets
from saddlepoint.measures.frechet_distance import Moments, few_samples, frechet_distance
from saddlepoint.measures.measure import Estimate, Measure, Quantity, Use
from saddlepoint.streams import Streams

NAME = "class-conditional-frechet-distance"
WORST = f"{NAME}-worst"

# A class with fewer samples than this gives a rough number whatever the features are.
ENOUGH = 1000


class ByClass(NamedTuple):
    """Distances by class, the samples of each side they were taken on, and the number of features they were taken in."""

    distances: Mapping[int, float]
    counts: Mapping[int, int]
    features: int

    @property
    def mean(self) -> float:
        return sum(self.distances.values()) / len(self.distances)

    @property
    def worst(self) -> int:
        """The class that is furthest."""
        return max(self.distances, key=lambda label: self.distances[label])


def class_conditional_frechet_distance(
    real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor, components: int = 64
) -> ByClass:
    r"""`FD(real of class c, fake of class c)` for each class c.

    If the smallest real class has no more than 2 d samples, all features are first projected to the first `components` principal
    components of *all* reals, so that the space depends on the real data alone.

    Args:
        real, fake: features, `[n, d]` and `[m, d]`.
        real_labels, fake_labels: int64, `[n]` and `[m]`: the class a fake was made for. Each class has as many of one side as of
            the other, two or more: the distance depends on n, and unequal counts would favour one class over another.
        components: 64 gives what the literature would call `intra-fd64`.

    Raises:
        InputError: a class with unequal counts, or with fewer than two samples.

    >>> points, labels = torch.tensor([[0.0], [2.0], [5.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    >>> class_conditional_frechet_distance(points, points + labels[:, None], labels, labels).distances
    {0: 0.0, 1: 1.0}

    Source: Miyato and Koyama 2018, section 5.
    """
    check_feature_sets(NAME, real, fake)
    counts = [_counts(name, len(side), labels) for name, side, labels in (("real", real, real_labels), ("fake", fake, fake_labels))]
    classes = sorted(counts[0] | counts[1])
    problems = [
        f"{NAME}: class {label} has {counts[0].get(label, 0)} real and {counts[1].get(label, 0)} fake samples; "
        "give as many of one side as of the other, 2 or more"
        for label in classes
        if counts[0].get(label, 0) != counts[1].get(label, 0) or counts[0].get(label, 0) < 2
    ]
    if problems:
        raise InputError(problems)
    if needs_projection(real, real_labels, components):
        real, fake = projected(real, fake, components)
    return _by_class(real, fake, real_labels, fake_labels)


def _by_class(real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor) -> ByClass:
    classes, counts = real_labels.unique(return_counts=True)
    distances = {int(label): frechet_distance(real[real_labels == label], fake[fake_labels == label]) for label in classes}
    return ByClass(distances, dict(zip(distances, counts.tolist(), strict=True)), real.shape[1])


def needs_projection(real: Tensor, real_labels: Tensor, components: int) -> bool:
    """Whether the covariance of the smallest real class would be rough: n <= 2 d, and there are fewer components than features."""
    smallest = int(real_labels.unique(return_counts=True)[1].min())
    return smallest <= 2 * real.shape[1] and components < real.shape[1]


def projected(real: Tensor, fake: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Both sides in the first principal components of the reals, float64, `[n, components]`; all there are when n is smaller."""
    import scipy.linalg

    moments = Moments.of(real)
    if moments.has_covariance:
        d = len(moments.mean)
        _, axes = scipy.linalg.eigh(moments.spread.numpy(), subset_by_index=[d - components, d - 1], check_finite=False)
    else:
        axes = np.linalg.svd(moments.spread.numpy(), full_matrices=False)[2][:components].T
    basis = torch.from_numpy(np.ascontiguousarray(axes))
    return (real.cpu().double() - moments.mean) @ basis, (fake.cpu().double() - moments.mean) @ basis


def equal_counts(labels: tuple[Tensor, Tensor], orders: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Which samples of either side to keep so that every class has as many of both: the first of a shuffle, in the data's order.

    >>> labels = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    >>> equal_counts(labels, (torch.tensor([1, 0, 2]), torch.tensor([0, 1, 2])))
    (tensor([1, 2]), tensor([0, 1]))
    """
    kept: tuple[list[Tensor], list[Tensor]] = ([], [])
    for label in torch.cat(labels).unique():
        found = [order[side[order] == label] for side, order in zip(labels, orders, strict=True)]
        count = min(len(found[0]), len(found[1]))
        for chosen, rows in zip(kept, found, strict=True):
            chosen.append(rows[:count])
    return torch.cat(kept[0]).sort().values, torch.cat(kept[1]).sort().values


def _counts(side: str, n: int, labels: Tensor) -> dict[int, int]:
    if labels.shape != (n,):
        raise InputError([f"{NAME}: {side} labels have the shape {tuple(labels.shape)}; {n} samples need ({n},)"])
    values, counts = labels.unique(return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


class ClassConditionalFrechetDistance(Measure):
    """FD class by class, on equally many of both sides: the mean over the classes, and the worst class.

    >>> from saddlepoint.measures.evidence import Sample
    >>> points, labels = torch.tensor([[0.0], [2.0], [5.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    >>> evidence = Evidence(*(Sample(x, x, labels=labels) for x in (points, points + labels[:, None])))
    >>> estimates = ClassConditionalFrechetDistance()(evidence, Streams(0))
    >>> [estimate.mean for estimate in estimates.values()]
    [0.5, 1.0]
    """

    name: ClassVar[str] = NAME
    quantities: ClassVar[Mapping[str, Quantity]] = {
        NAME: Quantity("intra-FD ({extractor})", higher_is_better=False),
        WORST: Quantity("intra-FD ({extractor}), worst class", higher_is_better=False),
    }
    uses: ClassVar[frozenset[Use]] = frozenset({"labels"})
    bibtex: ClassVar[str] = """@inproceedings{miyato2018cgans,
  title={c{GANs} with projection discriminator},
  author={Miyato, Takeru and Koyama, Masanori},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    components: int = Field(default=64, ge=1, description="principal components of the reals, when a class has n <= 2 d")

    def problems(self, evidence: Evidence) -> list[str]:
        found = super().problems(evidence)
        if found or evidence.real.labels is None or evidence.fake.labels is None:
            return found
        sides = (("real", evidence.real.labels), ("fake", evidence.fake.labels))
        classes = torch.cat([evidence.real.labels, evidence.fake.labels]).unique().tolist()
        return [
            f"{NAME}: class {label} has {count} {side} samples; give 2 or more of every class"
            for label in classes
            for side, labels in sides
            if (count := int((labels == label).sum())) < 2
        ]

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        sides = (evidence.real, evidence.fake)
        labels = tuple(side.labels.cpu() for side in sides if side.labels is not None)
        features = (evidence.real.features, evidence.fake.features)
        if needs_projection(features[0], labels[0], self.components):
            features = projected(*features, self.components)
        orders = (
            streams.order(f"{NAME} real", len(sides[0]), len(sides[0])),
            streams.order(f"{NAME} fake", len(sides[1]), len(sides[1])),
        )
        rows = equal_counts((labels[0], labels[1]), orders)
        found = _by_class(features[0][rows[0]], features[1][rows[1]], labels[0][rows[0]], labels[1][rows[1]])
        smallest = min(found.counts.values())
        notes = few_samples({"samples of a class, real and fake,": smallest}, found.features)
        if smallest < ENOUGH:
            notes += (f"the smallest class has {smallest:,} samples of each side, fewer than {ENOUGH:,}: biased upward",)
        if found.features < evidence.real.features.shape[1]:
            notes += (f"intra-fd{found.features}: in the first {found.features} principal components of the reals",)
        details = {
            "by class": {str(label): value for label, value in found.distances.items()},
            "samples by class": {str(label): count for label, count in found.counts.items()},
            "features": found.features,
        }
        worst = {"class": found.worst, **details}
        return {
            NAME: Estimate(found.mean, sum(found.counts.values()), notes=notes, details=details),
            WORST: Estimate(found.distances[found.worst], found.counts[found.worst], notes=notes, details=worst),
        }
