"""Modes of mixtures and classes of images, counted: true samples, one mode, invariances, SciPy's entropy and chi-squared test."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, entropy
from torch import Tensor

from saddlepoint.data.gaussians import EightGaussians
from saddlepoint.errors import InputError
from saddlepoint.measures.class_modes import ClassModesCounted, class_modes
from saddlepoint.measures.evidence import Evidence, GaussianMixture, Sample
from saddlepoint.measures.modes import ModesCounted, binomial_interval, expected_unseen, modes
from saddlepoint.streams import Streams

SOURCE = EightGaussians(radius=2.0, std=0.02).open()
RING = GaussianMixture(SOURCE.means, SOURCE.std)


def ring(n: int, components: int = 8) -> Tensor:
    """True samples of the first components."""
    streams = Streams(0, dtype=torch.float64)
    means = RING.means[streams.integers("component", components, n)]
    return means + RING.std * streams.normal("noise", n, 2)


def test_true_samples_find_every_mode() -> None:
    found = modes(ring(2500), RING)
    assert found.found == 8
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=4 * math.sqrt(0.0111 / 2500))
    assert found.divergence < 0.01
    assert sum(found.nearest) == 2500


def test_one_mode_is_one_and_as_far_from_uniform_as_can_be() -> None:
    found = modes(ring(1000, components=1), RING)
    assert found.found == 1
    assert found.divergence == pytest.approx(math.log(8), rel=1e-12)


def test_samples_far_from_every_mode() -> None:
    found = modes(torch.zeros(100, 2) + 0.01, RING)
    assert (found.found, found.high_quality) == (0, 0)
    assert math.isfinite(found.divergence)


def test_a_mode_counts_from_its_threshold_on() -> None:
    line = GaussianMixture(torch.tensor([[0.0], [100.0]], dtype=torch.float64), 1.0)
    for few, found in ((4, 1), (5, 2)):  # of 100 samples .1 * 100 / 2 = 5 are enough
        samples = torch.cat([torch.zeros(100 - few, 1), torch.full((few, 1), 100.0)])
        assert modes(samples, line).found == found
    assert modes(torch.tensor([[0.0], [103.0]]), line).found == 2, "one sample, 3 std away, of two"
    assert modes(torch.tensor([[0.0], [103.001]]), line).found == 1
    assert modes(torch.tensor([[0.0], [103.001]]), line).high_quality == 0.5


def test_kl_is_scipys_entropy_of_nearest_means() -> None:
    samples = ring(300, components=5) + 0.3
    counts = np.bincount([min(range(8), key=lambda k: math.dist(x, RING.means[k])) for x in samples], minlength=8)
    assert modes(samples, RING).divergence == pytest.approx(entropy(counts, np.ones(8)), rel=1e-10)


def test_rotation_relabelling_and_order_change_nothing() -> None:
    samples = ring(500, components=6)
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    order = Streams(1).order("order", 8, 8)
    plain = modes(samples, RING)[:3]
    assert modes(samples @ turn.mT, GaussianMixture(RING.means @ turn.mT, RING.std))[:3] == pytest.approx(plain)
    assert modes(samples.flip(0), GaussianMixture(RING.means[order], RING.std))[:3] == pytest.approx(plain)


def test_unseen_by_chance() -> None:
    draws = np.random.default_rng(0).integers(10, size=(2000, 20))
    missed = np.mean([10 - len(set(row)) for row in draws])
    assert expected_unseen(torch.full((10,), 0.1), 20) == pytest.approx(missed, abs=0.1)
    m = math.ceil(8 * math.log(800))
    assert expected_unseen(torch.full((8,), 1 / 8), m) < 0.0101


def test_interval_of_a_share_is_clopper_and_pearsons() -> None:
    from scipy.stats import binomtest

    for hits, n in ((0, 10), (3, 10), (10, 10), (70, 100)):
        assert binomial_interval(hits, n) == pytest.approx(binomtest(hits, n).proportion_ci(method="exact"), abs=1e-9)


def evidence(samples: Tensor, mixture: GaussianMixture | None = RING) -> Evidence:
    fake = Sample(samples, torch.zeros(len(samples), 1))
    return Evidence(Sample(ring(50), torch.zeros(50, 1)), fake, mixture=mixture)


def test_the_record_says_what_is_rough() -> None:
    found = ModesCounted()(evidence(ring(2500)), Streams(0))
    assert found["modes"].mean == 8
    assert found["modes"].notes == ()
    assert found["high-quality"].details["of true samples"] == pytest.approx(0.98889, abs=1e-5)
    low, high = found["high-quality"].interval or (1.0, 0.0)
    assert low < 1 - math.exp(-4.5) < high
    few = ModesCounted()(evidence(ring(10)), Streams(0))["modes"]
    assert "missed by chance" in few.notes[0]
    melted = GaussianMixture(EightGaussians().open().means, 1.0)
    with pytest.raises(InputError, match=r"2\.3 std apart, so components overlap"):
        ModesCounted()(evidence(ring(2500), melted), Streams(0))


def test_modes_refuse_by_name() -> None:
    with pytest.raises(InputError, match="needs mixture"):
        ModesCounted()(evidence(ring(50), mixture=None), Streams(0))
    with pytest.raises(InputError, match=r"mixture is of points \[m, 2\]"):
        ModesCounted()(evidence(torch.zeros(50, 3)), Streams(0))
    with pytest.raises(InputError, match="NaN"):
        ModesCounted()(evidence(torch.full((50, 2), math.nan)), Streams(0))


def counts(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize(
    ("real", "fake"),
    [(counts(50, 30, 20), counts(40, 40, 20)), (counts(5, 0, 9), counts(30, 0, 10)), (counts(1, 2), counts(300, 10))],
)
def test_classes_against_scipy(real: Tensor, fake: Tensor) -> None:
    found = class_modes(real, fake)
    table = torch.stack([real, fake])[:, (real + fake) > 0].numpy()
    expected = chi2_contingency(table, correction=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.smallest == pytest.approx(expected.expected_freq.min())
    held = real > 0
    assert found.divergence == pytest.approx(entropy(fake[held], real[held]), rel=1e-9)


def test_classes_found() -> None:
    real = counts(100, 100, 200, 0)
    assert class_modes(real, real) == (3, 0.0, 1.0, 100.0)
    assert class_modes(real, counts(5, 95, 0, 0)).found == 2, "exactly .2 of a fourth"
    assert class_modes(real, counts(4, 96, 0, 0)).found == 1
    assert class_modes(counts(50, 50), counts(100, 0)).divergence == pytest.approx(math.log(2))
    assert class_modes(real, counts(100, 100, 199, 1)).divergence == math.inf
    assert class_modes(counts(9, 0), counts(4, 0)).p_value == 1
    for bad in (counts(1), counts(-1, 2), counts(0, 0)):
        with pytest.raises(InputError, match="two histograms"):
            class_modes(counts(1, 1), bad)


def test_p_values_of_equal_shares_are_uniform() -> None:
    rng = np.random.default_rng(0)

    def histogram(n: int) -> Tensor:
        return torch.from_numpy(rng.multinomial(n, [0.1, 0.2, 0.3, 0.4]))

    values = [class_modes(histogram(300), histogram(500)).p_value for _ in range(400)]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.035)


def classified(numbers: Tensor, classes: int, labels: bool = False) -> Sample:
    """Samples that the classifier takes for these classes."""
    logits = torch.nn.functional.one_hot(numbers, classes).float() * 5
    return Sample(torch.zeros(len(numbers), 1, 8, 8, dtype=torch.uint8), logits, logits, numbers.roll(1) if labels else None)


def test_the_record_has_both_histograms() -> None:
    real, fake = torch.arange(1000) % 4, torch.arange(900) % 3
    found = ClassModesCounted()(Evidence(classified(real, 4, labels=True), classified(fake, 4)), Streams(0))
    assert found["classes"].mean == 3
    assert found["class-kl"].mean == pytest.approx(math.log(4 / 3))
    assert found["class-p"].mean < 1e-9
    assert found["classes"].details["fakes, by the classifier"] == [300, 300, 300, 0]
    assert found["classes"].details["reals, by their labels"] == [250] * 4
    assert found["classes"].n == 900


def test_a_class_that_no_real_has_leaves_the_divergence_out_and_says_so() -> None:
    real, fake = torch.arange(30) % 2, torch.arange(30) % 3
    found = ClassModesCounted()(Evidence(classified(real, 3), classified(fake, 3)), Streams(0))
    assert "class-kl" not in found
    assert "classes [2]" in found["classes"].notes[-1]


def test_few_samples_are_said() -> None:
    few = torch.arange(8) % 4
    found = ClassModesCounted()(Evidence(classified(few, 4), classified(few, 4)), Streams(0))
    assert "missed by chance" in found["classes"].notes[0]
    assert "below 5" in found["class-p"].notes[-1]


def test_classes_refuse_by_name() -> None:
    sample = classified(torch.arange(8) % 4, 4)
    bare = Sample(sample.images, sample.features)
    with pytest.raises(InputError, match="needs logits"):
        ClassModesCounted()(Evidence(sample, bare), Streams(0))
    assert sample.logits is not None
    broken = Sample(sample.images, sample.features, sample.logits * math.nan)
    with pytest.raises(InputError, match="fake samples have logits"):
        ClassModesCounted()(Evidence(sample, broken), Streams(0))
