"""Two silent errors of torch's fused optimizers on the CPU, which read gradients and state by position in memory.

Each test shows that the naive form goes wrong, and that ours does not. If a naive form comes right one day, torch has mended it.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.optimizers import OPTIMIZERS
from saddlepoint.optimizers.state import load_optimizer_state, optimizer_state

FUSED = ["adam", "sgd"]
Assign = Callable[[Tensor, nn.Parameter], None]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def by_backward(loss: Tensor, weight: nn.Parameter) -> None:
    torch.autograd.backward(loss, inputs=[weight])


def by_assignment(loss: Tensor, weight: nn.Parameter) -> None:
    (weight.grad,) = torch.autograd.grad(loss, weight)


def trained(name: str, fused: bool, assign: Assign) -> Tensor:
    """Three steps on `||x W^T - y||^2` with the gradient arriving transposed in memory, as from a penalty's double backward."""
    torch.manual_seed(1)
    weight = nn.Parameter(torch.randn(5, 5))
    target = torch.randn(5, 5)
    optimizer = OPTIMIZERS[name](lr=0.05).build({"weight": weight}, fused=fused)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        assign((weight.T.contiguous() * target).sin().sum(), weight)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("name", FUSED)
def test_a_gradient_with_other_strides(name: str) -> None:
    weight = nn.Parameter(torch.randn(5, 5))
    by_assignment(weight.T.contiguous().square().sum(), weight)
    assert weight.grad is not None
    assert weight.grad.stride() != weight.stride(), "the trap is set: this gradient is laid out otherwise than its parameter"

    truth = trained(name, False, by_assignment)
    assert float((trained(name, True, by_assignment) - truth).abs().max()) > 1e-2, "naive: other elements were moved"
    torch.testing.assert_close(trained(name, True, by_backward), truth, rtol=0, atol=1e-6)


class Contiguous:
    """The naive load: state as a file gives it."""

    def __call__(
        self, optimizer: torch.optim.Optimizer, parameters: dict[str, Tensor], tensors: dict[str, Tensor], numbers: dict[str, float]
    ) -> None:
        for full_name, value in tensors.items():
            name, _, key = full_name.rpartition(".")
            optimizer.state[parameters[name]][key] = value.clone()


def resumed_drift(load: Callable[..., None]) -> float:
    """Three steps of a channels-last convolution, through a file's contiguous tensors, three more; against six unbroken."""

    def made() -> tuple[nn.Conv2d, torch.optim.Optimizer, dict[str, Tensor]]:
        torch.manual_seed(2)
        layer = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        parameters: dict[str, Tensor] = dict(layer.named_parameters())
        return layer, OPTIMIZERS["adam"](lr=0.05).build(parameters, fused=True), parameters

    def step(layer: nn.Conv2d, optimizer: torch.optim.Optimizer) -> None:
        image = torch.linspace(-1, 1, 2 * 3 * 36).reshape(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(layer(image).sin().square().mean(), inputs=list(layer.parameters()))
        optimizer.step()

    layer, optimizer, parameters = made()
    for _ in range(3):
        step(layer, optimizer)
    tensors, numbers = optimizer_state(optimizer, parameters)
    stored = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    weights = {name: value.detach().clone() for name, value in parameters.items()}

    other, again, others = made()
    with torch.no_grad():
        for name, value in others.items():
            value.copy_(weights[name])
    load(again, others, stored, numbers)
    for _ in range(3):
        step(layer, optimizer)
        step(other, again)
    assert (
        other.weight.stride()
        == layer.weight.stride()
        != torch.empty_like(layer.weight, memory_format=torch.contiguous_format).stride()
    )
    return max(float((others[name] - parameters[name]).detach().abs().max()) for name in parameters)


def test_strides_lost_on_resume() -> None:
    assert resumed_drift(Contiguous()) > 1e-3, "naive: the moments belong to other elements"
    assert resumed_drift(load_optimizer_state) == 0.0
