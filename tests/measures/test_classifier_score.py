"""The classifier score: its bounds, its invariances, its splits, and refusals."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics.image.inception import InceptionScore

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES, classifier_score
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate
from saddlepoint.streams import Streams

NAME = "classifier-score"


def logits(seed: int, n: int = 200, classes: int = 6) -> Tensor:
    return 3 * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed))


def by_loops(part: Tensor) -> float:
    """The definition, sample by sample, class by class."""
    p = part.double().softmax(1).tolist()
    q = [sum(row[y] for row in p) / len(p) for y in range(len(p[0]))]
    divergences = [sum(row[y] * math.log(row[y] / q[y]) for y in range(len(row))) for row in p]
    return math.exp(sum(divergences) / len(p))


@pytest.mark.parametrize(("n", "splits"), [(200, 10), (53, 10), (10, 10), (7, 1), (9, 4)])
def test_equals_the_definition_on_consecutive_parts(n: int, splits: int) -> None:
    seen = logits(0, n)
    order = Streams(0).order("order", n, n)
    score = classifier_score(seen, order, splits)
    parts = [by_loops(seen[order][i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    assert score.splits == pytest.approx(parts, rel=1e-10)
    assert score.mean == pytest.approx(sum(parts) / splits, rel=1e-10)
    spread = math.sqrt(sum((part - score.mean) ** 2 for part in parts) / splits)
    assert score.std == pytest.approx(spread, rel=1e-9, abs=1e-12)


def test_equals_torchmetrics() -> None:
    seen = logits(1, 300, 10)
    theirs = InceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(seen)
    assert classifier_score(seen, splits=1).mean == pytest.approx(theirs.compute()[0].item(), rel=1e-5)


def test_between_1_and_k() -> None:
    assert 1 < classifier_score(logits(0)).mean < 6
    sharp = 1000 * torch.eye(6).repeat(20, 1)
    assert classifier_score(sharp).mean == pytest.approx(6, rel=1e-12)
    assert classifier_score(sharp, splits=1).mean == pytest.approx(6, rel=1e-12)
    assert classifier_score(logits(0, 1).repeat(50, 1)).mean == pytest.approx(1, rel=1e-12)


def test_far_logits_do_not_overflow() -> None:
    seen = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]]).repeat(10, 1)
    assert classifier_score(seen).mean == pytest.approx(2, rel=1e-12)


def test_invariant_to_the_classes_order_and_to_a_constant() -> None:
    seen = logits(0)
    score = classifier_score(seen)
    assert classifier_score(seen[:, [3, 1, 0, 5, 4, 2]]).mean == pytest.approx(score.mean, rel=1e-10)
    assert classifier_score(seen.double() + logits(1, 200, 1).double()).mean == pytest.approx(score.mean, rel=1e-10)
    assert classifier_score(seen.flip(0), splits=1).mean == pytest.approx(classifier_score(seen, splits=1).mean, rel=1e-10)


def test_equal_splits_have_no_spread() -> None:
    score = classifier_score(logits(0, 20).repeat(10, 1))
    assert score.std == pytest.approx(0, abs=1e-12)
    assert score.mean == pytest.approx(by_loops(logits(0, 20)), rel=1e-10)


@pytest.mark.parametrize(
    ("seen", "order", "said"),
    [
        (torch.zeros(9, 3), None, r"the logits have the shape \(9, 3\); 10 splits need \[n, K\], n >= 10"),
        (torch.zeros(9), None, r"the logits have the shape \(9,\)"),
        (torch.full((20, 3), torch.nan), None, "20 of 20 samples have logits that are NaN, infinite"),
        (torch.zeros(20, 3), torch.zeros(20, dtype=torch.int64), "no shuffle of the 20 samples"),
        (torch.zeros(20, 3), torch.arange(19), "no shuffle of the 20 samples"),
    ],
)
def test_refused(seen: Tensor, order: Tensor | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        classifier_score(seen, order)


def measured(seen: Tensor, seed: int = 0, **fields: Any) -> Estimate:
    other = Sample(torch.zeros(50, 2), torch.zeros(50, 2), torch.zeros(50, seen.shape[1]))
    fake = Sample(torch.zeros(len(seen), 2), torch.zeros(len(seen), 2), seen)
    return MEASURES[NAME](**fields)(Evidence(other, fake), Streams(seed))[NAME]


def test_the_record_shuffles_sorted_classes() -> None:
    sorted_classes = (20 * torch.eye(4)).repeat_interleave(100, 0)
    assert classifier_score(sorted_classes).mean < 1.5
    estimate = measured(sorted_classes)
    assert estimate.mean > 3.8
    assert estimate.n == 400
    assert measured(sorted_classes) == estimate
    assert measured(sorted_classes, seed=1).mean != estimate.mean
    order = Streams(0).order(NAME, 400, 400)
    score = classifier_score(sorted_classes, order)
    assert estimate.mean == score.mean
    assert estimate.details["std over splits"] == score.std
    assert estimate.error == pytest.approx(score.std / 3)  # population over ten, sample over nine, by the root of ten
    assert estimate.notes == ()


def test_the_record_says_when_a_split_is_small() -> None:
    (note,) = measured(logits(0, 590)).notes
    assert "59 samples a split for 6 classes: biased downward, and at most 6 by construction" in note
    assert measured(logits(0, 600)).notes == ()
    (note,) = measured(logits(0, 20)).notes
    assert "at most 2 by construction" in note


def test_one_split_has_no_error() -> None:
    estimate = measured(logits(0, 600), splits=1)
    assert estimate.error is None
    assert estimate.interval is None


def test_the_record_refuses() -> None:
    with pytest.raises(InputError, match="9 fake samples are too few; give 10 or more"):
        measured(logits(0, 9))
    points = Sample(torch.zeros(20, 2), torch.zeros(20, 2))
    with pytest.raises(InputError, match="needs logits; choose an extractor with a classifier"):
        MEASURES[NAME]()(Evidence(points, points), Streams(0))
