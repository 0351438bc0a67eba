"""The score both ways on real digits: resampled data, shuffled labels, one image a class, a dropped class."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.classifier_accuracy_score import (
    ClassifierAccuracyScore,
    accuracy,
    classifier_accuracy_score,
    trained_classifiers,
)
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate
from saddlepoint.measures.probe import Probe
from saddlepoint.streams import Streams

BUDGET = {"seeds": 2, "updates": 80, "batch": 32}


@cache
def digits() -> tuple[Sample, Sample]:
    """1,000 training and 300 held-out scans of 8 x 8, as bytes."""
    scans, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(np.round(scans.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8))
    whole = Sample(images, torch.zeros(len(images), 1), labels=torch.from_numpy(labels.astype(np.int64)))
    return whole.rows(slice(0, 1000)), whole.rows(slice(1000, 1300))


def labels_of(sample: Sample) -> Tensor:
    assert sample.labels is not None
    return sample.labels


def scores(fake: Sample, **fields: int) -> dict[str, Estimate]:
    train, held_out = digits()
    evidence = Evidence(held_out, fake, train=train, held_out=held_out)
    found = ClassifierAccuracyScore(**(BUDGET | fields))(evidence, Streams(0))
    assert set(found) == set(ClassifierAccuracyScore.quantities)
    return dict(found)


def test_the_training_set_itself_scores_what_real_trained_does_to_the_bit() -> None:
    found = scores(digits()[0])
    assert found["classifier-accuracy-score"] == found["real-trained-accuracy"]
    assert found["real-trained-accuracy"].mean > 0.8
    assert scores(digits()[0]) == found, "asked twice"


def test_a_bootstrap_of_the_training_set_scores_within_error() -> None:
    train = digits()[0]
    found = scores(train.rows(Streams(1).integers("bootstrap", 1000, 1000)))
    score, real = found["classifier-accuracy-score"], found["real-trained-accuracy"]
    assert score.error is not None
    assert real.error is not None
    assert abs(score.mean - real.mean) < 3 * math.hypot(score.error, real.error)


def test_shuffled_labels_know_nothing() -> None:
    train = digits()[0]
    shuffled = Sample(train.images, train.features, labels=labels_of(train)[Streams(1).order("labels", 1000, 1000)])
    found = scores(shuffled)
    assert found["classifier-accuracy-score"].mean < 0.25
    assert found["reverse-classifier-accuracy-score"].mean == pytest.approx(0.1, abs=0.04)


def test_one_image_a_class_is_easy_to_name_and_teaches_little() -> None:
    train = digits()[0]
    pixels, labels = train.images.flatten(1).float(), labels_of(train)
    means = torch.stack([pixels[labels == label].mean(0) for label in range(10)])
    apart = torch.cdist(means, pixels).masked_fill(torch.arange(10)[:, None] != labels, torch.inf)
    found = scores(train.rows(apart.argmin(1).repeat(100)))
    assert found["reverse-classifier-accuracy-score"].mean == 1
    assert found["classifier-accuracy-score"].mean < found["real-trained-accuracy"].mean - 0.05


def test_a_dropped_class_shows() -> None:
    train = digits()[0]
    found = scores(train.rows(labels_of(train) != 3))["classifier-accuracy-score"].details["by class"]
    assert found["3"] == 0
    assert all(value > 0.5 for label, value in found.items() if label != "3")


def test_both_sides_are_trained_on_the_same_number() -> None:
    train = digits()[0]
    found = scores(train.rows(slice(0, 200)), updates=5)
    assert found["real-trained-accuracy"].details["trained on"] == 200
    twice = Sample(train.images.repeat(2, 1, 1, 1), train.features.repeat(2, 1), labels=labels_of(train).repeat(2))
    found = scores(twice, updates=5)
    assert found["classifier-accuracy-score"].details["trained on"] == 1000
    assert found["reverse-classifier-accuracy-score"].n == 2000


def test_accuracy_by_hand() -> None:
    class Says(Probe):
        def __init__(self, answers: Tensor) -> None:
            torch.nn.Module.__init__(self)
            self.said = answers

        def answers(self, samples: Tensor) -> Tensor:
            return torch.nn.functional.one_hot(self.said, 3).float()

    labels = torch.tensor([0, 0, 1, 1, 2])
    found = accuracy([Says(torch.tensor([0, 0, 1, 2, 0])), Says(torch.tensor([0, 1, 1, 1, 2]))], torch.zeros(5, 1), labels)
    assert found.mean == pytest.approx(0.7)
    assert found.by_class == {0: 0.75, 1: 0.75, 2: 0.5}
    assert found.error == pytest.approx(math.sqrt(np.var([0.6, 0.8], ddof=1) / 2 + 0.7 * 0.3 / 5))


def test_points() -> None:
    points = Streams(0).normal("points", 90, 2) + 10 * torch.eye(3)[torch.arange(90) % 3][:, :2] + 1000
    labels = torch.arange(90) % 3
    assert classifier_accuracy_score(points, labels, points.flip(0), labels.flip(0), Streams(0), seeds=1, updates=150).mean > 0.95


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 32, 32), (1, 80, 50), (2, 4, 9)])
def test_any_image_is_seen(shape: tuple[int, ...]) -> None:
    images = Streams(0).integers("images", 256, 6, *shape).to(torch.uint8)
    probe = Probe(images, 4, Streams(0), "any")
    assert probe.answers(images).shape == (6, 4)
    assert max(probe.prepared(images).shape[2:]) <= 32
    assert probe.prepared(images).abs().max() <= 1


def test_refusals() -> None:
    train, held_out = digits()
    bare = Sample(train.images, train.features)
    for evidence, said in (
        (Evidence(held_out, bare, train=train, held_out=held_out), "needs labels"),
        (Evidence(held_out, train, train=bare, held_out=held_out), "training samples have no labels"),
        (Evidence(held_out, train, train=train, held_out=bare), "held-out samples have no labels"),
        (Evidence(held_out, train), "needs held-out"),
        (
            Evidence(
                held_out, train, train=train, held_out=Sample(held_out.images[..., :4], held_out.features, labels=held_out.labels)
            ),
            "one size",
        ),
    ):
        with pytest.raises(InputError, match=said):
            ClassifierAccuracyScore()(evidence, Streams(0))
    for labels, said in (
        (torch.zeros(3).long(), "a label for each"),
        (torch.full((1000,), -1), "labels from -1"),
        (torch.full((1000,), 9), "give 0 to 4"),
    ):
        with pytest.raises(InputError, match=said):
            trained_classifiers(train.images, labels, train.images, 5, Streams(0))
    with pytest.raises(InputError, match="0 test samples"):
        classifier_accuracy_score(train.images, labels_of(train), train.images[:0], labels_of(train)[:0], Streams(0), updates=1)
