"""What every measure owes, asked of each entry of the registry: one battery for all."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import WANTED, Estimate, Measure, Use
from saddlepoint.streams import Streams
from tests.measures.worlds import image_world, point_world

PAGES = Path(__file__).parents[2] / "docs" / "measures"
SECTIONS = ("The maths", "In an evaluation", "What it cannot see", "Pitfalls", "Where ours differs, and why", "BibTeX")
N = 120

# Fewer updates, draws and permutations than by default, so that the battery is short.
SMALL: dict[str, dict[str, Any]] = {
    "classifier-accuracy-score": {"seeds": 1, "updates": 4},
    "generalisation-gap": {"repeats": 1, "updates": 4},
    "maximum-mean-discrepancy": {"permutations": 20},
    "perceptual-path-length": {"pairs": 30, "rows": 4},
    "pyramid-sliced-wasserstein": {"directions": 16, "patches": 8},
    "reconstruction": {"latents": 50},
}

# Quantities that rest on draws of rows: shuffled samples give other draws, so that they may move. All others may not.
DRAWN: dict[str, set[str]] = {
    "classifier-accuracy-score": {"classifier-accuracy-score", "reverse-classifier-accuracy-score", "real-trained-accuracy"},
    "classifier-score": {"classifier-score"},
    "frechet-distance-infinity": {"frechet-distance-infinity"},
    "generalisation-gap": {"generalisation-gap", "net-distance-train", "net-distance-held-out", "net-distance-floor"},
    "maximum-mean-discrepancy": {"maximum-mean-discrepancy-p"},
    "ms-ssim": {"ms-ssim"},
    "pyramid-sliced-wasserstein": {"pyramid-sliced-wasserstein"},
}

# Entries that need a file of weights that may not be at hand; their own tests bring one.
WEIGHTS = {"lpips"}

NAMES = sorted(MEASURES)
ASKED = sorted(set(NAMES) - WEIGHTS)


def small(name: str) -> Measure:
    return MEASURES[name](**SMALL.get(name, {}))


def world(name: str) -> Evidence:
    """Points where the law of the data is asked for, images elsewhere."""
    return (point_world if "mixture" in MEASURES[name].uses else image_world)(N)


def asked(name: str, evidence: Evidence) -> Mapping[str, Estimate]:
    return small(name)(evidence, Streams(0))


def answer(name: str, evidence: Evidence) -> tuple[Mapping[str, Estimate], tuple[str, ...]]:
    """Estimates, or the lines of the refusal."""
    try:
        return asked(name, evidence), ()
    except InputError as refusal:
        return {}, refusal.problems


def samples(evidence: Evidence) -> dict[str, Sample]:
    return {side: sample for side in ("real", "fake", "train", "held_out") if (sample := getattr(evidence, side)) is not None}


def tensors(evidence: Evidence) -> dict[str, Tensor]:
    found = {
        f"{side} {part.name}": getattr(sample, part.name) for side, sample in samples(evidence).items() for part in fields(sample)
    }
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def test_how_many() -> None:
    assert len(MEASURES) >= 21
    assert [name for name, record in MEASURES.items() if record.name != name] == []
    quantities = [quantity for record in MEASURES.values() for quantity in record.quantities]
    assert len(quantities) == len(set(quantities)), "a quantity of one name in two measures"
    assert set(SMALL) | set(DRAWN) | WEIGHTS <= set(MEASURES)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_gives(name: str) -> None:
    record = MEASURES[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert record.quantities
    for quantity, shown in record.quantities.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", quantity)
        assert shown.title
        assert re.findall(r"{(.*?)}", shown.title) in ([], ["extractor"])
    assert record.uses <= set(WANTED)
    assert [field for field, about in record.model_fields.items() if not about.description] == []
    assert record().least >= 1


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_page(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    record = MEASURES[name]
    assert [field for field in record.model_fields if f"`{field}`" not in page] == []
    assert record.bibtex.strip()
    assert record.bibtex.strip() in page
    assert [section for section in SECTIONS if f"## {section}\n" not in page] == []


@pytest.mark.parametrize("name", ASKED)
def test_asked_twice_the_same_bits_and_nothing_touched(name: str) -> None:
    evidence = world(name)
    before = {part: tensor.clone() for part, tensor in tensors(evidence).items()}
    first = asked(name, evidence)
    assert asked(name, evidence) == first
    assert [part for part, tensor in tensors(evidence).items() if not torch.equal(tensor, before[part])] == []


@pytest.mark.parametrize("name", ASKED)
def test_its_estimates_are_numbers(name: str) -> None:
    evidence = world(name)
    found = asked(name, evidence)
    assert set(found) == set(MEASURES[name].quantities)
    for estimate in found.values():
        assert isinstance(estimate.mean, float)
        assert math.isfinite(estimate.mean)
        assert estimate.n >= 1
        assert estimate.error is None or (math.isfinite(estimate.error) and estimate.error >= 0)
        if estimate.interval is not None:
            low, high = estimate.interval
            assert math.isfinite(low)
            assert low <= high
        assert all(note and "\n" not in note for note in estimate.notes)
        json.dumps(estimate.details, allow_nan=False)


@pytest.mark.parametrize("collapsed", [("fake",), ("real",), ("real", "fake", "train", "held_out")])
@pytest.mark.parametrize("name", ASKED)
def test_one_sample_repeated_gives_numbers_or_a_named_refusal(name: str, collapsed: tuple[str, ...]) -> None:
    evidence = world(name)
    changed: dict[str, Any] = {side: getattr(evidence, side).rows(torch.zeros(N, dtype=torch.int64)) for side in collapsed}
    labelled: dict[str, Any] = {
        side: replace(sample, labels=getattr(evidence, side).labels, scores=getattr(evidence, side).scores)
        for side, sample in changed.items()
    }
    found, refusals = answer(name, replace(evidence, **labelled))
    assert {line.split(": ")[0] for line in refusals} <= set(MEASURES)
    assert bool(found) != bool(refusals)
    for quantity, estimate in found.items():
        assert math.isfinite(estimate.mean), quantity
        assert estimate.error is None or math.isfinite(estimate.error), quantity
        json.dumps(estimate.details, allow_nan=False)


@pytest.mark.parametrize("name", ASKED)
def test_the_order_of_samples_changes_nothing(name: str) -> None:
    evidence = world(name)
    streams = Streams(7)
    shuffled: dict[str, Any] = {
        side: sample.rows(streams.order(side, len(sample), len(sample))) for side, sample in samples(evidence).items()
    }
    before, after = asked(name, evidence), asked(name, replace(evidence, **shuffled))
    assert set(before) == set(after)
    free = DRAWN.get(name, set())
    assert free <= set(before)
    # A network it runs itself, in float32, may sum another batch in another order.
    close = 1e-6 if {"encoder", "generator"} & MEASURES[name].uses else 1e-10
    moved = {
        quantity: (estimate.mean, after[quantity].mean)
        for quantity, estimate in before.items()
        if quantity not in free and after[quantity].mean != pytest.approx(estimate.mean, rel=close, abs=1e-12)
    }
    assert moved == {}


@pytest.mark.parametrize("side", ["real", "fake"])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("name", NAMES)
def test_features_that_are_not_finite_are_refused(name: str, broken: float, side: str) -> None:
    evidence = world(name)
    sample: Sample = getattr(evidence, side)
    features = sample.features.clone()
    features[3, 1] = broken
    changed: dict[str, Any] = {side: replace(sample, features=features)}
    refused(name, replace(evidence, **changed), f"1 of {N} {side} samples")


@pytest.mark.parametrize("side", ["real", "fake"])
@pytest.mark.parametrize("name", NAMES)
def test_too_few_are_refused(name: str, side: str) -> None:
    evidence = world(name)
    few = small(name).least - 1
    changed: dict[str, Any] = {side: getattr(evidence, side).rows(slice(0, few))}
    refused(name, replace(evidence, **changed), f"{few} {side} samples")


@pytest.mark.parametrize("name", NAMES)
def test_other_extractors_on_the_two_sides_are_refused(name: str) -> None:
    evidence = world(name)
    refused(name, replace(evidence, fake=replace(evidence.fake, features=evidence.fake.features[:, :1])), "real and fake features")


def without(evidence: Evidence, use: Use) -> Evidence:
    absent: dict[str, Any] = {use.replace("-", "_"): None}
    if use in ("logits", "labels", "scores"):
        return replace(evidence, fake=replace(evidence.fake, **absent))
    return replace(evidence, **absent)


@pytest.mark.parametrize(("name", "use"), [(name, use) for name in NAMES for use in sorted(MEASURES[name].uses)])
def test_what_it_uses_and_is_absent_is_named(name: str, use: Use) -> None:
    refused(name, without(world(name), use), f"{name}: needs {use}; ")


def test_how_many_uses() -> None:
    assert {use for record in MEASURES.values() for use in record.uses} == set(WANTED), "a use that no measure has"


def refused(name: str, evidence: Evidence, said: str) -> None:
    """One line for the one thing that is wrong, by the measure's name."""
    with pytest.raises(InputError) as refusal:
        asked(name, evidence)
    about = [line for line in refusal.value.problems if said in line]
    assert len(about) == 1, refusal.value.problems
    assert about[0].startswith(f"{name}: ")
    assert "\n" not in about[0]
    assert "nan" not in about[0].lower() or "NaN" in about[0]
    assert small(name).problems(evidence), "known before it starts"
