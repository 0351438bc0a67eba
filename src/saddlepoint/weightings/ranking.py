"""Places in an order of scores."""

from torch import Tensor


def ranks(scores: Tensor, *, descending: bool) -> Tensor:
    """The place of each score of the last axis, from 0, int64 `[*, n]`; of equal scores the first comes first.

    >>> import torch
    >>> ranks(torch.tensor([0.5, 2.0, 0.5]), descending=True)
    tensor([1, 0, 2])
    """
    return scores.argsort(dim=-1, descending=descending, stable=True).argsort(dim=-1, stable=True)
