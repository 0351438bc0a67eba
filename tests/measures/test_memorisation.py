"""Memorisation against SciPy and plain loops, with positive and negative controls."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import mannwhitneyu
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.memorisation import Memorisation, authenticity, copying, data_copying, mann_whitney
from saddlepoint.measures.neighbour_pictures import neighbours_picture
from saddlepoint.measures.neighbours import nearest
from saddlepoint.streams import Streams

D = 16


def sample(name: str, n: int) -> Sample:
    """Images of 4 x 4 bytes; features are a rotation of them."""
    pixels = (128 + 40 * Streams(5).normal(name, n, D)).round().clamp(0, 255)
    turn = torch.linalg.qr(Streams(6).normal("turn", D, D)).Q
    return Sample(pixels.to(torch.uint8).reshape(n, 1, 4, 4), (pixels - 128) @ turn)


def evidence(fake: Sample) -> Evidence:
    train, held_out = sample("train", 600), sample("held-out", 400)
    return Evidence(held_out, fake, train=train, held_out=held_out)


def distances(name: str, n: int, levels: int) -> Tensor:
    return Streams(7).integers(name, levels, n).double()


@pytest.mark.parametrize("levels", [5, 1_000_000])
def test_a_is_scipys_mann_whitney(levels: int) -> None:
    fake, held_out = distances("fake", 70, levels), distances("held-out", 90, levels)
    statistic = mannwhitneyu(held_out.numpy(), fake.numpy()).statistic
    assert mann_whitney(fake, held_out) == pytest.approx(statistic / (70 * 90), abs=1e-12)
    assert copying(fake, held_out, Streams(0), 100).a == pytest.approx(statistic / (70 * 90), abs=1e-12)


def test_the_share_is_numpys_quantile() -> None:
    fake, held_out = distances("fake", 500, 300), distances("held-out", 90, 1000)
    share = (fake.numpy() < np.quantile(held_out.numpy(), 0.01)).mean()
    assert copying(fake, held_out, Streams(0), 100).near_share == pytest.approx(share, abs=1e-12)


def test_the_bootstrap_is_that_of_a_loop() -> None:
    """With ties, on the same draws: every pair of every resample compared."""
    fake, held_out = (distances(name, n, 12).sort().values.numpy() for name, n in (("fake", 30), ("held-out", 25)))
    draws = Streams(4)
    ours, theirs = (draws.integers(f"memorisation bootstrap {side}", n, 100, n) for side, n in (("fake", 30), ("held-out", 25)))
    values, shares = [], []
    for one, other in zip(fake[ours.numpy()], held_out[theirs.numpy()], strict=True):
        gaps = other[None, :] - one[:, None]
        values.append((gaps > 0).mean() + (gaps == 0).mean() / 2)
        shares.append((one < np.quantile(other, 0.01)).mean())
    found = copying(torch.from_numpy(fake), torch.from_numpy(held_out), Streams(4), 100)
    assert found.a_error == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    assert found.a_interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-9)
    assert found.near_share_error == pytest.approx(np.std(shares, ddof=1), rel=1e-9)
    assert found.near_share_interval == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])), abs=1e-12)


def test_the_bootstrap_covers() -> None:
    """The spread over resamples is that over fresh draws, and the interval covers .5 as often as it says."""
    covered, values, errors = 0, [], []
    for repeat in range(100):
        fake, held_out = Streams(repeat).normal("fake", 80), Streams(repeat).normal("held-out", 60)
        found = copying(fake, held_out, Streams(repeat), 200)
        covered += found.a_interval[0] <= 0.5 <= found.a_interval[1]
        values.append(found.a)
        errors.append(found.a_error)
    assert 86 <= covered <= 100
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_z_is_scipys_normal_approximation() -> None:
    """One cell: the statistic is Mann-Whitney's without continuity or tie correction."""
    fake, held_out = Streams(1).normal("fake", 70).double(), Streams(1).normal("held-out", 50).double() + 0.3
    one = torch.zeros(100, dtype=torch.int64)
    found = data_copying(fake, held_out, [one[:70], one[:50]], one)
    p = mannwhitneyu(fake.numpy(), held_out.numpy(), use_continuity=False, method="asymptotic", alternative="less").pvalue
    from scipy.stats import norm

    assert found.value == pytest.approx(norm.ppf(p), abs=1e-9)
    assert found.null_error == 1


