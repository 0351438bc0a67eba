"""Orthogonal regularisation (Brock et al. 2019): the rows of a player's weights are drawn apart, their lengths left free."""

import functools
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Need, Parameters, Round, State
from saddlepoint.schedules import Constant


class Orthogonal(Penalty):
    r"""`sum_W ||(W W^T) * (1 - I)||_F^2` over the weights of the player's linear and convolutional layers, `[*]`.

    A row of `W` is what leads to one output: a kernel lies flat in its row. Products of a row with itself do not count, so rows
    that are orthogonal cost nothing at any length. Biases, normalisations and embeddings are exempt. The gradient is
    `4 ((W W^T) * (1 - I)) W`.

    Source: Brock et al. 2019, section 3.1. The authors' code adds `2 beta ((W W^T) * (1 - I)) W` to the gradient, half of their
    formula's: their 1e-4 is a weight of 5e-5.

    >>> network = torch.nn.Linear(2, 2)
    >>> _ = network.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.5, 1.0]]))
    >>> round = Round.of(real=torch.zeros(4, 2), fake=torch.zeros(4, 2), discriminator=network)
    >>> Orthogonal()(round).item()
    4.5
    """

    name: ClassVar[str] = "orthogonal"
    bibtex: ClassVar[str] = """@inproceedings{brock2019large,
  title={Large scale {GAN} training for high fidelity natural image synthesis},
  author={Brock, Andrew and Donahue, Jeff and Simonyan, Karen},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""

    weight: Weight = Field(default=Constant(value=1e-4), description="beta; a schedule of this player's updates, lazily by `every`")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Parameters()})

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        matrices = round.learned.matrices().values()
        if not matrices:
            raise ValueError("orthogonal regularisation is of linear and convolutional layers, and this player has none")
        return functools.reduce(torch.add, [coupling(in_full_precision(rows)) for rows in matrices])


def coupling(rows: Tensor) -> Tensor:
    """`sum_{i != j} <w_i, w_j>^2` of the rows of `[*, rows, columns]`.

    >>> coupling(torch.tensor([[1.0, 0.0], [0.0, 7.0], [2.0, 0.0]])).item()
    8.0
    """
    products = rows @ rows.mT
    others = 1 - torch.eye(rows.shape[-2], dtype=rows.dtype, device=rows.device)
    return (products * others).square().sum((-2, -1))
