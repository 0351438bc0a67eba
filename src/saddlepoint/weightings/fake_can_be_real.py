"""Fake can be real (Tao and Wang 2020): the fakes of lowest score are real in the discriminator's loss."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from saddlepoint.schedules import After
from saddlepoint.weightings.ranking import ranks
from saddlepoint.weightings.relabelling import Relabelling, Share


class FakeCanBeReal(Relabelling):
    r"""In each of the discriminator's turns the K fakes of lowest score move to the real side; the generator's loss is unchanged.

    `K = round(share m)`, m the fakes of all processes; of equal scores the first are moved. With K = 0 it is training without it,
    to the bit, and costs nothing. A discriminator that is held back where it is surest does not drive its gradient up there.

    Source: Tao and Wang 2020. Certain is that fakes of the lowest scores are treated as real; K and the start are our choice.

    >>> import torch
    >>> FakeCanBeReal()(torch.tensor([0.1, -3.0, 2.0, -1.0]), torch.tensor(2))
    tensor([False,  True, False,  True])
    """

    name: ClassVar[str] = "fake-can-be-real"
    bibtex: ClassVar[str] = """@inproceedings{tao2020alleviation,
  title={Alleviation of gradient exploding in {GANs}: Fake can be real},
  author={Tao, Song and Wang, Jia},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={1191--1200},
  year={2020}
}"""

    share: Share = Field(
        default=After(start=3000, value=0.125),
        description="of the fakes, from 0 to below 1; a schedule of rounds, by default an eighth from round 3000 on",
    )

    def __call__(self, scores: Tensor, count: Tensor) -> Tensor:
        return ranks(scores, descending=False) < count.to(scores)
