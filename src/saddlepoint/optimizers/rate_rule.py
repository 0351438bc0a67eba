"""What changes the learning rates while training, by what was recorded."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from saddlepoint.rounds import Record, State


class RateRule(Record):
    """A factor of both players' learning rates, worked out from a recorded quantity, once an update.

    What it remembers is named tensors `[*]` that the game holds and every checkpoint saves, the factor among them.
    """

    name: ClassVar[str]

    quantity: str

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def initial_state(self, leading: Sequence[int]) -> State:
        """What is remembered before the first update; `factor` is what the rates are multiplied with."""

    @abstractmethod
    def observe(self, value: Tensor, state: State) -> State:
        """What is remembered after an update that recorded `value`, `[*]`."""
