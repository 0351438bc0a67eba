"""What tells the discriminator's last layer of the whole batch: minibatch discrimination, and minibatch standard deviation."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.networks.coupling import Coupling
from saddlepoint.networks.laws import Constant, Law, Normal, Starting
from saddlepoint.networks.layer import Layer
from saddlepoint.networks.normalization import Making
from saddlepoint.processes import Rule

EPS = 1e-8


class MinibatchLayer(Layer):
    """A layer before the discriminator's last one that appends to each sample channels which depend on the batch."""

    slot: ClassVar[str | None] = "minibatch"
    reads: ClassVar[Rule] = "everyone"
    # Whether the gradient of the summed scores is still taken as that of single images.
    input_gradients: ClassVar[bool] = False

    @property
    def channels(self) -> int:
        """How many it appends."""
        return 1

    def batch_problem(self, size: int) -> str | None:
        """Why a batch of this size cannot be looked at; None if it can."""
        return None

    @abstractmethod
    def layer(self, features: Sequence[int], making: Making) -> nn.Module:
        """Appends to features `[*, n, C]`, or `[n, C, H, W]`, each sample's of this shape."""


class MinibatchDiscrimination(MinibatchLayer):
    r"""A sample's closeness to the rest of its batch: `o_b = sum_j exp(-|M_ib - M_jb|_1)`, `M_i = f_i T`, appended to its features.

    `T` is `[A, B, C]`: each of its columns over A is scaled to the norm `exp(s)`, s learned by (b, c) and 0 at first; `o` gets a
    learned bias, -1 at first. The sum is over j != i, unless `include_self`. It takes memory n^2 B C. A score depends on the size
    and the mix of its batch, so there are no gradients of single images.

    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 3.2, and the authors' code.

    >>> from saddlepoint.networks.normalization import Making
    >>> layer = MinibatchDiscrimination(kernels=3).layer((4,), Making((), torch.device("cpu"), torch.float32))
    >>> layer(torch.zeros(5, 4)).shape
    torch.Size([5, 7])
    """

    name: ClassVar[str] = "minibatch-discrimination"
    page: ClassVar[str] = "minibatch-discrimination"
    bibtex: ClassVar[str] = """@inproceedings{salimans2016improved,
  title = {Improved techniques for training {GANs}},
  author = {Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {29},
  year = {2016}
}"""

    kernels: int = Field(default=100, ge=1, description="B, numbers that are appended")
    dimensions: int = Field(default=5, ge=1, description="C, numbers that a kernel compares")
    include_self: bool = Field(default=False, description="whether the sum counts the sample itself, which adds 1")

    @property
    def channels(self) -> int:
        return self.kernels

    def layer(self, features: Sequence[int], making: Making) -> nn.Module:
        return BatchCloseness(features, self.kernels, self.dimensions, making, include_self=self.include_self)


class BatchCloseness(Starting, Coupling):
    """Minibatch discrimination: features with each sample's closeness to the others appended."""

    first: ClassVar[Mapping[str, Law]] = {"projection": Normal(0.05), "log_scale": Constant(0.0), "bias": Constant(-1.0)}

    def __init__(self, features: Sequence[int], kernels: int, dimensions: int, making: Making, *, include_self: bool) -> None:
        super().__init__()
        inputs = torch.Size(features).numel()
        shape = (kernels, dimensions)
        self.projection = nn.Parameter(torch.empty(*making.leading, inputs, *shape, device=making.device, dtype=making.dtype))
        self.log_scale = nn.Parameter(torch.empty(*making.leading, *shape, device=making.device, dtype=making.dtype))
        self.bias = nn.Parameter(torch.empty(*making.leading, kernels, device=making.device, dtype=making.dtype))
        self.include_self = include_self

    def forward(self, x: Tensor) -> Tensor:
        return appended(x, self.closeness(x) + self.bias.unsqueeze(-2), self.bias.ndim - 1)

    def closeness(self, x: Tensor) -> Tensor:
        """`o`, `[*, n, B]`: between 0 and the number of the other samples."""
        samples = self.bias.ndim - 1
        norms = torch.linalg.vector_norm(self.projection, dim=-3, keepdim=True)
        columns = self.projection * (self.log_scale.exp().unsqueeze(-3) / norms)
        own = (x.flatten(samples + 1) @ columns.flatten(-2)).to(self.bias.dtype).unflatten(-1, columns.shape[-2:])
        everyones = self.processes.everyone(own, samples)
        apart = (own.unsqueeze(samples + 1) - everyones.unsqueeze(samples)).abs().sum(-1)
        close = torch.exp(-apart).sum(-2)
        return close if self.include_self else close - 1


