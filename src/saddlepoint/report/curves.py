"""A chart as HTML with an inline SVG. The SVG is stretched to any width; strokes and words are not, so both stay readable."""

import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from saddlepoint.report.quantities import Chart, Points

SIDE = 1000
MOST_BUCKETS = 300
MOST_ROWS = 400
MOST_MARKS = 60
SMOOTHED_FROM = 60
LOG_FROM_RATIO = 50.0
OUTLYING_SPANS = 4.0
LARGEST, SMALLEST = 1e100, 1e-100

COLOURS = {"total": 0, "value": 0, "discriminator": 1, "real": 1, "generator": 2, "fake": 2, "held-out": 3}


class Axis(NamedTuple):
    """The vertical axis: its range, its ticks, whether it is logarithmic."""

    low: float
    high: float
    ticks: list[float]
    log: bool

    def __call__(self, value: float) -> float:
        """The height of a value, 0 at the bottom and 1 at the top, kept within a little more."""
        if self.log:
            if value <= 0:
                return -0.02
            place = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.02, max(-0.02, place))


def draw(chart: Chart, last: int, ended: int | None = None) -> str:
    """A chart as a `<figure>`.

    Args:
        last: the update at the right edge.
        ended: the update at which the run diverged.
    """
    axis = axis_of(chart)
    right = max(last, 1)
    parts = [f'<line class="grid" x1="0" x2="{SIDE}" y1="{_y(axis, tick)}" y2="{_y(axis, tick)}"/>' for tick in axis.ticks]
    if chart.reference is not None:
        height = _y(axis, chart.reference[0])
        parts.append(f'<line class="reference" x1="0" x2="{SIDE}" y1="{height}" y2="{height}"/>')
    for number, (name, points) in enumerate(chart.curves.items()):
        parts.append(_curve(points, axis, right, colour(name, number)))
    parts += _marks(chart, right)
    if ended is not None:
        parts.append(f'<line class="end" x1="{_x(ended, right)}" x2="{_x(ended, right)}" y1="0" y2="{SIDE}"/>')
    words = f"{chart.title}, update 0 to {last}. {'; '.join(_summary(name, points) for name, points in chart.curves.items())}"
    y_labels = "".join(_tick("bottom", axis(tick), short(tick)) for tick in axis.ticks)
    x_labels = "".join(_tick("left", tick / right, f"{tick:,}") for tick in x_ticks(right))
    svg = f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    plot = (
        f'<div class="plot" tabindex="0" role="img" aria-label="{escape(words)}" data-right="{right}" '
        f'data-rows="{escape(_rows(chart))}"><div class="ys" aria-hidden="true">{y_labels}</div>'
        f'<div class="area">{svg}<i class="cursor"></i></div><div class="xs" aria-hidden="true">{x_labels}</div></div>'
    )
    legend = "".join(_key(name, points, colour(name, number)) for number, (name, points) in enumerate(chart.curves.items()))
    if chart.reference is not None:
        legend += f'<li><span class="swatch dashed"></span>{escape(chart.reference[1])}</li>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in _notes(chart, axis))
    scale = '<span class="scale">log scale</span>' if axis.log else ""
    return (
        f'<figure class="chart"><figcaption><h4>{escape(chart.title)}</h4>{scale}<span class="at"></span></figcaption>{plot}'
        f'<ul class="legend">{legend}</ul>{notes}<p class="meaning">{escape(chart.meaning)}</p></figure>'
    )


def axis_of(chart: Chart) -> Axis:
    """The axis that shows most: logarithmic for positive values over decades; else cut where single values would flatten all."""
    if chart.bounds is not None:
        low, high = chart.bounds
        return Axis(low, high, _linear_ticks(low, high), log=False)
    everything = (value for points in chart.curves.values() for _, value in points)
    values = sorted(value if abs(value) >= SMALLEST else 0.0 for value in everything if abs(value) <= LARGEST)
    if not values:
        return Axis(-1.0, 1.0, [-1.0, 0.0, 1.0], log=False)
    if values[0] > 0 and values[-1] / values[0] >= LOG_FROM_RATIO:
        low, high = values[0] / 1.3, values[-1] * 1.3
        return Axis(low, high, _log_ticks(low, high), log=True)
    low, high = _bulk(values)
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - margin if low < 0 or low > margin else 0.0, high + margin
    return Axis(low, high, _linear_ticks(low, high), log=False)


