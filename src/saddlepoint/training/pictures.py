"""Pictures of samples: a grid of images, or points over the data with the discriminator's contours."""

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READABLE_WIDTH = 512
BETWEEN = 2
BETWEEN_GREY = 0.5
NOT_FINITE = (255, 0, 255)

PLOT_INCHES, PLOT_DPI = 6.0, 100
PANEL_INCHES = 1.6
MOST_LEVELS = 9
# Okabe and Ito's colours, which colour-blind readers tell apart; the contours below are told by lightness alone.
DATA_COLOUR, SAMPLE_COLOUR, INK = "#0072B2", "#D55E00", "#333333"


def image_grid(images: Tensor, columns: int | None = None, scale: int | None = None) -> Image.Image:
    """One picture of many images, row by row.

    Args:
        images: `[n, C, H, W]` in [-1, 1] with C 1 or 3; what lies outside is cut off. Pixels that are not finite are magenta.
        columns: images in a row; by default as many as rows.
        scale: each pixel becomes `scale` by `scale` equal ones; by default the smallest scale that makes the picture 512 wide.

    Raises:
        ValueError: no images, another shape, or C neither 1 nor 3.

    >>> image_grid(torch.zeros(6, 1, 8, 8), columns=3, scale=2).size
    (56, 38)
    """
    if images.ndim != 4 or images.shape[0] == 0 or images.shape[1] not in (1, 3):
        raise ValueError(f"images have the shape {tuple(images.shape)}; a grid needs [n, C, H, W] with n above 0 and C 1 or 3")
    images = images.detach().to("cpu", torch.float32)
    columns = columns or math.ceil(math.sqrt(len(images)))
    scale = scale or math.ceil(READABLE_WIDTH / (min(columns, len(images)) * images.shape[3]))
    images = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    grid = make_grid((images.clamp(-1, 1) + 1) / 2, nrow=columns, padding=BETWEEN, pad_value=BETWEEN_GREY)
    pixels: NDArray[np.uint8] = (grid.nan_to_num(nan=0.0) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    broken = grid.isnan().any(0).numpy()
    if broken.any():
        pixels[broken] = NOT_FINITE
    grey = images.shape[1] == 1 and not broken.any()
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))


def point_plot(
    real: Tensor,
    fake: Tensor,
    scores: Tensor | None = None,
    extent: tuple[float, float, float, float] | None = None,
    title: str = "",
) -> Image.Image:
    """Samples over data. Every plot has the same size, and with the same `extent` the same axes: the frames of an animation.

    Args:
        real, fake: points `[n, 2]` and `[m, 2]`. Points that are not finite are left out and counted in the title.
        scores: the discriminator's scores on a regular grid over `extent`, `[rows, columns]`, the bottom row first.
        extent: left, right, bottom, top; by default around the real points.

    Raises:
        ValueError: points of another shape, or scores without the extent they lie on.
    """
    for name, points in (("real", real), ("fake", fake)):
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"the {name} points have the shape {tuple(points.shape)}; a plot needs [n, 2]")
    if scores is not None and extent is None:
        raise ValueError("the scores lie on a grid over `extent`; give it")
    data, samples = _coordinates(real), _coordinates(fake)
    left, right, bottom, top = extent or _around(data)

    from matplotlib.figure import Figure

    figure = Figure(figsize=(PLOT_INCHES, PLOT_INCHES), dpi=PLOT_DPI, facecolor="white")
    axes = figure.add_axes((0.075, 0.095, 0.9, 0.845))
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.tick_params(colors="#666666", labelsize=9, length=3)
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
    if scores is not None:
        _contours(axes, scores, (left, right, bottom, top))
    axes.plot(*data.T, ".", color=DATA_COLOUR, alpha=0.6, markersize=4, markeredgewidth=0, label="data")
    axes.plot(*samples.T, ".", color=SAMPLE_COLOUR, alpha=0.75, markersize=5, markeredgewidth=0, label="samples")
    missing = len(fake) - len(samples)
    axes.set_title(f"{title} ({missing} samples not finite)" if missing else title, fontsize=11, color=INK, loc="left")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="upper right",
        bbox_to_anchor=(0.985, 1.0),
        ncols=2,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        markerscale=2.5,
        handletextpad=0.1,
    )
    if scores is not None:
        figure.text(0.075, 0.018, "background: the discriminator's score, the lighter the more real", fontsize=9, color="#666666")
    pixels = io.BytesIO()
    figure.savefig(pixels, format="rgba", dpi=PLOT_DPI)
    side = round(PLOT_INCHES * PLOT_DPI)
    return Image.frombytes("RGBA", (side, side), pixels.getvalue()).convert("RGB")


