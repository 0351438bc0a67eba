"""torch's fused Adam, called without the checks around it that cost more than a small game's whole step."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor


class PromptAdam(torch.optim.Adam):
    """`torch.optim.Adam(..., fused=True)` whose step goes straight to torch's kernel; the numbers are the same to the bit.

    torch's own step looks at every parameter's state, at hooks, closures and accelerators each time: on six small tensors that is
    nine tenths of it. Here the lists are gathered once. Torch's way go the first step, one with a closure or hooks, one in which a
    parameter has no gradient, any with a second group, and the one after the state was replaced.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = PromptAdam([weight], lr=0.1)
    >>> (weight * torch.tensor([3.0, -5.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([-0.1000,  0.1000])
    """

    def __init__(self, parameters: Iterable[Tensor], **settings: Any) -> None:
        super().__init__(parameters, fused=True, **settings)
        self._parameters: list[Tensor] = self.param_groups[0]["params"]
        self._moments: tuple[list[Tensor], list[Tensor], list[Tensor]] | None = None

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        usual = closure is not None or len(gradients) < len(self._parameters) or self._hooked() or self._replaced()
        if usual or self._moments is None:
            loss: float | None = super().step(closure)
            self._moments = self._gathered() if len(gradients) == len(self._parameters) else None
            return loss
        group = self.param_groups[0]
        means, squares, steps = self._moments
        with torch.no_grad():
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                self._parameters,
                gradients,
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return None

    # torch wraps a class's step in its profiler unless it is marked so.
    step.hooked = True  # type: ignore[attr-defined]

    def _gathered(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        states = [self.state[parameter] for parameter in self._parameters]
        means, squares, steps = ([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq", "step"))
        return means, squares, steps

    def _replaced(self) -> bool:
        held = self.state.get(self._parameters[0])
        return self._moments is None or not held or held["exp_avg"] is not self._moments[0][0]

    def _hooked(self) -> bool:
        return bool(self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks or len(self.param_groups) > 1)
