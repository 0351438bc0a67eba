"""How far two tensors of one shape are apart."""

from torch import Tensor


def gap(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference; shapes that would only broadcast are an error."""
    assert one.shape == other.shape
    return float((one - other).detach().abs().max())
