"""What every optimizer and every projection answers to."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import torch
from pydantic import AfterValidator
from torch import Tensor

from saddlepoint.rounds import Record
from saddlepoint.schedules import Schedule


def _is_rate(schedule: Schedule) -> Schedule:
    numbers = [value for name, value in schedule if name in ("value", "start", "end")]
    if any(name == "step" and value < 0 for name, value in schedule):
        raise ValueError("a rate of falling stairs ends below 0; use linear or cosine")
    if min(numbers) < 0 or max(numbers) == 0:
        raise ValueError(f"{min(numbers):g} is not a rate; give a number above 0")
    return schedule


Rate = Annotated[Schedule, AfterValidator(_is_rate)]


class Optimizer(Record):
    """An optimizer of torch with its settings.

    Before each step the group's `lr` is set to `lr(generator updates)`, for both players, so that they reach its end together.
    """

    name: ClassVar[str]
    # Whether a step looks ahead of the gradient by itself.
    extrapolates: ClassVar[bool] = False
    # Fields that say how much of a memory is kept from step to step.
    decays: ClassVar[tuple[str, ...]] = ()

    lr: Rate

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    def at_pace(self, pace: float) -> Self:
        """The optimizer whose `decays` are `decay^pace`: its steps are `pace` of a step long, and it forgets as fast.

        >>> from saddlepoint.optimizers import OPTIMIZERS
        >>> OPTIMIZERS["adam"](betas=(0.0, 0.81)).at_pace(0.5).betas
        (0.0, 0.9)

        Source: Karras et al. 2020, appendix B.
        """
        if pace == 1:
            return self
        return self.model_copy(update={name: _powers(getattr(self, name), pace) for name in self.decays})

    @abstractmethod
    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        """The optimizer of these parameters, in one group, at the rate of update 0.

        `fused` asks for torch's one-kernel form where it has one. That form ignores the strides of a gradient: take gradients with
        `backward(inputs=...)`, which lays each out as its parameter, and never assign what `autograd.grad` gives.
        """


def _powers(decay: float | tuple[float, ...], power: float) -> float | tuple[float, ...]:
    return tuple(one**power for one in decay) if isinstance(decay, tuple) else decay**power


class Projection(Record):
    """What is done to a player's parameters after each of its steps."""

    name: ClassVar[str]

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def __call__(self, parameters: Mapping[str, Tensor]) -> None:
        """Change the parameters in place, without gradient. Buffers are not touched."""