class MinibatchStddev(MinibatchLayer):
    r"""How much the samples of a group differ, as one more channel: `mean over features of sqrt(var + 1e-8)`.

    A batch of N is split into groups of `g = min(4, N)`: samples i, i + N/g, i + 2 N/g, …; the variance is over the group, biased.
    It has no parameters. It couples the batch; its authors' gradient penalty takes the gradient of the summed scores all the same.

    Source: Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", section 3, and the
    authors' code.

    >>> from saddlepoint.networks.normalization import Making
    >>> layer = MinibatchStddev().layer((1,), Making((), torch.device("cpu"), torch.float32))
    >>> layer(torch.tensor([[0.0], [1.0], [0.0], [1.0]])).tolist()
    [[0.0, 0.5], [1.0, 0.5], [0.0, 0.5], [1.0, 0.5]]
    """

    name: ClassVar[str] = "minibatch-stddev"
    page: ClassVar[str] = "minibatch-stddev"
    input_gradients: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{karras2018progressive,
  title = {Progressive growing of {GANs} for improved quality, stability, and variation},
  author = {Karras, Tero and Aila, Timo and Laine, Samuli and Lehtinen, Jaakko},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""

    group: int = Field(default=4, ge=2, description="samples in a group; a smaller batch is one group")

    def batch_problem(self, size: int) -> str | None:
        whole = size - size % self.group
        return None if size < self.group or size == whole else f"{size} samples are no groups of {self.group}: give {whole}"

    def layer(self, features: Sequence[int], making: Making) -> nn.Module:
        return BatchDeviation(self.group, len(making.leading))


class BatchDeviation(Coupling):
    """Minibatch standard deviation: features with their group's mean deviation appended, `[*, n, C + 1]` or `[n, C + 1, H, W]`.

    Raises:
        ValueError: the batch, everyone's, is no multiple of the group.
    """

    def __init__(self, group: int, replica_axes: int) -> None:
        super().__init__()
        self.group = group
        self.samples = replica_axes

    def forward(self, x: Tensor) -> Tensor:
        everyones = self.processes.everyone(x, self.samples).flatten(self.samples + 1)
        size = everyones.shape[self.samples]
        group = min(self.group, size)
        if size % group:
            raise ValueError(f"a batch of {size} is no groups of {group}; give a multiple of {group}")
        groups = everyones.unflatten(self.samples, (group, size // group))
        deviation = (groups.var(self.samples, correction=0) + EPS).sqrt().mean(-1)
        by_sample = torch.cat([deviation] * group, dim=-1)
        return appended(x, self.processes.own(by_sample, self.samples).unsqueeze(-1), self.samples)


def appended(x: Tensor, numbers: Tensor, samples: int) -> Tensor:
    """Features `x` with each sample's numbers `[*, n, k]` as k more channels, constant over space; `samples` is the axis of n."""
    space = x.shape[samples + 2 :]
    planes = numbers.to(x.dtype).reshape(*numbers.shape, *(1,) * len(space)).expand(*numbers.shape, *space)
    return torch.cat([x, planes], dim=samples + 1)


MINIBATCH: dict[str, type[MinibatchLayer]] = {
    "minibatch-discrimination": MinibatchDiscrimination,
    "minibatch-stddev": MinibatchStddev,
}
"""What may stand before a discriminator's last layer."""
