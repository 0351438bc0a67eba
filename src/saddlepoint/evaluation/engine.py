"""From evidence to values: one feature pass, every measure on it, the floor beside, a card on each.

Memory: of fakes, reals and the floor's reals the bytes, features and logits, `n (C H W + 4 (d + K))` bytes each, and copies of them
on the way; a measure that uses the training set has all of it. One batch is in the extractor at a time.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Card, Floor, Value, plain_json
from saddlepoint.evaluation.naming import qualified, title_of
from saddlepoint.evaluation.reals import Pictures, Reals
from saddlepoint.evaluation.subject import Drawn, Subject
from saddlepoint.evaluation.table import table_of
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.extractors.cache import moments_key, remembered, seen_once
from saddlepoint.extractors.extractor import FeatureExtractor
from saddlepoint.extractors.network import features_of
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.frechet_distance import Moments
from saddlepoint.measures.measure import Estimate, Measure
from saddlepoint.streams import Streams

TIMED = 64


@dataclass(frozen=True)
class Reference:
    """The real side, seen by the extractor; it serves any number of subjects. `notes` are of the cache."""

    reals: Reals
    real: Sample
    floor: Sample
    train: Sample | None
    held_out: Sample | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    Args:
        left_out: a line for each measure that could not be taken.
        warnings: what to know of all values.
    """

    values: tuple[Value, ...]
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    def __contains__(self, name: object) -> bool:
        return any(value.name == name for value in self.values)

    def __str__(self) -> str:
        """The table that the command prints."""
        found = table_of([("value", self.values)])
        rows = [found.columns, *found.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *found.notes, *self.warnings, *self.left_out])

    def __getitem__(self, name: str) -> Value:
        """The value of a measure with one quantity, or of `MEASURE.QUANTITY`."""
        for value in self.values:
            if value.name == name:
                return value
        raise KeyError(f"{name}: not measured; there are {', '.join(value.name for value in self.values)}")


def refer(reals: Reals, extractor: FeatureExtractor, watch: Watch | None = None, measures: Sequence[Measure] = ()) -> Reference:
    """Let the extractor see the real side, each sample once, or take from the cache what it saw before.

    Args:
        measures: which will be taken; when one of them reads moments, those of the real side are there, and are kept.
    """
    watch = watch or Unwatched()
    notes: list[str] = []
    n, whole = len(reals.real), reals.train if reals.split == "train" else reals.held_out
    if reals.rows is not None and whole is not None:
        of_split = see(extractor, whole, f"features of {len(whole)} {reals.split} samples", watch, notes)
        both = of_split.rows(reals.rows)
    else:
        of_split = None
        both = see(extractor, _joined(reals.real, reals.floor), f"features of {n + len(reals.floor)} real samples", watch, notes)
    real, floor = both.rows(slice(0, n)), both.rows(slice(n, None))
    if any(measure.reads_moments for measure in measures):
        real, floor = (_with_moments(sample, extractor, watch, notes) for sample in (real, floor))

    def beside(name: str, pictures: Pictures | None) -> Sample | None:
        if pictures is None or pictures is reals.real:
            return None if pictures is None else real
        if name == reals.split and of_split is not None:
            return of_split
        return see(extractor, pictures, f"features of {len(pictures)} {name} samples", watch, notes)

    train, held_out = beside("train", reals.train), beside("held-out", reals.held_out)
    return Reference(reals, real, floor, train, held_out, tuple(notes))


def _with_moments(sample: Sample, extractor: FeatureExtractor, watch: Watch, notes: list[str]) -> Sample:
    """With its moments, from the cache where it holds them; as it is where a covariance would be no smaller than the features."""
    n, d = sample.features.shape
    if extractor.name == "pixels" or n <= d or not bool(torch.isfinite(sample.features).all()):
        return sample

    def compute() -> dict[str, Tensor]:
        moments = Moments.of(sample.features)
        return {"mean": moments.mean, "spread": moments.spread}

    watch.stage(f"moments of {n} real samples", 0)
    held = remembered(moments_key(sample.images, extractor), compute)
    notes += held.notes
    return replace(sample, moments=Moments(held.tensors["mean"], held.tensors["spread"], n))


