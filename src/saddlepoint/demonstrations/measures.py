"""What measures see: faults planted at growing dose, and the response of each measure that can be taken."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saddlepoint.demonstrations.faults import FAULTS, Ground
from saddlepoint.demonstrations.grounds import World, opened
from saddlepoint.demonstrations.responses import Response
from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value, plain_json
from saddlepoint.evaluation.defaults import all_measures, measures_named
from saddlepoint.evaluation.engine import Reference, evaluate, see
from saddlepoint.evaluation.reals import Pictures, Reals
from saddlepoint.evaluation.subject import Subject
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.measures.measure import WANTED, Measure
from saddlepoint.streams import Streams

__all__ = ["DOSES", "Demonstration", "demonstrate", "opened"]

DOSES = (0.1, 0.25, 0.5, 0.75, 1.0)
REPEATS, FLOORS = 3, 10
# Drawing less where the error is not shown, and where all patches would take longer than all other measures together.
LIGHT: Mapping[str, Mapping[str, int]] = {
    "maximum-mean-discrepancy": {"permutations": 1},
    "memorisation": {"resamples": 100},
    "pyramid-sliced-wasserstein": {"patches": 16, "directions": 128},
}
# A p-value says itself how sure it is, and the biased MMD is the unbiased one and a constant more, nearly.
NOT_SHOWN = ("maximum-mean-discrepancy-p", "maximum-mean-discrepancy-biased", "class-p")


@dataclass(frozen=True)
class Demonstration:
    """What came of it.

    Args:
        fields: of the measures, where they are not the defaults.
        left_out: a line for each measure that could not be taken at all.
        seconds: it took.
    """

    data: str
    n: int
    extractor: str
    repeats: int
    points: bool
    doses: tuple[float, ...]
    faults: tuple[str, ...]
    responses: tuple[Response, ...]
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0
    fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Response:
        """The response of `MEASURE`, or of `MEASURE.QUANTITY`."""
        return {response.name: response for response in self.responses}[name]

    def rows(self) -> list[dict[str, str]]:
        """A table: for each quantity, what it sees of each fault, and from which dose on."""
        return [
            {
                "measure": response.title,
                "better": {True: "↑", False: "↓", None: ""}[response.higher_is_better],
                **{FAULTS[fault].title: str(response.sight(fault)) for fault in self.faults},
            }
            for response in self.responses
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values."""
        mapping = {**vars(self), "responses": [response.to_mapping() for response in self.responses]}
        plain: dict[str, Any] = plain_json({**mapping, "fields": {name: dict(chosen) for name, chosen in self.fields.items()}})
        return plain


def demonstrate(
    world: World,
    measures: Sequence[str | Measure] | None = None,
    *,
    doses: Sequence[float] = DOSES,
    repeats: int = REPEATS,
    floors: int = FLOORS,
    seed: int = 0,
    watch: Watch | None = None,
) -> Demonstration:
    """Plant every fault that the data can have at every dose, and measure each set.

    A repeat divides the data anew. In each, the real side, the clean set and the training set are disjoint; measures of copying
    take the real side for held-out.

    Args:
        measures: names or records; None for every one that lives on the shared feature pass and can be taken.
        doses: ascending, above 0 and at most 1.
        repeats: with faults.
        floors: repeats whose clean set is measured, `repeats` or more.
        watch: told first how many sets there are and, after two, how long all take.

    Raises:
        InputError: a measure that is not there, or cannot be taken on such samples; doses or repeats that cannot be.
    """
    _refuse_odd(doses, repeats, floors)
    watch = watch or Unwatched()
    begun = time.perf_counter()
    chosen = _measures(world, measures)
    faults = [name for name, fault in FAULTS.items() if fault.points is not None or not world.points]
    total = floors + repeats * len(faults) * len(doses)
    watch.said(f"{total} sets of {world.n:,} samples of {world.name}, by {len(chosen)} measures")
    watch.stage("sets measured", total)
    clean: list[dict[str, Value]] = []
    faulty: list[dict[tuple[str, float], dict[str, Value]]] = []
    left_out: list[str] = []
    for repeat in range(floors):
        streams = Streams(seed).apart(f"repeat {repeat}")
        ground = world.ground(world.n, streams)
        judge = _Judge(world, ground, chosen, repeat)
        values, lines = judge(ground.clean)
        clean.append(values)
        left_out += lines
        watch.advanced(1)
        if repeat == 0 and measures is not None and lines:
            raise InputError([line.removeprefix("left out: ") for line in lines])
        if repeat < repeats:
            faulty.append({})
            for name, dose, pictures in _planted(ground, faults, doses, streams):
                measured = time.perf_counter()
                faulty[-1][name, dose], _ = judge(pictures)
                watch.advanced(1)
                if repeat == 0 and len(faulty[0]) == 1:
                    # The first set paid for imports as well; the second is like all others.
                    watch.said(f"they take about {_duration(total * (time.perf_counter() - measured))} on this machine")
    return Demonstration(
        world.name,
        world.n,
        _extractor(world),
        repeats,
        world.points,
        tuple(doses),
        tuple(faults),
        tuple(_responses(clean, faulty, faults, doses, _extractor(world))),
        tuple(dict.fromkeys(left_out)),
        time.perf_counter() - begun,
        {measure.name: LIGHT[measure.name] for measure in chosen if measure.name in LIGHT},
    )


