"""What every weighting answers to."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Clock, Meaning, State, Term


class Weighting(Term):
    """Weights of mean 1 over the last axis, from the scores of one side; the loss is `mean_i w_i l_i`.

    The papers' weights sum to 1 over a batch of m; these are m times those, so that equal weights are exactly 1 and leave the
    plain mean as it is, to the last bit.
    """

    name: ClassVar[str]
    reads: ClassVar[Rule] = "everyone"
    reads_scores_as: ClassVar[Meaning | None] = "realness"
    needs_probability: ClassVar[bool]
    """Whether it reads the score as a logit, and so needs an objective whose score's sigmoid is a probability."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    def scheduled(self, clock: Clock) -> State:
        """What its schedules say this turn, `[*]` or `[*, 1]` by name: handed to the call with the state."""
        return EMPTY

    @abstractmethod
    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        """Weights `[*, n]` of mean 1 for scores `[*, n]`, a constant for the gradient unless the record says otherwise."""


def in_full_precision(scores: Tensor) -> Tensor:
    """Scores `[*, n]` in float32 if they came in less; raises `ValueError` when they have no batch axis."""
    if scores.ndim == 0:
        raise ValueError("a weighting needs scores with a batch axis, [*, n], and got a single number")
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def softmax_of_mean_one(exponents: Tensor) -> Tensor:
    """`n softmax(exponents)` over the last axis; equal exponents give exactly 1 each, which a softmax times n does not."""
    powers = (exponents - exponents.amax(-1, keepdim=True).detach()).exp()
    return powers / powers.mean(-1, keepdim=True)
