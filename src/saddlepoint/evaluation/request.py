"""What a person asks of an evaluation, and how it is answered: who is judged, against what, by which measures."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saddlepoint.data import DATA
from saddlepoint.data.source import Data, Source, Split
from saddlepoint.errors import InputError
from saddlepoint.evaluation.defaults import (
    all_measures,
    default_extractor,
    default_measures,
    extractor_named,
    measures_named,
)
from saddlepoint.evaluation.engine import Evaluation, evaluate, refer
from saddlepoint.evaluation.images import Images, holds_colour_files, read_images
from saddlepoint.evaluation.reals import (
    DEFAULT_POINTS,
    Pictures,
    Reals,
    as_bytes,
    content_digest,
    default_count,
    mixture_of,
    reals_at_hand,
    reals_of_source,
    size_of,
    some,
    split_size,
)
from saddlepoint.evaluation.subject import Subject
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.extractors.extractor import Extractor, FeatureExtractor
from saddlepoint.extractors.module import ModuleExtractor
from saddlepoint.extractors.network import in_colour
from saddlepoint.measures.measure import WANTED, Measure
from saddlepoint.validation import nearest, shown

AtHand = str | os.PathLike[str] | Tensor | NDArray[Any]
Against = AtHand | Data | Source
Named = Sequence[str | Mapping[str, Any] | Measure] | Literal["all"] | str | None

LIBRARIES = ("saddlepoint", "torch", "numpy", "scipy")
# Samples at hand below which nothing is measured unless a measure is named.
LEAST = 10
UNSIGNED = "no value is below 0: read as floats in [-1, 1], where 0 is half grey; if they are in [0, 1], give 2 x - 1"
# What only the data that a generator was trained on can give.
OF_TRAINING = frozenset({"train", "held-out", "scores"})


@dataclass(frozen=True)
class Request:
    """What to measure.

    Args:
        measures: names, names with fields, or records; "all" for every one that can be taken; None for those that suit the data.
        extractor: where features are from; None is what suits the data.
        n: samples a side; None is what the data allow.
        seed: of all that is drawn.
        split: of a data source.
        watch: told of progress.
    """

    measures: Named = None
    extractor: str | Mapping[str, Any] | Extractor | FeatureExtractor | nn.Module | None = None
    n: int | None = None
    seed: int = 0
    split: Split = "train"
    watch: Watch = field(default_factory=Unwatched)

    def __post_init__(self) -> None:
        problems = [
            f"{name}: {value} is out of range; give {least} or more"
            for name, value, least in (("n", self.n, 1), ("seed", self.seed, 0))
            if value is not None and value < least
        ]
        if self.split not in ("train", "held-out"):
            problems.append(f"split: {self.split!r} is not one of train, held-out")
        if problems:
            raise InputError(problems)


class Judged(Protocol):
    """Who is judged: a run, or samples at hand."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        ...

    @property
    def count(self) -> int | None:
        """Samples at hand; None when any number can be drawn."""
        ...

    @property
    def offers(self) -> frozenset[str]:
        """What it brings to the evidence, as measures name it in `uses`."""
        ...

    def subject(self, n: int, seed: int, uses: frozenset[str], watch: Watch) -> Subject:
        """`n` samples with what the measures use of them."""
        ...


