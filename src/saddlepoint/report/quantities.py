"""What the monitors log: which curves share a chart, and what each means. A quantity nobody described still gets its chart."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from saddlepoint.report.bands import Bands, band_of
from saddlepoint.report.events import Log, Row
from saddlepoint.report.replicas import Grouping, Replica, groupings

Points = list[tuple[int, float]]
Rows = list[tuple[int, Row]]


@dataclass
class Chart:
    """Curves on one pair of axes.

    Args:
        bounds: fixes the vertical axis.
        reference: a line to compare with, and its name.
        curves: of a lone run, a number an update.
        bands: of a run of many replicas, by curve: where its replicas lie at each update.
        widest: whether a band's 5 to 95 % is drawn around its middle half.
        steps: the curves are counts, which no mean runs over.
        note: what is to be said of it.
    """

    title: str
    meaning: str
    bounds: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None
    curves: dict[str, Points] = field(default_factory=dict)
    bands: dict[str, Bands] = field(default_factory=dict)
    widest: bool = True
    steps: bool = False
    note: str = ""


class Rule(NamedTuple):
    """Quantities whose names match `pattern` go to a chart. `title` and `curve` may use the pattern's groups."""

    pattern: str
    group: str
    title: str
    curve: str
    meaning: str
    bounds: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None


PENALTIES_GROUP = "Penalties and gradients"
_PLAYER = r"(?P<player>[^/]+)"

RULES = (
    Rule(
        r"(?P<player>discriminator)/loss(?: (?P<side>.+))?",
        "Losses",
        "Discriminator's loss",
        "{side|total}",
        "What the discriminator minimises: the means over real and fake samples, and their total with the penalties. Healthy: it "
        "settles, then wobbles. At 0 (vanilla, hinge) it has won and may teach nothing more; 2 ln 2 = 1.39 (vanilla) is guessing.",
    ),
    Rule(
        r"(?P<player>generator)/loss(?: (?P<side>.+))?",
        "Losses",
        "Generator's loss",
        "{side|total}",
        "What the generator minimises. It says how the game stands, not how good the samples are: the discriminator moves too. "
        "Healthy: a band without drift. A steady climb means the discriminator runs away.",
    ),
    Rule(r"(?P<player>[^/]+)/loss(?: (?P<side>.+))?", "Losses", "{player}: loss", "{side|total}", "What this player minimises."),
    Rule(
        r"discriminator/score (?P<side>.+)",
        "Scores",
        "Mean score by side",
        "{side}",
        "The discriminator's raw output, before any sigmoid. Healthy: real above fake with a gap that stays bounded, and held-out "
        "data beside real. Held-out falling towards fake is memorised training data.",
    ),
    Rule(
        r"discriminator/accuracy (?P<side>.+)",
        "Scores",
        "Discriminator's accuracy",
        "{side}",
        "Share of samples on the right side of the objective's boundary. Healthy: between one half and about .9. All near 1: the "
        "discriminator has won. Real above held-out: it overfits.",
        bounds=(0.0, 1.0),
        reference=(0.5, "a coin"),
    ),
    Rule(
        rf"{_PLAYER}/clamped scores",
        "Scores",
        "Clamped scores",
        "{player}",
        "Share of scores beyond the clamp of an exponential, which have no gradient. Healthy: near 0. Near 1, nothing is learned.",
        bounds=(0.0, 1.0),
    ),
    Rule(
        r"discriminator/(?P<name>share of good fakes|fakes count)",
        "Scores",
        "Good fakes",
        "{name}",
        "The share of fakes that count as good, and whether the cost of the bad ones is counted (1) or below 0 (0). Healthy: it is "
        "counted. Always 0 means that the share is set too high, and no fake is pushed down.",
        bounds=(0.0, 1.0),
    ),
    Rule(
        rf"{_PLAYER}/penalty (?P<name>.+)",
        PENALTIES_GROUP,
        "Penalty: {name}",
        "{player}",
        "Its value before the weight.",
    ),
    Rule(
        rf"{_PLAYER}/gradient norm at (?P<name>.+)",
        PENALTIES_GROUP,
        "Gradient of the score at {name}",
        "{player}",
        "Mean norm of the gradient that the penalty looks at. Healthy: near the penalty's centre (1 for WGAN-GP, small for R1).",
    ),
    Rule(
        rf"{_PLAYER}/gradient norm",
        PENALTIES_GROUP,
        "Gradient norm",
        "{player}",
        "Length of each player's gradient, before clipping. Healthy: one order of magnitude all along. Growth by powers of ten "
        "comes before divergence; a generator's near 0 is a vanished gradient.",
    ),
    Rule(
        rf"{_PLAYER}/weights variance(?: (?P<side>.+))?",
        "Sample weights",
        "Variance of the weights",
        "{player}, {side|all}",
        "How much the weighting tells samples apart (their mean is 1). 0 is the plain mean.",
    ),
    Rule(
        rf"{_PLAYER}/effective sample size(?: (?P<side>.+))?",
        "Sample weights",
        "Effective sample size",
        "{player}, {side|all}",
        "(sum w)² / (n sum w²), the share of the batch that counts. 1 is the plain mean; near 1/n one sample decides everything.",
        bounds=(0.0, 1.0),
    ),
    Rule(
        rf"{_PLAYER}/sdp/score term",
        "Sample differences (SDP)",
        "Score term",
        "{player}",
        "Squared score gaps of fakes and their nearest reals. Healthy: falls as pairs become alike, without reaching 0.",
    ),
    Rule(
        rf"{_PLAYER}/sdp/feature term",
        "Sample differences (SDP)",
        "Feature term",
        "{player}",
        "Feature gaps of the same pairs, block by block. Beside the score term it says which part of the penalty acts.",
    ),
    Rule(
        rf"{_PLAYER}/sdp/slope (?P<name>mean|max)",
        "Sample differences (SDP)",
        "Slope of the score between pairs: {name}",
        "{player}",
        "Score gap over distance of a pair. Growth while pairs come closer is the exploding gradient the penalty is against.",
    ),
    Rule(
        rf"{_PLAYER}/sdp/distinct reals",
        "Sample differences (SDP)",
        "Distinct reals chosen",
        "{player}",
        "Real samples that are some chosen fake's nearest. 1 means that all fakes crowd around one: a sign of collapse.",
    ),
    Rule(
        rf"{_PLAYER}/sdp/neighbours closer than reals",
        "Sample differences (SDP)",
        "Fakes closer to a real than reals are",
        "{player}",
        "Share of fakes nearer to their real than the reals' median nearest distance. Near 1: copies, or blur.",
        bounds=(0.0, 1.0),
    ),
    Rule(
        rf"{_PLAYER}/learning rate",
        "Pace",
        "Learning rate",
        "{player}",
        "The step size that each player's optimizer used.",
    ),
    Rule(rf"{_PLAYER}/(?P<method>[^/]+)/(?P<name>.+)", "Other monitors", "{method}: {name}", "{player}", "Noted by the method."),
    Rule(r"(?P<name>.+)", "Other monitors", "{name}", "value", "Noted while training."),
)

