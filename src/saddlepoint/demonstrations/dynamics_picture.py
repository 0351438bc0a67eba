"""The picture of a method's dynamics: a row a game, the plane of both players beside the radius over updates."""

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from saddlepoint.demonstrations.dynamics import EDGE, Dynamics, Game

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's, which the colour-blind tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73")
INK, PALE, ARROW = "#222222", "#6a6a6a", "#b3b3b3"
LEAST = 1e-16
# In inches at 100 dots.
SIZE, DPI = (12.0, 10.6), 100


def png_of(dynamics: Dynamics) -> bytes:
    """A PNG, 1,200 pixels wide."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    figure.text(0.05, 0.968, f"Dynamics of {dynamics.name}", fontsize=15, weight="bold", color=INK)
    words = textwrap.wrap(f"{dynamics.method}. {dynamics.updates:,} updates from three starts.", 150)
    figure.text(0.05, 0.952, "\n".join(words), fontsize=9.5, color=INK, va="top")
    for row, game in enumerate(dynamics.games):
        bottom = 0.525 - 0.45 * row
        _plane(figure.add_axes((0.06, bottom, 0.35, 0.365)), game)
        _radius(figure.add_axes((0.50, bottom, 0.46, 0.365)), game)
    about = "○ start   ● end (▲ leaves the picture)   + equilibrium (Nash point).   Arrows: where the first update from there goes."
    figure.text(0.05, 0.012, about, fontsize=9, color=PALE)
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=DPI)
    return pixels.getvalue()


def _plane(axes: "Axes", game: Game) -> None:
    places, moves = game.field.numpy()
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        directions = np.where(lengths > 0, moves / lengths, 0.0)
    axes.quiver(*places.T, *directions.T, color=ARROW, scale=30, width=0.0032, pivot="mid")
    for path, colour in zip(game.paths.numpy(), COLOURS, strict=True):
        axes.plot(*path.T, color=colour, linewidth=1.1, alpha=0.85)
        axes.plot(*path[0], "o", color=colour, markersize=8, markerfacecolor="white", markeredgewidth=1.8, zorder=4)
        last = path[np.isfinite(path).all(1)][-1]
        inside = bool((np.abs(last) <= EDGE).all())
        shown = last if inside else last / np.abs(last).max() * EDGE * 0.97
        axes.plot(*shown, "o" if inside else "^", color=colour, markersize=7, zorder=5)
    axes.plot(0, 0, "+", color=INK, markersize=13, markeredgewidth=2, zorder=6)
    axes.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    axes.set_xlabel("psi: the discriminator's slope", fontsize=9.5, color=INK)
    axes.set_ylabel("theta: the generator's point", fontsize=9.5, color=INK)
    axes.set_title(f"{game.name[0].upper()}{game.name[1:]}", fontsize=12, weight="bold", color=INK, loc="left")
    axes.text(1.0, 1.02, game.about, transform=axes.transAxes, fontsize=8, color=PALE, ha="right")
    _edges(axes)


def _radius(axes: "Axes", game: Game) -> None:
    for radii, start, colour in zip(game.radii.numpy(), game.paths[:, 0].tolist(), COLOURS, strict=True):
        label = f"from ({start[0]:g}, {start[1]:g})"
        axes.plot(np.maximum(radii, LEAST), color=colour, linewidth=1.5, label=label)
    axes.set_yscale("log")
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("updates", fontsize=9.5, color=INK)
    axes.set_ylabel("radius: distance from the equilibrium", fontsize=9.5, color=INK)
    end = float(game.radii[0, -1])
    told = f"from (1, 1): {game.verdict()}" + (f", {end:.3g} at the end" if np.isfinite(end) else "")
    axes.set_title(told, fontsize=10.5, color=COLOURS[0], loc="left")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    _edges(axes)


def _edges(axes: "Axes") -> None:
    axes.tick_params(labelsize=8.5, length=3, colors=PALE)
    for spine in axes.spines.values():
        spine.set_color("#c8c8c8")
