"""Sets of features that a distance is taken between: checked before anything is computed."""

import torch
from torch import Tensor

from saddlepoint.errors import InputError

# The largest feature of a set is 0 or between these: the fourth powers that distances are made of are then numbers of float64.
SMALLEST, LARGEST = 1e-70, 1e70


def check_features(name: str, features: Tensor, side: str = "", least: int = 2) -> None:
    """Refuse features that give no right number: they are no matrix, are too few rows, or are not finite.

    >>> check_features("frechet-distance", torch.zeros(1, 2), "fake")
    Traceback (most recent call last):
    ...
    saddlepoint.errors.InputError: frechet-distance: 1 fake samples are too few; give 2 or more
    """
    problems = _problems(name, features, side, least)
    if problems:
        raise InputError(problems)


def check_feature_sets(name: str, real: Tensor, fake: Tensor, least: int = 2) -> None:
    """The same for two sets `[n, d]` and `[m, d]`, whose d must be one; `name` and the sides stand in the lines.

    >>> check_feature_sets("frechet-distance", torch.zeros(3, 2), torch.zeros(3, 4))
    Traceback (most recent call last):
    ...
    saddlepoint.errors.InputError: frechet-distance: real samples have 2 features, fake ones 4; both need the same extractor
    """
    problems = _problems(name, real, "real", least) + _problems(name, fake, "fake", least)
    if real.ndim == fake.ndim == 2 and real.shape[1] != fake.shape[1]:
        problems.append(
            f"{name}: real samples have {real.shape[1]} features, fake ones {fake.shape[1]}; both need the same extractor"
        )
    if problems:
        raise InputError(problems)


def is_shuffled(orders: Tensor, n: int) -> bool:
    """Whether each row of `[*, n]` holds 0 … n - 1 once.

    >>> is_shuffled(torch.tensor([[1, 0], [0, 1]]), 2), is_shuffled(torch.tensor([0, 0]), 2)
    (True, False)
    """
    return orders.shape[-1:] == (n,) and bool((orders.sort(-1).values == torch.arange(n, device=orders.device)).all())


def refuse_order(name: str, order: int) -> None:
    """Raise unless `order` is 1 or 2, the Wasserstein distances there are.

    >>> refuse_order("wasserstein-distance", 2)
    """
    if order not in (1, 2):
        raise InputError([f"{name}: order {order!r} is not one of 1, 2"])


def value_problems(name: str, features: Tensor, side: str = "") -> list[str]:
    """Why features give no right number as they are: complex, not finite, or beyond what their squares in float64 hold.

    >>> value_problems("frechet-distance", torch.tensor([[1e-160], [0.0]], dtype=torch.float64), "fake")
    ['frechet-distance: the fake features reach 1e-160 at most, beyond 1e-70 … 1e+70; multiply both sides by one number']
    """
    said = f"{side} " if side else ""
    if features.is_complex():
        return [f"{name}: the {said}features are complex; give real numbers, such as their real and imaginary parts side by side"]
    bad = int((~torch.isfinite(features)).flatten(1).any(1).sum())
    if bad:
        return [f"{name}: {bad} of {len(features)} {said}samples have features that are NaN or infinite; mend the extractor"]
    largest = float(features.detach().abs().max()) if features.is_floating_point() and features.numel() else 0.0
    if largest and not SMALLEST <= largest <= LARGEST:
        return [
            f"{name}: the {said}features reach {largest:.3g} at most, beyond {SMALLEST:g} … {LARGEST:g}; "
            "multiply both sides by one number"
        ]
    return []


def _problems(name: str, features: Tensor, side: str, least: int) -> list[str]:
    said = f"{side} " if side else ""
    if features.ndim != 2 or features.shape[1] == 0:
        return [f"{name}: the {said}features have the shape {tuple(features.shape)}; give [n, d], one row a sample"]
    if len(features) < least:
        return [f"{name}: {len(features)} {said}samples are too few; give {least} or more"]
    return value_problems(name, features, side)
