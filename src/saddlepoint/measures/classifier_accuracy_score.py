"""Classifier accuracy score (Ravuri & Vinyals 2019): what a classifier trained on fakes knows of the data, and in reverse."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample, Step, unwatched
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.probe import Probe
from saddlepoint.streams import Streams

STREAM = "classifier accuracy score"


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy over a test set, mean over classifiers.

    Args:
        mean: share of right answers.
        error: standard error: of the classifiers' mean and of the finite test set, added in squares.
        by_class: accuracy on the test samples of each class that has some.
    """

    mean: float
    error: float
    by_class: Mapping[int, float]


def trained_classifiers(
    samples: Tensor,
    labels: Tensor,
    reference: Tensor,
    classes: int,
    streams: Streams,
    *,
    seeds: int = 3,
    updates: int = 200,
    batch: int = 64,
    step: Step = unwatched,
) -> list[Probe]:
    """Small classifiers trained on labelled samples, one a seed: `updates` of Adam on cross-entropy, no augmentation.

    Args:
        samples: uint8 `[n, C, H, W]`, or points `[n, d]`.
        labels: int64 `[n]`, 0 to `classes` - 1.
        reference: points that decide how points are centred and scaled; of images only the shape.
        streams: first weights and batches; the same state gives the same classifiers.
        step: told of each update, of `seeds * updates`.

    Raises:
        InputError: no samples, or labels that do not fit.
    """
    problems = _mislabelled("training", samples, labels, classes)
    if problems:
        raise InputError(problems)
    found = []
    for _ in range(seeds):
        probe = Probe(reference, classes, streams, STREAM)
        batches = streams.order(f"{STREAM} batches", len(samples), updates * batch).reshape(updates, batch)
        probe.train_on(samples, batches, lambda answers, rows: F.cross_entropy(answers, labels[rows]), step)
        found.append(probe)
    return found


def accuracy(classifiers: list[Probe], samples: Tensor, labels: Tensor) -> Accuracy:
    """How often the classifiers are right about labelled samples.

    Raises:
        InputError: no samples, or not a label for each.
    """
    problems = _mislabelled("test", samples, labels, int(labels.max()) + 1 if labels.numel() else 0)
    if problems:
        raise InputError(problems)
    right = torch.stack([(probe.answers(samples).argmax(1) == labels).double() for probe in classifiers])
    by_seed, mean = right.mean(1), float(right.mean())
    between = float(by_seed.var()) / len(by_seed) if len(by_seed) > 1 else 0.0
    error = math.sqrt(between + mean * (1 - mean) / len(labels))
    return Accuracy(mean, error, {int(k): float(right[:, labels == k].mean()) for k in labels.unique()})


def classifier_accuracy_score(
    fake: Tensor,
    fake_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    streams: Streams,
    *,
    step: Step = unwatched,
    **budget: int,
) -> Accuracy:
    """Accuracy on real test samples of classifiers trained on labelled fakes. The reverse: exchange the two sets.

    Args:
        fake, test: uint8 `[n, C, H, W]`, or points `[n, d]`.
        fake_labels, test_labels: int64 `[n]`.
        step: told of each update.
        budget: `seeds`, `updates` and `batch` of `trained_classifiers`.

    Raises:
        InputError: a side is empty, or has not a label for each sample.

    >>> points, labels = torch.tensor([[0.0], [1.0], [8.0], [9.0]]), torch.tensor([0, 0, 1, 1])
    >>> classifier_accuracy_score(points, labels, points + 0.1, labels, Streams(0), seeds=2, updates=50).mean
    1.0

    Source: Ravuri and Vinyals 2019, section 3; the classifier is ours.
    """
    classes = 1 + max(int(labels.max()) if labels.numel() else 0 for labels in (fake_labels, test_labels))
    classifiers = trained_classifiers(fake, fake_labels, test, classes, streams, step=step, **budget)
    return accuracy(classifiers, test, test_labels)


