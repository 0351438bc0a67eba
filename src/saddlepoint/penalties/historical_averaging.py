"""Historical averaging (Salimans et al. 2016): a player's parameters are drawn to the mean of what they have been."""

import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.penalties.penalty import Penalty, Weight, in_full_precision
from saddlepoint.rounds import EMPTY, Need, Parameters, Round, State
from saddlepoint.schedules import Constant

TURNS = "turns"


class HistoricalAveraging(Penalty):
    r"""`||theta - theta_bar||^2` over all parameters of the player, `[*]`, with `theta_bar = (1/t) sum_{i <= t} theta_i`.

    `theta_t` are the parameters with which the player enters its turn number t, and `theta_bar` is a constant for the gradient,
    which is `2 (theta - theta_bar)`: 0 in the first turn. `window` remembers about the last of its turns only:
    `theta_bar <- theta_bar + (theta - theta_bar) / min(t, window)`, an exponential average.

    Source: Salimans et al. 2016, section 3.3.

    >>> network, entered = torch.nn.Linear(2, 1), {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.zeros(1)}
    >>> averaging = HistoricalAveraging()
    >>> state = averaging.initial_state_from(entered, ())
    >>> _ = network.load_state_dict({"weight": torch.tensor([[1.0, 5.0]]), "bias": torch.ones(1)})
    >>> round = Round.of(real=torch.zeros(4, 2), fake=torch.zeros(4, 2), discriminator=network)
    >>> averaging(round, state).item(), averaging(round, averaging.observe(round, state)).item()
    (10.0, 2.5)
    """

    name: ClassVar[str] = "historical-averaging"
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title={Improved techniques for training {GANs}},
  author={Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle={Advances in Neural Information Processing Systems},
  volume={29},
  year={2016}
}"""

    weight: Weight = Field(default=Constant(value=0.001), description="lambda; 1 in the smallest games")
    window: int | None = Field(default=None, ge=1, description="about how many turns are remembered; null is all of them")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Parameters()})

    def initial_state_from(self, parameters: Mapping[str, Tensor], leading: Sequence[int]) -> State:
        means = {f"mean of {name}": parameter.detach().clone() for name, parameter in parameters.items()}
        return means | {TURNS: torch.ones(tuple(leading))}

    def observe(self, round: Round, state: State) -> State:
        # After the update the parameters are those of the next turn: their mean is at hand before it is used.
        turns = state[TURNS] + 1
        remembered = turns if self.window is None else turns.clamp(max=self.window)
        means = {}
        for name, parameter in round.learned.parameters.items():
            mean = state[f"mean of {name}"]
            spread = remembered.reshape(remembered.shape + (1,) * (mean.ndim - remembered.ndim))
            means[f"mean of {name}"] = mean + (parameter.detach() - mean) / spread.to(mean)
        return means | {TURNS: turns}

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        leading, parameters = round.streams.leading, round.learned.parameters
        state = state or self.initial_state_from(parameters, leading)
        gaps = [parameter - state[f"mean of {name}"] for name, parameter in parameters.items()]
        squares = [in_full_precision(gap).square() for gap in gaps]
        return functools.reduce(torch.add, [square.reshape(*leading, -1).sum(-1) for square in squares])