def smoothed(points: Points) -> Points:
    """The running mean over a twentieth of the points on either side of each, none of them across a value that is not finite."""
    reach = max(1, len(points) // 40)
    result: Points = []
    for run in segments(points):
        for i, (update, _) in enumerate(run):
            near = [value for _, value in run[max(0, i - reach) : i + reach + 1]]
            result.append((update, math.fsum(value / len(near) for value in near)))
        result.append((run[-1][0], math.nan))
    return result


def segments(points: Points) -> Iterator[Points]:
    """The stretches of finite values."""
    stretch: Points = []
    for update, value in points:
        if math.isfinite(value):
            stretch.append((update, value))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def colour(name: str, number: int) -> int:
    """The colour of a curve: players and sides always have the same one."""
    parts = [COLOURS[word] for word in name.split(", ") if word in COLOURS]
    return parts[0] if parts else number % 6


def short(value: float) -> str:
    """A number in few characters.

    >>> [short(value) for value in (0.5, 1200.0, 2e-4, 1.5e7, 0.0, math.inf)]
    ['0.5', '1,200', '2e-4', '1.5e7', '0', 'inf']
    """
    if not math.isfinite(value):
        return str(value)
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{float(f'{value:.4g}'):,}".removesuffix(".0")


def x_ticks(right: int) -> list[int]:
    """At most five round updates from 0 on."""
    step = _round_step(right / 4)
    return [round(step * i) for i in range(5) if step * i <= right] if step >= 1 else list(range(right + 1))


def _curve(points: Points, axis: Axis, right: int, colour: int) -> str:
    many = len(points) >= SMOOTHED_FROM
    raw = _path(_thinned(points), axis, right)
    drawn = f'<path class="c{colour}{" raw" if many else ""}" d="{raw}"/>'
    return drawn + (f'<path class="c{colour}" d="{_path(_thinned(smoothed(points)), axis, right)}"/>' if many else "")


def _path(points: Points, axis: Axis, right: int) -> str:
    stretches = []
    for stretch in segments(points):
        places = [f"{_x(update, right)} {_y(axis, value)}" for update, value in stretch]
        stretches.append("M" + "L".join(places if len(places) > 1 else places * 2))
    return "".join(stretches)


def _thinned(points: Points) -> Points:
    # The least and the greatest of each bucket, so that no spike is lost, and every value that is not finite.
    size = math.ceil(len(points) / MOST_BUCKETS)
    if size < 3:
        return points
    kept: Points = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        finite = [point for point in bucket if math.isfinite(point[1])]
        extremes = {min(finite, key=lambda point: point[1]), max(finite, key=lambda point: point[1])} if finite else set()
        kept += [point for point in bucket if point in extremes or not math.isfinite(point[1])]
    return kept


def _marks(chart: Chart, right: int) -> list[str]:
    broken = sorted({update for points in chart.curves.values() for update, value in points if not math.isfinite(value)})
    return [
        f'<line class="broken" x1="{_x(update, right)}" x2="{_x(update, right)}" y1="0" y2="{SIDE}"/>'
        for update in broken[:MOST_MARKS]
    ]


def _notes(chart: Chart, axis: Axis) -> Iterator[str]:
    everything = [point for points in chart.curves.values() for point in points]
    broken = [update for update, value in everything if not math.isfinite(value)]
    if broken:
        yield f"{_counted(len(broken))} not finite, first at update {min(broken):,}."
    beyond = [value for _, value in everything if math.isfinite(value) and not axis.low <= value <= axis.high]
    if beyond:
        yield f"{_counted(len(beyond))} beyond the axis, as far as {short(max(beyond, key=abs))}."


def _counted(number: int) -> str:
    return "1 value is" if number == 1 else f"{number:,} values are"


def _key(name: str, points: Points, colour: int) -> str:
    value = short(points[-1][1]) if points else "–"
    return f'<li><span class="swatch s{colour}"></span>{escape(name)} <output>{escape(value)}</output></li>'


def _summary(name: str, points: Points) -> str:
    finite = [value for _, value in points if math.isfinite(value)]
    if not finite:
        return f"{name}: no finite value"
    return f"{name}: last {short(points[-1][1])}, lowest {short(min(finite))}, highest {short(max(finite))}"


def _rows(chart: Chart) -> str:
    """What the pointer reads out: `[[update, value of each curve …], …]`, thinned evenly, the last one kept."""
    updates = sorted({update for points in chart.curves.values() for update, _ in points})
    step = max(1, math.ceil(len(updates) / MOST_ROWS))
    kept = [*updates[::-1][::step]][::-1]
    tables = [dict(points) for points in chart.curves.values()]
    rows = [[update, *(short(table[update]) if update in table else "–" for table in tables)] for update in kept]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _bulk(values: Sequence[float]) -> tuple[float, float]:
    low, high = values[len(values) // 50], values[-1 - len(values) // 50]
    span = high - low
    if len(values) < 20 or span == 0:
        return values[0], values[-1]
    lowest = low - span / 2 if values[0] < low - OUTLYING_SPANS * span else values[0]
    highest = high + span / 2 if values[-1] > high + OUTLYING_SPANS * span else values[-1]
    return lowest, highest


def _linear_ticks(low: float, high: float) -> list[float]:
    step = _round_step((high - low) / 4)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, first + 7) if step * i <= high + step * 1e-9]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(1, math.ceil(len(decades) / 8))
    factors = (1.0,) if len(decades) > 3 else (1.0, 3.0)
    ticks = [factor * 10.0**power for power in decades[::every] for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def _round_step(step: float) -> float:
    """The next larger of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * (1 - 1e-9))


def _tick(edge: str, place: float, label: str) -> str:
    return f'<span style="{edge}:{place:.2%}">{escape(label)}</span>'


def _x(update: int, right: int) -> str:
    return f"{SIDE * update / right:.1f}"


def _y(axis: Axis, value: float) -> str:
    return f"{SIDE * (1 - axis(value)):.1f}"