def test_cells_are_weighted_by_the_held_out_and_small_ones_left_out() -> None:
    fake = torch.cat([torch.zeros(30), torch.full((30,), 2.0), torch.zeros(5)])
    held_out = torch.ones(75)
    cells = [torch.tensor([0] * 30 + [1] * 30 + [2] * 5), torch.tensor([0] * 20 + [1] * 40 + [2] * 15)]
    train = torch.tensor([0] * 10 + [1] * 10 + [2] * 10)
    found = data_copying(fake, held_out, cells, train)
    first, second = (math.sqrt(3 * 30 * n / (30 + n + 1)) for n in (20, 40))
    assert found.value == pytest.approx((-20 * first + 40 * second) / 60)
    assert found.null_error == pytest.approx(math.sqrt((1 / 3) ** 2 + (2 / 3) ** 2))
    assert (found.used, found.cells) == (2, 3)
    assert found.held_out_left_out == pytest.approx(15 / 75)
    assert found.fake_left_out == pytest.approx(5 / 65)
    assert data_copying(fake, held_out, cells, train[:9]).used == 0


def test_copies_reach_the_extreme_of_z() -> None:
    one = torch.zeros(300, dtype=torch.int64)
    found = data_copying(torch.zeros(300), torch.ones(300), [one, one], one)
    assert found.value == pytest.approx(-math.sqrt(3 * 300 * 300 / 601))
    assert round(found.value, 1) == -21.2


def test_authenticity_is_that_of_a_loop() -> None:
    train, fake, held_out = (sample(name, n).features for name, n in (("train", 60), ("fake", 40), ("held-out", 50)))

    def authentic(y: Tensor) -> bool:
        apart = (train.double() - y.double()).square().sum(1).sqrt()
        t = int(apart.argmin())
        others = (train.double() - train[t].double()).square().sum(1).sqrt()
        others[t] = torch.inf
        return bool(apart[t] > others.min())

    found = authenticity(nearest(fake, train), nearest(held_out, train), train)
    assert found.fake == np.mean([authentic(y) for y in fake])
    assert found.held_out == np.mean([authentic(y) for y in held_out])


def test_held_out_data_as_generator() -> None:
    found = Memorisation()(evidence(sample("fresh", 400)), Streams(0))
    for space in ("pixels", "features"):
        a, near = found[f"copying-{space}"], found[f"near-copies-{space}"]
        assert a.interval is not None
        assert near.interval is not None
        assert a.interval[0] < 0.5 < a.interval[1]
        assert near.interval[0] <= 0.01 <= near.interval[1]
    c_t, authentic = found["c-t"], found["authenticity"]
    assert c_t.error is not None
    assert authentic.error is not None
    assert abs(c_t.mean) < 3 * c_t.error
    assert abs(authentic.mean) < 3 * authentic.error


def test_replayed_training_data() -> None:
    train = sample("train", 600)
    found = Memorisation()(evidence(train.rows(slice(100, 500))), Streams(0))
    for space in ("pixels", "features"):
        assert found[f"copying-{space}"].mean == 1
        assert found[f"near-copies-{space}"].mean == 1
        assert found[f"copying-{space}"].details["exact copies of training samples"] == 400
    assert found["c-t"].mean < -20 * found["c-t"].details["null_error"]
    assert "copying" in found["c-t"].notes[-1]
    assert found["authenticity"].details["generated"] == 0
    assert "copying" in found["authenticity"].notes[-1]


def test_half_copies_are_seen_by_all() -> None:
    train, fresh = sample("train", 600), sample("fresh", 200)
    mixed = Sample(torch.cat([train.images[:200], fresh.images]), torch.cat([train.features[:200], fresh.features]))
    found = Memorisation()(evidence(mixed), Streams(0))
    assert found["copying-features"].mean == pytest.approx(0.75, abs=0.04)
    assert found["near-copies-features"].mean == pytest.approx(0.5, abs=0.03)
    assert found["authenticity"].details["generated"] == pytest.approx(found["authenticity"].details["held-out"] / 2, abs=0.06)


def test_noise_is_far_from_everything() -> None:
    noise = Streams(9).integers("noise", 256, 300, 1, 4, 4).to(torch.uint8)
    found = Memorisation()(evidence(Sample(noise, (noise.flatten(1).float() - 128) * 3)), Streams(0))
    assert found["copying-pixels"].mean < 0.05
    assert found["copying-features"].mean < 0.05
    assert found["c-t"].mean > 3


