"""The digits are scikit-learn's, at every resolution, and split by content."""

from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from saddlepoint.data.arrays import ArraySource, split_rows
from saddlepoint.data.digits import Digits

RESOLUTIONS: list[Literal[8, 16, 32]] = [8, 16, 32]


def everything(source: ArraySource) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels, in the data set's own order."""
    order = torch.cat([source.rows["train"], source.rows["held-out"]]).argsort()
    examples = [*source.all("train"), *source.all("held-out")]
    images = torch.cat([example.image for example in examples])
    labels = torch.cat([example.label for example in examples if example.label is not None])
    return images[order], labels[order]


def test_they_are_the_real_scans() -> None:
    scans, targets = load_digits(return_X_y=True)
    images, labels = everything(Digits(resolution=8).open())
    assert images.shape == (1797, 1, 8, 8)
    # A byte is as near as 255 levels come to 16: half a level of 2/255.
    assert np.abs(images[:, 0].numpy().reshape(-1, 64) - (scans / 8 - 1)).max() <= 1 / 255 + 1e-6
    assert np.array_equal(np.round((images[:, 0].numpy().reshape(-1, 64) + 1) * 8), scans)
    assert np.array_equal(labels.numpy(), targets)


@pytest.mark.parametrize("resolution", [16, 32])
def test_they_are_enlarged_by_the_stated_filter(resolution: Literal[16, 32]) -> None:
    small, _ = everything(Digits(resolution=8).open())
    bicubic, _ = everything(Digits(resolution=resolution).open())
    bilinear, _ = everything(Digits(resolution=resolution, resize="antialiased-bilinear").open())
    for images, mode in ((bicubic, "bicubic"), (bilinear, "bilinear")):
        # Pillow filters rows, then columns, and rounds to bytes after each.
        wide = F.interpolate(small, size=(8, resolution), mode=mode, antialias=True).clamp(-1, 1)
        expected = F.interpolate(wide, size=(resolution, resolution), mode=mode, antialias=True).clamp(-1, 1)
        assert float((images - expected).abs().max()) < 2 * 2 / 255
    assert float((bicubic - bilinear).abs().max()) > 0.1


def test_a_tenth_of_each_class_is_held_out_at_every_resolution() -> None:
    sources = [Digits(resolution=resolution).open() for resolution in RESOLUTIONS]
    assert sources[0].labels is not None
    total = torch.bincount(sources[0].labels)
    held = torch.bincount(sources[0].labels[sources[0].rows["held-out"]])
    assert held.tolist() == [int(0.1 * count + 0.5) for count in total.tolist()]
    assert all(torch.equal(source.rows["held-out"], sources[0].rows["held-out"]) for source in sources)


@pytest.mark.parametrize(
    ("ranks", "labels", "fraction", "held"),
    [
        ("ba", None, 0.1, [1]),
        ("ba", None, 0.9, [1]),
        ("ab", [0, 1], 0.5, [0]),
        ("dcbaz", [0, 0, 0, 0, 1], 0.5, [2, 3]),
        ("abcdefghij" * 2, [0] * 10 + [1] * 10, 0.2, [0, 1, 10, 11]),
    ],
    ids=["two", "one stays", "single classes", "a class of one stays", "each class"],
)
def test_the_split(ranks: str, labels: list[int] | None, fraction: float, held: list[int]) -> None:
    rows = split_rows(list(ranks), labels, fraction)
    assert rows["held-out"].tolist() == held
    assert sorted(rows["train"].tolist() + held) == list(range(len(ranks)))


def test_a_new_image_moves_none_but_at_the_border() -> None:
    ranks = [f"{(7 * row) % 100:03}" for row in range(100)]
    before = {ranks[row] for row in split_rows(ranks, None, 0.1)["held-out"].tolist()}
    more = [*ranks, "0500"]
    after = {more[row] for row in split_rows(more, None, 0.1)["held-out"].tolist()}
    assert before == after
