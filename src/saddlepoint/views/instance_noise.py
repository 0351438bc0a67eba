"""Instance noise (Sønderby et al. 2017, Arjovsky and Bottou 2017): noise on all that the discriminator sees."""

from typing import Annotated, ClassVar

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from saddlepoint.rounds import EMPTY, Round, State
from saddlepoint.schedules import Linear, Schedule, lowest
from saddlepoint.views.adaptive import Adaptive
from saddlepoint.views.view import View, of_a_sample


def _not_negative(sigma: Schedule) -> Schedule:
    if lowest(sigma) < 0:
        raise ValueError(f"{lowest(sigma):g} is no standard deviation; give numbers of 0 or more")
    return sigma


BIBTEX = """@inproceedings{sonderby2017amortised,
  title={Amortised {MAP} inference for image super-resolution},
  author={S{\\o}nderby, Casper Kaae and Caballero, Jose and Theis, Lucas and Shi, Wenzhe and Husz{\\'a}r, Ferenc},
  booktitle={International Conference on Learning Representations},
  year={2017}
}

@inproceedings{arjovsky2017towards,
  title={Towards principled methods for training generative adversarial networks},
  author={Arjovsky, Martin and Bottou, L{\\'e}on},
  booktitle={International Conference on Learning Representations},
  year={2017}
}"""


class InstanceNoise(View):
    r"""`x + sigma_t N(0, I)`, fresh noise for every image of every pass, gradients through.

    Noise of the same law on both sides leaves the generator's optimum where it is, since adding it is injective on distributions;
    but now the sides overlap, and the discriminator's gradient is finite where their supports are apart.

    Drawn at every pass, also where sigma is 0, so that replicas whose noise ends at different rounds draw what they draw alone.

    Source: Sønderby et al. 2017, section 3.2.1; Arjovsky and Bottou 2017, section 3. By default from .1 to 0 over half the run.

    >>> image = torch.zeros(4, 3, 8, 8)
    >>> round = Round.of(real=image, fake=image, discriminator=lambda x: x.sum((1, 2, 3)))
    >>> 0.15 < float(InstanceNoise(sigma=0.2)(image, round).std()) < 0.25
    True
    """

    name: ClassVar[str] = "instance-noise"
    open_end: ClassVar[float] = 0.5
    bibtex: ClassVar[str] = BIBTEX

    sigma: Annotated[Schedule, AfterValidator(_not_negative)] = Field(
        default=Linear(start=0.1, end=0.0),
        description="standard deviation of the noise, for data in [-1, 1]; a schedule of rounds, which left open ends half-way",
    )

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        sigma = torch.as_tensor(self.sigma(round.update), dtype=image.dtype, device=image.device)
        if round.watched:
            round.record(f"{self.name}/sigma", sigma.expand(round.streams.leading))
        return noisy(self, image, round, sigma)


class AdaptiveInstanceNoise(Adaptive):
    r"""`x + p sigma N(0, I)`, with `p` led by ADA's rule: more noise while the discriminator is too sure of the reals.

    Source: the noise of Sønderby et al. 2017 under the controller of Karras et al. 2020.

    >>> image = torch.ones(4, 2)
    >>> round = Round.of(real=image, fake=image, discriminator=lambda x: x.sum(1))
    >>> view = AdaptiveInstanceNoise()
    >>> torch.equal(view(image, round, view.initial_state(())), image)
    True
    """

    name: ClassVar[str] = "adaptive-instance-noise"
    bibtex: ClassVar[str] = BIBTEX

    sigma: float = Field(default=0.5, ge=0, description="standard deviation of the noise at p = 1, for data in [-1, 1]")

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        round.record(f"{self.name}/p", state["p"])
        return noisy(self, image, round, state["p"].to(image).unsqueeze(-1) * self.sigma)


def noisy(view: View, image: Tensor, round: Round, sigma: Tensor) -> Tensor:
    """Images with fresh noise of standard deviation `sigma`, `[*]` or `[*, 1]`."""
    shape = image.shape[len(round.streams.leading) + 1 :]
    return image + of_a_sample(sigma, image) * view.normal("noise", image, round, *shape)
