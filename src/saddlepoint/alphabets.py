"""Discrete samples: what a sample may be, and what a generator's outputs say of it.

A generator of symbols gives numbers for each position of a sample, which are a distribution; a number in [0, 1) for each position
chooses a symbol from it. `*` are leading replica axes, `n` is the batch.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


class Alphabet(ABC):
    """A distribution over discrete samples for each output of a network."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[int, ...]:
        """The shape of what a generator gives for one sample."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """How many symbols one sample has: numbers that choose it."""

    @abstractmethod
    def sample(self, outputs: Tensor, choices: Tensor) -> Tensor:
        """Samples `[*, n, …]` from outputs `[*, n, *outputs]` and choices `[*, n, positions]` in [0, 1), without gradient."""

    @abstractmethod
    def log_probability(self, outputs: Tensor, samples: Tensor) -> Tensor:
        """The logarithm of the probability of each sample, `[*, n]`, with gradient for the outputs."""


@dataclass(frozen=True)
class Symbols(Alphabet):
    """One of K symbols, each a point `[d]`; the outputs are K logits.

    >>> alphabet = Symbols(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    >>> outputs = torch.tensor([[0.0, 0.0, 0.0]])
    >>> alphabet.sample(outputs, torch.tensor([[0.5]]))
    tensor([[1., 0.]])
    >>> alphabet.log_probability(outputs, torch.tensor([[1.0, 0.0]])).exp()
    tensor([0.3333])
    """

    points: tuple[tuple[float, ...], ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        return (len(self.points),)

    @property
    def positions(self) -> int:
        return 1

    @torch.no_grad()
    def sample(self, outputs: Tensor, choices: Tensor) -> Tensor:
        below = outputs.softmax(-1).cumsum(-1) <= choices
        # Rounding may leave the last sum below 1.
        chosen = below.sum(-1).clamp(max=len(self.points) - 1)
        return self._placed(outputs)[chosen]

    def log_probability(self, outputs: Tensor, samples: Tensor) -> Tensor:
        apart = (samples.unsqueeze(-2) - self._placed(outputs)).square().sum(-1)
        return outputs.log_softmax(-1).gather(-1, apart.argmin(-1, keepdim=True)).squeeze(-1)

    def _placed(self, like: Tensor) -> Tensor:
        return torch.tensor(self.points, device=like.device, dtype=like.dtype)


@dataclass(frozen=True)
class Signs(Alphabet):
    """Each number of a sample of this shape is -1 or 1, independently; the output is the logit of 1.

    >>> alphabet = Signs((1, 1, 2))
    >>> outputs = torch.zeros(1, 1, 1, 2)
    >>> alphabet.sample(outputs, torch.tensor([[0.4, 0.6]])).flatten().tolist()
    [1.0, -1.0]
    >>> alphabet.log_probability(outputs, torch.ones(1, 1, 1, 2)).exp()
    tensor([0.2500])
    """

    shape: tuple[int, ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.shape

    @property
    def positions(self) -> int:
        return math.prod(self.shape)

    @torch.no_grad()
    def sample(self, outputs: Tensor, choices: Tensor) -> Tensor:
        return torch.where(choices.reshape(outputs.shape) < outputs.sigmoid(), 1.0, -1.0).to(outputs)

    def log_probability(self, outputs: Tensor, samples: Tensor) -> Tensor:
        each: Tensor = F.logsigmoid(outputs * samples)
        return each.flatten(-len(self.shape)).sum(-1)
