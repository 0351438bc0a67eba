"""The original game (Goodfellow et al. 2014), saturating and non-saturating."""

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from saddlepoint.objectives.objective import Objective, both
from saddlepoint.rounds import EMPTY, Scores, Sides, State, present


def softplus(score: Tensor) -> Tensor:
    """`sp(s) = ln(1 + e^s)`, right to the last digits of float64 (torch's default cuts at 20, an error of 2e-9)."""
    return F.softplus(score, threshold=40.0)


class Vanilla(Objective):
    r"""Cross-entropy of real against fake; scores are logits, `D = sig(s)`.

    Discriminator: `sp(-s_r)` and `sp(s_f)`, which are `-ln D(x)` and `-ln(1 - D(x~))`.
    Generator: `sp(-s_f) = -ln D(x~)` (non-saturating), or `-sp(s_f) = ln(1 - D(x~))` with `saturating`.

    Its optimal score is `ln p_r - ln p_g`, where the discriminator's loss is `2 ln 2 - 2 JS(p_r, p_g)`.

    Source: Goodfellow et al. 2014, equation 1 and section 3.

    >>> import torch
    >>> Vanilla().generator(Sides(fake=torch.zeros(2))).fake
    tensor([0.6931, 0.6931])
    """

    name: ClassVar[str] = "vanilla"
    gives_probability: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{goodfellow2014generative,
  title={Generative adversarial nets},
  author={Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and Ozair, Sherjil and
          Courville, Aaron and Bengio, Yoshua},
  booktitle={Advances in Neural Information Processing Systems},
  volume={27},
  year={2014}
}"""

    saturating: bool = Field(default=False, description="the generator minimises ln(1 - D) instead of -ln D: its gradient vanishes")

    @property
    def boundary(self) -> float:
        return 0.0

    def discriminator(self, scores: Scores, state: State = EMPTY) -> Sides:
        real, fake = both(scores)
        return Sides(real=softplus(-real), fake=softplus(fake))

    def generator(self, scores: Scores, state: State = EMPTY) -> Sides:
        fake = present(scores, "fake")
        return Sides(fake=-softplus(fake) if self.saturating else softplus(-fake))
