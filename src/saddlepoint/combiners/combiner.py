"""What every combiner of gradients answers to."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import Tensor

from saddlepoint.rounds import Record, Scores


class Products(NamedTuple):
    """Inner products `[*]` of the gradients of the two sides of a loss: each with itself, and of one with the other."""

    real: Tensor
    fake: Tensor
    between: Tensor


class Combiner(Record):
    """How the gradients of the two sides of a player's loss become one: `w_r g_r + w_f g_f`, and the penalties' with weight 1.

    The gradients are those of the whole batch: over the batches of an accumulated step, and over processes. Without a combiner the
    sum of all losses is differentiated in one backward pass; with one each side takes its own, from the same forward pass.
    """

    name: ClassVar[str]
    needs_boundary: ClassVar[bool] = False
    """Whether it asks on which side of 0 a score lies, and so needs an objective whose boundary is there."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    def look(self, scores: Scores) -> Mapping[str, Tensor]:
        """What the weights depend on besides the gradients: means `[*]` over the batch, which are averaged over all batches."""
        return {}

    @abstractmethod
    def __call__(self, products: Products, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The weights of the real and of the fake side's gradient, `[*]` each; `seen` is what `look` gave."""