def see(extractor: FeatureExtractor, pictures: Pictures, what: str, watch: Watch, kept: list[str] | None = None) -> Sample:
    """Samples through the extractor.

    Args:
        kept: where the cache's notes go, for samples that will be seen again; None for those that are not kept.

    Raises:
        InputError: it does not take samples of this shape.
    """
    watch.stage(what, len(pictures))
    before = 0

    def progress(done: int, total: int) -> None:
        nonlocal before
        watch.advanced(done - before)
        before = done

    if kept is None or extractor.name == "pixels":
        seen = features_of(extractor, pictures.images, progress=progress)
    else:
        seen, notes = seen_once(extractor, pictures.images, progress=progress)
        kept += notes
    return Sample(pictures.images, seen.features, seen.logits, pictures.labels)


def see_fakes(extractor: FeatureExtractor, fakes: Pictures, watch: Watch) -> Sample:
    """Fake samples through the extractor; they are not kept."""
    return see(extractor, fakes, f"features of {len(fakes)} fake samples", watch)


def evaluate(
    subject: Subject,
    reference: Reference,
    measures: Sequence[Measure],
    extractor: FeatureExtractor,
    *,
    seed: int,
    named: bool,
    floors: bool = True,
    provenance: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
    seen: Sample | None = None,
) -> Evaluation:
    """Measure a subject against a reference.

    Args:
        seed: of whatever the measures draw.
        named: whether a measure that cannot give a right number is an error; else it is left out, with a line that says why.
        floors: compute each quantity between two halves of the real data too.
        provenance: added to the subject's.
        seen: its samples as the extractor saw them, where it has.

    Raises:
        InputError: a measure that was named cannot give a right number; a line for each reason.
    """
    watch = watch or Unwatched()
    fake = seen or see_fakes(extractor, subject.fakes, watch)
    if subject.judge is not None:
        measures = [measure.of_run(subject.boundary) for measure in measures]
    evidence = _evidence(subject, reference, fake, measures, extractor, watch)
    problems = {measure: measure.problems(evidence) for measure in measures}
    fit = [measure for measure in measures if not problems[measure]]
    lines = [line for told in problems.values() for line in told]
    if lines and named:
        raise InputError(list(dict.fromkeys(lines)))
    _say_costs(fit, evidence, watch)
    halves = _halves(reference, len(fake)) if floors else None
    values: list[Value] = []
    for number, measure in enumerate(fit, 1):
        between = _between(measure, evidence, halves)
        what = f"{measure.name} ({number} of {len(fit)})"
        told = Telling(watch, what, measure.generated(evidence), halved=between is not None)
        try:
            estimates = measure(replace(evidence, progress=told), Streams(seed))
            floor: Mapping[str, Estimate] = {}
            if between is not None:
                told.half(f"{what}, floor")
                floor = measure(replace(between, progress=told), Streams(seed))
                told.half(what)
        except InputError as error:
            if named:
                raise
            lines += error.problems
            continue
        for name, estimate in _told_apart(measure, estimates, extractor).items():
            values.append(_value(measure, name, estimate, floor.get(name), subject, reference, extractor, provenance or {}))
    return Evaluation(tuple(values), tuple(f"left out: {line}" for line in dict.fromkeys(lines)))


def _evidence(
    subject: Subject,
    reference: Reference,
    fake: Sample,
    measures: Sequence[Measure],
    extractor: FeatureExtractor,
    watch: Watch,
) -> Evidence:
    judged = any("scores" in measure.uses for measure in measures)

    def scored(sample: Sample | None) -> Sample | None:
        return subject.scored(sample) if judged and sample is not None else sample

    return Evidence(
        real=reference.real,
        fake=subject.scored(fake) if judged else fake,
        train=scored(reference.train),
        held_out=scored(reference.held_out),
        mixture=reference.reals.mixture,
        generator=None if subject.drawing is None else Drawn(subject.drawing, extractor, watch),
        encoder=subject.encoder,
    )


class Telling:
    """Tells a watch what a measure says of its progress, as stages of its name.

    A measure that says nothing is one of two steps, its floor the other, so that the first gives an estimate of the second.

    Args:
        drawn: samples that it draws, which tell the watch themselves.
        halved: whether a floor follows.
    """

    def __init__(self, watch: Watch, what: str, drawn: int, *, halved: bool) -> None:
        self._watch, self._what = watch, what
        self._done = self._of = 0
        self._silent = halved and drawn == 0
        watch.stage(what, 2 if self._silent else drawn)

    def __call__(self, done: int, total: int) -> None:
        self._silent = False
        if total != self._of or done <= self._done:
            self._watch.stage(self._what, total)
            self._done, self._of = 0, total
        self._watch.advanced(done - self._done)
        self._done = done

    def half(self, what: str) -> None:
        """The measure is done, or its floor is."""
        self._what = what
        if self._silent:
            self._watch.advanced(1)
        self._done = self._of = 0