SPEED_MEANING = "Real ones shown to the discriminator, monitors and samples included. Dips are samples being drawn."
ALIVE_MEANING = "Replicas that have not diverged. One that has is frozen, and its later numbers are in no curve below."
MEASURES_GROUP = "Measures"
REPLICAS_GROUP = "Replicas"
ORDER = (REPLICAS_GROUP, MEASURES_GROUP, *dict.fromkeys(rule.group for rule in RULES))
BETTER = {"higher": " Higher is better.", "lower": " Lower is better.", None: ""}


def charts(
    log: Log, meanings: Mapping[str, str], examples: str = "images", replicas: Sequence[Replica] = ()
) -> dict[str, list[Chart]]:
    """The charts of a log by group; every logged quantity, and every measured one, is a curve of exactly one of them.

    Of many replicas a curve is a band over them. Where numbers vary from replica to replica, each quantity has a chart of its own,
    with a band for each value.

    Args:
        meanings: of penalties by name, put before the general words.
        examples: what the data are called.
        replicas: those of the log's rows; none of a lone run.
    """
    groups: dict[str, dict[str, Chart]] = {group: {} for group in ORDER}
    compared = groupings(replicas) if replicas else []
    groups[REPLICAS_GROUP] = _alive(log, compared)
    groups[MEASURES_GROUP] = _measures(log, examples, compared)
    for name in log.names:
        rule, words = _rule_of(name)
        title = _filled(rule.title, words)
        meaning = " ".join(part for part in (_own_meaning(rule, words, meanings), rule.meaning) if part)
        found, curve = groups[rule.group], _filled(rule.curve, words)
        chart = Chart(title, meaning, rule.bounds, rule.reference)
        if not compared:
            chart = found.setdefault(title, chart)
            points = [(entry.update, entry.values[name]) for entry in log.progress if name in entry.values]
            chart.curves[name if curve in chart.curves else curve] = points
            continue
        rows = [(entry.update, entry.rows[name]) for entry in log.progress if name in entry.rows]
        _compare(found, chart, curve, name, rows, compared)
    speed = [(entry.update, entry.images_per_second) for entry in log.progress if entry.images_per_second is not None]
    if speed:
        title = f"{examples.capitalize()} a second"
        meaning = f"{SPEED_MEANING} All replicas together." if compared else SPEED_MEANING
        groups["Pace"][title] = Chart(title, meaning, curves={f"{examples} a second": speed})
    return {group: list(found.values()) for group, found in groups.items() if found}


