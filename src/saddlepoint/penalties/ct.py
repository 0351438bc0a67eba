"""The consistency term of CT-GAN (Wei et al. 2018): two judgements of the same reals, under other dropout masks, agree."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Features, Mover, Need, Round, State, last_activations
from saddlepoint.schedules import Constant


class CT(Penalty):
    r"""`mean_i max(0, (s'_i - s''_i)^2 + w mean_k (f'_ik - f''_ik)^2 - M)`: two passes of the reals with masks of their own.

    `s` are scores and `f` what enters the last layer, `w` the weight of `features`, `M` the `margin`. The first pass is the one
    that the loss uses. Dropout is on in every pass of training, and the masks are drawn from the run's streams.

    Without dropout the two passes are one and the term is 0, so a recipe refuses it there.

    Source: Wei, Gong, Liu, Lu, Wang 2018, equations 4 and 5; squares and the weight outside the maximum as in the authors' code.

    >>> import torch
    >>> from saddlepoint.networks import NETWORKS
    >>> from saddlepoint.streams import Streams
    >>> critic = NETWORKS["mlp"](dropout=0.5).discriminator((2,), Streams(0))
    >>> round = Round.of(real=torch.ones(8, 2), fake=torch.zeros(8, 2), discriminator=critic)
    >>> bool(CT()(round) > 0), bool(CT(margin=9.0)(round) == 0)
    (True, True)
    """

    name: ClassVar[str] = "ct"
    players: ClassVar[tuple[Mover, ...]] = ("discriminator",)
    needs_dropout: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{wei2018improving,
  title={Improving the improved training of {Wasserstein} {GANs}: A consistency term and its dual effect},
  author={Wei, Xiang and Gong, Boqing and Liu, Zixia and Lu, Wei and Wang, Liqiang},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    weight: Weight = Field(default=Constant(value=2.0), description="lambda 2; a schedule of this player's updates")
    features: float = Field(default=0.1, ge=0, description="weight of what enters the last layer, beside the scores")
    margin: float = Field(default=0.0, ge=0, description="M', what a sample may differ at no cost")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Features("real")})

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        first, second = round.judge("real"), round.judge("real, again", round.real, features=True)
        scores = in_full_precision(first.scores - second.scores).square()
        features = in_full_precision(last_activations(first) - last_activations(second)).square().mean(-1)
        return (scores + self.features * features - self.margin).relu().mean(-1)
