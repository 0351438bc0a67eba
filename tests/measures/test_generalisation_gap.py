"""A fresh discriminator tells apart what differs and not what does not; copies of the training set are seen both ways."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.frechet_distance import frechet_distance
from saddlepoint.measures.generalisation_gap import GeneralisationGap, frechet_gap, net_distance
from saddlepoint.streams import Streams


def draws(name: str, n: int, d: int, seed: int = 0) -> Tensor:
    return Streams(seed).normal(name, n, d)


def sample(points: Tensor) -> Sample:
    return Sample(points, points)


def test_sets_far_apart_are_1_apart_and_the_sign_does_not_turn() -> None:
    near, far = draws("a", 60, 2), draws("b", 60, 2) + 8
    for first, second in ((near, far), (far, near)):
        assert net_distance(first, second, Streams(0), updates=100).value > 0.9


def test_half_apart() -> None:
    """Half of the second set lies far away: with densities a, b the ideal is 1/2 (.5^2 / 1.5 + .5^2 / .5) = 1/3."""
    first = draws("a", 400, 1)
    second = draws("b", 400, 1) + 20 * (torch.arange(400) % 2)[:, None]
    assert net_distance(first, second, Streams(0), updates=150).value == pytest.approx(1 / 3, abs=0.04)


def test_one_law_is_0_in_expectation_within_its_error() -> None:
    found = [net_distance(draws("a", 80, 8, s), draws("b", 80, 8, s), Streams(s), updates=30, batch=32) for s in range(30)]
    values = np.array([distance.value for distance in found])
    assert abs(values.mean()) < 3.5 * values.std() / math.sqrt(30)
    assert values.std() == pytest.approx(np.mean([distance.error for distance in found]), rel=0.35)


def test_images_too() -> None:
    dark = Streams(0).integers("dark", 100, 40, 1, 8, 8).to(torch.uint8)
    assert net_distance(dark, dark + 120, Streams(0), updates=80).value > 0.8


def test_copies_of_the_training_set_are_seen() -> None:
    train, held_out, fresh = (draws(name, 100, 40) for name in ("train", "held-out", "fresh"))
    measure = GeneralisationGap(repeats=2, updates=80, batch=32)

    def gaps(fake: Tensor) -> dict[str, tuple[float, float]]:
        evidence = Evidence(sample(held_out), sample(fake), train=sample(train), held_out=sample(held_out))
        return {name: (estimate.mean, estimate.error or 0.0) for name, estimate in measure(evidence, Streams(0)).items()}

    replay, honest = gaps(train.flip(0)), gaps(fresh)
    assert replay["net-distance-train"][0] < -0.1, "copies in the evaluated half were learned as reals"
    assert replay["generalisation-gap"][0] > 0.1
    assert abs(honest["generalisation-gap"][0]) < 4 * honest["generalisation-gap"][1]
    assert replay["frechet-gap"][0] == pytest.approx(frechet_distance(held_out, train), rel=1e-6)
    assert abs(honest["frechet-gap"][0]) < 4 * honest["frechet-gap"][1]
    assert honest["generalisation-gap"][0] == pytest.approx(honest["net-distance-held-out"][0] - honest["net-distance-train"][0])


def test_cheap_twin_by_its_blocks() -> None:
    train, held_out, fake = (draws(name, 47, 3) for name in ("train", "held-out", "fake"))
    edges = list(range(0, 41, 4))
    gaps = [frechet_distance(held_out[a:b], fake[a:b]) - frechet_distance(train[a:b], fake[a:b]) for a, b in pairwise(edges)]
    assert len(gaps) == 10
    found = frechet_gap(train, held_out, fake)
    assert found.value == pytest.approx(frechet_distance(held_out, fake) - frechet_distance(train, fake), rel=1e-9)
    assert found.error == pytest.approx(np.std(gaps, ddof=1) / math.sqrt(10), rel=1e-5)


def test_the_error_is_of_one_evaluation_and_of_the_mean_over_discriminators() -> None:
    sets = {name: sample(draws(name, 40, 3)) for name in ("train", "held-out", "fake")}
    evidence = Evidence(sets["held-out"], sets["fake"], train=sets["train"], held_out=sets["held-out"])
    found = GeneralisationGap(updates=10)(evidence, Streams(0))["net-distance-train"]
    streams = Streams(0)
    drawn = {name: points.rows(streams.order(f"generalisation gap {name}", 40, 40)).images for name, points in sets.items()}
    three = [net_distance(drawn["train"], drawn["fake"], streams, updates=10) for _ in range(3)]
    assert found.mean == pytest.approx(np.mean([one.value for one in three]))
    of_one = np.mean([one.error**2 for one in three])
    assert found.error == pytest.approx(math.sqrt(of_one + np.var([one.value for one in three], ddof=1) / 3))


def test_the_smallest_set_decides_the_size() -> None:
    sets = [sample(draws(name, n, 2)) for name, n in (("fake", 50), ("train", 70), ("held-out", 30))]
    found = GeneralisationGap(repeats=1, updates=5)(Evidence(sets[2], sets[0], train=sets[1], held_out=sets[2]), Streams(0))
    assert {estimate.n for estimate in found.values()} == {30}
    assert set(found) == set(GeneralisationGap.quantities)


def test_refusals() -> None:
    points = draws("a", 30, 2)
    with pytest.raises(InputError, match="two or more samples"):
        net_distance(points, points[:1], Streams(0))
    with pytest.raises(InputError, match="one size"):
        net_distance(points, points[:, :1], Streams(0))
    with pytest.raises(InputError, match="20 or more"):
        frechet_gap(points[:19], points[:19], points[:19])
    with pytest.raises(InputError, match="equally many"):
        frechet_gap(points[:29], points, points)
    few = Evidence(sample(points), sample(points), train=sample(points[:19]), held_out=sample(points * math.nan))
    with pytest.raises(InputError) as refused:
        GeneralisationGap()(few, Streams(0))
    assert ["19 training samples" in line or "held-out samples have features" in line for line in refused.value.problems] == [
        True,
        True,
    ]
