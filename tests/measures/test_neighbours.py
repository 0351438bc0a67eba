"""Neighbours against a double loop in float64, where rounding would be seen."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import neighbours
from saddlepoint.measures.neighbours import closest_pairs, nearest, radii
from saddlepoint.streams import Streams


def differences(points: Tensor, others: Tensor) -> Tensor:
    """Distances by differences in float64, one row at a time."""
    return torch.stack([(others.double() - point).square().sum(1).sqrt() for point in points.double()])


def cloud(name: str, n: int, d: int) -> Tensor:
    return Streams(1).normal(name, n, d)


def clustered(n: int) -> Tensor:
    """Points whose neighbours are closer than float32 products can tell: clusters 1e-4 wide, far from the origin."""
    centres = cloud("centres", 5, 30)[torch.arange(n) % 5]
    return centres + 1e-4 * cloud("within", n, 30) + 50


def grid(n: int) -> Tensor:
    """Bytes with many equal distances and exact duplicates."""
    return Streams(2).integers("grid", 3, n, 4).to(torch.uint8)


CLOUDS: dict[str, Callable[[int], Tensor]] = {
    "normal": lambda n: cloud("plain", n, 20),
    "clustered": clustered,
    "grid": grid,
    "tiny": lambda n: 1e-25 * cloud("plain", n, 20),
    "huge": lambda n: 1e25 * cloud("plain", n, 20) + 3e25,
    "double": lambda n: cloud("plain", n, 20).double() + 1e9,
    "equal": lambda n: torch.full((n, 3), 0.1),
}


@pytest.mark.parametrize("chunk", [2048, 64])
@pytest.mark.parametrize("kind", CLOUDS)
def test_all_are_those_of_a_double_loop(kind: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    points, others = CLOUDS[kind](150), CLOUDS[kind](331)[100:]
    found, every = nearest(points, others, 4), differences(points, others)
    expected = every.sort(dim=1, stable=True)
    torch.testing.assert_close(found.distances, expected.values[:, :4], rtol=1e-12, atol=0)
    assert torch.equal(found.indices, expected.indices[:, :4])

    own = differences(points, points).fill_diagonal_(torch.inf)
    torch.testing.assert_close(radii(points, 4).sqrt(), own.sort(dim=1).values[:, 3], rtol=1e-12, atol=0)
    skipped = nearest(points, points, 2, skip=torch.arange(len(points)))
    torch.testing.assert_close(skipped.distances, own.sort(dim=1).values[:, :2], rtol=1e-12, atol=0)

    pairs = closest_pairs(points, 25)
    above = own[tuple(torch.triu_indices(len(points), len(points), 1))]
    torch.testing.assert_close(pairs.distances, above.sort().values[:25], rtol=1e-12, atol=0)
    torch.testing.assert_close(pairs.distances, own[tuple(pairs.indices.T)], rtol=1e-12, atol=0)
    assert (pairs.indices[:, 0] < pairs.indices[:, 1]).all()


def test_a_copy_is_at_distance_zero_far_from_the_origin() -> None:
    others = clustered(500)
    found = nearest(others[123:321].clone(), others)
    assert (found.distances == 0).all()
    assert torch.equal(found.indices[:, 0], torch.arange(123, 321))


def test_order_of_points_changes_no_bit() -> None:
    points, others = cloud("a", 300, 50), cloud("b", 400, 50)
    shuffle, again = torch.randperm(400), torch.randperm(300)
    assert torch.equal(nearest(points, others, 3).distances[again], nearest(points[again], others[shuffle], 3).distances)
    assert torch.equal(radii(points, 3)[again], radii(points[again], 3))


def test_products_of_fewer_bits_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clustered(200)
    before = radii(points, 3)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    assert torch.equal(radii(points, 3), before)


def test_bad_input_is_named() -> None:
    three = torch.zeros(3, 2)
    for call in (lambda: nearest(three, three, 4), lambda: radii(three, 3), lambda: nearest(three, torch.zeros(3, 1))):
        with pytest.raises(InputError, match="give"):
            call()
    assert len(closest_pairs(three, 20).distances) == 3
    assert len(closest_pairs(three[:1], 20).distances) == 0
    assert nearest(three[:0], three, 2).distances.shape == (0, 2)