def _say_costs(measures: Sequence[Measure], evidence: Evidence, watch: Watch) -> None:
    """Before anything of its own is drawn: a small batch is timed, and multiplied."""
    costly = {measure.name: measure.generated(evidence) for measure in measures if measure.own_samples}
    if not costly:
        return
    seconds = _seconds_a_sample(evidence, watch) if any(costly.values()) else 0.0
    for name, count in costly.items():
        drawn = f"draws up to {count:,} samples of its own, about {_duration(count * seconds)} on this machine"
        watch.said(f"{name}: {drawn if count else 'trains on the samples at hand'}, before what it computes of them")


def _seconds_a_sample(evidence: Evidence, watch: Watch) -> float:
    generator = evidence.generator
    if generator is None:
        return 0.0
    watch.stage("timing a small batch", 2 * TIMED)
    latents = generator.latents(0, TIMED)
    generator.see(generator.generate(latents))
    begun = time.perf_counter()
    generator.see(generator.generate(latents))
    return (time.perf_counter() - begun) / TIMED


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _halves(reference: Reference, n: int) -> tuple[Sample, Sample] | None:
    real, floor = reference.real, reference.floor
    size = min(n, (len(real) + len(floor)) // 2)
    if size == len(real) == len(floor):
        return (real, floor) if size else None
    both = _joined_samples(real, floor)
    return (both.rows(slice(0, size)), both.rows(slice(size, 2 * size))) if size > 0 else None


def _told_apart(measure: Measure, estimates: Mapping[str, Estimate], extractor: FeatureExtractor) -> Mapping[str, Estimate]:
    """Where features are the pixels, without what is in pixels and stands there once more, under the same title, in features."""
    if extractor.name != "pixels":
        return estimates
    last = {title_of(measure, name, extractor.title): name for name in estimates}
    return {name: estimates[name] for name in last.values()}


def _between(measure: Measure, evidence: Evidence, halves: tuple[Sample, Sample] | None) -> Evidence | None:
    """The evidence between two halves of the real data, for the measures that have a floor."""
    if halves is None or not measure.has_floor or measure.own_samples or measure.uses & {"generator", "scores", "encoder"}:
        return None
    between = replace(evidence, real=halves[0], fake=halves[1], generator=None, encoder=None)
    return None if measure.problems(between) else between


def _value(
    measure: Measure,
    name: str,
    estimate: Estimate,
    floor: Estimate | None,
    subject: Subject,
    reference: Reference,
    extractor: FeatureExtractor,
    provenance: Mapping[str, Any],
) -> Value:
    reals, quantity = reference.reals, measure.quantities[name]
    protocol = {
        "measure": measure.name,
        "quantity": name,
        "fields": measure.model_dump(mode="json"),
        "n_real": len(reference.real),
        "n_fake": len(subject.fakes),
        "data": reals.digest,
        "split": reals.split,
        "preprocessing": reals.preprocessing,
        "extractor": extractor.name,
        "layers": list(extractor.layers),
        "extractor_digest": extractor.digest,
        "weights": None,
        "batch_norm": None,
        "checkpoint": None,
        **subject.protocol,
    }
    return Value(
        name=qualified(measure, name),
        title=title_of(measure, name, "coordinates" if subject.fakes.images.ndim == 2 else extractor.title),
        mean=float(estimate.mean),
        n=estimate.n,
        card=Card(plain_json(protocol), plain_json({"data": reals.name, **subject.provenance, **provenance})),
        error=estimate.error,
        interval=estimate.interval,
        unit=quantity.unit,
        higher_is_better=quantity.higher_is_better,
        floor=None if floor is None else Floor(float(floor.mean), floor.n, floor.error),
        notes=tuple(estimate.notes),
        details=plain_json(estimate.details),
    )


def _joined(first: Pictures, second: Pictures) -> Pictures:
    labels = None if first.labels is None or second.labels is None else torch.cat([first.labels, second.labels])
    return Pictures(torch.cat([first.images, second.images]), labels)


def _joined_samples(first: Sample, second: Sample) -> Sample:
    def both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
        return None if one is None or other is None else torch.cat([one, other])

    return Sample(
        torch.cat([first.images, second.images]),
        torch.cat([first.features, second.features]),
        both(first.logits, second.logits),
        both(first.labels, second.labels),
    )
