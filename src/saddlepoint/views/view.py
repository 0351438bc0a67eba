"""What every view answers to."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from saddlepoint.rounds import EMPTY, Round, State, Term


class View(Term):
    """What is done to every image before the discriminator sees it, on both sides, in both players' turns, with gradient.

    A pass that is judged anew is seen anew: what a view draws goes by the pass's key, so reals, fakes and further passes have
    draws of their own. Its state is observed after each turn of the discriminator.
    """

    name: ClassVar[str]
    least_resolution: ClassVar[int | None] = None
    """The lowest resolution of images that it takes; None where points will do as well."""
    open_end: ClassVar[float] = 1.0
    """Where a schedule without `last` ends, as a share of the run."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        """Images `[*, n, C, H, W]`, or points `[*, n, d]`, as the discriminator sees them, of the same shape."""

    def uniform(self, what: str, image: Tensor, round: Round, *shape: int) -> Tensor:
        """Uniform draws in [0, 1) for each image of this pass, `[*, n, *shape]`."""
        return round.streams.uniform(*self._stream(what, image, round), *shape).to(image)

    def normal(self, what: str, image: Tensor, round: Round, *shape: int) -> Tensor:
        """Standard normal draws for each image of this pass, `[*, n, *shape]`."""
        return round.streams.normal(*self._stream(what, image, round), *shape).to(image)

    def integers(self, what: str, high: int, image: Tensor, round: Round) -> Tensor:
        """Uniform integers in 0 … high - 1 for each image of this pass, `[*, n]`."""
        name, n = self._stream(what, image, round)
        return round.streams.integers(name, high, n)

    def _stream(self, what: str, image: Tensor, round: Round) -> tuple[str, int]:
        return f"{self.name} {what}, {round.viewing}", image.shape[len(round.streams.leading)]


def of_a_sample(number: Tensor, image: Tensor) -> Tensor:
    """Numbers `[*]`, `[*, 1]` or `[*, n]` so shaped that each meets all of its samples' pixels.

    >>> import torch
    >>> of_a_sample(torch.ones(2, 5), torch.zeros(2, 5, 3, 8, 8)).shape
    torch.Size([2, 5, 1, 1, 1])
    """
    return number.reshape(number.shape + (1,) * (image.ndim - number.ndim))