def _compare(found: dict[str, Chart], chart: Chart, curve: str, name: str, rows: Rows, compared: Sequence[Grouping]) -> None:
    """Put a quantity's bands on the chart of its kind, or, value by value, on one of its own."""
    for grouping in compared:
        everyone = len(grouping.groups) == 1
        by = f" by {grouping.by}" if grouping.by else ""
        title = f"{chart.title}{by}" if everyone else f"{chart.title}, {curve}{by}"
        own = found.setdefault(title, replace(chart, title=title, bands={}, widest=everyone, note=grouping.note))
        for label, members in grouping.groups.items():
            kept = curve if everyone else label
            own.bands[name if kept in own.bands else kept] = [band_of(update, row, members) for update, row in rows]


def _alive(log: Log, compared: Sequence[Grouping]) -> dict[str, Chart]:
    """How many replicas have not diverged, where some have."""
    found: dict[str, Chart] = {}
    for grouping in compared if log.ended else ():
        title = "Replicas alive" + (f" by {grouping.by}" if grouping.by else "")
        most = max(len(members) for members in grouping.groups.values())
        chart = Chart(title, ALIVE_MEANING, bounds=(0.0, 1.06 * most), steps=True, note=grouping.note)
        for label, members in grouping.groups.items():
            ends = sorted(log.ended[member].update for member in members if member in log.ended)
            points: Points = [(0, float(len(members)))]
            for gone, update in enumerate(ends, 1):
                points += [(update, points[-1][1]), (update, float(len(members) - gone))]
            last = max([entry.update for entry in log.progress] + ends)
            chart.curves[label or "alive"] = [*points, (last, points[-1][1])]
        found[title] = chart
    return found


def _measures(log: Log, examples: str, compared: Sequence[Grouping]) -> dict[str, Chart]:
    found: dict[str, Chart] = {}
    rows: dict[tuple[str, str], Rows] = {}
    charts_of: dict[tuple[str, str], Chart] = {}
    for entry in log.measured:
        meaning = (
            f"Samples of the same latents at every update, against {entry.n:,} {entry.split} {examples}.{BETTER[entry.better]}"
        )
        curve = entry.split or "value"
        if not compared:
            chart = found.setdefault(entry.name, Chart(entry.title, meaning))
            chart.curves.setdefault(curve, []).append((entry.update, entry.mean))
        elif entry.rows is not None:
            charts_of.setdefault((entry.name, curve), Chart(entry.title, meaning))
            rows.setdefault((entry.name, curve), []).append((entry.update, entry.rows[0]))
    for (name, curve), chart in charts_of.items():
        _compare(found, chart, curve, name, rows[name, curve], compared)
    return found


def _rule_of(name: str) -> tuple[Rule, dict[str, str]]:
    for rule in RULES:
        match = re.fullmatch(rule.pattern, name, re.DOTALL)
        if match:
            return rule, {key: word for key, word in match.groupdict().items() if word}
    return RULES[-1], {"name": name}


def _filled(template: str, words: Mapping[str, str]) -> str:
    def word(slot: re.Match[str]) -> str:
        return words.get(slot[1], slot[2] or "")

    return re.sub(r"\{(\w+)(?:\|(\w+))?\}", word, template)


def _own_meaning(rule: Rule, words: Mapping[str, str], meanings: Mapping[str, str]) -> str:
    return meanings.get(words.get("name", ""), "") if rule.group == PENALTIES_GROUP else ""
