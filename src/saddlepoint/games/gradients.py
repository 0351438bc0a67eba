"""From a player's losses to the gradient of its step: one backward pass of their sum, or each side's apart and then combined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.combiners.combiner import Combiner, Products
from saddlepoint.rounds import Round, Side

Gradient = dict[str, Tensor]


@dataclass(frozen=True)
class Losses:
    """What a player minimises in one round, `[*]` each.

    Args:
        sides: the weighted mean of each side that the objective gives.
        penalties: each that is due, times its weight.
        total: the sum of all of them.
    """

    sides: Mapping[Side, Tensor]
    penalties: Sequence[Tensor]
    total: Tensor


def differentiate(loss: Tensor, parameters: Mapping[str, Tensor], batches: int, *, retain_graph: bool) -> None:
    """Add a loss's gradient for these parameters to their `grad`, laid out as they are; the loss is one of `batches` to average.

    What is differentiated is the sum over replicas; a lone loss is its own sum.
    """
    share = loss if batches == 1 else loss / batches
    total = share.sum() if share.ndim else share
    total.backward(inputs=[*parameters.values()], retain_graph=retain_graph)


class Apart:
    """The gradients of a player's sides and of its penalties, each kept apart until all batches of all processes are in them."""

    def __init__(self, combiner: Combiner) -> None:
        self.combiner = combiner
        self._sides: dict[Side, Gradient] = {}
        self._penalties: Gradient = {}
        self._seen: dict[str, Tensor] = {}

    def add(self, losses: Losses, round: Round, parameters: Mapping[str, Tensor], batches: int, *, retain_graph: bool) -> None:
        """Take up one of `batches` rounds."""
        parts: list[tuple[Tensor, Gradient]] = [(loss, self._sides.setdefault(side, {})) for side, loss in losses.sides.items()]
        parts += [(loss, self._penalties) for loss in losses.penalties]
        for number, (loss, kept) in enumerate(parts, 1):
            if loss.requires_grad:
                differentiate(loss, parameters, batches, retain_graph=retain_graph or number < len(parts))
                _take(parameters, kept)
        if losses.sides:
            for name, value in self.combiner.look(round.scores).items():
                self._seen[name] = self._seen.get(name, 0) + value / batches

    def tensors(self) -> list[Tensor]:
        """Everything that several processes average."""
        gradients = [gradient for part in (*self._sides.values(), self._penalties) for gradient in part.values()]
        return [*gradients, *self._seen.values()]

    def combine(self, parameters: Mapping[str, Tensor], leading: Sequence[int]) -> dict[Side, Tensor]:
        """Leave the combined gradient in the parameters' `grad`; the weights of the sides, `[*]` each.

        Args:
            leading: replica axes of the parameters; norms and inner products are of each replica alone.
        """
        found, weights = dict(self._penalties), self._weights(parameters, leading)
        for side, weight in weights.items():
            for name, part in self._sides.get(side, {}).items():
                part.mul_(weight.reshape(weight.shape + (1,) * (part.ndim - weight.ndim)))
                found[name] = found[name].add_(part) if name in found else part
        for name, gradient in found.items():
            parameters[name].grad = gradient
        self._sides, self._penalties, self._seen = {}, {}, {}
        return weights

    def _weights(self, parameters: Mapping[str, Tensor], leading: Sequence[int]) -> dict[Side, Tensor]:
        if not self._sides:
            return {}
        real, fake = self._sides.get("real", {}), self._sides.get("fake", {})
        nothing = next(iter(parameters.values())).new_zeros(tuple(leading))
        products = Products(*(_product(one, other, nothing) for one, other in ((real, real), (fake, fake), (real, fake))))
        weight_real, weight_fake = self.combiner(products, self._seen)
        return {"real": weight_real, "fake": weight_fake}


def _take(parameters: Mapping[str, Tensor], kept: Gradient) -> None:
    """Move what a backward pass left into `kept`: it laid each out as its parameter, and adding in place keeps that."""
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            kept[name] = kept[name].add_(parameter.grad) if name in kept else parameter.grad
            parameter.grad = None


def _product(one: Gradient, other: Gradient, nothing: Tensor) -> Tensor:
    """The inner product of two gradients, `[*]`."""
    axes = nothing.ndim
    return sum(((one[name] * other[name]).flatten(axes).sum(-1) for name in one if name in other), start=nothing)
