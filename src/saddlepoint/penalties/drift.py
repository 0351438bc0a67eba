"""The drift penalty (Karras et al. 2018): the critic's real scores are held near 0."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Mover, Round, State
from saddlepoint.schedules import Constant


class Drift(Penalty):
    r"""`mean_i s_i^2` over the scores of the real samples, `[*]`.

    The Wasserstein loss does not change when a constant is added to all scores; this fixes the constant. With the loss, a real
    score that is free to move rests at `1 / (2 weight)`.

    Source: Karras et al. 2018, appendix A.1.

    >>> import torch
    >>> round = Round.of(real=torch.full((4, 1), 3.0), fake=torch.zeros(4, 1), discriminator=lambda x: x)
    >>> Drift()(round).item()
    9.0
    """

    name: ClassVar[str] = "drift"
    players: ClassVar[tuple[Mover, ...]] = ("discriminator",)
    bibtex: ClassVar[str] = """@inproceedings{karras2018progressive,
  title={Progressive growing of {GANs} for improved quality, stability, and variation},
  author={Karras, Tero and Aila, Timo and Laine, Samuli and Lehtinen, Jaakko},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    weight: Weight = Field(default=Constant(value=0.001), description="epsilon; a schedule of this player's updates")

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        return in_full_precision(round.scores.real).square().mean(-1)
