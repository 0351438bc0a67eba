"""Learning rates that fall when a recorded quantity stops falling (Berthelot et al. 2017)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.optimizers.rate_rule import RateRule
from saddlepoint.rounds import State


class Plateau(RateRule):
    r"""Every `window` updates: if the mean of the quantity over them did not fall, both learning rates are multiplied by `factor`.

    "Did not fall" is `mean > before - least_fall |before|`, `before` the mean over the window before. The first window only sets
    `before`. BEGAN halves its rates so when its measure of convergence stalls.

    Source: Berthelot et al. 2017, section 4.1; the rule itself is that of a widely used port.

    >>> rule, state = Plateau(window=2), Plateau().initial_state(())
    >>> for value in (4.0, 4.0, 3.0, 3.0, 5.0, 1.0):
    ...     state = rule.observe(torch.tensor(value), state)
    >>> state["factor"].item()
    0.5
    """

    name: ClassVar[str] = "plateau"
    one_for_all: ClassVar[frozenset[str]] = frozenset({"factor", "least_fall"})
    bibtex: ClassVar[str] = """@article{berthelot2017began,
  title={{BEGAN}: Boundary equilibrium generative adversarial networks},
  author={Berthelot, David and Schumm, Thomas and Metz, Luke},
  journal={arXiv preprint arXiv:1703.10717},
  year={2017}
}"""

    quantity: str = Field(default="discriminator/loss", description="what is watched, by its name in the log")
    window: int = Field(default=10_000, ge=1, description="updates whose mean is compared with that of as many before")
    factor: float = Field(default=0.5, gt=0, lt=1, description="what the rates are multiplied with when the mean did not fall")
    least_fall: float = Field(default=1e-4, ge=0, description="a mean counts as fallen when it fell by more than this share of it")

    def initial_state(self, leading: Sequence[int]) -> State:
        zero = torch.zeros(tuple(leading))
        return {"factor": torch.ones(tuple(leading)), "mean": zero, "count": zero, "before": zero, "windows": zero}

    def observe(self, value: Tensor, state: State) -> State:
        count = state["count"] + 1
        mean = state["mean"] + (value - state["mean"]) / count
        full = count >= self.window
        before = state["before"]
        stalled = full & (state["windows"] > 0) & (mean > before - self.least_fall * before.abs())
        return {
            "factor": torch.where(stalled, state["factor"] * self.factor, state["factor"]),
            "mean": torch.where(full, 0.0, mean),
            "count": torch.where(full, 0.0, count),
            "before": torch.where(full, mean, before),
            "windows": state["windows"] + full.to(count),
        }
