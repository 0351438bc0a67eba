"""The birthday estimate: its maths against exact sums and SciPy, its decisions on controls whose support is known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.birthday import arora_zhang_bound, birthday_estimate, effective_size
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.near_duplicates import near_duplicates
from saddlepoint.measures.neighbour_pictures import pairs_picture
from saddlepoint.measures.support_size import Pool, SupportSize, Tried, distinct_reals, false_alarms, threshold
from saddlepoint.streams import Streams
from tests.measures.birthday_controls import Replaying, clothes, seen


def images(name: str, n: int) -> Tensor:
    return Streams(11).integers(name, 256, n, 1, 8, 8).to(torch.uint8)


def evidence(generator: Replaying, held_out: Tensor, train: Tensor) -> Evidence:
    few = seen(held_out[:30])
    return Evidence(few, few, train=seen(train), held_out=seen(held_out), generator=generator)


def no_collision(s: int, size: int) -> float:
    return math.prod(1 - i / size for i in range(s))


def test_the_half_way_size_and_the_named_square() -> None:
    found = birthday_estimate(25, 50, 400)
    assert found.size == pytest.approx(400 * 399 / (2 * math.log(2)))
    assert round(found.size) == 115_127
    assert found.squared == 160_000


@pytest.mark.parametrize(("collisions", "batches", "s"), [(0, 50, 60), (13, 50, 100), (50, 50, 40), (7, 20, 9)])
def test_the_interval_is_scipys_carried_through(collisions: int, batches: int, s: int) -> None:
    ends = binomtest(collisions, batches).proportion_ci(method="exact")
    found = birthday_estimate(collisions, batches, s, false_alarm=0.05, sensitivity=0.7)

    def size(p: float) -> float:
        corrected = max(0, (p - 0.05) / 0.95)
        return math.inf if corrected == 0 else 0.7 * s * (s - 1) / (-2 * math.log(1 - corrected)) if corrected < 1 else 0

    assert (found.low, found.high) == pytest.approx((size(ends.high), size(ends.low)))
    assert found.size == pytest.approx(size(collisions / batches))
    assert found.low <= found.size <= found.high


def test_uniform_support_of_a_thousand() -> None:
    """s = 37 of N = 1,000 collide in .490 of the batches, .486 by the exponential; the estimate undoes that."""
    frequency = 1 - no_collision(37, 1000)
    assert 1 - math.exp(-37 * 36 / 2000) == pytest.approx(0.486, abs=5e-4)
    assert frequency == pytest.approx(0.4905, abs=5e-4)
    draws = Streams(0).integers("uniform", 1000, 4000, 37)
    ordered = draws.sort(1).values
    collided = (ordered.diff(dim=1) == 0).any(1)
    collisions = int(collided.sum())
    assert collisions / 4000 == pytest.approx(frequency, abs=4 * math.sqrt(0.25 / 4000))
    found = birthday_estimate(collisions, 4000, 37)
    assert found.low < 1000 < found.high
    pairs = sum(int((row[:, None] == row[None]).triu(1).sum()) for row in draws)
    assert pairs / 4000 == pytest.approx(37 * 36 / 2000, rel=0.1)
    assert effective_size(pairs, 4000, 37) == pytest.approx(1000, rel=0.1)


def test_the_effective_size_of_a_support_that_is_not_uniform() -> None:
    """One heavy image makes the effective size small, however many others there are."""
    weights = torch.tensor([0.2] + [0.8 / 5000] * 5000)
    draws = torch.from_numpy(np.random.default_rng(0).choice(5001, size=(2000, 12), p=(weights / weights.sum()).numpy()))
    pairs = sum(int((row[:, None] == row[None]).triu(1).sum()) for row in draws)
    assert effective_size(pairs, 2000, 12) == pytest.approx(1 / float(weights.square().sum()), rel=0.1)


def test_false_alarms_and_blindness_are_corrected() -> None:
    """Batches collide by chance or by a seen duplicate; the estimate finds the size behind both."""
    size, s, alarm, seen_share = 3000, 80, 0.05, 0.6
    frequency = 1 - (1 - alarm) * math.exp(-seen_share * s * (s - 1) / (2 * size))
    found = birthday_estimate(round(frequency * 100_000), 100_000, s, false_alarm=alarm, sensitivity=seen_share)
    assert found.size == pytest.approx(size, rel=0.01)


def test_the_papers_bound() -> None:
    assert arora_zhang_bound(10_000, 0.5) == pytest.approx(10_000**2 / (2 * math.log(2)), rel=0.001)
    assert arora_zhang_bound(400, 0.5) > birthday_estimate(25, 50, 400).size
    assert arora_zhang_bound(400, 0.5, 0.9) == math.inf
    assert arora_zhang_bound(20, 0.9, 0.98) > 0


def test_impossible_counts_are_named() -> None:
    with pytest.raises(InputError) as caught:
        birthday_estimate(51, 50, 1, false_alarm=1)
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="at least one pair"):
        effective_size(0, 50, 10)
    with pytest.raises(InputError, match="g in"):
        arora_zhang_bound(10, 1.0)


def test_reals_are_distinct_and_disjoint_from_training() -> None:
    held_out, train = images("held-out", 40), images("train", 30)
    held_out = torch.cat([held_out, held_out[:5], train[:7]])
    first, second = distinct_reals(seen(held_out), seen(train), 1000)
    assert len(first) == len(second) == 20
    both = {bytes(image.numpy().tobytes()) for image in torch.cat([first.images, second.images])}
    assert both == {bytes(image.numpy().tobytes()) for image in held_out[:40]}
    shuffled = seen(held_out[torch.randperm(len(held_out))])
    assert torch.equal(distinct_reals(shuffled, seen(train), 1000)[0].images, first.images)
    same_features = Sample(images("held-out", 40), torch.zeros(40, 3))
    assert len(distinct_reals(same_features, seen(train), 1000)[1]) == 0


@pytest.mark.parametrize("s", [5, 30])
def test_the_threshold_is_the_quantile_of_smallest_distances(s: int) -> None:
    """Against fresh batches, each searched by a double loop."""
    points, others = Streams(1).normal("first", 400, 6), Streams(1).normal("second", 400, 6)
    limit = threshold(Pool(points), s, Streams(2))

    def smallest(batch: Tensor) -> float:
        return float(torch.pdist(batch.double()).min())

    chosen = Streams(3).uniform("batches", 2000, 400).argsort(1)[:, :s]
    alarms = np.mean([smallest(points[rows]) < limit for rows in chosen])
    assert alarms == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 * (1 / 1000 + 1 / 2000)))
    expected = np.mean([smallest(others[rows]) < limit for rows in chosen])
    assert false_alarms(Pool(others), limit, s, Streams(4)) == pytest.approx(expected, abs=0.04)
    assert Pool(points).below(limit) == int((torch.pdist(points.double()) < limit).sum())


def test_batches_and_pairs_below_the_threshold_are_counted() -> None:
    tried = Tried(s=40, limit=1.0, false_alarms=0.05, real_pairs=0.0, batches=3, sensitivity=1.0, by_kind={})
    batches = [Streams(seed).normal("batch", 40, 3) * scale for seed, scale in ((0, 1.0), (1, 0.1), (2, 50.0))]
    for number, batch in enumerate(batches):
        tried.see(batch, 40 * number)
    apart = [torch.pdist(batch.double()) for batch in batches]
    assert tried.collisions == sum(bool((gaps < 1).any()) for gaps in apart) == 2
    assert tried.pairs == sum(int((gaps < 1).sum()) for gaps in apart)
    assert [distance for distance, _, _ in tried.closest] == pytest.approx(torch.cat(apart).sort().values[:20].tolist())
    distance, first, second = tried.closest[0]
    assert distance == pytest.approx(float((torch.cat(batches)[first].double() - torch.cat(batches)[second].double()).norm()))


def test_near_duplicates_are_near() -> None:
    """Each kind is what it says: nearer than different images; JPEG and noise nearer than a shift."""
    generator = Replaying(clothes(200), 0, perturbed=False)
    one, other, made = near_duplicates(generator, 160, Streams(0))
    apart = (one.images.float() - other.images.float()).flatten(1).norm(dim=1)
    mixed = (one.images.float() - other.images.roll(1, 0).float()).flatten(1).norm(dim=1)
    by_kind = {kind: apart[torch.tensor([pair == (kind, kind) for pair in made])].mean() for kind in ("shifted", "noise", "jpeg")}
    assert by_kind["jpeg"] == 0 < by_kind["noise"] < by_kind["shifted"] < mixed.mean()
    assert by_kind["noise"] == pytest.approx(0.03 * 127.5 * math.sqrt(2 * 32 * 32) * 0.8, rel=0.25)
    assert len(set(made)) == 16
    points = near_duplicates(PointsGenerator(), 40, Streams(0))
    assert {kind for pair in points[2] for kind in pair} == {"noise", "regenerated"}
    assert float((points[0].images - points[1].images).norm(dim=1).max()) < 0.5


class PointsGenerator(Replaying):
    """Points on the plane, as they are drawn."""

    latent = 2
    latent_distribution = "uniform"

    def __init__(self) -> None:
        super().__init__(torch.zeros(1, 2), 0)

    def latents(self, start: int, stop: int) -> Tensor:
        return 2 * Streams(0).rows("uniform", "points", start, stop, 2) - 1

    def generate(self, latents: Tensor) -> Tensor:
        assert latents.abs().max() <= 1
        return 3 * latents

    def see(self, generated: Tensor) -> Sample:
        return Sample(generated, generated)


def test_a_generator_of_points_never_collides_beyond_false_alarms() -> None:
    """Fresh draws of the data's own law: p is about .05, so the size is a lower bound."""
    held_out, train = (6 * Streams(5).uniform(name, n, 2) - 3 for name, n in (("held-out", 1000), ("train", 300)))
    given = Evidence(
        Sample(held_out, held_out),
        Sample(held_out, held_out),
        train=Sample(train, train),
        held_out=Sample(held_out, held_out),
        generator=PointsGenerator(),
    )
    found = SupportSize()(given, Streams(0))["support-size-pixels"]
    assert found.details["relation"] == ">"
    assert found.details["frequency"] < 0.2
    assert found.notes[0].startswith("N > ")


