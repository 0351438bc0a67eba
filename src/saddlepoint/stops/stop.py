"""What every stop rule answers to."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from saddlepoint.rounds import State, Term


class Stop(Term):
    """A rule that ends a run. It observes every turn, and from its state says whether training is over.

    A run whose rule is met ends after that update. Of replicas each ends by itself: its weights stay as they are from then on.
    """

    name: ClassVar[str]
    needs_probability: ClassVar[bool] = False
    """Whether it reads the sigmoid of a score as a probability."""
    needs_weights: ClassVar[bool] = False
    """Whether it reads the weights of the generator's fakes, and so needs a weighting of them."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def over(self, state: State) -> Tensor:
        """Whether training is over, `[*]`."""
