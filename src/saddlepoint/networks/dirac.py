"""The networks of the smallest game: a generator that is one point, a discriminator that is one slope."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.initialization import initialize
from saddlepoint.networks.laws import Constant, Law
from saddlepoint.networks.layers import Linear
from saddlepoint.networks.network import Discriminator, Generator, Head, Networks, Normalizations
from saddlepoint.networks.normalization import NoNormalization
from saddlepoint.streams import Streams
from saddlepoint.validation import Chosen

OnlyNone = Annotated[NoNormalization, Chosen({"none": NoNormalization}, "normalization", bare=True)]


class Nothing(Normalizations):
    """What normalises each player of a `dirac`: nothing, since there is nothing to normalise."""

    generator: OnlyNone = Field(default=NoNormalization(), description="none")
    discriminator: OnlyNone = Field(default=NoNormalization(), description="none")


class Point(nn.Module):
    """The same point whatever the latent is, `[*, n, latent] -> [*, n, d]`, its coordinates `[*, d]`."""

    def __init__(self, dimensions: int, leading: Sequence[int]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.empty(*leading, dimensions))

    def forward(self, latents: Tensor) -> Tensor:
        return self.theta.unsqueeze(-2).expand(*latents.shape[:-1], -1)


class Dirac(Networks):
    r"""`G(z) = theta`, a point, and `D(x) = <psi, x>`, a slope: the Dirac-GAN. On points of the line both players are one number.

    With the Wasserstein objective on the data `dirac` it is the bilinear game `min_x max_y x y`: the discriminator, `x = psi`,
    minimises `psi theta`, the generator, `y = theta`, maximises it. With the vanilla objective the flow is that of Mescheder et al.
    The equilibrium is `theta = psi = 0` in all of them. On points of d coordinates each player is a vector, started with equal
    entries. Takes leading replica axes.

    Source: Mescheder et al. 2018, definition 2.1.

    >>> import torch
    >>> record = Dirac(theta=0.5, psi=2.0)
    >>> points = record.generator((1,), Streams(0))(torch.zeros(3, 1))
    >>> points.detach().flatten().tolist(), record.discriminator((1,), Streams(0))(points).tolist()
    ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0])
    """

    family: ClassVar[str] = "dirac"
    stacks: ClassVar[bool] = True
    one_for_all: ClassVar[frozenset[str]] = frozenset({"theta", "psi"})
    bibtex: ClassVar[str] = """@inproceedings{mescheder2018which,
  title={Which training methods for {GANs} do actually converge?},
  author={Mescheder, Lars and Geiger, Andreas and Nowozin, Sebastian},
  booktitle={International Conference on Machine Learning},
  pages={3481--3490},
  year={2018}
}"""

    latent: int = Field(default=1, ge=1, description="numbers in one latent, which the generator does not read")
    theta: float = Field(default=1.0, description="where the generator's point starts, in each coordinate")
    psi: float = Field(default=1.0, description="where the discriminator's slope starts, in each coordinate")
    normalization: Nothing = Field(default=Nothing(), description="none: there is nothing to normalise")
    minibatch: None = Field(default=None, description="null: there is one layer")

    @property
    def block_names(self) -> tuple[str, ...]:
        return ()

    def problems(self, shape: int | Sequence[int]) -> list[str]:
        if not isinstance(shape, int) and len(shape) == 1:
            return []
        return ["dirac is one point, and these data are images: set data to dirac or other points, or networks.family to mlp"]

    def generator(self, shape: Sequence[int], streams: Streams) -> Generator:
        self._refuse(shape)
        generator = Generator(self.latent, shape, streams.leading, Point(shape[0], streams.leading))
        initialize(generator, "generator", streams, lambda path, layer: {"theta": Constant(self.theta)})
        return generator

    def discriminator(self, shape: Sequence[int], streams: Streams, *, twice_differentiated: bool = False) -> Discriminator:
        # It is linear: its input gradients are cheap as they are.
        self._refuse(shape)
        head = Head(Linear(shape[0], 1, streams.leading, bias=False))
        discriminator = Discriminator(shape, streams.leading, [], head)

        def laws(path: str, layer: nn.Module) -> dict[str, Law]:
            return {"weight": Constant(self.psi)}

        initialize(discriminator, "discriminator", streams, laws)
        return discriminator

    def _refuse(self, shape: Sequence[int]) -> None:
        if problems := self.problems(shape):
            raise ValueError("; ".join(problems))
