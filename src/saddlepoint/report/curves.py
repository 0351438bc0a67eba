"""A chart as HTML with an inline SVG. The SVG is stretched to any width; strokes and words are not, so both stay readable."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple, TypeVar

from saddlepoint.report.bands import Band, Bands
from saddlepoint.report.quantities import Chart, Points

SIDE = 1000
MOST_BUCKETS = 300
MOST_ROWS = 400
MOST_MARKS = 60
SMOOTHED_FROM = 60
LOG_FROM_RATIO = 50.0
OUTLYING_SPANS = 4.0
LARGEST, SMALLEST = 1e100, 1e-100
LONE_REACH = 4.0

T = TypeVar("T")

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
    # Bands lie below every line.
    parts += [_band(bands, axis, right, colour, chart.widest) for bands, colour in _coloured(chart.bands)]
    parts += [_path_of(_thinned_evenly(medians(bands)), axis, right, colour) for bands, colour in _coloured(chart.bands)]
    parts += [_curve(points, axis, right, colour, chart.steps) for points, colour in _coloured(chart.curves)]
    parts += _marks(chart, right)
    if ended is not None:
        parts.append(f'<line class="end" x1="{_x(ended, right)}" x2="{_x(ended, right)}" y1="0" y2="{SIDE}"/>')
    words = f"{chart.title}, update 0 to {last}. {'; '.join(_summaries(chart))}"
    y_labels = "".join(_tick("bottom", axis(tick), short(tick)) for tick in axis.ticks)
    x_labels = "".join(_tick("left", tick / right, f"{tick:,}") for tick in x_ticks(right))
    svg = f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    plot = (
        f'<div class="plot" tabindex="0" role="img" aria-label="{escape(words)}" data-right="{right}" '
        f'data-rows="{escape(_rows(chart))}"><div class="ys" aria-hidden="true">{y_labels}</div>'
        f'<div class="area">{svg}<i class="cursor"></i></div><div class="xs" aria-hidden="true">{x_labels}</div></div>'
    )
    legend = "".join(_keys(chart))
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
        ticks = _linear_ticks(low, high)
        return Axis(low, high, [tick for tick in ticks if tick == round(tick)] if chart.steps else ticks, log=False)
    values = sorted(value if abs(value) >= SMALLEST else 0.0 for _, value in _shown(chart) if abs(value) <= LARGEST)
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


def medians(bands: Bands) -> Points:
    """The middle line of a band."""
    return [(band.update, band.median) for band in bands]


def _coloured(curves: Mapping[str, T]) -> list[tuple[T, int]]:
    return [(curve, colour(name, number)) for number, (name, curve) in enumerate(curves.items())]


def _shown(chart: Chart) -> Iterator[tuple[int, float]]:
    """Every number that a curve or the edge of a band goes through."""
    for points in chart.curves.values():
        yield from points
    for bands in chart.bands.values():
        yield from ((band.update, edge) for band in bands for edge in (*band.spread(chart.widest), band.median) if band.finite)


def _curve(points: Points, axis: Axis, right: int, colour: int, steps: bool) -> str:
    many = len(points) >= SMOOTHED_FROM and not steps
    raw = _path(_thinned(points), axis, right)
    drawn = f'<path class="c{colour}{" raw" if many else ""}" d="{raw}"/>'
    return drawn + (_path_of(_thinned(smoothed(points)), axis, right, colour) if many else "")


def _path_of(points: Points, axis: Axis, right: int, colour: int) -> str:
    return f'<path class="c{colour}" d="{_path(points, axis, right)}"/>'


def _band(bands: Bands, axis: Axis, right: int, colour: int, widest: bool) -> str:
    """The middle half as an area, and 5 to 95 % as a lighter one around it."""
    chosen = _thinned_evenly(bands)
    return "".join(
        f'<path class="band b{colour}" d="{_area([(band.update, *band.spread(wide)) for band in chosen], axis, right)}"/>'
        for wide in ((True, False) if widest else (False,))
    )


def _area(edges: Sequence[tuple[int, float, float]], axis: Axis, right: int) -> str:
    stretches = []
    for stretch in segments([(place, low + high) for place, (_, low, high) in enumerate(edges)]):
        chosen = [edges[place] for place, _ in stretch]
        # A single update has no width of its own.
        reach = LONE_REACH if len(chosen) == 1 else 0.0
        ends = [(SIDE * update / right + side, low, high) for update, low, high in chosen for side in {-reach, reach}]
        ends.sort(key=lambda end: end[0])
        there = [f"{x:.1f} {_y(axis, high)}" for x, _, high in ends]
        back = [f"{x:.1f} {_y(axis, low)}" for x, low, _ in reversed(ends)]
        stretches.append(f"M{'L'.join(there + back)}Z")
    return "".join(stretches)


def _thinned_evenly(items: Sequence[T]) -> list[T]:
    """Whole updates of a band are left out: its edges stay quantiles of one update."""
    step = math.ceil(len(items) / MOST_BUCKETS)
    return [*items[::-1][::step]][::-1] if items else []


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
    return [
        f'<line class="broken" x1="{_x(update, right)}" x2="{_x(update, right)}" y1="0" y2="{SIDE}"/>'
        for update in sorted(_broken(chart))[:MOST_MARKS]
    ]


def _broken(chart: Chart) -> dict[int, int]:
    """How many values are not finite, by update."""
    counts: dict[int, int] = {}
    for update in (update for points in chart.curves.values() for update, value in points if not math.isfinite(value)):
        counts[update] = counts.get(update, 0) + 1
    for band in (band for bands in chart.bands.values() for band in bands if band.broken):
        counts[band.update] = counts.get(band.update, 0) + band.broken
    return counts


def _notes(chart: Chart, axis: Axis) -> Iterator[str]:
    if chart.note:
        yield chart.note
    broken = _broken(chart)
    if broken:
        yield f"{_counted(sum(broken.values()))} not finite, first at update {min(broken):,}."
    beyond = [value for _, value in _shown(chart) if math.isfinite(value) and not axis.low <= value <= axis.high]
    if beyond and chart.bands:
        yield f"Bands reach beyond the axis, as far as {short(max(beyond, key=abs))}."
    elif beyond:
        yield f"{_counted(len(beyond))} beyond the axis, as far as {short(max(beyond, key=abs))}."


def _counted(number: int) -> str:
    return "1 value is" if number == 1 else f"{number:,} values are"


def _keys(chart: Chart) -> Iterator[str]:
    for number, (name, points) in enumerate(chart.curves.items()):
        yield _key(name, short(points[-1][1]) if points else "–", colour(name, number))
    for number, (name, bands) in enumerate(chart.bands.items()):
        yield _key(name, _told(bands[-1], chart.widest) if bands else "–", colour(name, number))


def _key(name: str, value: str, colour: int) -> str:
    return f'<li><span class="swatch s{colour}"></span>{escape(name)} <output>{escape(value)}</output></li>'


def _told(band: Band, widest: bool) -> str:
    """A band in words: its median, its range, and of how many where some are missing."""
    if not band.finite:
        return "–"
    low, high = (short(edge) for edge in band.spread(widest))
    spread = f" ({low} to {high})" if low != high else ""
    return f"{short(band.median)}{spread}" + (f" of {band.finite}" if band.finite < band.asked else "")


def _summaries(chart: Chart) -> Iterator[str]:
    yield from (_summary(name, points) for name, points in chart.curves.items())
    share = "5 to 95 %" if chart.widest else "middle half"
    for name, bands in chart.bands.items():
        finite = [band for band in bands if band.finite]
        if not finite:
            yield f"{name}: no finite value"
            continue
        last, lowest, highest = finite[-1], min(band.median for band in finite), max(band.median for band in finite)
        low, high = (short(edge) for edge in last.spread(chart.widest))
        yield (
            f"{name}: last median {short(last.median)}, {share} {low} to {high}, over {last.finite} replicas; "
            f"medians from {short(lowest)} to {short(highest)}"
        )


def _summary(name: str, points: Points) -> str:
    finite = [value for _, value in points if math.isfinite(value)]
    if not finite:
        return f"{name}: no finite value"
    return f"{name}: last {short(points[-1][1])}, lowest {short(min(finite))}, highest {short(max(finite))}"


def _rows(chart: Chart) -> str:
    """What the pointer reads out: `[[update, value of each curve …], …]`, thinned evenly, the last one kept."""
    tables = [{update: short(value) for update, value in points} for points in chart.curves.values()]
    tables += [{band.update: _told(band, chart.widest) for band in bands} for bands in chart.bands.values()]
    updates = sorted({update for table in tables for update in table})
    step = max(1, math.ceil(len(updates) / MOST_ROWS))
    kept = [*updates[::-1][::step]][::-1]
    rows = [[update, *(table.get(update, "–") for table in tables)] for update in kept]
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
