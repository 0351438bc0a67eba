"""Runs the training test of a method as it is, switched off, and flipped."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from saddlepoint.errors import Diverged
from saddlepoint.methods import registered
from saddlepoint.networks.normalizations import NORMALIZATIONS

from .mutations import MUTANTS, Mutation
from .toys import SEEDS, Toy
from .training_tests import TRAINING_TESTS, TrainingTest

Method = tuple[str, str]
Values = tuple[float, ...]

ROW = "row of the table of mutants"
"""The property under which a test hands its row to the summary of the suite."""


# Methods are shown with networks; turns and slow weights, as they are, off and flipped, in tests/dynamics.
ELSEWHERE = ("networks", "turns", "slow weights")


def methods() -> list[Method]:
    """Room and name of every method that training can show: all registries but those shown elsewhere, and the normalisations that
    the toy, which is of points, can have.
    """
    rooms = [(entry.room, entry.name) for entry in registered() if entry.room not in ELSEWHERE]
    return rooms + [("normalizations", name) for name, record in NORMALIZATIONS.items() if record.not_of_vectors is None]


@dataclass(frozen=True)
class Result:
    """What was read off each arm, one number a seed; not a number where it diverged."""

    method: Method
    test: TrainingTest
    plain: Values
    off: Mapping[str, Values]
    flipped: Mapping[str, Values]

    def faults(self) -> list[str]:
        """A plain arm that is red in any seed, and the mutants that are green in the median."""
        name = " ".join(self.method)
        found = [] if all(self._green(value) for value in self.plain) else [f"{name}: red as it is, {_shown(self.plain)}"]
        for what, mutants in (("switched off", self.off), ("flipped", self.flipped)):
            found += [
                f"{name}: {what}{f' in {which}' if which else ''}, its training test stays green ({_shown(values)}): "
                "what it looks at does not depend on the method"
                for which, values in mutants.items()
                if sum(self._green(value) for value in values) * 2 > len(values)
            ]
        return found

    def row(self) -> list[str]:
        least, most = self.test.least, self.test.most
        bounds = f"<= {most:g}" if least == -math.inf else f">= {least:g}" if most == math.inf else f"{least:g} … {most:g}"
        cells = [_cell({"": self.plain}), _cell(self.off), _cell(self.flipped)]
        return [" ".join(self.method), self.test.look.__name__.replace("_", " "), bounds, *cells]

    def _green(self, value: float) -> bool:
        return self.test.least <= value <= self.test.most


def examine(method: Method, test: TrainingTest) -> Result:
    """Train the plain arm and every mutant of a method."""
    mutants = MUTANTS[method[0]]
    with _one_thread():
        return Result(
            method,
            test,
            _value(test, None),
            {which: _value(test, mutation) for which, mutation in mutants.off.items()},
            {which: _value(test, mutation) for which, mutation in mutants.flipped.items()},
        )


def without_a_test() -> list[str]:
    """What to add for every method, or room, that the machine cannot examine."""
    missing = [
        f"{room} {name}: no training test; add a line to TRAINING_TESTS in tests/mutants/training_tests.py"
        for room, name in methods()
        if (room, name) not in TRAINING_TESTS
    ]
    rooms = dict.fromkeys(room for room, _ in methods())
    missing += [
        f"{room}: the machine cannot switch off or flip its methods; add the room to MUTANTS in tests/mutants/mutations.py"
        for room in rooms
        if room not in MUTANTS
    ]
    left = [" ".join(method) for method in TRAINING_TESTS if method not in methods()]
    return missing + [f"{name}: has a training test but is in no registry; take it out of TRAINING_TESTS" for name in left]


def table(found: Iterable[Sequence[str]]) -> str:
    """Rows of results, one a method: what is looked at, where it must lie, and what it was (the median over seeds)."""
    heads = ["method", "looked at", "green", "plain", "off", "flipped"]
    rows = [heads, *found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _value(test: TrainingTest, mutation: Mutation | None) -> Values:
    toy = Toy(test.recipe)
    if mutation is not None:
        mutation(toy)
    try:
        test.play(toy)
    except Diverged:
        return (math.nan,) * len(SEEDS)
    return tuple(test.look(toy).tolist())


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shown(values: Values) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _cell(arms: Mapping[str, Values]) -> str:
    return "  ".join(f"{which} {_median(values)}".strip() for which, values in arms.items())


def _median(values: Values) -> str:
    return "diverged" if any(map(math.isnan, values)) else f"{sorted(values)[len(values) // 2]:.3g}"
