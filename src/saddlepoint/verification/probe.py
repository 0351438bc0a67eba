"""A probe: something fed to a method whose answer is known by hand, and the wrong answers that tell which slip was made."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Numbers = tuple[float, ...]
Room = Literal["objective", "penalty", "weighting", "view", "measure"]
Verdict = Literal["holds", "fails", "raises", "skipped"]


@dataclass(frozen=True)
class Slip:
    """A mistake that is often made, and what a method that makes it answers.

    Args:
        what: the mistake, in words; one slip has the same words in every probe.
        gives: its answer, or a test that knows it when it comes.
    """

    what: str
    gives: Numbers | Callable[[Numbers], bool]

    def explains(self, came: Numbers, tolerance: float) -> bool:
        """Whether it would have given what came.

        >>> Slip("sum for a mean", (6.0,)).explains((6.0,), 1e-6), Slip("not finite", lambda x: x[0] > 9).explains((6.0,), 1e-6)
        (True, False)
        """
        return close(came, self.gives, tolerance) if isinstance(self.gives, tuple) else self.gives(came)


@dataclass(frozen=True)
class Probe:
    """One question with its answer.

    Args:
        name: a few words.
        fed: what the method is given, in words.
        expected: the answer.
        ask: gives the method's own answer.
        slips: wrong answers that have a name.
        tolerance: of each number, absolute up to 1 and relative above.
        scales: whether an answer that is a constant times the right one is worth a word: a weight was left inside.
        unasked: why it cannot be asked here; None when it can.
    """

    name: str
    fed: str
    expected: Numbers
    ask: Callable[[], Numbers]
    slips: tuple[Slip, ...] = ()
    tolerance: float = 1e-6
    scales: bool = False
    unasked: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a probe.

    Args:
        subject: whom it was asked of.
        came: the answer; empty when there was none.
        slips: what was likely done wrong.
        note: the exception, or why the probe was left out.
    """

    subject: str
    room: Room
    probe: str
    fed: str
    expected: Numbers
    came: Numbers
    verdict: Verdict
    slips: tuple[str, ...] = ()
    note: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "subject": self.subject,
            "room": self.room,
            "probe": self.probe,
            "fed": self.fed,
            "expected": list(self.expected),
            "came": list(self.came),
            "verdict": self.verdict,
            "slips": list(self.slips),
            "note": self.note,
        }


def close(came: Numbers, expected: Numbers, tolerance: float) -> bool:
    """Whether two answers are one, number by number; what is not finite must be the same.

    >>> close((1.0, math.nan), (1.0 + 1e-9, math.nan), 1e-6), close((1.0,), (1.0, 1.0), 1e-6)
    (True, False)
    """
    if len(came) != len(expected):
        return False
    pairs = zip(came, expected, strict=True)
    return all(
        abs(one - other) <= tolerance * max(1.0, abs(other))
        if math.isfinite(one) and math.isfinite(other)
        else one == other or (math.isnan(one) and math.isnan(other))
        for one, other in pairs
    )


def numbers(value: Any) -> Numbers:
    """An answer as numbers: of a tensor, a number, or several of them in a sequence or a mapping.

    >>> numbers({"precision": 0.5, "recall": 1})
    (0.5, 1.0)
    """
    if isinstance(value, Tensor):
        return tuple(value.detach().double().flatten().tolist())
    if isinstance(value, Mapping):
        return numbers(list(value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(number for part in value for number in numbers(part))
    return (float(value),)


def outcomes(subject: str, room: Room, probes: Iterable[Probe]) -> list[Outcome]:
    """Ask every probe of one subject; slips are sought over all that came."""
    asked = [(probe, *_answer(probe)) for probe in probes]
    answers = [(probe, came) for probe, came, note in asked if not note]
    found = []
    for probe, came, note in asked:
        told: tuple[str, ...] = ()
        verdict: Verdict = "skipped" if probe.unasked else "raises" if note else "holds"
        if not note and not close(came, probe.expected, probe.tolerance):
            verdict, told = "fails", _likely(probe, came, answers)
        found.append(Outcome(subject, room, probe.name, probe.fed, probe.expected, came, verdict, told, note))
    return found


def _answer(probe: Probe) -> tuple[Numbers, str]:
    """The numbers, or what was raised: somebody else's code may raise anything."""
    if probe.unasked:
        return (), probe.unasked
    try:
        return probe.ask(), ""
    except (Exception, SystemExit) as error:
        return (), told(error)


def told(error: BaseException) -> str:
    """An exception in one line; of one that cannot even be written, its type."""
    try:
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    except Exception:
        return type(error).__name__


def _likely(probe: Probe, came: Numbers, answers: Sequence[tuple[Probe, Numbers]]) -> tuple[str, ...]:
    """The slips that give what came here: first those that give, to the number, what came everywhere."""
    here = [slip for slip in probe.slips if slip.explains(came, probe.tolerance)]
    everywhere = [slip for slip in here if all(_agrees(slip.what, other, answer) for other, answer in answers)]
    exactly = [slip for slip in everywhere if isinstance(slip.gives, tuple)]
    found = [slip.what for slip in exactly] or _factor(probe, answers) or [slip.what for slip in everywhere or here]
    return tuple(dict.fromkeys(found))


def _agrees(what: str, probe: Probe, came: Numbers) -> bool:
    own = [slip for slip in probe.slips if slip.what == what]
    return not own or any(slip.explains(came, probe.tolerance) for slip in own)


def _factor(probe: Probe, answers: Sequence[tuple[Probe, Numbers]]) -> list[str]:
    """One factor between what came and what was expected, everywhere."""
    if not probe.scales:
        return []
    scaled = [(other, answer) for other, answer in answers if other.scales]
    ratios = [
        one / right
        for other, answer in scaled
        if len(answer) == len(other.expected)
        for one, right in zip(answer, other.expected, strict=True)
        if abs(right) > other.tolerance
    ]
    if not ratios or not all(math.isfinite(ratio) and ratio for ratio in ratios):
        return []
    ratio = ratios[0]
    fits = all(close(answer, tuple(ratio * right for right in other.expected), other.tolerance) for other, answer in scaled)
    return [f"everything is {ratio:.4g} times what it should be: a weight or a factor is inside"] if fits else []
