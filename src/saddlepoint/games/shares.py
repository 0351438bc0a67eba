"""Who steps a player's parameters: one optimizer for all of them, or one for each stretch of replicas with the same settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.optimizers.optimizer import Projection


@dataclass(frozen=True)
class Share:
    """Parameters that step together.

    Args:
        parameters: by name; of a stretch of replicas they are views of the player's own, which share its memory.
        learning_rate: as a function of the generator's updates, so that both players reach its end together.
        projections: done to the parameters after each update.
        rows: which replicas; None is the whole player.
    """

    parameters: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer
    learning_rate: Callable[[int], float]
    projections: Sequence[Projection] = ()
    rows: slice | None = None

    def step(self, whole: Mapping[str, Tensor], update: int) -> None:
        """Optimise, by the gradients of the player's own parameters; the views' are gone afterwards."""
        if self.rows is not None:
            for name, view in self.parameters.items():
                gradient = whole[name].grad
                view.grad = None if gradient is None else gradient[self.rows]
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(update)
        self.optimizer.step()
        for parameter in self.parameters.values():
            parameter.grad = None

    def project(self) -> None:
        """Apply the projections."""
        for projection in self.projections:
            projection(self.parameters)


def stretches(settings: Sequence[object]) -> list[slice]:
    """Neighbours with equal settings.

    >>> stretches([1, 1, 2, 1])
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    starts = [number for number in range(len(settings)) if number == 0 or settings[number] != settings[number - 1]]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(settings)], strict=True)]


def views(parameters: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    """The parameters of a stretch of replicas, as leaves that share the memory of the whole."""
    return {name: parameter.detach()[rows].requires_grad_() for name, parameter in parameters.items()}
