"""Features at the ends of the range of floats: the value by its law of scaling, or a refusal by name; never NaN."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import (
    class_conditional_frechet_distance,
    classifier_score,
    density_coverage,
    exact_maximum_mean_discrepancy,
    frechet_distance,
    frechet_distance_infinity,
    frechet_gap,
    kernel_distance,
    maximum_mean_discrepancy,
    modes,
    ms_ssim,
    nearest_neighbour_accuracy,
    net_distance,
    overfitting_ratio,
    permutation_test,
    precision_recall,
    reconstruction_errors,
    sliced_wasserstein_distance,
    smoothness,
    vendi_score,
    wasserstein_distance,
)
from saddlepoint.measures.evidence import GaussianMixture
from saddlepoint.measures.kernels import Polynomial
from saddlepoint.measures.neighbours import closest_pairs, nearest
from saddlepoint.streams import Streams

N = 40
Function = Callable[[Tensor, Tensor, Tensor], float]


def shuffles(count: int, n: int) -> Tensor:
    return torch.stack([Streams(number).order("shuffle", n, n) for number in range(count)])


LABELS = torch.arange(N) % 2

# Each with the power of the features' unit that its value has.
FUNCTIONS: dict[str, tuple[Function, int]] = {
    "frechet_distance": (lambda a, b, c: frechet_distance(a, b), 2),
    "frechet_distance of few": (lambda a, b, c: frechet_distance(a[:3], b[:3]), 2),
    "frechet_distance_infinity": (lambda a, b, c: frechet_distance_infinity(a, b, shuffles(4, N)).intercept, 2),
    "class_conditional_frechet_distance": (lambda a, b, c: class_conditional_frechet_distance(a, b, LABELS, LABELS).mean, 2),
    "frechet_gap": (lambda a, b, c: frechet_gap(a, b, c).value, 2),
    "kernel_distance, linear": (lambda a, b, c: kernel_distance(a, b, Polynomial(1)), 2),
    "maximum_mean_discrepancy": (lambda a, b, c: maximum_mean_discrepancy(a, b), 0),
    "maximum_mean_discrepancy, biased": (lambda a, b, c: maximum_mean_discrepancy(a, b, biased=True), 0),
    "permutation_test": (lambda a, b, c: permutation_test(a, b, shuffles(19, 2 * N)).p, 0),
    "precision": (lambda a, b, c: precision_recall(a, b).precision, 0),
    "recall": (lambda a, b, c: precision_recall(a, b).recall, 0),
    "density": (lambda a, b, c: density_coverage(a, b).density, 0),
    "coverage": (lambda a, b, c: density_coverage(a, b).coverage, 0),
    "wasserstein_distance": (lambda a, b, c: wasserstein_distance(a, b), 1),
    "wasserstein_distance, squared": (lambda a, b, c: wasserstein_distance(a, b, 2), 1),
    "wasserstein_distance on a line": (lambda a, b, c: wasserstein_distance(a[:, :1], b[:, :1], 2), 1),
    "sliced_wasserstein_distance": (lambda a, b, c: sliced_wasserstein_distance(a, b, Streams(0), order=1).value, 1),
    "sliced_wasserstein_distance, squared": (lambda a, b, c: sliced_wasserstein_distance(a, b, Streams(0)).value, 1),
    "vendi_score": (lambda a, b, c: vendi_score(a), 0),
    "nearest_neighbour_accuracy": (lambda a, b, c: nearest_neighbour_accuracy(a, LABELS, b, LABELS), 0),
    "nearest": (lambda a, b, c: float(nearest(a, b).distances.sum()), 1),
    "closest_pairs": (lambda a, b, c: float(closest_pairs(a, 5).distances.sum()), 1),
    "reconstruction_errors": (lambda a, b, c: float(reconstruction_errors(a, b).sum()), 1),
    "smoothness": (lambda a, b, c: smoothness(a[None]), 0),
    "overfitting_ratio": (lambda a, b, c: overfitting_ratio(a[:, 0], b[:, 0], c[:, 0]).value, 0),
}
# Whose value follows no power: it is only a number, or a refusal.
OTHERS: dict[str, Function] = {
    "kernel_distance": lambda a, b, c: kernel_distance(a, b),
    "net_distance": lambda a, b, c: net_distance(a, b, Streams(0), updates=3).value,
    "classifier_score": lambda a, b, c: classifier_score(a).mean,
    "modes": lambda a, b, c: modes(a, GaussianMixture(b[:3].double(), 1.0)).divergence,
    "exact_maximum_mean_discrepancy": lambda a, b, c: exact_maximum_mean_discrepancy(
        GaussianMixture(b[:3].double(), 1.0), a, (1.0,)
    ),
}


def sets(size: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    real, fake, other = (Streams(0, dtype=torch.float64).normal(name, N, 4) for name in ("real", "fake", "other"))
    return (real * size).to(dtype), ((fake + 0.3) * size).to(dtype), (other * size).to(dtype)


@pytest.mark.parametrize(("size", "dtype"), [(5e37, torch.float32), (1e-40, torch.float32), (1e69, torch.float64)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_value_follows_its_law_of_scaling(name: str, size: float, dtype: torch.dtype) -> None:
    """Of the very numbers, which lose digits at the end of float32, in float64 and in a unit of theirs."""
    function, power = FUNCTIONS[name]
    given = sets(size, dtype)
    real, fake, other = (side.double() / size for side in given)
    assert function(*given) / size**power == pytest.approx(function(real, fake, other), rel=1e-6)


@pytest.mark.parametrize("size", [1e160, 1e-160, 5e37, 1e-40])
@pytest.mark.parametrize("name", [*FUNCTIONS, *OTHERS])
def test_a_number_or_a_refusal_by_name(name: str, size: float) -> None:
    function = FUNCTIONS[name][0] if name in FUNCTIONS else OTHERS[name]
    lines: tuple[str, ...] = ()
    value = 0.0
    try:
        value = function(*sets(size))
    except InputError as error:
        lines = tuple(error.problems)
    assert math.isfinite(value)
    assert size in (1e160, 1e-160) or not lines
    assert all("by one number" in line or "beyond 1e+70" in line for line in lines)


@pytest.mark.parametrize("name", [name for name in (*FUNCTIONS, *OTHERS) if name not in ("nearest", "closest_pairs")])
def test_complex_features_are_refused(name: str) -> None:
    function = FUNCTIONS[name][0] if name in FUNCTIONS else OTHERS[name]
    real, fake, other = (torch.complex(side, side) for side in sets(1.0))
    with pytest.raises(InputError, match=r"complex|real numbers"):
        function(real, fake, other)


@pytest.mark.parametrize("shape", [(), (8,), (8, 0)])
@pytest.mark.parametrize("measure", [precision_recall, density_coverage])
def test_features_that_are_no_rows_are_refused(measure: Callable[[Tensor, Tensor], object], shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as refused:
        measure(torch.zeros(shape), torch.zeros(8, 2))
    assert [f"the real features have the shape {shape}; give [n, d]" in line for line in refused.value.problems] == [True]


@pytest.mark.parametrize("order", [0, 3, 1.5, -1])
def test_other_orders_are_refused(order: Any) -> None:
    real, fake, _ = sets(1.0)
    with pytest.raises(InputError, match=f"order {order} is not one of 1, 2"):
        wasserstein_distance(real, fake, order)
    with pytest.raises(InputError, match=f"order {order} is not one of 1, 2"):
        sliced_wasserstein_distance(real, fake, Streams(0), order=order)
    with pytest.raises(InputError, match="directions: 0 is out of range"):
        sliced_wasserstein_distance(real, fake, Streams(0), directions=0)


@pytest.mark.parametrize("name", [*FUNCTIONS, *OTHERS])
def test_what_autograd_follows_is_measured_like_anything(name: str) -> None:
    function = FUNCTIONS[name][0] if name in FUNCTIONS else OTHERS[name]
    followed = [side.requires_grad_() for side in sets(1.0)]
    assert function(*followed) == function(*sets(1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 256.0])
def test_values_that_are_no_pixels_have_no_similarity(value: float) -> None:
    images = torch.full((2, 1, 16, 16), 100.0)
    odd = images.clone()
    odd[0, 0, 0, 0] = value
    for sides in ((odd, images), (images, odd)):
        with pytest.raises(InputError, match=r"hold what is no pixel: complex, NaN, or outside 0 … 255; give bytes"):
            ms_ssim(*sides)
