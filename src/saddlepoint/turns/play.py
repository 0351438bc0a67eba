"""What every way of taking turns answers to, and the two plain ones."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from saddlepoint.rounds import Mover, Record
from saddlepoint.turns.turn import Turn

BOTH_PLAYERS: tuple[Mover, ...] = ("discriminator", "generator")


class Turns(Record):
    """How a round goes: the turns that are played in each update of the generator."""

    name: ClassVar[str]
    # Whether each player makes one update a round.
    one_to_one: ClassVar[bool] = True
    # Whether gradients are taken where the players would go, and steps from where they were.
    extrapolates: ClassVar[bool] = False

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @abstractmethod
    def turns(self, discriminator_steps: int) -> tuple[Turn, ...]:
        """The turns of a round, in their order."""


class Alternating(Turns):
    """The discriminator steps `schedule.discriminator_steps` times, then the generator once, against what came of it.

    Source: Goodfellow et al. 2014, algorithm 1.

    >>> [turn.movers for turn in Alternating().turns(5)], Alternating().turns(5)[0].times
    ([('discriminator',), ('generator',)], 5)
    """

    name: ClassVar[str] = "alternating"
    one_to_one: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{goodfellow2014generative,
  title = {Generative adversarial nets},
  author = {Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and Ozair, Sherjil
            and Courville, Aaron and Bengio, Yoshua},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {27},
  year = {2014}
}"""

    def turns(self, discriminator_steps: int) -> tuple[Turn, ...]:
        return (Turn(("discriminator",), times=discriminator_steps), Turn(("generator",)))


class Simultaneous(Turns):
    """Both players step at once: each by the gradient of its loss at the weights that both had before.

    One pass of the generator and of the discriminator serves both losses. The setting of most proofs.

    Source: Mescheder et al. 2017, algorithm 1.

    >>> Simultaneous().turns(1)[0].movers
    ('discriminator', 'generator')
    """

    name: ClassVar[str] = "simultaneous"
    bibtex: ClassVar[str] = """@inproceedings{mescheder2017numerics,
  title={The numerics of {GANs}},
  author={Mescheder, Lars and Nowozin, Sebastian and Geiger, Andreas},
  booktitle={Advances in Neural Information Processing Systems},
  volume={30},
  year={2017}
}"""

    def turns(self, discriminator_steps: int) -> tuple[Turn, ...]:
        return (Turn(BOTH_PLAYERS),)
