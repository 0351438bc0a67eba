"""How a quantity answers to faults: its clean values, the band they span, and from which dose on it leaves that band."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

# Half the width of the floor's band, in standard deviations of clean values.
WIDTH = 3.0
# Of a quantity whose clean values are all one: what a step of it is counted in, as a share of the value.
STILL = 1e-3

Verdict = Literal["sees", "looks better", "blind", "refuses"]


@dataclass(frozen=True)
class Sight:
    """What a quantity sees of a fault.

    Args:
        verdict: `looks better` where it sees the fault and takes it for an improvement; `refuses` where it will not judge it.
        dose: the smallest from which on it sees the fault, or refuses; None when blind.
        grows: whether its value is above the clean one there.
    """

    verdict: Verdict
    dose: float | None = None
    grows: bool | None = None

    def __str__(self) -> str:
        """As a table shows it.

        >>> str(Sight("sees", 0.25, True)), str(Sight("blind"))
        ('▲ 0.25', 'blind')
        """
        if self.dose is None:
            return self.verdict
        if self.verdict == "refuses":
            return f"refuses {self.dose:g}"
        return f"{'▲' if self.grows else '▼'} {self.dose:g}{' better' if self.verdict == 'looks better' else ''}"


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
        """The smallest dose from which on, at every larger dose too, every repeat is outside the band of 3 standard deviations.

        >>> response = Response("a", "A", True, (0.0, 1.0, 2.0), (0.5, 1.0), {"noise": ((9.0, 8.0), (-7.0, -9.0))})
        >>> response.sight("noise")
        Sight(verdict='looks better', dose=0.5, grows=True)
        """
        by_dose = self.faulty[fault]
        refused = [dose for dose, values in zip(self.doses, by_dose, strict=True) if None in values]
        if refused:
            return Sight("refuses", refused[0])
        first = None
        for dose, values in reversed(list(zip(self.doses, by_dose, strict=True))):
            shifts = [self.shift(value) for value in values if value is not None]
            if not (min(shifts) > WIDTH or max(shifts) < -WIDTH):
                break
            first = dose, shifts[0] > 0
        if first is None:
            return Sight("blind")
        dose, grows = first
        return Sight("looks better" if self.higher_is_better is grows else "sees", dose, grows)

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
