"""Reconstruction and nearest neighbours of codes: an exact inverse, an encoder that looks at nothing, scikit-learn's classifier."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.nearest_neighbour_accuracy import (
    NearestNeighbourAccuracy,
    nearest_neighbour_accuracy,
    nearest_neighbour_labels,
)
from saddlepoint.measures.reconstruction import Reconstruction, as_generated, reconstruction_errors
from saddlepoint.streams import Streams
from tests.measures.worlds import Linear, generator, image_world, point_world


def draws(name: str, n: int, d: int) -> Tensor:
    return Streams(0, dtype=torch.float64).normal(name, n, d)


def test_errors_are_euclidean_a_sample() -> None:
    x, y = draws("x", 9, 12).reshape(9, 3, 2, 2), draws("y", 9, 12).reshape(9, 3, 2, 2)
    expected = [math.dist(a.flatten(), b.flatten()) for a, b in zip(x, y, strict=True)]
    assert reconstruction_errors(x, y).tolist() == pytest.approx(expected)
    assert reconstruction_errors(x, x).max() == 0
    for bad, said in ((y[:8], "one"), (y.flatten(), "one"), (y * math.nan, "9 reconstructed samples have features that are NaN")):
        with pytest.raises(InputError, match=said):
            reconstruction_errors(x, bad)


def test_bytes_as_a_generator_gives_them() -> None:
    assert as_generated(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([-1, -0.6, 1])
    assert as_generated(torch.tensor([[0.3]])).item() == pytest.approx(0.3)


def test_an_exact_inverse_loses_what_rounding_loses() -> None:
    square = Linear(Streams(3).normal("square", 2, 2))
    points = square.generate(square.latents(100, 150))
    evidence = Evidence(Sample(points, points), Sample(points, points), generator=square, encoder=square)
    found = Reconstruction(latents=60)(evidence, Streams(0))
    for quantity in Reconstruction.quantities:
        assert found[quantity].mean < 1e-4
        assert found[quantity].details["two random originals"] > 0.5
    assert (found["pixel-reconstruction"].n, found["latent-reconstruction"].n) == (50, 60)


def test_images_through_bytes_and_tanh() -> None:
    world = image_world(40)
    drawing = generator(images=True)
    found = Reconstruction(latents=50)(world, Streams(0))
    images = as_generated(world.real.images)
    again = drawing.generate(drawing.encode(images))
    expected = reconstruction_errors(images, again)
    assert found["pixel-reconstruction"].mean == pytest.approx(float(expected.mean()), rel=1e-5)
    assert found["pixel-reconstruction"].error == pytest.approx(float(expected.std()) / math.sqrt(40), rel=1e-4)
    features = reconstruction_errors(world.real.features, drawing.see(again).features)
    assert found["feature-reconstruction"].mean == pytest.approx(float(features.mean()), rel=1e-5)
    latents = drawing.latents(0, 50)
    cycle = reconstruction_errors(latents, drawing.encode(drawing.generate(latents)))
    assert found["latent-reconstruction"].mean == pytest.approx(float(cycle.mean()), abs=1e-4)


@dataclass(frozen=True)
class Blind:
    """An encoder that looks at nothing."""

    latent: int

    def encode(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), self.latent)


def test_an_encoder_that_looks_at_nothing_does_no_better_than_random_pairs() -> None:
    world = point_world(200)
    found = Reconstruction()(replace(world, encoder=Blind(5)), Streams(0))
    for quantity in ("pixel-reconstruction", "latent-reconstruction"):
        assert found[quantity].mean > 0.5 * found[quantity].details["two random originals"]
    assert NearestNeighbourAccuracy()(replace(world, encoder=Blind(5)), Streams(0))["nearest-neighbour-accuracy"].mean == 0.25


@pytest.mark.parametrize("k", [1, 2, 5, 60])
def test_labels_are_scikit_learns(k: int) -> None:
    train, test = draws("train", 60, 3), draws("test", 40, 3)
    labels = Streams(0).integers("labels", 4, 60)
    expected = KNeighborsClassifier(k, algorithm="brute").fit(train.numpy(), labels.numpy())
    np.testing.assert_array_equal(nearest_neighbour_labels(train, labels, test, k), expected.predict(test.numpy()))
    truth = Streams(0).integers("truth", 4, 40)
    accuracy = nearest_neighbour_accuracy(train, labels, test, truth, k)
    assert accuracy == pytest.approx(expected.score(test.numpy(), truth.numpy()))


def test_order_and_ties() -> None:
    """Three training codes at one distance, k = 1: all vote, in any order."""
    train, labels = torch.tensor([[1.0], [-1.0], [1.0], [9.0]]), torch.tensor([2, 0, 2, 1])
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]):
        assert nearest_neighbour_labels(train[order], labels[order], torch.zeros(1, 1)).item() == 2
    pair = nearest_neighbour_labels(train[:2], labels[:2], torch.zeros(1, 1))
    assert pair.item() == 0, "one vote each: the smallest label"


def test_own_codes_are_their_own_neighbours() -> None:
    codes, labels = draws("codes", 50, 6), Streams(0).integers("labels", 7, 50)
    assert nearest_neighbour_accuracy(codes, labels, codes, labels) == 1
    far = codes + 1e4
    assert nearest_neighbour_accuracy(far, labels, far + 1e-6, labels) == 1


def test_the_record_has_pixels_beside() -> None:
    world = point_world(100)
    found = NearestNeighbourAccuracy(k=3)(world, Streams(0))["nearest-neighbour-accuracy"]
    low, high = found.interval or (1.0, 0.0)
    assert 0 <= low <= found.mean <= high <= 1
    assert world.train is not None
    assert world.held_out is not None
    train, test = world.train, world.held_out
    assert train.labels is not None
    assert test.labels is not None
    assert found.details["on pixels"] == nearest_neighbour_accuracy(train.images, train.labels, test.images, test.labels, 3)


def test_refusals() -> None:
    codes, labels = draws("codes", 5, 2), torch.arange(5)
    for arguments, said in (
        ((codes, labels, codes[:, :1]), "shapes"),
        ((codes, labels, codes[:0]), "not empty"),
        ((codes * math.nan, labels, codes), "training samples have features that are NaN"),
        ((codes, labels, codes * math.inf), "test samples have features that are NaN"),
        ((codes, labels[:3], codes), "one each"),
        ((codes, -labels, codes), "0 or more"),
        ((codes, labels, codes, 6), "give 1 to 5"),
        ((codes, labels, codes, 0), "give 1 to 5"),
    ):
        with pytest.raises(InputError, match=said):
            nearest_neighbour_labels(*arguments)
    with pytest.raises(InputError, match="one each"):
        nearest_neighbour_accuracy(codes, labels, codes, labels[:2])
    world = point_world(20)
    with pytest.raises(InputError, match="needs encoder"):
        NearestNeighbourAccuracy()(replace(world, encoder=None), Streams(0))
    with pytest.raises(InputError, match="needs encoder"):
        Reconstruction()(replace(world, encoder=None), Streams(0))
    assert world.train is not None
    bare = Sample(world.train.images, world.train.features)
    with pytest.raises(InputError, match="training samples have no labels"):
        NearestNeighbourAccuracy()(replace(world, train=bare), Streams(0))
