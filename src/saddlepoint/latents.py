"""Paths between latents, for pictures and for measures."""

import torch
from torch import Tensor


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    r"""Spherical interpolation `sin((1-t) w) / sin w * start + sin(t w) / sin w * end`, `w` the angle between them.

    The norm of equal-norm latents is kept, as N(0, I) needs; linear where `sin w < 1e-6`. Source: White 2016.

    Args:
        start, end: `[*, latent]`.
        t: in [0, 1], of a shape that broadcasts against `[*]`.

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor(0.5))
    tensor([0.7071, 0.7071])
    """
    cosine = (start * end).sum(-1) / (start.norm(dim=-1) * end.norm(dim=-1))
    angle = cosine.clamp(-1, 1).arccos()
    sine = angle.sin()
    flat = sine < 1e-6
    safe = torch.where(flat, torch.ones_like(sine), sine)
    first = torch.where(flat, 1 - t, ((1 - t) * angle).sin() / safe)
    second = torch.where(flat, t * torch.ones_like(sine), (t * angle).sin() / safe)
    return first[..., None] * start + second[..., None] * end


def interpolate(start: Tensor, end: Tensor, steps: int, *, spherical: bool) -> Tensor:
    """`steps` latents from `start` to `end`, `[*, steps, latent]`: spherical for normal latents, linear for uniform ones.

    >>> interpolate(torch.zeros(1, 2), torch.ones(1, 2), 3, spherical=False)[0].tolist()
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    if spherical:
        return slerp(start[..., None, :], end[..., None, :], t)
    return torch.lerp(start[..., None, :], end[..., None, :], t[:, None])
