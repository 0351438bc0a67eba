"""Pictures of samples: a grid of images, or points over the data with the discriminator's contours."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READABLE_WIDTH = 512
BETWEEN = 2
BETWEEN_GREY = 0.5
NOT_FINITE = (255, 0, 255)

PLOT_INCHES, PLOT_DPI = 6.0, 100
# Of small multiples, in inches: a side, between two, a line of a title, the head above all.
PANEL_INCHES, PANEL_GAP, PANEL_LINE, PANEL_HEAD = 1.56, 0.12, 0.16, 0.24
LABEL_SIZE = 12
MOST_LEVELS = 9
# Okabe and Ito's colours, which colour-blind readers tell apart; the contours below are told by lightness alone.
DATA_COLOUR, SAMPLE_COLOUR, INK, ENDED_COLOUR = "#0072B2", "#D55E00", "#333333", "#A1260D"


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
    # Importing torchvision takes seconds, which a run of points need not wait for.
    from torchvision.utils import make_grid

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


def point_panels(
    real: Tensor,
    fakes: Tensor,
    titles: Sequence[str],
    title: str = "",
    ended: Mapping[int, str] | None = None,
    columns: int | None = None,
) -> Image.Image:
    """Samples over data, small multiples: one panel a replica, all with the axes of the data, whatever the samples are.

    Args:
        real: points `[n, 2]`, the same behind every panel.
        fakes: points `[R, m, 2]`. Those that are not finite are left out and counted; so are those outside, where they are most.
        titles: one a panel; of several lines where there is more to tell.
        ended: panels of replicas that diverged, with what is to be said of it; framed and told in red.
        columns: panels in a row; by default as many as rows.

    Raises:
        ValueError: points of another shape, or not a title a panel.

    >>> point_panels(torch.zeros(4, 2), torch.zeros(3, 5, 2), ["a", "b", "c"], columns=3).size
    (516, 220)
    """
    if real.ndim != 2 or fakes.ndim != 3 or real.shape[1] != 2 or fakes.shape[2] != 2 or len(titles) != len(fakes):
        what = f"{tuple(real.shape)} real and {tuple(fakes.shape)} fake points with {len(titles)} titles"
        raise ValueError(f"{what}; panels need [n, 2], [R, m, 2] and R titles")
    from matplotlib.figure import Figure

    columns = min(columns or math.ceil(math.sqrt(len(fakes))), len(fakes))
    rows = math.ceil(len(fakes) / columns)
    lines = 1 + max(label.count("\n") for label in titles)
    data = _coordinates(real)
    left, right, bottom, top = _around(data)
    # Places by hand: a layout engine would move the panels from picture to picture, and takes most of the time.
    across, down = PANEL_INCHES + PANEL_GAP, PANEL_INCHES + PANEL_GAP + PANEL_LINE * lines
    width, height = across * columns + PANEL_GAP, down * rows + PANEL_GAP + PANEL_HEAD
    figure = Figure(figsize=(width, height), dpi=PLOT_DPI, facecolor="white")
    figure.text(PANEL_GAP / width, 1 - 0.14 / height, title, fontsize=11, color=INK, va="center")
    for number, (fake, label) in enumerate(zip(fakes, titles, strict=True)):
        row, column = divmod(number, columns)
        x, y = PANEL_GAP + across * column, height - PANEL_HEAD - down * (row + 1)
        axes = figure.add_axes((x / width, y / height, PANEL_INCHES / width, PANEL_INCHES / height))
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
        end = (ended or {}).get(number)
        for spine in axes.spines.values():
            spine.set(color="#cccccc" if end is None else ENDED_COLOUR, linewidth=0.8 if end is None else 1.6)
        samples = _coordinates(fake)
        axes.plot(*data.T, ".", color=DATA_COLOUR, alpha=0.35, markersize=2.2, markeredgewidth=0)
        axes.plot(*samples.T, ".", color=SAMPLE_COLOUR, alpha=0.7 if end is None else 0.35, markersize=2.5, markeredgewidth=0)
        missing = len(fake) - len(samples)
        outside = int(((samples < (left, bottom)) | (samples > (right, top))).any(1).sum())
        notes = [end, f"{missing} not finite" if missing else None, f"{outside} outside" if 2 * outside > len(samples) else None]
        axes.set_title(label, fontsize=8, color=INK, loc="left", pad=3, linespacing=1.15)
        axes.text(
            0.03,
            0.03,
            "\n".join(note for note in notes if note),
            transform=axes.transAxes,
            fontsize=8,
            color=ENDED_COLOUR,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1} if any(notes) else None,
        )
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=PLOT_DPI)
    return Image.open(pixels).convert("RGB")


def image_rows(images: Tensor, titles: Sequence[str], title: str = "", ended: Mapping[int, str] | None = None) -> Image.Image:
    """Images of many replicas: one row a replica, its title beside it.

    Args:
        images: `[R, n, C, H, W]`, as `image_grid` takes them.
        titles: one a row; of several lines where there is more to tell.
        ended: rows of replicas that diverged, with what is to be said of it in red.

    Raises:
        ValueError: images of another shape, or not a title a row.
    """
    if images.ndim != 5 or len(titles) != len(images):
        raise ValueError(f"{tuple(images.shape)} images with {len(titles)} titles; rows need [R, n, C, H, W] and R titles")
    lines = 2 + max(label.count("\n") for label in titles)
    # A row is as high as its words; the width of the words is the same whoever has diverged, for frames of one size.
    least = math.ceil(lines * LABEL_SIZE * 1.3 / images.shape[3])
    scale = max(least, math.ceil(READABLE_WIDTH / (images.shape[1] * images.shape[4])))
    grid = image_grid(images.flatten(0, 1), columns=images.shape[1], scale=scale)
    font = ImageFont.load_default(LABEL_SIZE)
    words = [line for label in [*titles, "diverged at 999999"] for line in label.split("\n")]
    margin = math.ceil(max(font.getlength(line) for line in words)) + 2 * LABEL_SIZE
    head = 2 * LABEL_SIZE if title else 0
    whole = Image.new("RGB", (margin + grid.width, head + grid.height), "white")
    whole.paste(grid, (margin, head))
    draw = ImageDraw.Draw(whole)
    draw.text((LABEL_SIZE // 2, LABEL_SIZE // 3), title, fill=INK, font=font)
    pitch = images.shape[3] * scale + BETWEEN
    for row, label in enumerate(titles):
        end = (ended or {}).get(row)
        top = head + BETWEEN + row * pitch
        draw.text((LABEL_SIZE, top), label, fill=INK, font=font)
        if end is not None:
            below = top + (label.count("\n") + 1) * LABEL_SIZE * 1.25
            draw.text((LABEL_SIZE, below), end, fill=ENDED_COLOUR, font=font)
            draw.rectangle((0, top, LABEL_SIZE // 3, top + pitch - 2 * BETWEEN), fill=ENDED_COLOUR)
    return whole


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


def on_the_plane(points: Tensor) -> Tensor:
    """Points as they are drawn, `[*, n, 2]`: those of the line `[*, n, 1]` on the plane's first axis.

    >>> on_the_plane(torch.ones(1, 1)).tolist()
    [[1.0, 0.0]]
    """
    return torch.cat([points, torch.zeros_like(points)], -1) if points.shape[-1] == 1 else points


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
