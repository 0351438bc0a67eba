"""How a quantity answers to faults: its clean values, the band they span, and from which dose on it leaves that band."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

# Half the width of the floor's band, in standard deviations of clean values.
WIDTH = 3.0
# Of a quantity whose clean values are all one: what a step of it is counted in, as a share of the value.
STILL = 1e-3

Verdict = Literal["sees", "looks better", "in part", "blind", "refuses"]


@dataclass(frozen=True)
class Sight:
    """What a quantity sees of a fault: the doses at which every repeat is outside the band, all on one side.

    Args:
        verdict: `sees` from the first of them on; `looks better` where it takes the fault for an improvement at all of them; `in
            part` where it does not see a larger dose; `blind` at every dose; `refuses` where the measure will not judge such sets.
        doses: seen, ascending; of `refuses`, the refused.
        grows: for each of them, whether the value is above the clean one.
        better: those at which the fault looks like an improvement.
    """

    verdict: Verdict
    doses: tuple[float, ...] = ()
    grows: tuple[bool, ...] = ()
    better: tuple[float, ...] = ()

    @property
    def dose(self) -> float | None:
        """The smallest; None when blind."""
        return self.doses[0] if self.doses else None

    def words(self) -> str:
        """In a few words.

        >>> Sight("sees", (0.25, 0.5, 1.0), (True, False, False), (0.25,)).words()
        'from 0.25, better at 0.25'
        """
        if self.dose is None:
            return "blind"
        listed = ", ".join(f"{dose:g}" for dose in self.doses)
        if self.verdict == "in part":
            return f"only at {listed}"
        better = f", better at {', '.join(f'{dose:g}' for dose in self.better)}" if self.better else ""
        tail = {"looks better": ": better?", "sees": better, "refuses": ""}[self.verdict]
        return f"{'refuses ' if self.verdict == 'refuses' else ''}from {self.dose:g}{tail}"

    def __str__(self) -> str:
        """As a table shows it, with the direction at the first dose, then another that it takes.

        >>> str(Sight("sees", (0.5, 1.0), (True, True))), str(Sight("sees", (0.5, 1.0), (True, False))), str(Sight("blind"))
        ('▲ from 0.5', '▲▼ from 0.5', 'blind')
        """
        arrows = "".join("▲" if grows else "▼" for grows in dict.fromkeys(self.grows))
        return f"{arrows} {self.words()}".lstrip()


@dataclass(frozen=True)
class Response:
    """One quantity under every fault.

    Args:
        name: `MEASURE` or `MEASURE.QUANTITY`.
        title: as a picture shows it.
        higher_is_better: None where neither direction is.
        clean: its values of sets without a fault.
        doses: of the faults, ascending, none 0.
        faulty: by fault, by dose, by repeat; None where the measure refused. Repeat i has the real side of `clean[i]`.
    """

    name: str
    title: str
    higher_is_better: bool | None
    clean: tuple[float, ...]
    doses: tuple[float, ...]
    faulty: Mapping[str, tuple[tuple[float | None, ...], ...]]

    @property
    def centre(self) -> float:
        """The mean of the clean values."""
        return fmean(self.clean)

    @property
    def unit(self) -> float:
        """Their standard deviation (n - 1); where they are all one, a thousandth of it."""
        return max(stdev(self.clean), STILL * abs(self.centre)) if len(set(self.clean)) == 1 else stdev(self.clean)

    def shift(self, value: float) -> float:
        """How far a value is from the clean mean, in standard deviations of clean values."""
        return (value - self.centre) / (self.unit or STILL)

    def sight(self, fault: str) -> Sight:
        """At which doses every repeat is outside the band of 3 standard deviations, on the same side.

        >>> response = Response("a", "A", True, (0.0, 1.0, 2.0), (0.5, 1.0), {"noise": ((3.0, 8.0), (-7.0, -9.0))})
        >>> response.sight("noise")
        Sight(verdict='sees', doses=(1.0,), grows=(False,), better=())
        """
        by_dose = dict(zip(self.doses, self.faulty[fault], strict=True))
        refused = tuple(dose for dose, values in by_dose.items() if None in values)
        if refused:
            return Sight("refuses", refused)
        seen = {}
        for dose, values in by_dose.items():
            shifts = [self.shift(value) for value in values if value is not None]
            if min(shifts) > WIDTH or max(shifts) < -WIDTH:
                seen[dose] = shifts[0] > WIDTH
        if not seen:
            return Sight("blind")
        better = tuple(dose for dose, grows in seen.items() if grows is self.higher_is_better)
        to_the_end = self.doses[-len(seen) :] == tuple(seen)
        verdict: Verdict = "in part" if not to_the_end else "looks better" if len(better) == len(seen) else "sees"
        return Sight(verdict, tuple(seen), tuple(seen.values()), better)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values: the raw values, and what is seen of each fault."""
        return {
            "name": self.name,
            "title": self.title,
            "higher_is_better": self.higher_is_better,
            "clean": list(self.clean),
            "mean": self.centre,
            "std": stdev(self.clean),
            "faulty": {fault: [list(values) for values in by_dose] for fault, by_dose in self.faulty.items()},
            "sees": {fault: vars(self.sight(fault)) for fault in self.faulty},
        }
