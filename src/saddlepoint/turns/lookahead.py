"""Lookahead-minmax (Chavdarova et al. 2021): slow weights that follow the players, and to which the players return."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from saddlepoint.rounds import Record
from saddlepoint.turns.turn import Moving, keep

SLOW, SLOWER = "slow", "slower"


class Lookahead(Record):
    r"""Every k rounds, of both players at once: `slow += alpha (fast - slow)`, then `fast = slow`.

    A round is an update of the generator, whatever turns it is made of. The optimizers keep what they remember; buffers are not
    averaged. The slow weights begin as the first ones. `nested` keeps a second copy that does the same every so many rounds. The
    average of the generator's weights is taken of the slow ones, at each return; without one, samples are drawn from the slow ones.

    Source: Chavdarova et al. 2021, algorithm 1; the nested form, section 3.
    """

    name: ClassVar[str] = "lookahead"
    one_for_all: ClassVar[frozenset[str]] = frozenset({"k", "nested"})
    bibtex: ClassVar[str] = """@inproceedings{chavdarova2021taming,
  title={Taming {GANs} with lookahead-minmax},
  author={Chavdarova, Tatjana and Pagliardini, Matteo and Stich, Sebastian U and Fleuret, Fran{\\c{c}}ois and Jaggi, Martin},
  booktitle={International Conference on Learning Representations},
  year={2021}
}"""

    k: int = Field(default=5, ge=1, description="rounds between two returns to the slow weights")
    alpha: float = Field(default=0.5, ge=0, le=1, description="how far the slow weights follow; 1 is the players without them")
    nested: int | None = Field(default=None, ge=1, description="rounds between two returns to a second, slower copy; null has none")

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="after")
    def _nested_at_returns(self) -> Self:
        if self.nested is not None and self.nested % self.k:
            raise ValueError(f"nested: {self.nested} should be a multiple of k, {self.k}")
        return self

    def due(self, rounds: int) -> bool:
        """Whether the players return to the slow weights after so many rounds."""
        return rounds % self.k == 0

    def begin(self, player: Moving) -> None:
        """Take the slow weights from the player's own."""
        keep(player, SLOW)
        if self.nested is not None:
            keep(player, SLOWER)

    def settle(self, player: Moving, rounds: int) -> None:
        """Let the slow weights follow, and return to them."""
        self._follow(player, SLOW)
        if self.nested is not None and rounds % self.nested == 0:
            self._follow(player, SLOWER)
            keep(player, SLOW)

    @torch.no_grad()
    def _follow(self, player: Moving, what: str) -> None:
        for name, fast in player.parameters.items():
            slow = player.kept[what][name]
            alpha = self.alpha
            slow.lerp_(fast, alpha.reshape(-1, *[1] * (fast.ndim - 1)) if isinstance(alpha, Tensor) else alpha)
            fast.copy_(slow)
