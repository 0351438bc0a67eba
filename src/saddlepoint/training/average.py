"""The exponential average of the generator's weights: what is sampled."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.networks.network import Generator


class Average:
    r"""`average = decay average + (1 - decay) weights`, once a generator update; buffers are copied.

    Args:
        decay: from the updates made before to the decay; of stacked replicas a tensor `[*]` where they differ.

    Source: survey, 4.5; Yazici et al. 2019, "The unusual effectiveness of averaging in GAN training".
    """

    def __init__(self, generator: Generator, decay: Callable[[int], float | Tensor]) -> None:
        self.decay = decay
        self.network = copy.deepcopy(generator).requires_grad_(False).eval()
        self._averages: list[Tensor] = list(self.network.parameters())
        self._weights: list[Tensor] = list(generator.parameters())
        self._buffers = (list(self.network.buffers()), list(generator.buffers()))

    @torch.no_grad()
    def update(self, update: int) -> None:
        """Take one step towards the generator's weights, after update number `update`, counted from 0."""
        decay = self.decay(update)
        if isinstance(decay, Tensor):
            for average, weight in zip(self._averages, self._weights, strict=True):
                average.lerp_(weight, 1 - decay.reshape(decay.shape + (1,) * (weight.ndim - decay.ndim)))
        else:
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
        for mine, theirs in zip(*self._buffers, strict=True):
            mine.copy_(theirs)
