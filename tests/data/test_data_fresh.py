"""The distributions of the plane, against formulas and against scikit-learn."""

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from sklearn.datasets import make_swiss_roll

from saddlepoint.data.dirac import Dirac
from saddlepoint.data.fresh import FreshSource
from saddlepoint.data.gaussians import EightGaussians, Mixture, TwentyFiveGaussians
from saddlepoint.data.parallel_lines import ParallelLines
from saddlepoint.data.source import Split
from saddlepoint.data.swiss_roll import SwissRoll
from saddlepoint.streams import Streams

Array = NDArray[np.float64]
SPLITS: list[Split] = ["train", "held-out"]
N = 8000
RING = [(np.cos(2 * np.pi * j / 8), np.sin(2 * np.pi * j / 8)) for j in range(8)]
GRID = [(a / np.sqrt(2), b / np.sqrt(2)) for a in range(-2, 3) for b in range(-2, 3)]


@pytest.mark.parametrize(
    ("source", "means", "std"),
    [
        (EightGaussians().open(), 3 * np.array(RING), 1.0),
        (EightGaussians(radius=2.0, std=0.05).open(), 2 * np.array(RING), 0.05),
        (TwentyFiveGaussians().open(), np.array(GRID), 0.05 / 2.828),
    ],
    ids=["wegan", "tight", "grid"],
)
def test_mixtures(source: Mixture, means: Array, std: float) -> None:
    assert np.abs(source.means.numpy() - means).max() < 1e-3
    assert source.std == pytest.approx(std)
    image, label, *_ = source.batch(Streams(0), N)
    assert label is not None
    residual = (image.double().numpy() - source.means.numpy()[label.numpy()]) / std
    assert scipy.stats.kstest(residual.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(residual.T)[0, 1]) < 0.05
    assert scipy.stats.chisquare(np.bincount(label.numpy(), minlength=len(means))).pvalue > 1e-3


def test_swiss_roll_is_scikit_learns() -> None:
    ours = SwissRoll().open().batch(Streams(0), N).image.double().numpy()
    theirs = make_swiss_roll(N, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    for our, their in zip(quantities(ours), quantities(theirs), strict=True):
        assert scipy.stats.ks_2samp(our, their).pvalue > 1e-3


def quantities(points: Array) -> list[Array]:
    x, y = points.T
    return [x, y, np.hypot(x, y), np.arctan2(y, x)]


def test_swiss_roll_without_noise_lies_on_its_spiral() -> None:
    x, y = 7.5 * SwissRoll(noise=0.0).open().batch(Streams(0, dtype=torch.float64), 500).image.numpy().T
    t = np.hypot(x, y)
    assert 1.5 * np.pi <= t.min() < t.max() < 4.5 * np.pi
    assert np.abs(x - t * np.cos(t)).max() < 1e-9
    assert np.abs(y - t * np.sin(t)).max() < 1e-9


@pytest.mark.parametrize("theta", [0.0, -1.5])
def test_parallel_lines(theta: float) -> None:
    x, y = ParallelLines(theta=theta).open().batch(Streams(0), N).image.double().numpy().T
    assert (x == theta).all()
    assert scipy.stats.kstest(y, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("at", [0.0, -1.5])
def test_a_point_mass(at: float) -> None:
    example = Dirac(at=at).open().batch(Streams([0, 1], dtype=torch.float64), 4)
    assert torch.equal(example.image, torch.full((2, 4, 1), at, dtype=torch.float64))


@pytest.mark.parametrize("source", [EightGaussians().open(), SwissRoll().open(), ParallelLines().open()], ids="rsl")
def test_nothing_is_seen_twice(source: FreshSource) -> None:
    streams = Streams(0)
    drawn = [source.batch(streams, 100, split).image[:, 1] for _ in range(20) for split in SPLITS]
    heights = np.concatenate([batch.numpy() for batch in drawn])
    assert len(np.unique(heights)) > 0.999 * len(heights)
