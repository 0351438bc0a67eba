"""What takes long says how far it is: every step once, to the end, and no value depends on who looks."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from saddlepoint.measures import MEASURES
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.measure import Estimate, Measure
from saddlepoint.streams import Streams
from tests.measures.worlds import image_world, point_world

# At least so many reports: more than one, or nothing can be estimated.
TELLING: dict[str, tuple[Measure, int]] = {
    "precision-recall": (MEASURES["precision-recall"](k=3), 3),
    "density-coverage": (MEASURES["density-coverage"](k=3), 2),
    "memorisation": (MEASURES["memorisation"](resamples=100), 8),
    "maximum-mean-discrepancy": (MEASURES["maximum-mean-discrepancy"](permutations=19), 2),
    "kernel-distance": (MEASURES["kernel-distance"](), 3),
    "frechet-distance-infinity": (MEASURES["frechet-distance-infinity"](), 15),
    "classifier-accuracy-score": (MEASURES["classifier-accuracy-score"](seeds=2, updates=3, batch=4), 12),
    "generalisation-gap": (MEASURES["generalisation-gap"](repeats=2, updates=3, batch=4), 18),
}


def taken(measure: Measure, evidence: Evidence) -> tuple[Mapping[str, Estimate], list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    watched = replace(evidence, progress=lambda done, total: told.append((done, total)))
    return measure(watched, Streams(0)), told


@pytest.mark.parametrize("name", TELLING)
def test_every_step_is_told_to_the_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few kernel values at a time that small sets take several.
    monkeypatch.setattr("saddlepoint.measures.kernels.BLOCK", 2**11)
    measure, least = TELLING[name]
    for world in (image_world(60), point_world(60)):
        if not measure.problems(world):
            estimates, told = taken(measure, world)
            done, totals = zip(*told, strict=True)
            assert len(told) >= least
            assert list(done) == sorted(set(done))
            assert set(totals) == {done[-1]}
            assert estimates == measure(world, Streams(0))


def test_tiles_are_told_one_by_one() -> None:
    streams = Streams(0)
    evidence = point_world(60)
    many = [streams.normal(side, n, 2) for side, n in (("real", 1300), ("fake", 2600))]
    real, fake = (replace(evidence.real, images=points, features=points, labels=None, scores=None) for points in many)
    _, told = taken(MEASURES["precision-recall"](), replace(evidence, real=real, fake=fake))
    # 3 tiles among two chunks of reals, 6 among three of fakes, then 2 x 3 between them.
    assert told == [(done, 15) for done in (3, 9, *range(10, 16))]
