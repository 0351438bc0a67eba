"""Stacked multilayer perceptrons in one C kernel: each replica's whole pass while its weights lie in the first cache.

The plain layers are the reference it is tested against.
"""

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.networks.kernel_library import REALS, NoKernel, library
from saddlepoint.networks.layers import Linear

ActivationName = Literal["relu", "leaky-relu", "tanh"]

SOURCE = Path(__file__).with_name("fused_mlp.c")
CODES: dict[ActivationName, int] = {"relu": 1, "leaky-relu": 2, "tanh": 3}
SLOPE = 0.2


@dataclass(frozen=True)
class FusedMlp:
    """Linear layers with an activation between them, for replicas along one leading axis.

    Args:
        layers: all with a bias and one replica axis.
        activation: after every layer but the last.
        bounded: whether what comes out goes through a tanh.

    Raises:
        NoKernel: when made, where the kernel cannot be had.
    """

    layers: tuple[Linear, ...]
    activation: ActivationName
    bounded: bool = False

    def __post_init__(self) -> None:
        weight = self.layers[0].weight
        if weight.device.type != "cpu" or weight.dtype not in REALS:
            raise NoKernel(f"there is none for {weight.dtype} on {weight.device.type}")
        library(SOURCE, weight.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """`[replicas, n, inputs] -> [replicas, n, outputs]`; differentiable once."""
        made = self._linear(x)
        return torch.tanh(made) if self.bounded else made

    def _linear(self, x: Tensor) -> Tensor:
        parameters = [tensor for layer in self.layers for tensor in (layer.effective_weight(), layer.bias) if tensor is not None]
        sizes = _sizes(self.layers)
        if torch.is_grad_enabled() and (x.requires_grad or any(parameter.requires_grad for parameter in parameters)):
            made: Tensor = _Pass.apply(x, sizes, self.activation, *parameters)
            return made
        return _forward(x, sizes, self.activation, parameters, keep=False)[0]


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: tuple[int, ...], activation: ActivationName, *parameters: Tensor) -> Tensor:
        x = _rows_together(x)
        y, hidden = _forward(x, sizes, activation, parameters, keep=True)
        ctx.save_for_backward(x, hidden, *parameters)
        ctx.sizes, ctx.activation = sizes, activation
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        # torch's own guard misses a gradient that is itself a constant, and would give silent zeros.
        if torch.is_grad_enabled():
            raise RuntimeError("the fused kernel is differentiable once; take the plain layers for gradients of gradients")
        x, hidden, *parameters = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        dx = torch.empty(x.shape, dtype=x.dtype) if wanted[0] else None
        gradients = [torch.empty_like(parameter) for parameter in parameters] if any(wanted[3:]) else None
        kernel = library(SOURCE, x.dtype)
        dy = dy.contiguous()
        replicas, rows, _ = x.shape
        _check(
            kernel.backward(
                *_network(replicas, rows, ctx.sizes, ctx.activation),
                _at(x),
                ctypes.c_int64(x.stride(0)),
                _all_at(parameters),
                _at(hidden),
                ctypes.c_int64(hidden.stride(0)),
                _at(dy),
                None if dx is None else _at(dx),
                None if gradients is None else _all_at(gradients),
            )
        )
        unwanted: list[Tensor | None] = [None] * len(parameters)
        return dx, None, None, *(gradients or unwanted)


def _forward(
    x: Tensor, sizes: tuple[int, ...], activation: ActivationName, parameters: Sequence[Tensor], *, keep: bool
) -> tuple[Tensor, Tensor]:
    """The outputs, and the hidden layers: of every replica, or the room in which they were made."""
    x = _rows_together(x)
    replicas, rows, _ = x.shape
    numbers = _hidden_numbers(x.dtype, rows, sizes)
    hidden = torch.empty(replicas if keep else 1, numbers, dtype=x.dtype)
    y = torch.empty(replicas, rows, sizes[-1], dtype=x.dtype)
    _check(
        library(SOURCE, x.dtype).forward(
            *_network(replicas, rows, sizes, activation),
            _at(x),
            ctypes.c_int64(x.stride(0)),
            _all_at(parameters),
            _at(hidden),
            ctypes.c_int64(hidden.stride(0) if keep else 0),
            _at(y),
        )
    )
    return y, hidden


def _rows_together(x: Tensor) -> Tensor:
    """With the rows of a replica one after another; replicas may lie apart."""
    together = x.stride(-1) == 1 and x.stride(-2) == x.shape[-1]
    return x if together else x.contiguous()


def _sizes(layers: Sequence[Linear]) -> tuple[int, ...]:
    return (layers[0].weight.shape[-1], *(layer.weight.shape[-2] for layer in layers))


@functools.cache
def _hidden_numbers(dtype: torch.dtype, rows: int, sizes: tuple[int, ...]) -> int:
    count = library(SOURCE, dtype).hidden_numbers
    count.restype = ctypes.c_int64
    return int(count(ctypes.c_int64(rows), ctypes.c_int64(len(sizes) - 1), _widths(sizes)))


@functools.cache
def _widths(sizes: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * len(sizes))(*sizes)


@functools.cache
def _network(replicas: int, rows: int, sizes: tuple[int, ...], activation: ActivationName) -> tuple[Any, ...]:
    counts = (ctypes.c_int64(number) for number in (replicas, rows, len(sizes) - 1))
    return (*counts, _widths(sizes), ctypes.c_int64(CODES[activation]), ctypes.c_double(SLOPE))


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _all_at(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def _check(status: int) -> None:
    if status:
        raise MemoryError("the fused kernel found no memory for its rows")