class Samples:
    """Samples at hand as who is judged.

    Args:
        name: as people call them.
        classes: what their labels mean.
        resize: the filter that brought them to their size, if one did.
        notes: of their reading, a line each.
    """

    def __init__(
        self,
        name: str,
        pictures: Pictures,
        *,
        classes: tuple[str, ...] = (),
        resize: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.pictures = pictures
        self.classes = classes
        self.resize = resize
        self.notes = notes
        self.shape: tuple[int, ...] = tuple(pictures.images.shape[1:])
        self.count: int | None = len(pictures)
        self.offers: frozenset[str] = frozenset() if pictures.labels is None else frozenset({"labels"})

    def subject(self, n: int, seed: int, uses: frozenset[str], watch: Watch) -> Subject:
        chosen = self.pictures if n == len(self.pictures) else some(self.pictures, n, "fake", seed, self.name)
        return Subject(chosen, provenance={"samples": self.name, "samples_digest": content_digest(self.pictures)})


def source_of(data: Data, shape: tuple[int, ...], watch: Watch) -> Source:
    """Open a data set, at the size of the fakes where it can be had at any."""
    fields = type(data).model_fields
    if len(shape) == 3 and "resolution" in fields and "resolution" not in data.model_fields_set:
        size = {"resolution": shape[-1]}
        try:
            data = type(data).model_validate({**data.model_dump(exclude_unset=True), **size})
        except ValueError as error:
            raise InputError([f"{data.name}: cannot be had at {shape[-1]} pixels, which the fakes have"]) from error
    watch.stage(f"opening {data.name}", 1)
    return data.open()


def against_named(against: Against, shape: tuple[int, ...], watch: Watch) -> Source | Samples:
    """The real side that was named: a data set by name or record, an open source, or images at hand.

    Raises:
        InputError: there is no such data set, folder or file, or it cannot be read.
    """
    if isinstance(against, str) and against in DATA:
        against = DATA[against].model_validate({})
    if isinstance(against, str) and not os.path.exists(os.path.expanduser(against)):
        raise InputError(
            [f"against: {shown(against)}: no data set of that name, and no such folder or file{nearest(against, DATA)}"]
        )
    if isinstance(against, Data):
        return source_of(against, shape, watch)
    if isinstance(against, str | os.PathLike | Tensor | np.ndarray):
        return samples_at(against, watch, shape)
    return against


def answer(request: Request, judged: Judged, against: Source | Samples, *, own_data: bool) -> Evaluation:
    """Measure who is judged against the real side.

    Args:
        own_data: whether the real side is what a generator was trained on.

    Raises:
        InputError: what was named cannot be had or cannot be measured; a line for each reason.
    """
    watch = request.watch
    judged_shape, against_shape = judged.shape, against.shape
    judged = _in_colour(judged, against_shape) if isinstance(judged, Samples) else judged
    against = _in_colour(against, judged_shape) if isinstance(against, Samples) else against
    points = len(judged.shape) == 1
    _refuse_shapes(judged.shape, against.shape)
    extractor, notes = _extractor(request, against.name if not isinstance(against, Samples) else None, points)
    offers = judged.offers if own_data else judged.offers - OF_TRAINING
    if isinstance(judged, Samples) and judged.classes != against.classes:
        # Labels that mean other things are none.
        offers -= {"labels"}
    there = what_is_there(offers, against, extractor)
    named = request.measures is not None and request.measures != "all"
    if not named:
        _refuse_few(judged, against)
    measures = _measures(request, points, there)
    n_fake, n_real = _counts(request, judged, against)
    refuse_early(measures, there, min(n_fake, n_real), named)
    uses = frozenset(use for measure in measures for use in measure.uses)
    if not isinstance(against, Samples) and split_size(against, "held-out") is None:
        # Further draws cost nothing, and give kernels bandwidths that are not of what is compared.
        uses |= {"held-out"}
    reals = _reals(request, against, n_real, uses)
    subject = judged.subject(n_fake, request.seed, uses, watch)
    reference = refer(reals, extractor, watch, measures)
    subject = replace(subject, provenance={**subject.provenance, "seed": request.seed, **made_by()})
    evaluation = evaluate(subject, reference, measures, extractor, seed=request.seed, named=named, watch=watch)
    if not evaluation.values:
        raise InputError(list(evaluation.left_out))
    warnings = [*notes, *reference.notes, *_notes_of(judged), *_notes_of(against)]
    if isinstance(judged, Samples) and reals.digest == content_digest(judged.pictures):
        warnings.append("Real and fake are the same samples: every distance is 0 or nearly so, and says nothing of a generator.")
    if str(subject.protocol.get("checkpoint", "")).startswith("best") and own_data and request.split == "held-out":
        warnings.append("The checkpoint was chosen as the best on these held-out samples, so its values on them flatter it.")
    return replace(evaluation, warnings=tuple(warnings))


def _in_colour(side: Samples, other: tuple[int, ...]) -> Samples:
    """A folder of colour files that all happen to be grey, as colour where what it is compared with is."""
    if (side.shape[:1], other[:1]) != ((1,), (3,)) or not holds_colour_files(Path(side.name).expanduser()):
        return side
    pictures = Pictures(in_colour(side.pictures.images).contiguous(), side.pictures.labels)
    notes = (*side.notes, "every file is grey, but stored in colour: taken as colour, as the other side is")
    return Samples(side.name, pictures, classes=side.classes, resize=side.resize, notes=notes)


def _notes_of(side: Judged | Source | Samples) -> tuple[str, ...]:
    return tuple(f"{side.name}: {note}" for note in side.notes) if isinstance(side, Samples) else ()


def made_by() -> dict[str, Any]:
    """What computed a value, and when."""
    return {"versions": {name: version(name) for name in LIBRARIES}, "date": datetime.now(UTC).isoformat(timespec="seconds")}


def _refuse_shapes(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    if len(ours) != len(theirs):
        words = {1: "points", 3: "images"}
        raise InputError([f"the fakes are {words[len(ours)]} and the real samples {words[len(theirs)]}; give two sets of one kind"])
    if ours[0] != theirs[0]:
        what = "channels" if len(ours) == 3 else "coordinates"
        raise InputError([f"the fakes have {ours[0]} {what} and the real samples {theirs[0]}; bring both to the same number"])
    if ours != theirs:
        sizes = [" x ".join(str(side) for side in reversed(shape[1:])) for shape in (ours, theirs)]
        raise InputError(
            [f"the fakes are {sizes[0]} pixels and the real samples {sizes[1]}; bring both to one size, by one filter"]
        )


def _refuse_few(*sides: Judged | Source | Samples) -> None:
    few = [side for side in sides if isinstance(side, Samples) and (side.count or 0) < LEAST]
    if few:
        what = f"too few to be measured as a whole; give {LEAST} or more, or name a measure"
        raise InputError([f"{side.name}: {side.count} {'sample is' if side.count == 1 else 'samples are'} {what}" for side in few])


def _extractor(request: Request, data: str | None, points: bool) -> tuple[FeatureExtractor, tuple[str, ...]]:
    if request.extractor is None:
        record, notes = default_extractor(data, points)
        return record.open(), notes
    if isinstance(request.extractor, str | Mapping | Extractor):
        return extractor_named(request.extractor).open(), ()
    if isinstance(request.extractor, nn.Module):
        return ModuleExtractor(request.extractor, title=type(request.extractor).__name__), ()
    return request.extractor, ()


def what_is_there(offers: frozenset[str], against: Source | Samples, extractor: FeatureExtractor) -> set[str]:
    """What the evidence will have, as measures name it in `uses`."""
    there = set(offers)
    if extractor.classes:
        there.add("logits")
    if isinstance(against, Samples):
        return there if "labels" in against.offers else there - {"labels"}
    if mixture_of(against) is not None:
        there.add("mixture")
    return there if against.classes else there - {"labels"}


def _measures(request: Request, points: bool, there: set[str]) -> tuple[Measure, ...]:
    if request.measures is None:
        return default_measures(points, there)
    if request.measures == "all":
        return all_measures(points, there)
    return measures_named([request.measures] if isinstance(request.measures, str) else request.measures)


def _counts(request: Request, judged: Judged, against: Source | Samples) -> tuple[int, int]:
    """Fakes and reals: `n` of each; without it all that is at hand on both sides, else what leaves as many for the floor."""
    if request.n is not None:
        if judged.count is not None and request.n > judged.count:
            raise InputError(
                [f"n: {request.n} is more than the {judged.count} samples in {judged.name}; give {judged.count} or fewer"]
            )
        return request.n, request.n
    if isinstance(against, Samples):
        real = against.count or 0
        return (judged.count or (DEFAULT_POINTS if len(judged.shape) == 1 else real), real)
    if judged.count is None:
        n = default_count(against, request.split)
        return n, n
    size = split_size(against, request.split)
    n = judged.count if size is None else min(judged.count, size)
    return n, n


def _reals(request: Request, against: Source | Samples, n: int, uses: frozenset[str]) -> Reals:
    if isinstance(against, Samples):
        digest = content_digest(against.pictures)
        size = size_of(against.shape) + (f", by {against.resize}" if against.resize else "")
        return reals_at_hand(against.name, digest, against.pictures, n, seed=request.seed, preprocessing=size)
    return reals_of_source(against, n, split=request.split, seed=request.seed, uses=uses, watch=request.watch)


def refuse_early(measures: Sequence[Measure], there: set[str], n: int, named: bool) -> None:
    """Raise before anything is computed for measures that were named and cannot be taken, or when none of the others can."""
    problems = {
        measure.name: [f"{measure.name}: needs {use}; {WANTED[use]}" for use in sorted(measure.uses - there)]
        + ([f"{measure.name}: {n} samples are too few; give {measure.least} or more"] if n < measure.least else [])
        for measure in measures
    }
    if not measures:
        raise InputError(["measures: there is none that suits these samples by itself; name one"])
    if (named and any(problems.values())) or all(problems.values()):
        raise InputError([line for lines in problems.values() for line in lines])


def samples_at(where: AtHand, watch: Watch, like: tuple[int, ...] | None = None) -> Samples:
    """Images or points in a folder, a file or memory.

    Args:
        like: the shape of what they are compared with; a folder of other sizes is brought to it.

    Raises:
        InputError: they cannot be read, or points are not finite.
    """
    if isinstance(where, Tensor) and where.ndim == 4 and where.is_floating_point():
        said = (UNSIGNED,) if bool((where >= 0).all()) and bool((where > 0).any()) else ()
        return Samples("the images", Pictures(as_bytes(_in_range(where))), notes=said)
    name = str(where) if isinstance(where, str | os.PathLike) else "the samples"
    read = _read(where, watch, like)
    if read.images.ndim == 2 and not bool(torch.isfinite(read.images).all()):
        broken = int((~torch.isfinite(read.images)).any(1).sum())
        raise InputError([f"{name}: {broken} of {len(read.images)} points are NaN or infinite; leave them out"])
    notes = [*read.found, *(f"left out: {problem}" for problem in read.problems)]
    return Samples(name, Pictures(read.images, read.labels), classes=read.classes, resize=read.resize, notes=tuple(notes))


def _read(where: AtHand, watch: Watch, like: tuple[int, ...] | None) -> Images:
    before = 0

    def progress(done: int, total: int) -> None:
        nonlocal before
        if before == 0 or done < before:
            watch.stage("reading images", total)
            before = 0
        watch.advanced(done - before)
        before = done

    fits = like is not None and len(like) == 3 and like[1] == like[2]
    try:
        read = read_images(where, progress=progress)
    except InputError:
        if like is None or not fits:
            raise
        return read_images(where, resolution=like[2], progress=progress)
    square = read.images.ndim == 4 and (isinstance(where, str | os.PathLike) and Path(where).is_dir())
    if like is not None and fits and square and read.images.shape[2:] != like[1:]:
        return read_images(where, resolution=like[2], progress=progress)
    return read


def _in_range(images: Tensor) -> Tensor:
    if not bool((images.abs() <= 1).all()):
        raise InputError(["the images: floats are images in [-1, 1], and some are outside or NaN; give bytes, uint8 0 … 255"])
    return images
