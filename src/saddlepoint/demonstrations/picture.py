"""The picture of what measures see: a row a quantity, a column a fault, each response in standard deviations of clean values."""

import io
import textwrap
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from saddlepoint.demonstrations.faults import FAULTS
from saddlepoint.demonstrations.measures import Demonstration
from saddlepoint.demonstrations.responses import WIDTH, Response, Sight
from saddlepoint.evaluation.table import with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's, which the colour-blind tell apart; each stands with a word as well.
COLOURS = {"sees": "#0072B2", "looks better": "#D55E00", "in part": "#0072B2", "blind": "#8a8a8a", "refuses": "#8a8a8a"}
GROUNDS = {"sees": "white", "looks better": "#fdeee3", "in part": "#f4f4f4", "blind": "#f4f4f4", "refuses": "#f4f4f4"}
BAND, INK, PALE = "#d5d5d5", "#222222", "#6a6a6a"
# In inches at 100 dots.
WIDTH_INCHES, DPI = 14.0, 100
LEFT, RIGHT, TOP, BOTTOM = 2.75, 0.15, 1.22, 0.55
ROW, GAP = 0.80, 0.09
LINE = 0.17
MOST = 10_000.0
TICKS = (-1000, -100, -10, 0, 10, 100, 1000)


def png_of(demonstration: Demonstration) -> bytes:
    """A PNG, 1400 pixels wide."""
    from matplotlib.figure import Figure

    rows, columns = demonstration.responses, demonstration.faults
    height = TOP + BOTTOM + ROW * len(rows)
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor="white")
    width = (WIDTH_INCHES - LEFT - RIGHT) / len(columns)
    for row, response in enumerate(rows):
        below = height - TOP - ROW * (row + 1)
        _label(figure, response, (below + ROW / 2) / height, height)
        for column, fault in enumerate(columns):
            place = (LEFT + width * column, below + GAP / 2, width - GAP, ROW - GAP)
            axes = figure.add_axes(
                (place[0] / WIDTH_INCHES, place[1] / height, place[2] / WIDTH_INCHES, place[3] / height),
            )
            _panel(axes, response, fault, demonstration.doses)
            _edges(axes, first=column == 0, last=row == len(rows) - 1)
            if row == 0:
                x = (place[0] + place[2] / 2) / WIDTH_INCHES
                figure.text(x, 1 - (TOP - 0.32) / height, FAULTS[fault].title, fontsize=11.5, weight="bold", color=INK, ha="center")
                figure.text(
                    x,
                    1 - (TOP - 0.12) / height,
                    f"at 1: {FAULTS[fault].full(demonstration.points)}",
                    fontsize=8,
                    color=PALE,
                    ha="center",
                )
    _head(figure, demonstration, height)
    figure.text(
        (LEFT + width * len(columns) / 2) / WIDTH_INCHES, 0.12 / height, "dose of the fault", fontsize=10, color=INK, ha="center"
    )
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=DPI)
    return pixels.getvalue()


def _head(figure: "Figure", demonstration: Demonstration, height: float) -> None:
    seen = "their coordinates" if demonstration.points else f"features of the {demonstration.extractor}"
    figure.text(
        0.01,
        1 - 0.30 / height,
        f"What measures see at n = {demonstration.n:,} ({demonstration.data}, {seen})",
        fontsize=14,
        weight="bold",
        color=INK,
    )
    figure.text(
        0.01,
        1 - 0.55 / height,
        f"Vertical: distance from the clean value, in standard deviations of clean values (linear to {WIDTH:g}, then logarithmic). "
        f"Grey band: ± {WIDTH:g}. Line and shade: mean and range of {demonstration.repeats} repeats.",
        fontsize=9,
        color=INK,
    )
    words = {"sees": "sees it from this dose on", "looks better": "sees it, and takes it for better", "blind": "blind"}
    for number, (verdict, word) in enumerate(words.items()):
        y = 1 - (TOP - 0.44 + 0.17 * number) / height
        figure.text(0.01, y, "●" if verdict != "blind" else "–", fontsize=9, color=COLOURS[verdict], weight="bold")
        figure.text(0.024, y, word, fontsize=9, color=COLOURS[verdict])


def _label(figure: "Figure", response: Response, y: float, height: float) -> None:
    arrow = {True: "\u00a0↑", False: "\u00a0↓", None: ""}[response.higher_is_better]
    lines = textwrap.wrap(response.title + arrow, 31, break_on_hyphens=False)
    clean = f"clean {with_error(response.centre, stdev(response.clean) or None)}"
    middle = y + (LINE / 2) / height
    figure.text(0.01, middle, "\n".join(lines), fontsize=10.5, color=INK, va="center", linespacing=1.1)
    figure.text(0.01, middle - (LINE * len(lines) / 2) / height, clean, fontsize=8.5, color=PALE, va="top")


def _panel(axes: "Axes", response: Response, fault: str, doses: tuple[float, ...]) -> None:
    sight = response.sight(fault)
    colour = COLOURS[sight.verdict]
    axes.set_facecolor(GROUNDS[sight.verdict])
    axes.axhspan(-WIDTH, WIDTH, color=BAND, linewidth=0)
    drawn = [(0.0, 0.0, 0.0, 0.0)]
    for dose, values in zip(doses, response.faulty[fault], strict=True):
        shifts = [_within(response.shift(value)) for value in values if value is not None]
        if len(shifts) == len(values):
            drawn.append((dose, fmean(shifts), min(shifts), max(shifts)))
    at, means, low, high = zip(*drawn, strict=True)
    axes.fill_between(at, low, high, color=colour, alpha=0.3, linewidth=0)
    axes.plot(at, means, color=colour, linewidth=1.8)
    axes.set_yscale("symlog", linthresh=WIDTH, linscale=0.9)
    axes.set(xlim=(-0.03, 1.06), ylim=(-MOST, MOST))
    if sight.verdict != "refuses":
        for dose in dict.fromkeys([*sight.doses[:1], *(sight.doses if sight.verdict == "in part" else ()), *sight.better]):
            dot = COLOURS["looks better"] if dose in sight.better else colour
            axes.plot(dose, means[at.index(dose)], "o", color=dot, markersize=6, zorder=3)
    _word(axes, sight, means[-1])


def _word(axes: "Axes", sight: Sight, last: float) -> None:
    y, place = (0.07, "bottom") if last >= 0 else (0.93, "top")
    axes.text(0.03, y, sight.words(), transform=axes.transAxes, fontsize=8.5, color=COLOURS[sight.verdict], va=place, weight="bold")


def _within(shift: float) -> float:
    """What is further goes on along the edge."""
    return max(-MOST, min(MOST, shift))


def _edges(axes: "Axes", *, first: bool, last: bool) -> None:
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"] if last else [])
    axes.set_yticks(TICKS, [f"{tick:,}".replace("-", "−") if tick in (-100, 0, 100) else "" for tick in TICKS] if first else [])
    axes.minorticks_off()
    axes.tick_params(labelsize=7.5, length=2.5, colors=PALE)
    for spine in axes.spines.values():
        spine.set_color("#c8c8c8")
