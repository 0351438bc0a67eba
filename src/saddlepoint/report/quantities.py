"""What the monitors log: which curves share a chart, and what each means. A quantity nobody described still gets its chart."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from saddlepoint.report.events import Log

Points = list[tuple[int, float]]


@dataclass
class Chart:
    """Curves on one pair of axes. `bounds` fixes the vertical axis; `reference` is a line to compare with, and its name."""

    title: str
    meaning: str
    bounds: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None
    curves: dict[str, Points] = field(default_factory=dict)


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
MEASURES_GROUP = "Measures"
ORDER = (MEASURES_GROUP, *dict.fromkeys(rule.group for rule in RULES))
BETTER = {"higher": " Higher is better.", "lower": " Lower is better.", None: ""}


def charts(log: Log, meanings: Mapping[str, str], examples: str = "images") -> dict[str, list[Chart]]:
    """The charts of a log by group; every logged quantity, and every measured one, is a curve of exactly one of them.

    Args:
        meanings: of penalties by name, put before the general words.
        examples: what the data are called.
    """
    groups: dict[str, dict[str, Chart]] = {group: {} for group in ORDER}
    groups[MEASURES_GROUP] = _measures(log, examples)
    for name in log.names:
        rule, words = _rule_of(name)
        title = _filled(rule.title, words)
        meaning = " ".join(part for part in (_own_meaning(rule, words, meanings), rule.meaning) if part)
        chart = groups[rule.group].setdefault(title, Chart(title, meaning, rule.bounds, rule.reference))
        curve = _filled(rule.curve, words)
        points = [(entry.update, entry.values[name]) for entry in log.progress if name in entry.values]
        chart.curves[name if curve in chart.curves else curve] = points
    speed = [(entry.update, entry.images_per_second) for entry in log.progress if entry.images_per_second is not None]
    if speed:
        title = f"{examples.capitalize()} a second"
        groups["Pace"][title] = Chart(title, SPEED_MEANING, curves={f"{examples} a second": speed})
    return {group: list(found.values()) for group, found in groups.items() if found}


def _measures(log: Log, examples: str) -> dict[str, Chart]:
    found: dict[str, Chart] = {}
    for entry in log.measured:
        meaning = (
            f"Samples of the same latents at every update, against {entry.n:,} {entry.split} {examples}.{BETTER[entry.better]}"
        )
        chart = found.setdefault(entry.name, Chart(entry.title, meaning))
        chart.curves.setdefault(entry.split or "value", []).append((entry.update, entry.mean))
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
