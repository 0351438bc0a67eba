"""Images under maps of the plane and of colour space, linear in the pixels, so that they may be differentiated twice."""

import torch
from torch import Tensor


def warped(image: Tensor, inverse: Tensor) -> Tensor:
    """Images `[n, C, H, W]` sampled bilinearly at the places that `inverse` `[n, 3, 3]` gives their pixels; beyond, reflected.

    Args:
        inverse: from a pixel of the result to its place in `image`; in pixels, (x right, y down, 1) from the centre.

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> to_the_left = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> warped(image, to_the_left)[0, 0, 0]
    tensor([1., 2., 2.])
    """
    height, width = image.shape[-2:]
    across = torch.arange(width, dtype=image.dtype, device=image.device) - (width - 1) / 2
    down = torch.arange(height, dtype=image.dtype, device=image.device) - (height - 1) / 2
    pixels = torch.stack([across.expand(height, width), down[:, None].expand(height, width), torch.ones_like(image[0, 0])])
    places = inverse[:, :2] @ pixels.flatten(1)
    return _sampled(image, places[:, 0] + (width - 1) / 2, places[:, 1] + (height - 1) / 2)


def _sampled(image: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Images `[n, C, H, W]` at places `[n, H W]`."""
    height, width = image.shape[-2:]
    left, right, to_right = _between(_reflected(across, width), width)
    top, bottom, to_bottom = _between(_reflected(down, height), height)
    pixels = image.flatten(2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        return pixels.gather(2, (row * width + column).unsqueeze(1).expand_as(pixels))

    to_right, to_bottom = to_right.unsqueeze(1), to_bottom.unsqueeze(1)
    above = (1 - to_right) * at(top, left) + to_right * at(top, right)
    below = (1 - to_right) * at(bottom, left) + to_right * at(bottom, right)
    return ((1 - to_bottom) * above + to_bottom * below).reshape(image.shape)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places mirrored at the outer edges of the first and the last pixel, -1/2 and size - 1/2, as often as need be."""
    inside = size - (torch.remainder(places + 0.5, 2 * size) - size).abs() - 0.5
    return inside.clamp(0, size - 1)


def _between(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels before and after each place, and the share of the way from one to the other."""
    before = places.floor()
    first = before.long()
    return first, (first + 1).clamp_max(size - 1), places - before


def recoloured(image: Tensor, matrix: Tensor) -> Tensor:
    """Images `[n, C, H, W]` of one or three channels under the affine map of colour space `matrix` `[n, 4, 4]`.

    An image of one channel is mapped as a grey one is, to the mean of the three channels it would get.
    """
    if image.shape[1] == 1:
        scale, shift = matrix[:, :3, :3].sum(2).mean(1), matrix[:, :3, 3].mean(1)
        return image * scale[:, None, None, None] + shift[:, None, None, None]
    return (matrix[:, :3, :3] @ image.flatten(2) + matrix[:, :3, 3:]).reshape(image.shape)
