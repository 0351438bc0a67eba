import itertools
import math
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.penalties import PENALTIES
from saddlepoint.report.curves import axis_of, draw, segments, smoothed, x_ticks
from saddlepoint.report.events import Log, Progress
from saddlepoint.report.quantities import Chart, charts
from tests.report.run_folders import VALUES


def log_of(names: tuple[str, ...], entries: int = 3) -> Log:
    return Log([Progress(10 * i, 0, {}, dict.fromkeys(names, float(i)), None, 100.0) for i in range(1, entries + 1)])


def test_every_quantity_is_one_curve_and_none_is_lost() -> None:
    unknown = ("discriminator/lecam/average", "encoder/loss", "temperature", "a\nb", "/", "", "generator/loss total")
    log = log_of(VALUES + unknown)
    groups = charts(log, {})
    curves = [(chart.title, name) for found in groups.values() for chart in found for name in chart.curves]
    assert len(curves) == len(set(curves)) == len(VALUES) + len(unknown) + 1
    assert all(len(points) == 3 for found in groups.values() for chart in found for points in chart.curves.values())
    told = [chart.title for group, found in groups.items() if group != "Other monitors" for chart in found]
    assert len(told) == 19
    assert {chart.title for chart in groups["Other monitors"]} == {"lecam: average", "temperature", "a\nb", "/", ""}


def test_what_belongs_together_shares_axes() -> None:
    groups = charts(log_of(VALUES), {"gradient": "Pulls the norm to its centre."})
    by_title = {chart.title: chart for found in groups.values() for chart in found}
    assert list(by_title["Mean score by side"].curves) == ["real", "fake", "held-out"]
    assert list(by_title["Discriminator's loss"].curves) == ["total", "real", "fake"]
    assert list(by_title["Gradient norm"].curves) == list(by_title["Learning rate"].curves) == ["discriminator", "generator"]
    assert by_title["Discriminator's accuracy"].bounds == (0.0, 1.0)
    assert by_title["Penalty: gradient"].meaning.startswith("Pulls the norm to its centre. ")
    assert all(chart.meaning for chart in by_title.values())


def test_every_registered_penalty_is_explained() -> None:
    from saddlepoint.report.page import meanings

    assert meanings().keys() == PENALTIES.keys()
    assert all(len(words) > 20 for words in meanings().values())


def test_axes() -> None:
    assert axis_of(curve([0.01, 1.0, 10.0])).log
    assert not axis_of(curve([0.0, 1.0, 1000.0])).log
    assert not axis_of(curve([1.0, 40.0])).log
    linear = axis_of(curve([-1.0, 3.0]))
    assert linear.low < -1 < 3 < linear.high
    assert 0.0 in linear.ticks
    # A single spike does not flatten the curve: the axis ends before it.
    spiky = axis_of(curve([math.sin(i) for i in range(100)] + [1e9]))
    assert 1 <= spiky.high < 3


def test_values_that_do_not_show_are_said() -> None:
    text = unescape(draw(curve([-1.0, math.nan, *[math.sin(i) for i in range(100)], math.inf, 1e9]), last=104))
    assert "2 values are not finite, first at update 1." in text
    assert "1 value is beyond the axis, as far as 1e9." in text
    assert text.count('class="broken"') == 2


def test_a_curve_is_broken_where_it_is_not_finite() -> None:
    points = [(0, 1.0), (1, math.nan), (2, 2.0), (3, 3.0)]
    assert list(segments(points)) == [[(0, 1.0)], [(2, 2.0), (3, 3.0)]]
    (path,) = re.findall(r'<path class="c0" d="([^"]*)"', draw(Chart("t", "m", curves={"total": points}), last=3))
    assert path.count("M") == 2


def test_thinning_keeps_every_spike() -> None:
    values = [math.sin(i / 50) for i in range(5000)]
    values[1234], values[3456] = 1.9, -1.9
    drawn = draw(curve(values), last=5000)
    (raw,) = re.findall(r'<path class="c0 raw" d="([^"]*)"', drawn)
    heights = [float(place.split()[1]) for place in re.split("[ML]", raw) if place]
    axis = axis_of(curve(values))
    assert min(heights) == pytest.approx(1000 * (1 - axis(1.9)), abs=0.1)
    assert max(heights) == pytest.approx(1000 * (1 - axis(-1.9)), abs=0.1)
    assert len(heights) < 700


def test_the_thick_line_is_the_running_mean() -> None:
    points = [(i, float(i % 2)) for i in range(400)]
    middle = [value for _, value in smoothed(points) if math.isfinite(value)][20:-20]
    assert all(abs(value - 0.5) < 0.03 for value in middle)
    assert [value for _, value in smoothed([(i, 3.0) for i in range(80)])[:-1]] == pytest.approx([3.0] * 80)


@given(
    st.lists(st.one_of(st.floats(), st.floats(min_value=1e-320, max_value=1e308)), max_size=90),
    st.sampled_from([None, (0.0, 1.0)]),
)
def test_any_numbers_make_a_chart_inside_its_frame(values: list[float], bounds: tuple[float, float] | None) -> None:
    chart = Chart("any", "thing", bounds=bounds, curves={"total": list(enumerate(values))})
    drawn = draw(chart, last=max(len(values) - 1, 0))
    HTMLParser().feed(drawn)
    for path in re.findall(r' d="([^"]*)"', drawn):
        for place in filter(None, re.split("[ML]", path)):
            x, y = map(float, place.split())
            assert 0 <= x <= 1000
            assert -25 <= y <= 1025
    axis = axis_of(chart)
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 17


@pytest.mark.parametrize("right", [1, 2, 3, 7, 50, 999, 1000, 20_000, 123_456, 3_000_000])
def test_x_ticks_are_round_and_within(right: int) -> None:
    ticks = x_ticks(right)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 5
    assert ticks[-1] <= right
    assert len({later - earlier for earlier, later in itertools.pairwise(ticks)}) == 1


def curve(values: list[float]) -> Chart:
    return Chart("title", "meaning", curves={"total": list(enumerate(values))})