def point_panels(real: Tensor, fakes: Tensor, titles: Sequence[str], title: str = "") -> Image.Image:
    """Samples over data, small multiples: one panel a replica, all with the axes of the data.

    Args:
        real: points `[n, 2]`, the same behind every panel.
        fakes: points `[R, m, 2]`.
        titles: one a panel.
    """
    from matplotlib.figure import Figure

    columns = math.ceil(math.sqrt(len(fakes)))
    rows = math.ceil(len(fakes) / columns)
    data = _coordinates(real)
    left, right, bottom, top = _around(data)
    figure = Figure(figsize=(PANEL_INCHES * columns, PANEL_INCHES * rows + 0.4), dpi=PLOT_DPI, facecolor="white", layout="tight")
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    for number, (fake, label) in enumerate(zip(fakes, titles, strict=True), 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color("#cccccc")
        samples = _coordinates(fake)
        axes.plot(*data.T, ".", color=DATA_COLOUR, alpha=0.35, markersize=2, markeredgewidth=0)
        axes.plot(*samples.T, ".", color=SAMPLE_COLOUR, alpha=0.7, markersize=2.5, markeredgewidth=0)
        missing = len(fake) - len(samples)
        axes.set_title(f"{label} ({missing} not finite)" if missing else label, fontsize=8, color=INK, loc="left", pad=3)
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=PLOT_DPI)
    return Image.open(pixels).convert("RGB")


def write_png(image: Image.Image, path: Path) -> None:
    """Write beside and rename: whoever looks sees a whole picture or none. Raises `OSError` when it cannot be written."""
    content = io.BytesIO()
    image.save(content, "PNG")
    replace_file(path, content.getvalue())


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step; nothing is left behind when that fails. Raises `OSError`."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        # A device or a pipe is written through: a rename would put a file in its place.
        path.write_bytes(content)
        return
    beside = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _coordinates(points: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = points.detach().to("cpu", torch.float64).numpy()
    return array[np.isfinite(array).all(1)]


def _around(data: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if len(data) == 0:
        return (-1.0, 1.0, -1.0, 1.0)
    lowest, highest = data.min(0), data.max(0)
    margin = 0.15 * float((highest - lowest).max()) or 1.0
    return (float(lowest[0]) - margin, float(highest[0]) + margin, float(lowest[1]) - margin, float(highest[1]) + margin)


def _contours(axes: "Axes", scores: Tensor, extent: tuple[float, float, float, float]) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    grid = np.ma.masked_invalid(scores.detach().to("cpu", torch.float64).numpy())
    if grid.count() == 0 or float(grid.max() - grid.min()) == 0:
        return
    left, right, bottom, top = extent
    columns, rows = np.linspace(left, right, grid.shape[1]), np.linspace(bottom, top, grid.shape[0])
    levels = MaxNLocator(MOST_LEVELS).tick_values(float(grid.min()), float(grid.max()))
    lightness = LinearSegmentedColormap.from_list("lightness", ["#b9bec6", "#ffffff"])
    axes.contourf(columns, rows, grid, levels=levels, cmap=lightness)
    lines = axes.contour(columns, rows, grid, levels=levels, colors="#7d8590", linewidths=0.6, linestyles="solid")
    axes.clabel(lines, fontsize=7, inline=True, colors="#59606a")
