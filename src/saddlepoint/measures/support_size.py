"""Support size by the birthday paradox (Arora & Zhang 2017): how many samples until two are alike?"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.birthday import BirthdayEstimate, arora_zhang_bound, birthday_estimate
from saddlepoint.measures.evidence import Evidence, Generating, Sample
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.near_duplicates import draw, near_duplicates
from saddlepoint.measures.neighbours import Pairs, closest_pairs, exact_squares, flat, nearest
from saddlepoint.streams import Streams

FALSE_ALARM = 0.05
SIZES = 8
NEAR_HALF = (0.4, 0.6)
REALS_A_SIZE = 10
"""Reals of a half for each sample of a batch: about five of their pairs then lie below the threshold."""
FEWEST = 5
REAL_BATCHES, REAL_BLOCK = 1000, 100
KNOWN_PAIRS = 320
SHOWN = 20

Space = Literal["pixels", "features"]
SPACES: tuple[Space, Space] = ("pixels", "features")


class Pool:
    """Real points and their closest pairs, as many as were asked for yet."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.every = len(points) * (len(points) - 1) // 2
        self._pairs = Pairs(torch.empty(0), torch.empty(0, 2))

    def closest(self, count: int) -> Pairs:
        """At least `count` closest pairs, or all."""
        if len(self._pairs.distances) < min(count, self.every):
            self._pairs = closest_pairs(self.points, count)
        return self._pairs

    def below(self, distance: float) -> int:
        """How many pairs are closer."""
        count = SHOWN
        while True:
            found = self.closest(count).distances
            if len(found) == self.every or float(found[-1]) >= distance:
                return int((found < distance).sum())
            count = 4 * len(found)

    def minima(self, members: Tensor) -> Tensor:
        """The smallest distance in each batch `[b, n]` of points, infinite where it is beyond the pairs found yet."""
        distances, indices = self._pairs
        both = members[:, indices[:, 0]] & members[:, indices[:, 1]]
        return torch.where(both.any(1), distances[both.byte().argmax(1)], torch.inf)


def threshold(first: Pool, s: int, streams: Streams) -> float:
    """The .05 quantile, over random batches of s reals, of the smallest distance between two of them."""
    count = 50 + math.ceil(4 * FALSE_ALARM * (len(first.points) / s) ** 2)
    batches = list(_batches(first, s, streams))
    while True:
        first.closest(count)
        found = torch.cat([first.minima(members) for members in batches]).sort().values[int(FALSE_ALARM * REAL_BATCHES)]
        if bool(torch.isfinite(found)):
            return float(found)
        count = 4 * count


def false_alarms(second: Pool, limit: float, s: int, streams: Streams) -> float:
    """The share of batches of s other reals in which two are closer than `limit`."""
    second.closest(second.below(limit) + 1)
    hits = sum(int((second.minima(members) < limit).sum()) for members in _batches(second, s, streams))
    return hits / REAL_BATCHES


