"""The prompt step gives torch's own numbers, to the bit, and steps aside wherever torch would do more."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.optimizers.prompt_adam import PromptAdam
from saddlepoint.optimizers.state import load_optimizer_state, optimizer_state
from saddlepoint.streams import Streams

SETTINGS: dict[str, Any] = {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-6, "weight_decay": 0.1}


def weights() -> list[nn.Parameter]:
    streams = Streams(3)
    square = streams.normal("square", 4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    return [nn.Parameter(square), nn.Parameter(streams.normal("row", 7)), nn.Parameter(streams.normal("number"))]


def give_gradients(parameters: list[nn.Parameter], step: int) -> None:
    streams = Streams(100 + step)
    for number, parameter in enumerate(parameters):
        loss = (parameter * streams.normal(f"gradient {number}", *parameter.shape)).sum()
        loss.backward(inputs=[parameter])


def trained(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: range) -> list[Tensor]:
    for step in steps:
        optimizer.zero_grad()
        give_gradients(parameters, step)
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def test_it_steps_as_torch_does_to_the_bit() -> None:
    mine, theirs = weights(), weights()
    reached = trained(PromptAdam(mine, **SETTINGS), mine, range(20))
    assert same(reached, trained(torch.optim.Adam(theirs, fused=True, **SETTINGS), theirs, range(20)))
    assert not same(reached, [weight.detach() for weight in weights()])


def test_after_its_state_was_replaced_it_goes_on_with_the_new_one() -> None:
    unbroken = weights()
    reached = trained(PromptAdam(unbroken, **SETTINGS), unbroken, range(10))

    parameters = weights()
    optimizer = PromptAdam(parameters, **SETTINGS)
    trained(optimizer, parameters, range(5))
    names = {str(number): parameter for number, parameter in enumerate(parameters)}
    tensors, numbers = optimizer_state(optimizer, names)
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    values = copy.deepcopy([parameter.detach() for parameter in parameters])
    trained(optimizer, parameters, range(5, 8))
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
    load_optimizer_state(optimizer, names, kept, numbers)
    assert same(trained(optimizer, parameters, range(5, 10)), reached)


def test_a_parameter_without_a_gradient_stays_where_it_is() -> None:
    parameters = weights()
    optimizer = PromptAdam(parameters, **SETTINGS)
    trained(optimizer, parameters, range(3))
    optimizer.zero_grad()
    before = [parameter.detach().clone() for parameter in parameters]
    parameters[1].sum().backward()
    optimizer.step()
    moved = [not torch.equal(parameter, value) for parameter, value in zip(parameters, before, strict=True)]
    assert moved == [False, True, False]


def test_hooks_and_closures_are_heard() -> None:
    parameters = weights()
    optimizer = PromptAdam(parameters, **SETTINGS)
    trained(optimizer, parameters, range(3))
    heard: list[str] = []
    optimizer.register_step_post_hook(lambda *_: heard.append("hook"))
    trained(optimizer, parameters, range(3, 4))

    def closure() -> float:
        heard.append("closure")
        return 2.5

    assert optimizer.step(closure) == 2.5
    assert heard == ["hook", "closure", "hook"]


def test_a_second_group_is_moved_too() -> None:
    parameters, further = weights(), nn.Parameter(torch.ones(3))
    optimizer = PromptAdam(parameters, **SETTINGS)
    trained(optimizer, parameters, range(3))
    optimizer.add_param_group({"params": [further]})
    give_gradients(parameters, 4)
    further.sum().backward()
    optimizer.step()
    assert float(further.detach().max()) < 1


@pytest.mark.parametrize("fused", [True, False])
def test_the_record_builds_it_where_the_fused_kernel_is_asked_for(fused: bool) -> None:
    from saddlepoint.optimizers import OPTIMIZERS

    built = OPTIMIZERS["adam"]().build({"weight": nn.Parameter(torch.ones(2))}, fused=fused)
    assert isinstance(built, PromptAdam) == fused
