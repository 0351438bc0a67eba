"""Optimistic mirror descent and Optimistic Adam (Daskalakis et al. 2018): the next direction is taken to be the last one."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, overload

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.optimizers.adam import Beta
from saddlepoint.optimizers.optimizer import Optimizer, Rate
from saddlepoint.schedules import Constant


class Optimistic(torch.optim.Optimizer):
    """`w -= 2 lr u - lr u_previous`, where `u` is a direction and `u_previous` that of this player's last step, at first 0."""

    def __init__(self, parameters: Iterable[Tensor], **settings: Any) -> None:
        super().__init__(parameters, settings)

    @abstractmethod
    def direction(self, gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Tensor:
        """`u`, a new tensor laid out as the gradient; what it needs is kept in `state`."""

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        state = self.state[parameter]
                        direction = self.direction(parameter.grad, state, group)
                        parameter.add_(direction, alpha=-2 * group["lr"])
                        if "previous" in state:
                            parameter.add_(state["previous"], alpha=group["lr"])
                        state["previous"] = direction
        return loss


class _MirrorDescent(Optimistic):
    def direction(self, gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Tensor:
        return gradient.clone()


class _Adam(Optimistic):
    def direction(self, gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Tensor:
        if not state:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(gradient), exp_avg_sq=torch.zeros_like(gradient))
        of_mean, of_square = group["betas"]
        state["step"] += 1
        step = state["step"].item()
        state["exp_avg"].lerp_(gradient, 1 - of_mean)
        state["exp_avg_sq"].mul_(of_square).addcmul_(gradient, gradient, value=1 - of_square)
        root = (state["exp_avg_sq"] / (1 - of_square**step)).sqrt_().add_(group["eps"])
        direction: Tensor = (state["exp_avg"] / (1 - of_mean**step)).div_(root)
        return direction


class OptimisticMirrorDescent(Optimizer):
    r"""`w -= 2 lr g_t - lr g_{t-1}`, with `g_0 = 0`: gradient descent that corrects its last step by how the gradient has changed.

    On the bilinear game, where plain descent runs away, it converges. The gradients are this player's own, each taken at its own
    step; a clipped gradient is stored as it was clipped.

    Source: Daskalakis et al. 2018, section 2.

    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = OptimisticMirrorDescent(lr=0.1).build({"weight": weight}, fused=False)
    >>> for _ in range(2):
    ...     weight.grad = torch.tensor([3.0])
    ...     optimizer.step()
    ...     print(f"{weight.item():.1f}")
    -0.6
    -0.9
    """

    name: ClassVar[str] = "optimistic-mirror-descent"
    extrapolates: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@inproceedings{daskalakis2018training,
  title={Training {GANs} with optimism},
  author={Daskalakis, Constantinos and Ilyas, Andrew and Syrgkanis, Vasilis and Zeng, Haoyang},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    lr: Rate = Field(default=Constant(value=1e-2), description="eta: the rate, a number or a schedule of generator updates")

    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        return _MirrorDescent(parameters.values(), lr=self.lr(0))


class OptimisticAdam(Optimizer):
    r"""`w -= 2 lr u_t - lr u_{t-1}`, with Adam's direction `u_t = m^_t / (sqrt(v^_t) + eps)`, `m^`, `v^` bias-corrected, `u_0 = 0`.

    `u_{t-1}` is the direction as it was taken, with the corrections of step t - 1, as the paper writes it. The defaults are the
    paper's for WGAN-GP on CIFAR-10.

    Source: Daskalakis et al. 2018, algorithm 1.

    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = OptimisticAdam(lr=0.1).build({"weight": weight}, fused=False)
    >>> for _ in range(3):
    ...     weight.grad = torch.tensor([5.0])
    ...     optimizer.step()
    ...     print(f"{weight.item():.1f}")
    -0.2
    -0.3
    -0.4
    """

    name: ClassVar[str] = "optimistic-adam"
    extrapolates: ClassVar[bool] = True
    decays: ClassVar[tuple[str, ...]] = ("betas",)
    bibtex: ClassVar[str] = OptimisticMirrorDescent.bibtex

    lr: Rate = Field(default=Constant(value=1e-4), description="eta: the rate, a number or a schedule of generator updates")
    betas: tuple[Beta, Beta] = Field(default=(0.5, 0.9), description="decay of the mean gradient and of the mean squared gradient")
    eps: float = Field(default=1e-8, gt=0, description="added to the root of the mean squared gradient")

    def build(self, parameters: Mapping[str, Tensor], fused: bool) -> torch.optim.Optimizer:
        return _Adam(parameters.values(), lr=self.lr(0), betas=self.betas, eps=self.eps)
