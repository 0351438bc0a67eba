"""Feature matching (Salimans et al. 2016): the generator matches the mean features of a batch."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.processes import Rule
from saddlepoint.rounds import EMPTY, Features, Judgement, Mover, Need, Round, State, last_activations
from saddlepoint.schedules import Constant


class FeatureMatching(Penalty):
    r"""`|| mean_i f(x_i) - mean_j f(G(z_j)) ||^2`, `f` what the discriminator computes on the way to its score.

    By default `f` is what enters the last layer; with `blocks` the sum over all blocks. The reals are constants. `l2` is the
    squared distance of the means, `l1` the mean of the absolute differences, as in the authors' semi-supervised code. Means are
    over everyone's samples. With `objective_weights.generator` 0 it stands in place of the generator's loss, as in the paper.

    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen 2016, section 3.1.

    >>> def features(x):
    ...     return {"all": x}
    >>> real = torch.randn(6, 2)
    >>> round = Round.of(real=real, fake=real + torch.tensor([3.0, 4.0]), discriminator=lambda x: x.sum(-1), features=features)
    >>> [f"{FeatureMatching(distance=distance)(round).item():.1f}" for distance in ("l2", "l1")]
    ['25.0', '3.5']
    """

    name: ClassVar[str] = "feature-matching"
    players: ClassVar[tuple[Mover, ...]] = ("generator",)
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title={Improved techniques for training {GANs}},
  author={Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle={Advances in Neural Information Processing Systems},
  volume={29},
  year={2016}
}"""

    weight: Weight = Field(default=Constant(value=1.0), description="a schedule of this player's updates")
    features: Literal["last", "blocks"] = Field(
        default="last", description="last: what enters the last layer; blocks: what leaves each block"
    )
    distance: Literal["l2", "l1"] = Field(
        default="l2", description="of the two means: the squared distance, or the mean absolute difference"
    )

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Features("real"), Features("fake")})

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        reals, fakes = (self._means(round, round.judge(side)) for side in ("real", "fake"))
        gaps = [fake - real.detach() for real, fake in zip(reals, fakes, strict=True)]
        apart = [gap.square().sum(-1) if self.distance == "l2" else gap.abs().mean(-1) for gap in gaps]
        return torch.stack(apart).sum(0)

    def _means(self, round: Round, judged: Judgement) -> list[Tensor]:
        """Of each feature, the mean over everyone's samples, `[*, d]`; a process sends its own mean, not its samples."""
        axis = judged.scores.ndim
        last = last_activations(judged)
        found = [last] if self.features == "last" else [block.flatten(axis) for block in judged.features.values()]
        return [round.everyone(in_full_precision(block).mean(-2, keepdim=True)).mean(-2) for block in found]
