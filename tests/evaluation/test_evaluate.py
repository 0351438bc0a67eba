"""From samples to values: by hand, the same whatever is done beside, and refused by name."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import saddlepoint
from saddlepoint import Run
from saddlepoint.data.digits import Digits
from saddlepoint.data.source import Split
from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value
from saddlepoint.evaluation.defaults import IMAGES, POINTS, default_extractor, default_measures
from saddlepoint.evaluation.reals import as_bytes, reals_of_source
from saddlepoint.evaluation.results import read_values
from saddlepoint.extractors import EXTRACTORS, features_of
from saddlepoint.measures import MEASURES, Moments, frechet_distance
from saddlepoint.measures.evidence import Sample
from saddlepoint.measures.measure import Measure
from saddlepoint.storage import cache_folder
from saddlepoint.streams import Streams
from tests.evaluation.conftest import POINTS as POINTS_RUN
from tests.evaluation.samples import Dice, MeanGap, Notebook, Wide, gap, points, registered

SPLITS: tuple[Split, Split] = ("train", "held-out")


def pictures(folder: Path, count: int, seed: int = 0, channels: int = 1) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng([seed, number]).integers(0, 255, (8, 8, 3)[: 2 + (channels == 3)], np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def test_points_by_hand() -> None:
    real, fake = points(300), points(200, 1.0, seed=1)
    value = saddlepoint.evaluate(fake, real, measures=[MeanGap(factor=2.0)])["mean-gap"]
    assert value.mean == pytest.approx(2 * gap(real, fake), abs=1e-6)
    assert (value.n, value.unit, value.title) == (200, "px", "gap (coordinates)")
    assert value.card.protocol["fields"] == {"factor": 2.0}
    assert (value.card.protocol["n_real"], value.card.protocol["n_fake"]) == (300, 200)


def test_the_floor_is_between_disjoint_halves_of_the_reals() -> None:
    real = points(300)
    one = saddlepoint.evaluate(points(150), real, n=100, measures=[MeanGap()])["mean-gap"]
    order = Streams(0).order("evaluation real", 300, 300)
    assert one.floor is not None
    assert one.floor.mean == pytest.approx(gap(real[order[:100]], real[order[100:200]]), abs=1e-6)
    assert one.floor.n == one.n == 100
    few = saddlepoint.evaluate(points(300), real, measures=[MeanGap()])["mean-gap"]
    assert few.floor is not None
    assert (few.n, few.floor.n) == (300, 150)
    assert few.floor.mean == pytest.approx(gap(real[order[:150]], real[order[150:]]), abs=1e-6)


def test_asked_twice_the_same_bits_and_others_beside_change_nothing(ring: Run) -> None:
    def means(*measures: str | Measure) -> dict[str, float]:
        return {value.name: value.mean for value in ring.evaluate(list(measures), n=200).values}

    alone = means(Dice())
    assert means(Dice()) == alone
    together = means("frechet-distance", Dice(), "kernel-distance")
    assert {name: together[name] for name in alone} == alone
    assert ring.evaluate(["frechet-distance"], n=200, seed=1)["frechet-distance"].mean != together["frechet-distance"]


def test_a_run_is_its_samples(digits: Run) -> None:
    value = digits.evaluate(["frechet-distance"], n=100, seed=3)["frechet-distance"]
    source = Digits(resolution=8).open()
    reals = reals_of_source(source, 100, split="train", seed=3)
    extractor = EXTRACTORS["digits-classifier"]().open()
    fakes = as_bytes(digits.sample(100, seed=3))
    expected = frechet_distance(extractor(reals.real.images).features, extractor(fakes).features)
    assert value.mean == pytest.approx(float(expected), rel=1e-5)
    assert value.card.protocol["weights"] == "average"
    assert digits.evaluate(["frechet-distance"], n=100, seed=3, weights="raw")["frechet-distance"].card.protocol["weights"] == "raw"
    assert len(read_values(digits.path / "measures.json")) == 2


def test_reals_are_of_the_split_and_its_halves_are_disjoint() -> None:
    source = Digits(resolution=8).open()
    everything = {split: {row.numpy().tobytes() for part in source.all(split) for row in as_bytes(part.image)} for split in SPLITS}
    sizes: dict[Split, int] = {"train": 1618, "held-out": 179}
    for split, size in sizes.items():
        reals = reals_of_source(source, size // 2, split=split, seed=0)
        assert len(reals.real) == len(reals.floor) == size // 2
        rows = [row.numpy().tobytes() for part in (reals.real, reals.floor) for row in part.images]
        assert set(rows) <= everything[split]
    whole = reals_of_source(source, 20, split="train", seed=0, uses=frozenset({"train", "held-out"}))
    assert whole.train is not None
    assert whole.held_out is not None
    assert whole.rows is not None
    assert (len(whole.train), len(whole.held_out)) == (1618, 179)
    assert torch.equal(whole.train.images[whole.rows[:20]], whole.real.images)
    assert torch.equal(whole.train.images[whole.rows[20:]], whole.floor.images)
    chosen = reals_of_source(source, 20, split="train", seed=0)
    assert torch.equal(chosen.real.images, whole.real.images)
    assert chosen.real.labels is not None
    assert whole.real.labels is not None
    assert torch.equal(chosen.real.labels, whole.real.labels)


def test_what_draws_its_own_samples_says_its_cost_first(digits: Run) -> None:
    watch = Notebook()
    values = digits.evaluate([Wide()], n=50, watch=watch)
    assert values["wide.drawn"].mean == 128
    assert watch.lines[0].startswith("wide: draws up to 128 samples of its own, about 0 s on this machine")
    assert ("wide (1 of 1)", 128) in watch.stages
    assert values["wide.drawn"].floor is None
    assert dict(zip(watch.stages, watch.steps, strict=True))[("wide (1 of 1)", 128)] == 128


def test_all_stages_end(digits: Run) -> None:
    watch = Notebook()
    with registered(Wide):
        digits.evaluate(["frechet-distance", "memorisation", "precision-recall", "wide"], n=60, watch=watch)
    assert ("timing a small batch", 128) in watch.stages
    for number, ((what, total), steps) in enumerate(zip(watch.stages, watch.steps, strict=True)):
        # A measure that counts its steps begins its stage again, with their number.
        again = watch.stages[number + 1 :][:1] and watch.stages[number + 1][0].startswith(what)
        assert steps == total or (again and steps == 0), what


def test_measures_that_take_long_are_stages_with_a_total(digits: Run) -> None:
    watch = Notebook()
    measures = [MeanGap(), MEASURES["precision-recall"](), MEASURES["generalisation-gap"](repeats=1, updates=2)]
    digits.evaluate(measures, n=60, watch=watch)
    told = [(*stage, steps) for stage, steps in zip(watch.stages, watch.steps, strict=True)]
    # What says nothing is a half, and its floor the other.
    assert ("mean-gap (1 of 3)", 2, 2) in told
    # Two sides and what is between.
    assert ("precision-recall (2 of 3)", 3, 3) in told
    assert ("precision-recall (2 of 3), floor", 3, 3) in told
    assert ("generalisation-gap (3 of 3)", 6, 6) in told


def test_what_is_the_same_in_pixels_and_in_features_stands_once(digits: Run, ring: Run) -> None:
    measure = MEASURES["memorisation"](resamples=100)
    apart = [value.title for value in digits.evaluate([measure], n=60).values]
    assert [title for title in apart if "copying A" in title] == ["copying A (pixels)", "copying A (digits classifier)"]
    for run, extractor, named in ((digits, "pixels", "pixels"), (ring, None, "coordinates")):
        titles = [value.title for value in run.evaluate([measure], n=60, extractor=extractor).values]
        assert len(titles) == len(set(titles)) == 4
        assert [title for title in titles if "copying A" in title] == [f"copying A ({named})"]


@pytest.mark.parametrize(("objective", "threshold"), [("vanilla", 0.0), ("lsgan", 0.5), ("wasserstein", "midway")])
def test_the_discriminators_threshold_is_its_objectives(objective: str, threshold: float | str, here: Path) -> None:
    run = saddlepoint.train("gan", out=here / objective, **{**POINTS_RUN, "updates": 1, "objective": objective})
    name = "discriminator-overfitting"
    value = run.evaluate([name], n=50)[f"{name}.train-accuracy"]
    assert value.card.protocol["fields"] == {"threshold": threshold}
    if threshold != "midway":
        assert value.details["threshold"] == threshold
    given = run.evaluate([{"name": name, "threshold": 3}], n=50)[f"{name}.train-accuracy"]
    assert given.card.protocol["fields"] == {"threshold": 3.0}


def test_defaults_suit_the_data() -> None:
    assert [measure.name for measure in default_measures(True, {"mixture"})] == list(POINTS)
    assert [measure.name for measure in default_measures(False, {"logits", "train", "held-out"})] == list(IMAGES)
    assert not any(MEASURES[name].own_samples for name in (*POINTS, *IMAGES))
    extractors = {data: default_extractor(data, False)[0].name for data in ("digits", "fashion-mnist", "cifar10", None)}
    assert extractors["digits"] == "digits-classifier"
    assert extractors["fashion-mnist"] == "fashion-mnist-classifier"
    assert extractors["cifar10"] == extractors[None] == "efficientnet-lite0"
    assert default_extractor("8-gaussians", True)[0].name == "pixels"


def test_without_a_network_pixels_and_a_note(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saddlepoint.evaluation.defaults.find_spec", lambda name: None)
    evaluation = saddlepoint.evaluate(pictures(here / "a", 20), pictures(here / "b", 20, seed=1), measures=["frechet-distance"])
    assert evaluation["frechet-distance"].title == "FD (pixels)"
    assert "No network is at hand" in evaluation.warnings[0]


def test_folder_against_folder_is_all_of_both(here: Path) -> None:
    ours, theirs = pictures(here / "a", 30), pictures(here / "b", 40, seed=1)
    evaluation = saddlepoint.evaluate(ours, theirs, extractor="pixels", measures=[MeanGap()])
    value = evaluation["mean-gap"]
    read = [torch.stack([torch.from_numpy(np.array(Image.open(path))) for path in sorted(f.iterdir())]) for f in (theirs, ours)]
    real, fake = (images.flatten(1).double() / 255 for images in read)
    assert value.mean == pytest.approx(gap(real, fake), rel=1e-6)
    assert value.card.protocol["weights"] is None
    assert value.card.protocol["split"] == "all"


def test_a_changed_image_changes_the_card_and_a_moved_folder_does_not(here: Path) -> None:
    pictures(here / "a", 20)
    pictures(here / "b", 20, seed=1)

    def card(real: str) -> str:
        value = saddlepoint.evaluate(here / "a", here / real, extractor="pixels", measures=[MeanGap()])["mean-gap"]
        return str(value.card.protocol["data"])

    first = card("b")
    shutil.copytree(here / "b", here / "c")
    assert card("c") == first
    pixels = np.array(Image.open(here / "c" / "000.png"))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(here / "c" / "000.png")
    assert card("c") != first


def test_the_same_samples_are_warned_of(here: Path) -> None:
    pictures(here / "a", 20)
    evaluation = saddlepoint.evaluate(here / "a", here / "a", extractor="pixels", measures=[MeanGap()])
    assert evaluation["mean-gap"].mean == 0
    assert any("the same samples" in line for line in evaluation.warnings)


def test_a_corrupt_cache_entry_is_made_again_and_said(digits: Run) -> None:
    first = digits.evaluate(["frechet-distance"], n=50)["frechet-distance"].mean
    (entry,) = (cache_folder() / "features").glob("*.safetensors")
    entry.write_bytes(entry.read_bytes()[:-40])
    again = digits.evaluate(["frechet-distance"], n=50)
    assert again["frechet-distance"].mean == first
    assert any("damaged" in line and "made again" in line for line in again.warnings)
    assert not digits.evaluate(["frechet-distance"], n=50).warnings


def test_moments_of_reals_are_computed_once_and_change_no_bit(digits: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    compute = Moments.of

    def counted(features: Tensor) -> Moments:
        computed.append(len(features))
        return compute(features)

    monkeypatch.setattr(Moments, "of", counted)

    def taken(**asked: Any) -> tuple[Value, int]:
        computed.clear()
        return digits.evaluate(["frechet-distance"], n=100, **asked)["frechet-distance"], len(computed)

    first, all_sides = taken()
    again, fakes_only = taken()
    assert (all_sides, fakes_only) == (3, 1)
    assert (again.mean, again.floor, again.details) == (first.mean, first.floor, first.details)
    reals = reals_of_source(Digits(resolution=8).open(), 200, split="train", seed=0)
    extractor = EXTRACTORS["digits-classifier"]().open()
    seen = [features_of(extractor, images).features for images in (reals.real.images, as_bytes(digits.sample(100, seed=0)))]
    assert again.mean == frechet_distance(seen[0][:100], seen[1])
    assert again.floor is not None
    assert again.floor.mean == frechet_distance(seen[0][:100], seen[0][100:])
    # Other rows and another split are other moments; another generator is not.
    assert [taken(**asked)[1] for asked in ({"seed": 1}, {"seed": 1, "weights": "raw"}, {})] == [3, 1, 1]
    assert taken(split="held-out")[1] > 1
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(here / "elsewhere"))
    assert taken()[1] == 3


def test_damaged_moments_are_made_again_and_said(digits: Run) -> None:
    first = digits.evaluate(["frechet-distance"], n=100)["frechet-distance"]
    entries = [entry for entry in (cache_folder() / "features").glob("*.safetensors") if b'"spread"' in entry.read_bytes()]
    assert len(entries) == 2
    for entry in entries:
        content = bytearray(entry.read_bytes())
        content[-1] ^= 1
        entry.write_bytes(content)
    again = digits.evaluate(["frechet-distance"], n=100)
    assert (again["frechet-distance"].mean, again["frechet-distance"].floor) == (first.mean, first.floor)
    assert sum("damaged" in line and "made again" in line for line in again.warnings) == 2
    assert not digits.evaluate(["frechet-distance"], n=100).warnings


def test_moments_are_of_exactly_their_samples() -> None:
    features = points(10)
    sample = Sample(features, features, moments=Moments.of(features))
    assert sample.rows(slice(0, 10)).moments is None
    with pytest.raises(InputError, match="moments: of 10 samples, and there are 9"):
        Sample(features[:9], features[:9], moments=sample.moments)


def test_the_best_on_held_out_is_said_to_flatter(digits: Run) -> None:
    held = digits.evaluate([MeanGap()], checkpoint="best", split="held-out")
    assert held["mean-gap"].card.protocol["checkpoint"] == "best by mean-gap on held-out"
    assert any("flatter" in line for line in held.warnings)
    last = digits.evaluate([MeanGap()], split="held-out")
    assert last["mean-gap"].card.protocol["checkpoint"] == "last"
    assert not last.warnings
    assert digits.evaluate([MeanGap()], checkpoint=6)["mean-gap"].card.protocol["checkpoint"] == "given"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown measure": ({"measures": ["frechet"]}, "measures: frechet is not a known measure; nearest: frechet-distance"),
    "a measure twice": ({"measures": ["frechet-distance"] * 2}, "measures: frechet-distance is there twice"),
    "no measure": ({"measures": []}, "measures: none was named"),
    "an unknown extractor": ({"extractor": "pixel"}, "extractor: pixel is not a known extractor; nearest: pixels"),
    "too many": ({"n": 5000}, "n: 5000 is more than the 1618 train samples of digits; give 1618 or fewer"),
    "too many held out": ({"n": 180, "split": "held-out"}, "n: 180 is more than the 179 held-out samples of digits"),
    "none": ({"n": 0}, "n: 0 is out of range"),
    "another split": ({"split": "test"}, "split: 'test' is not one of train, held-out"),
    "labels missing": ({"measures": ["class-conditional-frechet-distance"]}, "needs labels; both sides must be labelled"),
    "no mixture": ({"measures": ["modes"]}, "modes: needs mixture"),
    "another checkpoint": ({"checkpoint": 4}, "no checkpoint of update 4"),
    "other weights": ({"weights": "ema"}, "weights: 'ema' is not one of average, raw"),
    "an unknown data set": (
        {"against": "digit"},
        "against: digit: no data set of that name, and no such folder or file; nearest: digits",
    ),
    "points": ({"against": "8-gaussians"}, "the fakes are images and the real samples points"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_by_name(digits: Run, what: str) -> None:
    asked, line = REFUSED[what]
    before = {path: path.read_bytes() for path in digits.path.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as refusal:
        digits.evaluate(**asked)
    assert len(refusal.value.problems) == 1
    assert line in refusal.value.problems[0]
    assert before == {path: path.read_bytes() for path in digits.path.rglob("*") if path.is_file()}


def test_samples_that_are_refused_by_name(here: Path) -> None:
    pictures(here / "two", 2)
    pictures(here / "grey", 20)
    pictures(here / "colour", 20, seed=2, channels=3)
    np.save(here / "nan.npy", np.full((30, 2), np.nan))
    np.save(here / "line.npy", np.zeros((30, 1)))
    (here / "cut.npy").write_bytes((here / "nan.npy").read_bytes()[:50])
    cases = {
        ("two", "grey"): "two: 2 samples are too few to be measured as a whole; give 10 or more",
        ("grey", "two"): "two: 2 samples are too few",
        ("colour", "grey"): "the fakes have 3 channels and the real samples 1",
        ("nan.npy", "8-gaussians"): "nan.npy: 30 of 30 points are NaN or infinite",
        ("line.npy", "8-gaussians"): "the fakes have 1 coordinates and the real samples 2",
        ("cut.npy", "8-gaussians"): "cut.npy: cannot be read as an array",
        ("nothing", "grey"): "nothing does not exist",
        ("grey", None): "grey: is not a run, which knows its data; give --against",
    }
    for (subject, against), line in cases.items():
        with pytest.raises(InputError) as refusal:
            saddlepoint.evaluate(subject, against, extractor="pixels")
        assert len(refusal.value.problems) == 1, refusal.value.problems
        assert line in refusal.value.problems[0]
    with pytest.raises(InputError, match="weights: grey is not a run"):
        saddlepoint.evaluate("grey", "two", weights="raw")
    with pytest.raises(InputError, match=r"floats are images in \[-1, 1\]"):
        saddlepoint.evaluate(torch.full((12, 1, 8, 8), 2.0), "grey")


def test_default_measures_that_cannot_be_taken_are_left_out_and_named(here: Path) -> None:
    evaluation = saddlepoint.evaluate(
        pictures(here / "a", 10), pictures(here / "b", 10, seed=1), extractor="pixels", n=5, measures="all"
    )
    assert evaluation.values
    assert all(line.startswith("left out: ") for line in evaluation.left_out)
    assert any("5 fake samples are too few" in line for line in evaluation.left_out)


def test_diverged_samples_are_named(digits: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        next(digits.generator().parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="the generator's samples are not finite"):
        digits.evaluate(["frechet-distance"], n=20)
