"""Batch normalisation whose running statistics move once a turn, not at each forward pass."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.coupling import Coupling
from saddlepoint.networks.normalization import Making, Normalization
from saddlepoint.networks.remembering import Remembering
from saddlepoint.processes import Rule
from saddlepoint.rounds import Mover

EPS = 1e-5
MOMENTUM = 0.1


class BatchStatistics(Remembering, Coupling):
    """Features by the mean and variance of their channel, over the batch and space; what stands behind `BatchNorm`.

    In train mode the statistics are the batch's, and each pass notes them; `observe` merges the mean over the noted passes into the
    running statistics with momentum .1 (the variance unbiased, as torch does). In eval mode the running statistics are used.
    """

    stands: ClassVar[bool] = True

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        leading: Sequence[int] = (),
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(*leading, channels, device=device, dtype=dtype))
        self.register_buffer("running_var", torch.ones(*leading, channels, device=device, dtype=dtype))
        self._passes = 0
        self._means: Tensor | None = None
        self._variances: Tensor | None = None

    def normalized(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The input normalised, with this scale and shift, `[*, channels]`."""
        if self.running_mean.ndim == 1:
            return self._normalize(x, weight, bias)
        folded = x.movedim(-2, 0)
        return self._normalize(folded.flatten(1), weight.flatten(), bias.flatten()).reshape(folded.shape).movedim(0, -2)

    def observe(self) -> None:
        """Merge the mean over the passes noted since the last `observe` or `forget`; without a pass nothing changes."""
        self._merge(MOMENTUM)

    def stand(self) -> None:
        """The running statistics become the mean over the noted passes."""
        self._merge(1.0)

    def _merge(self, share: float) -> None:
        if self._means is not None and self._variances is not None:
            with torch.no_grad():
                self.running_mean.lerp_(self._means / self._passes, share)
                self.running_var.lerp_(self._variances / self._passes, share)
        self.forget()

    def forget(self) -> None:
        self._passes, self._means, self._variances = 0, None, None

    def _normalize(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean.flatten(), self.running_var.flatten(), weight, bias, False, MOMENTUM, EPS)
        if self.processes.world > 1:
            return self._normalize_among_processes(x, weight, bias)
        # With momentum 1 torch leaves this batch's own statistics in the two scratch tensors.
        mean, variance = torch.zeros_like(self.running_mean).flatten(), torch.zeros_like(self.running_var).flatten()
        out = F.batch_norm(x, mean, variance, weight, bias, True, 1.0, EPS)
        self._note(mean.view_as(self.running_mean), variance.view_as(self.running_var))
        return out

    def _normalize_among_processes(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        others = [axis for axis in range(x.ndim) if axis != 1]
        count = self.processes.world * x.numel() // x.shape[1]
        if count == 1:
            raise ValueError("batch normalisation of one value a channel: it has no variance; give two samples or more")
        wide = x.to(weight.dtype)
        own_variance, own_mean = torch.var_mean(wide, others, correction=0)
        # The variance of all is the mean of the variances and the variance of the means.
        means, variances = self.processes.everyone(torch.stack([own_mean, own_variance]).unsqueeze(0)).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        unbiased = variance.detach() * (count / (count - 1))
        self._note(mean.detach().view_as(self.running_mean), unbiased.view_as(self.running_var))
        channels = (1, -1) + (1,) * (x.ndim - 2)
        scale = weight * (variance + EPS).rsqrt()
        normalized = (wide - mean.view(channels)) * scale.view(channels) + bias.view(channels)
        return normalized.to(x.dtype)

    def _note(self, mean: Tensor, variance: Tensor) -> None:
        self._passes += 1
        self._means = mean if self._means is None else self._means + mean
        self._variances = variance if self._variances is None else self._variances + variance


class BatchNorm(BatchStatistics):
    r"""`gamma (x - mean) / sqrt(var + 1e-5) + beta` by channel, over the batch and space.

    In train mode the statistics are the batch's, and each pass notes them; `observe` merges the mean over the noted passes into the
    running statistics with momentum .1 (the variance unbiased, as torch does). In eval mode the running statistics are used.
    After one pass a turn the buffers are those of `torch.nn.BatchNorm2d`. Where several `processes` share the batch, the statistics
    are of everyone's samples, in one exchange forward and one back.

    Args:
        channels: of the input, `[n, channels, H, W]` or `[*, n, channels]`.
        leading: replica axes; then the input is `[*, n, channels]`, and each replica has its own statistics.

    Raises:
        ValueError: in train mode, one value a channel has no variance.

    Source: Ioffe and Szegedy 2015, "Batch normalization", Algorithm 1.

    >>> norm = BatchNorm(2)
    >>> out = norm(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    >>> norm.running_mean
    tensor([0., 0.])
    >>> norm.observe()
    >>> norm.running_mean
    tensor([0.2000, 0.5000])
    """

    def __init__(
        self,
        channels: int,
        leading: Sequence[int] = (),
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(channels, leading, device=device, dtype=dtype)
        self.weight = nn.Parameter(torch.ones(*leading, channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(*leading, channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.normalized(x, self.weight, self.bias)


class BatchNormalization(Normalization):
    r"""`y = gamma (x - mean) / sqrt(var + 1e-5) + beta` by channel, mean and variance of the batch and of space.

    It couples the batch: the score of a sample depends on the others.

    Source: Ioffe and Szegedy 2015, "Batch normalization", Algorithm 1.

    >>> BatchNormalization().couples_batch("discriminator")
    True
    """

    name: ClassVar[str] = "batch"
    page: ClassVar[str] = "batch-normalization"
    reads: ClassVar[Rule] = "everyone"
    bibtex: ClassVar[str] = """@inproceedings{ioffe2015batch,
  title = {Batch normalization: Accelerating deep network training by reducing internal covariate shift},
  author = {Ioffe, Sergey and Szegedy, Christian},
  booktitle = {International Conference on Machine Learning},
  year = {2015}
}"""

    def couples_batch(self, player: Mover) -> bool:
        return True

    def biased(self, player: Mover) -> bool:
        return False

    def between(self, player: Mover, channels: int, making: Making) -> nn.Module:
        return BatchNorm(channels, making.leading, device=making.device, dtype=making.dtype)
