"""Sets of features that a distance is taken between: checked before anything is computed."""

import torch
from torch import Tensor

from saddlepoint.errors import InputError


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


def _problems(name: str, features: Tensor, side: str, least: int) -> list[str]:
    said = f"{side} " if side else ""
    if features.ndim != 2 or features.shape[1] == 0:
        return [f"{name}: the {said}features have the shape {tuple(features.shape)}; give [n, d], one row a sample"]
    if len(features) < least:
        return [f"{name}: {len(features)} {said}samples are too few; give {least} or more"]
    bad = int((~torch.isfinite(features)).any(1).sum())
    if bad:
        return [f"{name}: {bad} of {len(features)} {said}samples have features that are NaN or infinite; mend the extractor"]
    return []
