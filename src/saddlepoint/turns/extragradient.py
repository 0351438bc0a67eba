"""Extragradient, and extrapolation from the past (Gidel et al. 2019)."""

from typing import ClassVar

from saddlepoint.turns.play import BOTH_PLAYERS, Turns
from saddlepoint.turns.turn import AND_REMEMBER, EXTRAPOLATE, FROM_START, Turn

GIDEL = """@inproceedings{gidel2019variational,
  title={A variational inequality perspective on generative adversarial networks},
  author={Gidel, Gauthier and Berard, Hugo and Vignoud, Ga{\\"e}tan and Vincent, Pascal and Lacoste-Julien, Simon},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""


class Extragradient(Turns):
    r"""`w' = w - eta u(w)`, then `w <- w - eta u(w')`: both look where they would go and step by the gradient there.

    `u` is the direction of each player's optimizer: with SGD this is Korpelevich's method, with Adam ExtraAdam, whose means and
    count of steps are shared by both half-steps and move at each. Each half-step has a new batch. Buffers, projections and what
    terms remember move after the second one only.

    Source: Gidel et al. 2019, algorithm 2 (ExtraAdam: algorithm 4).

    >>> [turn.move.counts for turn in Extragradient().turns(1)]
    [False, True]
    """

    name: ClassVar[str] = "extragradient"
    extrapolates: ClassVar[bool] = True
    bibtex: ClassVar[str] = GIDEL

    def turns(self, discriminator_steps: int) -> tuple[Turn, ...]:
        return (Turn(BOTH_PLAYERS, move=EXTRAPOLATE), Turn(BOTH_PLAYERS, move=FROM_START))


class ExtragradientFromThePast(Turns):
    r"""`w' = w - eta u_past`, then `w <- w - eta u(w')`, where `u_past` is the direction of the last round: one gradient a round.

    The first round has no past and takes its first half-step by a gradient, as extragradient does.

    Source: Gidel et al. 2019, section 3.2 and algorithm 3.

    >>> [turn.due(update) for turn in ExtragradientFromThePast().turns(1) for update in (0, 1)]
    [True, False, True, True]
    """

    name: ClassVar[str] = "extragradient-from-the-past"
    extrapolates: ClassVar[bool] = True
    bibtex: ClassVar[str] = GIDEL

    def turns(self, discriminator_steps: int) -> tuple[Turn, ...]:
        return (Turn(BOTH_PLAYERS, until=1, move=EXTRAPOLATE), Turn(BOTH_PLAYERS, move=AND_REMEMBER))
