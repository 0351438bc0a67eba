"""Spectral normalisation: a layer's weight divided by an estimate of its largest singular value."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.normalization import Making, Normalization
from saddlepoint.processes import Rule
from saddlepoint.rounds import Mover
from saddlepoint.streams import Streams

EPS = 1e-12
FIRST_ITERATIONS = 15


class SpectralNorm(nn.Module):
    r"""The largest singular value of a weight matrix by power iteration, `sigma = u^T W v`.

    `W` is `[*, out, in]` (a convolution's weight as `(out, in kh kw)`), `u` `[*, out]` and `v` `[*, in]` are buffers and constants
    for the gradient, which flows through `W` alone. A call changes nothing; `iterate` makes one power iteration
    `u = W v / |W v|`, `v = W^T u / |W^T u|`, the order of `torch.nn.utils.parametrizations.spectral_norm`.
    The reshaped matrix's norm is not the norm of the convolution as an operator: no layer is claimed to be 1-Lipschitz.

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", Algorithm 1.

    >>> norm = SpectralNorm(3, 2)
    >>> weight = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> norm.start(weight, Streams(0), "example")
    >>> round(norm(weight).item(), 4)
    3.0
    """

    # Of weights alone, which are the same in every process.
    reads: ClassVar[Rule] = "own"

    u: Tensor
    v: Tensor

    def __init__(
        self,
        rows: int,
        columns: int,
        leading: Sequence[int] = (),
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("u", torch.zeros(*leading, rows, device=device, dtype=dtype))
        self.register_buffer("v", torch.zeros(*leading, columns, device=device, dtype=dtype))

    def forward(self, matrix: Tensor) -> Tensor:
        """`sigma`, `[*, 1, 1]`, in the weight's own precision even inside mixed precision."""
        with torch.autocast(matrix.device.type, enabled=False):
            return self.u.unsqueeze(-2) @ matrix @ self.v.unsqueeze(-1)

    @torch.no_grad()
    def start(self, matrix: Tensor, streams: Streams, name: str) -> None:
        """Draw `v` from the stream `name` and iterate until `u` and `v` are near the singular vectors."""
        # In double precision, so that a replica starts where its seed does alone, whatever order a matrix product sums in.
        matrix, v = matrix.double(), streams.normal(name, self.v.shape[-1]).double()
        u, v = _iterated(matrix, F.normalize(v, dim=-1, eps=EPS))
        for _ in range(FIRST_ITERATIONS - 1):
            u, v = _iterated(matrix, v)
        self.u.copy_(u)
        self.v.copy_(v)

    @torch.no_grad()
    def iterate(self, matrix: Tensor) -> None:
        """One power iteration."""
        u, v = _iterated(matrix, self.v)
        self.u.copy_(u)
        self.v.copy_(v)


class SpectralNormalization(Normalization):
    r"""Every weight of the player is divided by an estimate of its largest singular value: `W / sigma`, `sigma = u^T W v`.

    A discriminator then has no other normalisation (Miyato et al. 2018); a generator keeps its batch normalisation (Zhang et al.
    2019, SAGAN, section 4).

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", Algorithm 1.

    >>> SpectralNormalization().couples_batch("discriminator"), SpectralNormalization().couples_batch("generator")
    (False, True)
    """

    name: ClassVar[str] = "spectral"
    page: ClassVar[str] = "spectral-normalization"
    spectral: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{miyato2018spectral,
  title = {Spectral normalization for generative adversarial networks},
  author = {Miyato, Takeru and Kataoka, Toshiki and Koyama, Masanori and Yoshida, Yuichi},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""

    def couples_batch(self, player: Mover) -> bool:
        return player == "generator"

    def biased(self, player: Mover) -> bool:
        return player == "discriminator"

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module | None:
        if player == "discriminator":
            return None
        return BatchNorm(channels, making.leading, device=making.device, dtype=making.dtype)


def _iterated(matrix: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u = F.normalize((matrix @ v.unsqueeze(-1)).squeeze(-1), dim=-1, eps=EPS)
    return u, F.normalize((u.unsqueeze(-2) @ matrix).squeeze(-2), dim=-1, eps=EPS)
