"""What a user types, and what is said back: names of the field, floats as images, grey files, a module, a place to write."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from saddlepoint import evaluating
from saddlepoint.errors import InputError
from saddlepoint.evaluating import evaluate, evaluate_all, read_choices
from saddlepoint.evaluation.card import Card, Value
from saddlepoint.evaluation.table import shown, table_of
from saddlepoint.evaluation.watching import Unwatched
from saddlepoint.measures import MEASURES
from saddlepoint.streams import Streams


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fid", ["frechet-distance"]),
        ("FID", ["frechet-distance"]),
        ("kid", ["kernel-distance"]),
        ("is", ["classifier-score"]),
        ("prdc", ["precision-recall", "density-coverage"]),
    ],
)
def test_what_the_field_calls_a_measure_names_the_entry(typed: str, meant: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        read_choices(typed, None)
    (line,) = refused.value.problems
    assert line.startswith(f"measures: {typed} is ")
    assert set(meant) <= set(MEASURES)
    assert line.endswith(f"name {','.join(meant)}")


def points(name: str) -> torch.Tensor:
    return Streams(0).normal(name, 60, 2)


def test_an_evaluation_is_printed_and_asked() -> None:
    found = evaluate(points("fake"), points("real"), measures=["frechet-distance", "precision-recall"])
    assert "frechet-distance" in found
    assert "kernel-distance" not in found
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["measure", "value", "better"]
    assert sum(line.startswith(("FD ", "precision ", "recall ")) for line in lines) == 3


def test_a_digest_is_shown_in_part() -> None:
    one, other = (Card({"data": letter * 64, "rule": letter}) for letter in "ab")
    assert one.differences(other) == [f"data: {'a' * 12}, and {'b' * 12}", "rule: a, and b"]


def test_a_bound_is_shown_as_one() -> None:
    values = {sign: Value("n", "N", 2.0, 100, Card({}), details={"relation": sign}) for sign in ("<", ">", "=")}
    assert [shown(value) for value in values.values()] == ["< 2", "> 2", "2"]


def test_columns_keep_floors_of_their_own() -> None:
    from saddlepoint.evaluation.card import Floor

    one, other = (Value("d", "D", 2.0, 10, Card({}), floor=Floor(mean, 10)) for mean in (0.25, 0.5))
    assert table_of([("one", [one]), ("other", [other])]).rows[0][4] == "0.25, 0.5"
    assert table_of([("one", [one]), ("other", [one])]).rows[0][4] == "0.25"


def test_where_to_write_is_checked_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "evaluate", lambda *_, **__: pytest.fail("it began to work"))
    (tmp_path / "damaged.json").write_text("{")
    for out, said in (
        (tmp_path / "none" / "a.json", "there is no folder"),
        (tmp_path, "is a folder"),
        (tmp_path / "damaged.json", "is not what"),
    ):
        with pytest.raises(InputError, match=said):
            evaluate_all([tmp_path / "fakes"], out, Unwatched())


def test_floats_that_may_be_in_another_range_are_said() -> None:
    images = Streams(0).uniform("images", 20, 1, 8, 8)
    warned = evaluate(images, 2 * images - 1, measures=["frechet-distance"], extractor="pixels").warnings
    assert [line for line in warned if "0 is half grey; if they are in [0, 1], give 2 x - 1" in line]
    assert not [
        line
        for line in evaluate(2 * images - 1, 2 * images - 1, measures=["frechet-distance"], extractor="pixels").warnings
        if "half" in line
    ]
    with pytest.raises(InputError, match=r"some are outside or NaN"):
        evaluate(255 * images, images, measures=["frechet-distance"])


def test_files_that_happen_to_be_grey_stand_against_colour(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    for name, channels in (("grey", 1), ("colour", 3)):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = drawn.integers(0, 256, (8, 8, channels), np.uint8)
            Image.fromarray(np.broadcast_to(pixels, (8, 8, 3)).copy(), "RGB").save(tmp_path / name / f"{number}.png")
    for fake, real in (("grey", "colour"), ("colour", "grey")):
        found = evaluate(tmp_path / fake, tmp_path / real, measures=["frechet-distance"], extractor="pixels")
        assert found["frechet-distance"].mean > 0
        assert [line for line in found.warnings if "every file is grey, but stored in colour: taken as colour" in line]


def test_a_bare_module_sees_and_is_asked_for_its_classes() -> None:
    images = Streams(0).integers("images", 256, 20, 1, 8, 8).to(torch.uint8)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    assert evaluate(images, images, measures=["frechet-distance"], extractor=module)["frechet-distance"].mean < 1e-6
    with pytest.raises(InputError) as refused:
        evaluate(images, images, measures=["classifier-score"], extractor=module)
    (line,) = refused.value.problems
    assert "ModuleExtractor(module, title=…, classes=[…])" in line