def test_twice_the_same_bits_and_the_order_of_samples_changes_nothing() -> None:
    given = evidence(sample("fresh", 400))
    once, twice = (Memorisation(resamples=200)(given, Streams(0)) for _ in range(2))
    assert once == twice
    assert given.train is not None
    assert given.held_out is not None
    shuffled = replace(
        given,
        fake=given.fake.rows(torch.randperm(400)),
        train=given.train.rows(torch.randperm(600)),
        held_out=given.held_out.rows(torch.randperm(400)),
    )
    other = Memorisation(resamples=200)(shuffled, Streams(0))
    for name, estimate in once.items():
        assert other[name].mean == pytest.approx(estimate.mean, rel=1e-10), name
        assert (other[name].interval or 0) == pytest.approx(estimate.interval or 0, rel=1e-10), name


def test_few_samples_and_bad_ones_are_named() -> None:
    good = evidence(sample("fresh", 400))
    assert good.held_out is not None
    short = replace(good, fake=good.fake.rows(slice(0, 19)), held_out=good.held_out.rows(slice(0, 9)))
    with pytest.raises(InputError) as caught:
        Memorisation()(short, Streams(0))
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="needs held-out"):
        Memorisation()(replace(good, held_out=None), Streams(0))
    broken = good.held_out.features.clone()
    broken[0, 0] = torch.inf
    with pytest.raises(InputError, match="held-out samples have features that are NaN"):
        Memorisation()(replace(good, held_out=Sample(good.held_out.images, broken)), Streams(0))
    with pytest.raises(InputError, match="no distances"):
        mann_whitney(torch.zeros(0), torch.zeros(3))


def test_the_fewest_samples_and_constant_ones_give_numbers() -> None:
    few = Memorisation()(evidence(sample("fresh", 20)), Streams(0))
    assert all(math.isfinite(estimate.mean) for estimate in few.values())
    flat = Sample(torch.full((30, 1, 4, 4), 7, dtype=torch.uint8), torch.ones(30, D))
    constant = Memorisation()(Evidence(flat, flat, train=flat, held_out=flat), Streams(0))
    assert constant["copying-pixels"].mean == 0.5
    assert constant["c-t"].mean == 0
    assert "30 of 30 held-out samples are in the training set" in constant["copying-pixels"].notes[0]


def test_the_picture_shows_each_sample_beside_its_neighbours(tmp_path: Path) -> None:
    train = sample("train", 600)
    given = evidence(train.rows(slice(0, 60)))
    estimate = Memorisation(resamples=100)(given, Streams(0))["copying-pixels"]
    shown = estimate.details["neighbours"]
    assert len(shown) == 10
    assert all(one["train"][0] == one["sample"] and one["distances"][0] == 0 and len(one["train"]) == 5 for one in shown)
    neighbours_picture(given, estimate, tmp_path / "neighbours.png")
    with Image.open(tmp_path / "neighbours.png") as picture:
        pixels = np.asarray(picture)
    step = 64 + 6
    assert pixels.shape == (10 * step + 2, 6 * step + 2, 3)
    # The sample and its copy, 16 times enlarged; the frame is the first's alone.
    assert (pixels[4:68, 4:68] == pixels[4:68, step + 4 : step + 68]).all()
    assert pixels[4, 4, 0] == int(train.images[shown[0]["sample"], 0, 0, 0])
    assert tuple(pixels[2, 2]) == (255, 210, 0)
    assert tuple(pixels[2, step + 2]) == (128, 128, 128)
    points = replace(given, fake=Sample(torch.zeros(60, 2), torch.zeros(60, 2)))
    with pytest.raises(InputError, match="needs images"):
        neighbours_picture(points, estimate, tmp_path / "points.png")
    with pytest.raises(InputError, match="carries no neighbours"):
        neighbours_picture(given, replace(estimate, details={}), tmp_path / "none.png")
    assert [path.name for path in tmp_path.iterdir()] == ["neighbours.png"]


def test_distances_that_are_nan_have_no_order() -> None:
    sides = torch.tensor([math.nan, 5.0]), torch.tensor([1.0, 2.0])
    for fake, held_out in (sides, sides[::-1]):
        with pytest.raises(InputError, match="mann_whitney: distances that are complex or NaN"):
            mann_whitney(fake, held_out)
