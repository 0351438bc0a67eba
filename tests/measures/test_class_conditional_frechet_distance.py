"""FD by class: what plain FD cannot see, the projection, equal counts, missing labels."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES, class_conditional_frechet_distance, frechet_distance
from saddlepoint.measures.class_conditional_frechet_distance import projected
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Estimate
from saddlepoint.streams import Streams

NAME = "class-conditional-frechet-distance"
CLASSES = 4


def classes(seed: int, each: int, d: int) -> tuple[Tensor, Tensor]:
    """Labelled features, float64: classes far apart, of different spread, in mixed order."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES * each) % CLASSES
    noise = torch.randn(len(labels), d, generator=generator, dtype=torch.float64)
    centres = 5 * torch.randn(CLASSES, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return centres[labels] + noise * (1 + labels[:, None]), labels


def measure(
    real: tuple[Tensor, Tensor | None], fake: tuple[Tensor, Tensor | None], seed: int = 0, **fields: Any
) -> tuple[Estimate, Estimate]:
    evidence = Evidence(Sample(real[0], real[0], labels=real[1]), Sample(fake[0], fake[0], labels=fake[1]))
    estimates = MEASURES[NAME](**fields)(evidence, Streams(seed))
    assert list(estimates) == [NAME, f"{NAME}-worst"]
    return estimates[NAME], estimates[f"{NAME}-worst"]


def test_each_class_is_its_own_distance() -> None:
    (real, labels), (fake, _) = classes(0, 30, 5), classes(1, 30, 5)
    found = class_conditional_frechet_distance(real, fake, labels, labels)
    expected = {label: frechet_distance(real[labels == label], fake[labels == label]) for label in range(CLASSES)}
    assert found.distances == expected
    assert found.mean == pytest.approx(sum(expected.values()) / CLASSES)
    assert found.distances[found.worst] == max(expected.values())
    assert found.counts == dict.fromkeys(range(CLASSES), 30)


def test_one_class_is_plain_fd() -> None:
    (real, labels), (fake, _) = classes(0, 30, 5), classes(1, 30, 5)
    one = torch.zeros_like(labels)
    assert class_conditional_frechet_distance(real, fake, one, one).mean == frechet_distance(real, fake)


def test_permuted_labels_are_seen_though_plain_fd_is_blind() -> None:
    (real, labels), (fake, _) = classes(0, 100, 5), classes(1, 100, 5)
    right, _ = measure((real, labels), (fake, labels))
    wrong, _ = measure((real, labels), (fake, labels[torch.arange(len(labels)).roll(1)]))
    assert wrong.mean > 20 * right.mean
    shuffled, _ = measure((real, labels), (fake, labels[Streams(0).order("labels", 400, 400)]))
    assert shuffled.mean > 20 * right.mean


def test_the_worst_class_is_named() -> None:
    (real, labels), (fake, _) = classes(0, 50, 3), classes(1, 50, 3)
    fake = fake + 10 * (labels == 2)[:, None]
    mean, worst = measure((real, labels), (fake, labels))
    assert worst.details["class"] == 2
    assert worst.mean == mean.details["by class"]["2"]
    assert worst.mean > 10 * mean.details["by class"]["1"]
    assert mean.mean == pytest.approx(sum(mean.details["by class"].values()) / CLASSES)
    assert worst.n == 50
    assert mean.n == 200


def test_few_samples_a_class_are_projected_to_components_of_all_reals() -> None:
    d = 70
    (real, labels), (fake, _) = classes(0, 2 * d, d), classes(1, 2 * d, d)
    reference = PCA(64).fit(real.numpy())
    x, y = (torch.from_numpy(reference.transform(side.numpy())) for side in (real, fake))
    expected = [frechet_distance(x[labels == label], y[labels == label]) for label in range(CLASSES)]
    mean, _ = measure((real, labels), (fake, labels))
    assert list(mean.details["by class"].values()) == pytest.approx(expected, rel=1e-6)
    assert mean.details["features"] == 64
    assert any(note.startswith("intra-fd64") for note in mean.notes)

    (real, labels), (fake, _) = classes(0, 2 * d + 1, d), classes(1, 2 * d + 1, d)
    enough, _ = measure((real, labels), (fake, labels))
    assert enough.details["features"] == d
    assert not any("intra-fd" in note for note in enough.notes)


def test_the_space_depends_on_the_reals_alone() -> None:
    real, fake = classes(0, 10, 20)[0], classes(1, 10, 20)[0]
    for other in (fake, 100 * fake[:7]):
        np.testing.assert_array_equal(projected(real, other, 6)[0], projected(real, fake, 6)[0])
    few = projected(real[:5], fake, 6)
    reference = PCA(5, svd_solver="full").fit(real[:5].numpy())
    np.testing.assert_allclose(few[1].abs()[:, :4], np.abs(reference.transform(fake.numpy()))[:, :4], rtol=1e-7, atol=1e-9)


def test_equal_counts_are_asserted_by_the_function_and_made_by_the_record() -> None:
    (real, labels), (fake, _) = classes(0, 40, 3), classes(1, 40, 3)
    keep = torch.ones(160, dtype=torch.bool)
    keep[labels == 1] = torch.arange(40) < 25
    with pytest.raises(InputError, match="class 1 has 40 real and 25 fake samples"):
        class_conditional_frechet_distance(real, fake[keep], labels, labels[keep])
    mean, _ = measure((real, labels), (fake[keep], labels[keep]))
    assert mean.details["samples by class"] == {"0": 40, "1": 25, "2": 40, "3": 40}
    untouched = class_conditional_frechet_distance(real, fake, labels, labels)
    assert mean.details["by class"]["0"] == pytest.approx(untouched.distances[0], rel=1e-10)
    assert mean.details["by class"]["1"] != pytest.approx(untouched.distances[1], rel=1e-3)
    again, _ = measure((real, labels), (fake[keep], labels[keep]))
    assert again == mean
    other, _ = measure((real, labels), (fake[keep], labels[keep]), seed=1)
    assert other.details["by class"]["1"] != mean.details["by class"]["1"]


def test_the_order_of_samples_changes_nothing_at_equal_counts() -> None:
    (real, labels), (fake, _) = classes(0, 40, 3), classes(1, 40, 3)
    mean, _ = measure((real, labels), (fake, labels))
    other, _ = measure((real.flip(0), labels.flip(0)), (fake, labels), seed=5)
    assert other.mean == pytest.approx(mean.mean, rel=1e-10)


def test_missing_labels_and_classes_are_refused() -> None:
    (real, labels), (fake, _) = classes(0, 10, 3), classes(1, 10, 3)
    with pytest.raises(InputError, match="needs labels; both sides must be labelled"):
        measure((real, labels), (fake, None))
    with pytest.raises(InputError) as refusal:
        measure((real, labels), (fake, labels.clamp(max=2)))
    assert refusal.value.problems == (f"{NAME}: class 3 has 0 fake samples; give 2 or more of every class",)
    with pytest.raises(InputError, match="class 7 has 0 real samples"):
        measure((real, labels), (fake, torch.where(torch.arange(40) < 4, 7, labels)))
    with pytest.raises(InputError, match=r"fake labels have the shape \(39,\); 40 samples need \(40,\)"):
        class_conditional_frechet_distance(real, fake, labels, labels[1:])
    with pytest.raises(InputError, match="class 0 has 1 real and 1 fake"):
        class_conditional_frechet_distance(real[:2], fake[:2], torch.tensor([0, 1]), torch.tensor([0, 1]))


def test_notes_say_when_a_class_is_small() -> None:
    (real, labels), (fake, _) = classes(0, 30, 3), classes(1, 30, 3)
    (note,) = measure((real, labels), (fake, labels))[0].notes
    assert "the smallest class has 30 samples of each side, fewer than 1,000" in note
    (real, labels), (fake, _) = classes(0, 3, 3), classes(1, 3, 3)
    assert any("3 features: strongly biased upward" in note for note in measure((real, labels), (fake, labels))[0].notes)


def test_constant_images() -> None:
    labels = torch.arange(8) % 2
    mean, worst = measure((torch.zeros(8, 3), labels), (labels[:, None] * torch.ones(8, 3), labels))
    assert mean.mean == pytest.approx(1.5)
    assert worst.mean == pytest.approx(3)