def test_a_constant_generator_has_fewer_images_than_a_batch() -> None:
    generator = Replaying(images("one", 1), 0, perturbed=False)
    found = SupportSize(batches=10)(evidence(generator, images("held-out", 400), images("train", 50)), Streams(0))
    for estimate in found.values():
        assert estimate.details["relation"] == "<"
        assert estimate.mean == 2
        assert estimate.details["frequency"] == 1
        assert "N < 2" in estimate.notes[0]


def test_reals_that_are_too_few_give_a_lower_bound_and_stop() -> None:
    generator = Replaying(images("many", 5000), 0, perturbed=False)
    found = SupportSize(batches=20)(evidence(generator, images("held-out", 200), images("train", 50)), Streams(0))
    estimate = found["support-size-pixels"]
    assert estimate.details["relation"] == ">"
    assert estimate.details["s"] == 10
    assert "10 is the largest batch that the held-out reals allow" in estimate.notes[0]
    assert estimate.interval is None
    assert 0 < estimate.mean < 5000


def test_what_is_drawn_is_at_most_what_was_announced() -> None:
    for number, held_out in ((1, 400), (5000, 200), (40, 1200)):
        generator = Replaying(images("few", number), 0, perturbed=False)
        given = evidence(generator, images("held-out", held_out), images("train", 50))
        SupportSize(batches=10)(given, Streams(0))
        assert 0 < generator.drawn <= SupportSize(batches=10).generated(given)


