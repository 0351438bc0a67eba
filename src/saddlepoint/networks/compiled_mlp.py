"""Stacked multilayer perceptrons through `torch.compile`: the arithmetic of the plain layers, written for the shapes at hand."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks.activations import leaky_relu
from saddlepoint.networks.fused_mlp import ActivationName
from saddlepoint.networks.kernel_library import NoKernel
from saddlepoint.networks.layers import Linear

ACTIVATIONS: dict[ActivationName, Callable[[Tensor], Tensor]] = {"relu": F.relu, "leaky-relu": leaky_relu, "tanh": torch.tanh}


@dataclass(frozen=True)
class CompiledMlp:
    """Linear layers with an activation between them, for replicas along one leading axis.

    Compiled are the passes of training in which no input takes a gradient: where one does, torch's compiler gives up a matrix
    product for a loop that is several times slower than the plain layers. A new shape is compiled when it is first met.

    Args:
        layers: all with a bias and one replica axis.
        activation: after every layer but the last.
        bounded: whether what comes out goes through a tanh.
    """

    layers: tuple[Linear, ...]
    activation: ActivationName
    bounded: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """`[replicas, n, inputs] -> [replicas, n, outputs]`; differentiable once."""
        parameters = [tensor for layer in self.layers for tensor in (layer.effective_weight(), layer.bias) if tensor is not None]
        compiled = torch.is_grad_enabled() and not x.requires_grad
        made: Tensor = (_compiled() if compiled else _passed)(x, self.activation, self.bounded, *parameters)
        return made

    def tried(self, rows: int) -> float:
        """Seconds of compiling for batches of `rows`.

        Raises:
            NoKernel: torch cannot compile here.
        """
        weight = self.layers[0].weight
        begun = time.perf_counter()
        try:
            self(weight.new_zeros(weight.shape[0], rows, weight.shape[-1])).sum().backward()
        # Whatever torch's compiler stumbles over, the plain layers can do.
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise NoKernel(f"torch.compile fails ({type(error).__name__}: {reason[:100]})") from error
        finally:
            for layer in self.layers:
                layer.zero_grad()
        return time.perf_counter() - begun


def _passed(x: Tensor, activation: ActivationName, bounded: bool, *parameters: Tensor) -> Tensor:
    weights, biases = parameters[::2], parameters[1::2]
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        if number < len(weights):
            x = ACTIVATIONS[activation](x)
    return torch.tanh(x) if bounded else x


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(_passed, dynamic=False)