def _mislabelled(what: str, samples: Tensor, labels: Tensor, classes: int) -> list[str]:
    if len(samples) == 0 or labels.shape != (len(samples),):
        return [
            f"classifier-accuracy-score: {len(samples)} {what} samples with labels {tuple(labels.shape)}; give a label for each"
        ]
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        return [
            f"classifier-accuracy-score: {what} labels from {int(labels.min())} to {int(labels.max())}; give 0 to {classes - 1}"
        ]
    return []


class ClassifierAccuracyScore(Measure):
    """The score, its reverse, and the real-trained score at the same number of samples, by the same networks and budget."""

    name: ClassVar[str] = "classifier-accuracy-score"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "classifier-accuracy-score": Quantity("accuracy on reals, trained on fakes", higher_is_better=True),
        "reverse-classifier-accuracy-score": Quantity("accuracy on fakes, trained on reals", higher_is_better=True),
        "real-trained-accuracy": Quantity("accuracy on reals, trained on reals", higher_is_better=None),
    }
    uses = frozenset({"labels", "train", "held-out"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{ravuri2019classification,
  title={Classification accuracy score for conditional generative models},
  author={Ravuri, Suman and Vinyals, Oriol},
  booktitle={Advances in Neural Information Processing Systems},
  year={2019}
}"""

    seeds: int = Field(default=3, ge=1, description="classifiers trained on each side")
    updates: int = Field(default=200, ge=1, description="of Adam, for each classifier")
    batch: int = Field(default=64, ge=1, description="samples in one update")

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        for side, sample in (("training", evidence.train), ("held-out", evidence.held_out)):
            if sample is not None and sample.labels is None:
                known.append(f"{self.name}: the {side} samples have no labels; choose data with labels")
            if sample is not None and sample.images.shape[1:] != evidence.fake.images.shape[1:]:
                shapes = f"{tuple(sample.images.shape[1:])} and {tuple(evidence.fake.images.shape[1:])}"
                known.append(f"{self.name}: {side} and fake samples have the shapes {shapes}; give both in one size")
        return known

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        fake, train, test = evidence.fake, evidence.train, evidence.held_out
        assert train is not None
        assert test is not None
        m = min(len(fake), len(train))
        classes = 1 + max(int(_labels(sample).max()) for sample in (fake, train, test))
        fakes, reals = (_chosen(sample, m, streams, side) for sample, side in ((fake, "fakes"), (train, "reals")))

        state = streams.state()
        step = evidence.steps(2 * self.seeds * self.updates)
        by_fakes = self._trained(fakes, train.images, classes, streams, step)
        streams.load_state(state)  # the same first weights and batches on both sides
        by_reals = self._trained(reals, train.images, classes, streams, step)

        return {
            "classifier-accuracy-score": _estimate(accuracy(by_fakes, test.images, _labels(test)), m, m, len(test)),
            "reverse-classifier-accuracy-score": _estimate(accuracy(by_reals, fake.images, _labels(fake)), len(fake), m, len(fake)),
            "real-trained-accuracy": _estimate(accuracy(by_reals, test.images, _labels(test)), m, m, len(test)),
        }

    def _trained(self, sample: Sample, reference: Tensor, classes: int, streams: Streams, step: Step) -> list[Probe]:
        budget = {"seeds": self.seeds, "updates": self.updates, "batch": self.batch}
        return trained_classifiers(sample.images, _labels(sample), reference, classes, streams, **budget, step=step)


def _labels(sample: Sample) -> Tensor:
    assert sample.labels is not None
    return sample.labels


def _chosen(sample: Sample, m: int, streams: Streams, side: str) -> Sample:
    """`m` of the samples, drawn without replacement; all as they stand if they are no more."""
    return sample if len(sample) == m else sample.rows(streams.order(f"{STREAM} {side}", len(sample), m))


def _estimate(found: Accuracy, n: int, trained_on: int, tested_on: int) -> Estimate:
    details: dict[str, Any] = {
        "by class": {str(label): value for label, value in found.by_class.items()},
        "trained on": trained_on,
        "tested on": tested_on,
    }
    return Estimate(found.mean, n, found.error, details=details)
