"""What every relabelling answers to: fakes that the discriminator's loss counts among the reals."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import AfterValidator
from torch import Tensor

from saddlepoint.processes import Rule
from saddlepoint.rounds import Meaning, Sides, Term
from saddlepoint.schedules import Schedule, highest, lowest


def _is_share(share: Schedule) -> Schedule:
    if lowest(share) < 0 or highest(share) >= 1:
        raise ValueError("the numbers are shares of the fakes; give numbers from 0 to below 1")
    return share


Share = Annotated[Schedule, AfterValidator(_is_share)]


class Relabelling(Term):
    """Which fakes the discriminator's loss treats as real. With n reals and m fakes of which K are moved,

        L_D = 1/(n + K) [sum_i l_r(real i) + sum_{j moved} l_r(fake j)] + 1/(m - K) sum_{j not moved} l_f(fake j),

    for losses of which each depends on its own score alone. `share` is a schedule of rounds; where it is 0 nothing is done.
    """

    name: ClassVar[str]
    reads: ClassVar[Rule] = "everyone"
    reads_scores_as: ClassVar[Meaning | None] = "realness"

    share: Share

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def __call__(self, scores: Tensor, count: Tensor) -> Tensor:
        """Which of the fakes, by their scores `[*, m]`, are moved: true for `count` of them, `[*, m]`.

        Args:
            count: how many, `[]`, or `[*, 1]` where replicas differ.
        """


class Relabelled(NamedTuple):
    """Per-sample losses whose means, each over its own batch, sum to the loss: of reals, of moved fakes, of the other fakes."""

    real: Tensor
    moved: Tensor
    fake: Tensor


def counted(share: float | Tensor, m: int) -> Tensor:
    """How many of m fakes a share is, the nearest whole number below m; `[]`, or `[*, 1]` of shares `[*]`.

    >>> int(counted(0.125, 64)), int(counted(0.99, 4))
    (8, 3)
    """
    shares = torch.as_tensor(share).cpu().double()
    count = (shares * m + 0.5).floor().clamp_max(m - 1)
    return count.unsqueeze(-1) if count.ndim else count


def relabelled(sides: Sides, as_real: Tensor, moved: Tensor, count: Tensor, n: int, m: int) -> Relabelled:
    """Losses under a relabelling.

    Args:
        sides: the objective's, of this process's samples.
        as_real: the loss that each fake would have as a real.
        moved: which fakes are moved.
        count: how many, of everyone's.
        n, m: everyone's reals and fakes.
    """
    assert sides.real is not None
    assert sides.fake is not None
    # A number over a tensor is its reciprocal times the number, and not 1 where both are equal.
    among_reals = (torch.full_like(count, n) / (n + count)).to(as_real)
    among_fakes = (torch.full_like(count, m) / (m - count)).to(as_real)
    return Relabelled(
        among_reals * sides.real,
        torch.where(moved, (m / n) * among_reals * as_real, torch.zeros_like(as_real)),
        torch.where(moved, torch.zeros_like(as_real), among_fakes * sides.fake),
    )