def _batches(pool: Pool, s: int, streams: Streams) -> Sequence[Tensor]:
    """Which reals are in each of the random batches, bool `[b, n]`, in blocks."""
    blocks = []
    for _ in range(REAL_BATCHES // REAL_BLOCK):
        ranks = streams.uniform("support-size batches", REAL_BLOCK, len(pool.points))
        chosen = ranks.topk(s, largest=False).indices
        blocks.append(torch.zeros_like(ranks, dtype=torch.bool).scatter_(1, chosen, True))
    return blocks


def distinct_reals(held_out: Sample, train: Sample, most: int) -> tuple[Sample, Sample]:
    """Two halves of the held-out samples: no two alike, in pixels or in features, and none in the training set.

    Which half a sample is in depends on its content alone, whatever the order of the samples.
    """
    known = set(_digests(train.images))
    unlike: dict[bytes, int] = {}
    features: set[bytes] = set()
    digests = _digests(held_out.images)
    seen = _digests(held_out.features)
    for row in sorted(range(len(held_out)), key=lambda row: digests[row]):
        if digests[row] not in known and digests[row] not in unlike and seen[row] not in features:
            unlike[digests[row]] = row
            features.add(seen[row])
    found = list(unlike.values())[:most]
    rows = torch.tensor(found[: 2 * (len(found) // 2)], dtype=torch.int64)
    return held_out.rows(rows[::2]), held_out.rows(rows[1::2])


def _digests(samples: Tensor) -> list[bytes]:
    rows = samples.detach().cpu().contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


@dataclass
class Tried:
    """What one batch size gave in one space."""

    s: int
    limit: float
    false_alarms: float
    real_pairs: float
    batches: int
    sensitivity: float
    by_kind: Mapping[str, float]
    collisions: int = 0
    pairs: int = 0
    closest: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def frequency(self) -> float:
        return self.collisions / self.batches

    def see(self, points: Tensor, start: int) -> None:
        """Count a batch whose first sample has the latent number `start`."""
        pool = Pool(points)
        found = pool.closest(SHOWN)
        below = pool.below(self.limit)
        self.collisions += below > 0
        self.pairs += below
        rows = zip(found.distances[:SHOWN].tolist(), found.indices[:SHOWN].tolist(), strict=True)
        self.closest = sorted([*self.closest, *((distance, start + i, start + j) for distance, (i, j) in rows)])[:SHOWN]


class Search:
    """Draws batches of generated samples and looks for the size at which half of them hold a duplicate."""

    def __init__(self, evidence: Evidence, reals: tuple[Sample, Sample], batches: int, streams: Streams) -> None:
        generator = evidence.generator
        if generator is None:
            raise InputError(["support-size: needs a generator"])
        self.generator = generator
        self.batches = batches
        self.streams = streams
        self.pools = {space: (Pool(_points(reals[0], space)), Pool(_points(reals[1], space))) for space in SPACES}
        one, other, self.made = near_duplicates(generator, KNOWN_PAIRS, streams)
        rows = torch.arange(KNOWN_PAIRS)
        self.known = {space: exact_squares(_points(one, space), rows, _points(other, space), rows).sqrt() for space in SPACES}
        self.tried: dict[int, dict[Space, Tried]] = {}
        self.drawn = 0

    def at(self, s: int) -> dict[Space, Tried]:
        """Both spaces at one batch size, from samples of its own."""
        if s not in self.tried:
            found = {space: self._blank(space, s) for space in SPACES}
            for _ in range(self.batches):
                sample = draw(self.generator, self.drawn, self.drawn + s)
                for space, tried in found.items():
                    tried.see(_points(sample, space), self.drawn)
                self.drawn += s
            self.tried[s] = found
        return self.tried[s]

    def half(self, space: Space, start: int, largest: int) -> tuple[Tried, bool]:
        """The size whose frequency is nearest to 1/2, and whether 1/2 was reached."""
        mine: list[Tried] = []
        low, high, s = 1, None, min(start, largest)
        while len(mine) < SIZES:
            tried = self.at(s)[space]
            mine.append(tried)
            if NEAR_HALF[0] <= tried.frequency <= NEAR_HALF[1]:
                break
            if tried.frequency >= 0.5:
                high = s
            else:
                low = s
            if high is None and s == largest:
                break
            if high is not None and high - low <= max(1, high // 10):
                break
            s = min(2 * s, largest) if high is None else (low + high) // 2
        best = min(mine, key=lambda tried: (abs(tried.frequency - 0.5), tried.s))
        return best, any(tried.frequency >= NEAR_HALF[0] for tried in mine)

    def _blank(self, space: Space, s: int) -> Tried:
        first, second = self.pools[space]
        limit = threshold(first, s, self.streams)
        n = len(second.points)
        seen = self.known[space] < limit
        kinds = sorted({kind for pair in self.made for kind in pair})
        by_kind = {kind: float(seen[torch.tensor([kind in pair for pair in self.made])].double().mean()) for kind in kinds}
        return Tried(
            s,
            limit,
            false_alarms(second, limit, s, self.streams),
            second.below(limit) * s * (s - 1) / (n * (n - 1)),
            self.batches,
            float(seen.double().mean()),
            by_kind,
        )


class SupportSize(Measure):
    """The birthday-paradox estimate of how many different samples a generator makes, in pixels and in features.

    Two samples of a batch are duplicates when they are closer than any two held-out reals would be in 95 of 100 batches of that
    size. The frequency of batches with duplicates is corrected for that false alarm, and the size for the share of known
    near-duplicates that are seen. The size of a batch is doubled until half of the batches hold a duplicate, then bisected, at
    most 8 sizes. `details["closest pairs"]` hold the 20 closest pairs with their nearest training images, for `pairs_picture`:
    a person may overrule.
    """

    name: ClassVar[str] = "support-size"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "support-size-pixels": Quantity("support size (pixels)", higher_is_better=True),
        "support-size-features": Quantity("support size ({extractor})", higher_is_better=True),
    }
    uses = frozenset({"train", "held-out", "generator"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{arora2018do,
  title={Do {GANs} learn the distribution? {S}ome Theory and Empirics},
  author={Arora, Sanjeev and Risteski, Andrej and Zhang, Yi},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""

    batches: int = Field(default=50, ge=10, description="batches of each size")
    start: int = Field(default=50, ge=2, description="the first size of a batch")
    reals: int = Field(
        default=20_000, ge=2 * FEWEST * REALS_A_SIZE, description="held-out reals used at most, half for the threshold"
    )

    def problems(self, evidence: Evidence) -> list[str]:
        problems = super().problems(evidence)
        if problems or evidence.held_out is None or evidence.train is None:
            return problems
        for side, sample in (("held-out", evidence.held_out), ("training", evidence.train)):
            problems += value_problems(self.name, sample.features, side)
        halves = distinct_reals(evidence.held_out, evidence.train, self.reals)
        found, least = len(halves[0]) + len(halves[1]), 2 * FEWEST * REALS_A_SIZE
        if found < least:
            problems.append(
                f"{self.name}: {found} held-out samples are left without duplicates and training samples; give {least} or more"
            )
        return problems

    def generated(self, evidence: Evidence) -> int:
        held_out = len(evidence.held_out) if evidence.held_out is not None else self.reals
        largest = max(FEWEST, min(held_out, self.reals) // 2 // REALS_A_SIZE)
        doubled = [min(self.start, largest)]
        while doubled[-1] < largest and len(doubled) < SIZES:
            doubled.append(min(2 * doubled[-1], largest))
        bisected = max((SIZES - number) * s for number, s in enumerate(doubled, 1))
        return self.batches * (sum(doubled) + len(SPACES) * bisected) + 3 * KNOWN_PAIRS + 2 * len(SPACES) * SHOWN

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        if evidence.held_out is None or evidence.train is None:
            raise InputError([f"{self.name}: needs training and held-out samples"])
        reals = distinct_reals(evidence.held_out, evidence.train, self.reals)
        largest = len(reals[1]) // REALS_A_SIZE
        search = Search(evidence, reals, self.batches, streams)
        found: dict[str, Estimate] = {}
        for space in SPACES:
            tried, reached = search.half(space, self.start, largest)
            found[f"support-size-{space}"] = self._estimate(
                space, tried, reached, largest, _shown(search.generator, space, tried, evidence.train)
            )
        return found

    def _estimate(self, space: Space, tried: Tried, reached: bool, largest: int, shown: list[dict[str, Any]]) -> Estimate:
        found = birthday_estimate(tried.collisions, tried.batches, tried.s, false_alarm=FALSE_ALARM, sensitivity=tried.sensitivity)
        details = _details(tried, found) | {"closest pairs": shown}
        n = tried.s * tried.batches
        notes = _cautions(space, tried)
        if tried.collisions == tried.batches:
            told = f"N < {tried.s}: every batch of {tried.s} samples holds a duplicate"
            return Estimate(float(tried.s), n, notes=(told, *notes), details={"relation": "<", **details})
        if not reached or not math.isfinite(found.high) or tried.sensitivity == 0:
            why = (
                f"{largest} is the largest batch that the held-out reals allow"
                if tried.s == largest
                else f"{SIZES} sizes were tried"
                if not reached
                else "fewer batches collide than false alarms may"
            )
            told = (
                f"N > {found.low:.4g}, a lower bound: {tried.collisions} of {tried.batches} batches of {tried.s} collide and {why}"
            )
            return Estimate(found.low, n, notes=(told, *notes), details={"relation": ">", **details})
        return Estimate(found.size, n, None, (found.low, found.high), notes, {"relation": "=", **details})


def _details(tried: Tried, found: BirthdayEstimate) -> dict[str, Any]:
    extra = tried.pairs - tried.batches * tried.real_pairs
    possible = tried.batches * tried.s * (tried.s - 1) / 2
    bound = arora_zhang_bound(tried.s, found.corrected) if 0 < found.corrected < 1 else None
    return {
        "s": tried.s,
        "s squared": found.squared,
        "batches": tried.batches,
        "collisions": tried.collisions,
        "frequency": found.frequency,
        "corrected frequency": found.corrected,
        "threshold": tried.limit,
        "false alarms on the second half": tried.false_alarms,
        "sensitivity": tried.sensitivity,
        "sensitivity by kind": dict(tried.by_kind),
        "effective size by pairs": tried.sensitivity * possible / extra if extra > 0 else None,
        "bound of Arora and Zhang, all mass": bound,
        "size": found.size if math.isfinite(found.size) else None,
        "interval": [found.low, found.high if math.isfinite(found.high) else None],
    }


def _cautions(space: Space, tried: Tried) -> tuple[str, ...]:
    notes = []
    if tried.sensitivity < 0.5:
        notes.append(f"{space}: only {tried.sensitivity:.0%} of known near-duplicates are seen; the size leans on that share")
    if not FALSE_ALARM / 2.5 <= tried.false_alarms <= 2.5 * FALSE_ALARM:
        notes.append(
            f"{space}: {tried.false_alarms:.1%} of batches of other reals seem to hold duplicates; {FALSE_ALARM:.0%} were meant"
        )
    return tuple(notes)


def _shown(generator: Generating, space: Space, tried: Tried, train: Sample) -> list[dict[str, Any]]:
    """The closest pairs by the numbers of their latents, and the training image nearest to each half."""
    numbers = [number for _, *pair in tried.closest for number in pair]
    points = torch.cat([_points(draw(generator, number, number + 1), space) for number in numbers])
    found = nearest(points, _points(train, space))
    return [
        {
            "distance": distance,
            "samples": [first, second],
            "train": found.indices[2 * row : 2 * row + 2, 0].tolist(),
            "train distances": found.distances[2 * row : 2 * row + 2, 0].tolist(),
        }
        for row, (distance, first, second) in enumerate(tried.closest)
    ]


def _points(sample: Sample, space: Space) -> Tensor:
    return flat(sample.images if space == "pixels" else sample.features)
