"""The two forms of each activation are one function."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks.activations import leaky_relu, relu
from saddlepoint.streams import Streams

FORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "relu": (relu, torch.relu),
    "leaky relu": (leaky_relu, partial(F.leaky_relu, negative_slope=0.2)),
    "leaky relu .1": (partial(leaky_relu, slope=0.1), partial(F.leaky_relu, negative_slope=0.1)),
}


def derivatives(activation: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """The value, the gradient of a nonlinear function of it, and the gradient of that gradient's norm."""
    x = x.clone().requires_grad_()
    h = activation(x @ x.mT)
    score = (h @ h).sin().sum()
    (first,) = torch.autograd.grad(score, x, create_graph=True)
    (second,) = torch.autograd.grad(first.norm(), x)
    return [h.detach(), first.detach(), second]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("twice", [False, True])
def test_values_and_two_derivatives_are_torchs_own_to_the_last_bit(name: str, twice: bool) -> None:
    ours, torchs = FORMS[name]
    x = Streams(0, dtype=torch.float64).normal("x", 6, 6)
    left, right = derivatives(partial(ours, twice=twice), x), derivatives(torchs, x)
    assert float(right[2].abs().max()) > 0
    assert all(float((one - other).abs().max()) == 0.0 for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("name", FORMS)
def test_kink_zero_and_not_a_number_are_alike(name: str) -> None:
    ours, torchs = FORMS[name]
    odd = torch.tensor([-1.0, -0.0, 0.0, 1.0, float("inf"), float("nan")])
    for form in (partial(ours, twice=True), partial(ours, twice=False)):
        x, y = odd.clone().requires_grad_(), odd.clone().requires_grad_()
        assert form(x).equal(torchs(y)) or bool((form(x).nan_to_num() == torchs(y).nan_to_num()).all())
        (mine,) = torch.autograd.grad(form(x).sum(), x)
        (theirs,) = torch.autograd.grad(torchs(y).sum(), y)
        assert mine[:5].equal(theirs[:5])
        assert bool(form(x)[-1].isnan())