def _refuse_odd(doses: Sequence[float], repeats: int, floors: int) -> None:
    problems = []
    if not doses or list(doses) != sorted(set(doses)) or not 0 < doses[0] <= doses[-1] <= 1:
        problems.append(f"doses: {list(doses)} do not ascend from above 0 to at most 1")
    if not 1 <= repeats <= floors or floors < 2:
        problems.append(f"repeats: {repeats} with {floors} floors; give 1 or more, and as many floors or more, 2 at least")
    if problems:
        raise InputError(problems)


def _measures(world: World, named: Sequence[str | Measure] | None) -> list[Measure]:
    there = {"labels"} | ({"mixture"} if world.points else {"logits", "train", "held-out"})
    if named is None:
        return [_lightly(measure) for measure in all_measures(world.points, there) if not measure.own_samples]
    chosen = measures_named(named)
    lines = [f"{m.name}: needs {use}; {WANTED[use]}" for m in chosen for use in sorted(m.uses - there)]
    if lines:
        raise InputError(lines)
    return [_lightly(measure) if isinstance(name, str) else measure for name, measure in zip(named, chosen, strict=True)]


def _lightly(measure: Measure) -> Measure:
    return type(measure)(**LIGHT.get(measure.name, {}))


class _Judge:
    """Measures sets against the real side of one repeat, which is seen once."""

    def __init__(self, world: World, ground: Ground, measures: Sequence[Measure], seed: int) -> None:
        self._world = world
        self._measures = measures
        self._seed = seed
        real = see(world.extractor, ground.real, "", Unwatched())
        train = None if world.points else see(world.extractor, ground.train, "", Unwatched())
        none = ground.real.rows(slice(0, 0))
        reals = Reals(world.name, "", "held-out", ground.real, none, mixture=world.mixture)
        held_out = None if world.points else real
        self._reference = Reference(reals, real, real.rows(slice(0, 0)), train, held_out)

    def __call__(self, pictures: Pictures) -> tuple[dict[str, Value], tuple[str, ...]]:
        """Values by name, and why others are not there."""
        found = evaluate(
            Subject(pictures),
            self._reference,
            self._measures,
            self._world.extractor,
            seed=self._seed,
            named=False,
            floors=False,
        )
        return {value.name: value for value in found.values if value.name.split(".")[-1] not in NOT_SHOWN}, found.left_out


def _planted(
    ground: Ground, faults: Sequence[str], doses: Sequence[float], streams: Streams
) -> Iterator[tuple[str, float, Pictures]]:
    for name in faults:
        for dose in doses:
            yield name, dose, FAULTS[name].plant(ground, dose, streams)


def _responses(
    clean: Sequence[Mapping[str, Value]],
    faulty: Sequence[Mapping[tuple[str, float], Mapping[str, Value]]],
    faults: Sequence[str],
    doses: Sequence[float],
    extractor: str,
) -> Iterator[Response]:
    for name, first in clean[0].items():
        if not all(name in values for values in clean):
            continue

        def at(fault: str, dose: float, name: str = name) -> tuple[float | None, ...]:
            sets = [repeat[fault, dose] for repeat in faulty]
            return tuple(values[name].mean if name in values else None for values in sets)

        yield Response(
            name,
            # The extractor is the same in all.
            first.title.replace(f" ({extractor})", ""),
            first.higher_is_better,
            tuple(values[name].mean for values in clean),
            tuple(doses),
            {fault: tuple(at(fault, dose) for dose in doses) for fault in faults},
        )


def _extractor(world: World) -> str:
    return "coordinates" if world.points else world.extractor.title


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