def test_twice_the_same_bits_whatever_the_order_of_the_reals() -> None:
    held_out, train = images("held-out", 300), images("train", 50)

    def measured(reals: Tensor) -> object:
        generator = Replaying(images("few", 30), 0)
        return SupportSize(batches=10)(evidence(generator, reals, train), Streams(0))

    assert measured(held_out) == measured(held_out) == measured(held_out[torch.randperm(300)])


def test_few_reals_and_bad_ones_are_named() -> None:
    generator = Replaying(images("few", 30), 0)
    good = evidence(generator, images("held-out", 300), images("train", 50))
    assert good.train is not None
    assert good.held_out is not None
    with pytest.raises(InputError, match="98 held-out samples are left without duplicates and training samples; give 100 or more"):
        SupportSize()(evidence(generator, images("held-out", 300)[:98], images("train", 50)), Streams(0))
    with pytest.raises(InputError, match="needs generator"):
        SupportSize()(replace(good, generator=None), Streams(0))
    broken = replace(good.held_out, features=good.held_out.features * torch.nan)
    with pytest.raises(InputError, match="held-out samples have features that are NaN"):
        SupportSize()(replace(good, held_out=broken), Streams(0))


def test_the_closest_pairs_are_shown_with_their_nearest_training_images(tmp_path: Path) -> None:
    pool, train = images("few", 12), images("train", 50)
    train[7] = pool[3]
    generator = Replaying(pool, 0, perturbed=False)
    given = evidence(generator, images("held-out", 300), train)
    estimate = SupportSize(batches=10)(given, Streams(0))["support-size-pixels"]
    pairs = estimate.details["closest pairs"]
    assert len(pairs) == 20
    assert pairs == sorted(pairs, key=lambda pair: pair["distance"])
    for pair in pairs:
        one, other = (generator.see(generator.generate(generator.latents(i, i + 1))).images[0] for i in pair["samples"])
        assert pair["distance"] == pytest.approx(float((one.double() - other.double()).norm()))
        nearest = (train.double() - one.double()).flatten(1).norm(dim=1)
        assert pair["train"][0] == int(nearest.argmin())
        assert pair["train distances"][0] == pytest.approx(float(nearest.min()))
    pairs_picture(given, estimate, tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (20 * 70 + 2, 4 * 70 + 2, 3)
    assert (pixels[2, 2] == (255, 210, 0)).all()
    assert (pixels[2, 72] == (255, 210, 0)).all()
    assert (pixels[2, 142] == 128).all()
    with pytest.raises(InputError, match="carries no pairs"):
        pairs_picture(given, replace(estimate, details={}), tmp_path / "none.png")


def covered(size: int, repeats: range, held_out: int) -> tuple[int, list[float]]:
    """In how many of twice the repeats (pixels and features) the interval holds the true size, and the estimates over it."""
    reals, train = clothes(held_out, 20_000), clothes(500, 60_000)
    hits, ratios = 0, []
    for repeat in repeats:
        generator = Replaying(clothes(size, repeat * size % 10_000 if size < 10_000 else 0), repeat)
        for estimate in SupportSize()(evidence(generator, reals, train), Streams(repeat)).values():
            assert estimate.interval is not None
            hits += estimate.interval[0] <= size <= estimate.interval[1]
            ratios.append(estimate.mean / size)
    return hits, ratios


@pytest.mark.parametrize(("size", "repeats", "held_out"), [(100, 2, 2000), (1000, 2, 2000)])
def test_it_covers_small_supports(size: int, repeats: int, held_out: int) -> None:
    hits, ratios = covered(size, range(repeats), held_out)
    assert hits >= 2 * repeats - 1
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, abs=0.35)


@pytest.mark.slow
def test_it_covers_ten_thousand() -> None:
    hits, ratios = covered(10_000, range(4, 5), 8000)
    assert hits >= 1
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, abs=0.4)
