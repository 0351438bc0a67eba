"""What an optimizer remembers, by the names of its parameters: out for a checkpoint, and in again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The state of each parameter as `"PARAMETER.key"`: tensors (not copied), and plain numbers.

    Rates and other settings are not state: they come from the record.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = torch.optim.Adam([weight])
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> sorted(optimizer_state(optimizer, {"weight": weight})[0])
    ['weight.exp_avg', 'weight.exp_avg_sq', 'weight.step']
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}.{key}"] = value.detach()
            elif value is not None:
                numbers[f"{name}.{key}"] = value
    return tensors, numbers


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor], numbers: Mapping[str, float]
) -> None:
    """Put back what `optimizer_state` gave, in place of whatever is there.

    Raises `ValueError` on a name or a shape that is not the player's.

    Each tensor is laid out in memory as its parameter. Files keep no strides, and the fused optimizers read state by position: a
    contiguous `exp_avg` beside a channels-last weight would silently belong to other elements.
    """
    loaded: dict[Tensor, dict[str, Any]] = {}
    for full_name, value in (*tensors.items(), *numbers.items()):
        name, _, key = full_name.rpartition(".")
        if name not in parameters:
            raise ValueError(f'optimizer state "{full_name}" belongs to no parameter of this player')
        parameter = parameters[name]
        loaded.setdefault(parameter, {})[key] = (
            _placed(optimizer, full_name, value, parameter) if isinstance(value, Tensor) else value
        )
    optimizer.state.clear()
    optimizer.state.update(loaded)


def _placed(optimizer: torch.optim.Optimizer, full_name: str, value: Tensor, parameter: Tensor) -> Tensor:
    if full_name.endswith(".step"):
        counts_on_device = any(optimizer.defaults.get(setting) for setting in ("fused", "capturable"))
        return value.to(parameter.device if counts_on_device else "cpu", copy=True)
    if value.shape != parameter.shape:
        raise ValueError(
            f'optimizer state "{full_name}" has the shape {tuple(value.shape)}; its parameter has {tuple(parameter.shape)}'
        )
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
