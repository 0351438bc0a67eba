"""Probes of measures: values worked out by hand, and what every measure owes: the same again, in any order, nothing touched."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from saddlepoint.measures import MEASURES
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Measure
from saddlepoint.streams import Streams
from saddlepoint.verification import distances, generated, shares
from saddlepoint.verification.cases import Case, sample
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

CASES: Mapping[str, Callable[[Any], Iterator[Case]]] = {
    "frechet-distance": distances.frechet_distance,
    "class-conditional-frechet-distance": distances.class_conditional_frechet_distance,
    "frechet-distance-infinity": distances.frechet_distance_infinity,
    "kernel-distance": distances.kernel_distance,
    "classifier-score": shares.classifier_score,
    "maximum-mean-discrepancy": distances.maximum_mean_discrepancy,
    "exact-maximum-mean-discrepancy": distances.exact_maximum_mean_discrepancy,
    "precision-recall": shares.precision_recall,
    "density-coverage": shares.density_coverage,
    "memorisation": shares.memorisation,
    "wasserstein-distance": distances.wasserstein_distance,
    "sliced-wasserstein-distance": distances.sliced_wasserstein_distance,
    "pyramid-sliced-wasserstein": generated.pyramid_sliced_wasserstein,
    "modes": shares.modes,
    "class-modes": shares.class_modes,
    "classifier-accuracy-score": shares.classifier_accuracy_score,
    "discriminator-overfitting": shares.discriminator_overfitting,
    "generalisation-gap": generated.generalisation_gap,
    "perceptual-path-length": generated.perceptual_path_length,
    "reconstruction": generated.reconstruction,
    "nearest-neighbour-accuracy": generated.nearest_neighbour_accuracy,
    "support-size": generated.support_size,
    "ms-ssim": generated.ms_ssim,
    "lpips": generated.lpips,
    "vendi-score": shares.vendi_score,
}

# Draws of rows may move these with the order of the samples; at the cases above, all of one sort, they do not.
ORDERED = {"pyramid-sliced-wasserstein"}


@dataclass(frozen=True)
class Asked:
    """A measure as it is asked: the numbers of a case's quantities.

    Args:
        ask: of a case.
        plain: whether it is a function of real and fake features, which answers the cases that need no more.
    """

    ask: Callable[[Case], Numbers]
    plain: bool = False


def ask_record(measure: Measure | None = None) -> Asked:
    """One of ours, each case with the fields its value is of; or another record, as it is."""

    def ask(case: Case) -> Numbers:
        found = (measure or case.record)(case.evidence, Streams(0))
        if measure is not None and not set(case.expected) <= set(found):
            return tuple(estimate.mean for estimate in found.values())
        return tuple(found[quantity].mean if quantity in found else math.nan for quantity in case.expected)

    return Asked(ask)


def ask_plain(function: Callable[[Tensor, Tensor], object]) -> Asked:
    """A function of real and fake features `[n, d]`, `[m, d]`."""
    return Asked(lambda case: numbers(function(case.evidence.real.coordinates, case.evidence.fake.coordinates)), plain=True)


def measure_probes(asked: Asked, like: Measure | None) -> list[Probe]:
    """All probes of a measure; `like` is the record whose values it should have, if any."""
    name = next((name for name, record in MEASURES.items() if record is type(like)), "")
    known = list(CASES[name](like)) if name in CASES else []
    cases = [case for case in known if case.plain or not asked.plain]
    first = Answers(asked, cases[0] if cases else _any_case())
    valued = [_valued(case, first.one if case is first.case else partial(asked.ask, case)) for case in cases]
    return [*valued, *_common(first, ordered=name in ORDERED)]


class Answers:
    """What a measure says of one case, asked no oftener than it must be."""

    def __init__(self, asked: Asked, case: Case) -> None:
        self.case = case
        self._asked = asked
        self._given = [_copied(case.evidence) for _ in range(2)]
        self._known: dict[int, Numbers] = {}

    def one(self, number: int = 0) -> Numbers:
        """The first or the second answer, each from a copy of the evidence."""
        if number not in self._known:
            self._known[number] = self._asked.ask(replace(self.case, evidence=self._given[number]))
        return self._known[number]

    def backwards(self) -> Numbers:
        """The answer when every set comes backwards."""
        turned: dict[str, Any] = {
            side: given.rows(torch.arange(len(given)).flip(0)) for side, given in _samples(self.case.evidence).items()
        }
        return self._asked.ask(replace(self.case, evidence=replace(self.case.evidence, **turned)))

    def touched(self) -> int:
        """How many numbers of what was given are others after it was asked."""
        self.one()
        changed = 0
        for side, given in _samples(self.case.evidence).items():
            after = _samples(self._given[0])[side]
            for part in fields(given):
                before, now = getattr(given, part.name), getattr(after, part.name)
                changed += 0 if before is None else int((before != now).sum())
        return changed


def _any_case() -> Case:
    real, fake = (Streams(0).normal(f"verification any {side}", 24, 3) for side in ("real", "fake"))
    return Case("any", "24 points a side", MEASURES["frechet-distance"](), Evidence(sample(real), sample(fake + 1)), {}, plain=True)


def _valued(case: Case, ask: Callable[[], Numbers]) -> Probe:
    expected = tuple(case.expected.values())
    return Probe(case.name, case.fed, expected, ask, case.slips, case.tolerance, scales=True, unasked=case.unasked)


def _samples(evidence: Evidence) -> dict[str, Sample]:
    found = {side: getattr(evidence, side) for side in ("real", "fake", "train", "held_out")}
    return {side: given for side, given in found.items() if given is not None}


def _copied(evidence: Evidence) -> Evidence:
    """The same evidence in memory of its own."""
    whole: dict[str, Any] = {side: given.rows(torch.arange(len(given))) for side, given in _samples(evidence).items()}
    return replace(evidence, **whole)


def _common(answers: Answers, *, ordered: bool) -> Iterator[Probe]:
    """What every measure owes, on the first of its cases."""
    case = answers.case

    def probe(name: str, about: str, ask: Callable[[], float], slip: str, tolerance: float = 0.0) -> Probe:
        slips = (Slip(slip, lambda came: True),) if slip else ()
        return Probe(name, f"{case.fed}; {about}", (0.0,), lambda: (float(ask()),), slips, tolerance, unasked=case.unasked)

    yield probe("finite numbers", "how many are not finite", lambda: sum(not math.isfinite(value) for value in answers.one()), "")
    yield probe(
        "asked twice",
        "the largest difference between two answers",
        lambda: _difference(answers.one(0), answers.one(1)),
        "it draws from the global generator: take streams, or indices",
    )
    if not ordered:
        yield probe(
            "the order of samples does not matter",
            "every set backwards: the largest difference",
            lambda: _difference(answers.one(), answers.backwards()),
            "samples are paired, or cut off, by their place",
            case.tolerance,
        )
    yield probe(
        "nothing given is changed",
        "how many numbers of the samples were changed",
        answers.touched,
        "it works in place on what it was given",
    )


def _difference(one: Numbers, other: Numbers) -> float:
    if len(one) != len(other):
        return math.inf
    return max((0.0 if a == b else abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)
