"""A demonstration end to end, small: what theory demands, the same bits twice, what is written and refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.demonstrations.grounds import opened
from saddlepoint.demonstrations.measures import Demonstration, demonstrate
from saddlepoint.demonstrations.picture import png_of
from saddlepoint.demonstrations.responses import Response, Sight
from saddlepoint.demonstrations.written import markdown_of, write_demonstration
from saddlepoint.errors import InputError
from tests.cli.command_line import listing, refused, saddlepoint

N = 110
SHOWN = (
    "frechet-distance",
    "class-conditional-frechet-distance",
    "precision-recall",
    "density-coverage",
    "memorisation",
    "class-modes",
    "ms-ssim",
)


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.total = self.done = 0

    def stage(self, what: str, total: int) -> None:
        self.total = total

    def advanced(self, steps: int) -> None:
        self.done += steps

    def said(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def shown(told: Told) -> Demonstration:
    return demonstrate(opened("digits"), SHOWN, doses=(0.25, 1.0), repeats=2, floors=5, watch=told)


def test_fd_sees_every_fault_but_memorisation(shown: Demonstration) -> None:
    response = shown["frechet-distance"]
    for fault in ("dropped-modes", "reweighted-modes", "duplicates", "blur", "noise"):
        little, much = response.faulty[fault]
        for repeat in range(2):
            clean, low, high = response.clean[repeat], little[repeat], much[repeat]
            assert low is not None
            assert high is not None
            assert clean < low < high, fault
        assert response.sight(fault).verdict == "sees", fault
        assert all(response.sight(fault).grows), fault
    assert response.sight("memorised") == Sight("blind")


@pytest.mark.parametrize("quantity", ["copying-pixels", "copying-features", "near-copies-pixels", "near-copies-features"])
def test_memorisation_sees_copies_and_takes_nothing_else_for_them(shown: Demonstration, quantity: str) -> None:
    response = shown[f"memorisation.{quantity}"]
    assert response.sight("memorised") == Sight("sees", (0.25, 1.0), (True, True))
    if quantity.startswith("copying"):
        # Every copy is nearer than any held-out sample, so A is .5 + half of their share.
        for values, expected in zip(response.faulty["memorised"], (0.625, 1.0), strict=True):
            assert values == pytest.approx([expected] * 2, abs=0.08)
    for fault in ("dropped-modes", "reweighted-modes", "blur", "noise"):
        assert not any(response.sight(fault).grows), fault


def test_coverage_and_recall_fall_with_dropped_modes_and_precision_does_not(shown: Demonstration) -> None:
    for name in ("density-coverage.coverage", "precision-recall.recall"):
        assert shown[name].sight("dropped-modes") == Sight("sees", (0.25, 1.0), (False, False))
    for fault in ("dropped-modes", "reweighted-modes", "memorised"):
        assert shown["precision-recall.precision"].sight(fault).verdict == "blind", fault
    # One class in ten is left, and it covers about its own.
    values = [value for value in shown["density-coverage.coverage"].faulty["dropped-modes"][-1] if value is not None]
    assert all(0.05 < value < 0.2 for value in values)
    assert shown["precision-recall.precision"].sight("noise") == Sight("sees", (1.0,), (False,))


def test_classes_are_counted_and_a_class_without_samples_is_refused(shown: Demonstration) -> None:
    response = shown["class-modes.classes"]
    assert set(response.clean) == {10.0}
    assert response.faulty["dropped-modes"][-1] == pytest.approx([1, 1], abs=1)
    by_class = shown["class-conditional-frechet-distance.class-conditional-frechet-distance"]
    assert by_class.sight("dropped-modes").words() == "refuses from 0.25"


def test_noise_looks_like_diversity(shown: Demonstration) -> None:
    assert shown["ms-ssim"].sight("noise") == Sight("looks better", (1.0,), (False,), (1.0,))


def test_the_cost_is_said_before_and_the_end_is_reached(shown: Demonstration, told: Told) -> None:
    assert told.lines[0] == f"29 sets of {N} samples of digits, by {len(SHOWN)} measures"
    assert told.lines[1].startswith("they take about ")
    assert told.total == told.done == 29
    assert (shown.n, shown.repeats, shown.doses, shown.left_out) == (N, 2, (0.25, 1.0), ())


def test_p_values_are_not_drawn(shown: Demonstration) -> None:
    assert not [response.name for response in shown.responses if response.name.split(".")[-1].endswith("-p")]
    assert len(shown.responses) == 1 + 2 + 2 + 2 + 6 + 2 + 1


def test_the_same_bits_twice_and_others_for_another_seed() -> None:
    world = opened("digits", 60)
    once, again, other = (
        demonstrate(world, ["memorisation", "ms-ssim"], doses=(1.0,), repeats=1, floors=2, seed=seed) for seed in (0, 0, 1)
    )
    assert once.responses == again.responses
    assert once["ms-ssim"].clean != other["ms-ssim"].clean
    few = [replace(told, responses=(told["ms-ssim"],)) for told in (once, again)]
    assert png_of(few[0]) == png_of(few[1])


def test_the_picture_has_a_panel_for_each(shown: Demonstration, tmp_path: Path) -> None:
    few = replace(shown, responses=(shown["frechet-distance"], shown["class-modes.classes"], shown["ms-ssim"]))
    files = write_demonstration(few, tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["measures.json", "measures.md", "measures.png"]
    image = Image.open(files["measures.png"]).convert("RGB")
    assert image.width == 1400
    assert image.height > 70 * len(few.responses)
    pixels = {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3)[::3].tolist()}
    assert (0x00, 0x72, 0xB2) in pixels
    assert (0xD5, 0x5E, 0x00) in pixels
    held = json.loads(files["measures.json"].read_text())
    by_name = {response["name"]: response for response in held["responses"]}
    assert by_name["ms-ssim"]["sees"]["noise"] == {"verdict": "looks better", "doses": [1.0], "grows": [False], "better": [1.0]}
    assert by_name["frechet-distance"]["clean"] == list(shown["frechet-distance"].clean)
    assert files["measures.md"].read_text() == markdown_of(few.rows())


def test_the_table(shown: Demonstration) -> None:
    lines = markdown_of(shown.rows()).splitlines()
    assert lines[0] == "| measure | better | dropped modes | re-weighted modes | duplicates | blur | noise | memorised |"
    assert len(lines) == 2 + len(shown.responses)
    assert lines[2].startswith("| FD | ↓ | ▲ from 0.25 |")
    assert lines[2].endswith("| blind |")


def response_of(
    *by_dose: tuple[float | None, ...], clean: tuple[float, ...] = (9.0, 10.0, 11.0), higher_is_better: bool | None = None
) -> Response:
    return Response("a", "A", higher_is_better, clean, (0.1, 0.5, 1.0)[: len(by_dose)], {"noise": by_dose})


def test_seen_is_every_repeat_outside_three_standard_deviations_on_one_side() -> None:
    assert response_of((13.1, 13.2), (14.0, 15.0)).sight("noise") == Sight("sees", (0.1, 0.5), (True, True))
    assert response_of((12.9, 13.2), (14.0, 15.0)).sight("noise") == Sight("sees", (0.5,), (True,))
    assert response_of((14.0, 14.0), (14.0, 12.0)).sight("noise") == Sight("in part", (0.1,), (True,))
    assert response_of((14.0, 6.0), (6.0, 5.0)).sight("noise") == Sight("sees", (0.5,), (False,))
    assert response_of((14.0, 14.0), (10.0, 10.0), (6.0, 6.0)).sight("noise") == Sight("in part", (0.1, 1.0), (True, False))
    assert response_of((12.9, 7.1), (11.0, 10.0)).sight("noise") == Sight("blind")
    assert response_of((14.0, 14.0), (None, 15.0)).sight("noise") == Sight("refuses", (0.5,))


def test_better_is_told_dose_by_dose() -> None:
    up = response_of((14.0, 14.0), (15.0, 15.0), higher_is_better=True).sight("noise")
    assert up == Sight("looks better", (0.1, 0.5), (True, True), (0.1, 0.5))
    assert str(up) == "▲ from 0.1: better?"
    turned = response_of((14.0, 14.0), (5.0, 5.0), higher_is_better=True).sight("noise")
    assert turned == Sight("sees", (0.1, 0.5), (True, False), (0.1,))
    assert str(turned) == "▲▼ from 0.1, better at 0.1"
    assert response_of((14.0, 14.0), higher_is_better=False).sight("noise").better == ()
    assert str(response_of((14.0, 14.0), (10.0, 10.0)).sight("noise")) == "▲ only at 0.1"
    assert str(response_of((None, None)).sight("noise")) == "refuses from 0.1"


def test_a_quantity_that_never_moves_is_counted_in_thousandths() -> None:
    still = response_of((9.0, 9.0), clean=(10.0, 10.0))
    assert still.shift(9.0) == pytest.approx(-100)
    assert response_of((0.0,), clean=(0.0, 0.0)).shift(0.0) == 0
    assert response_of((0.0,), clean=(0.0, 0.0)).sight("noise") == Sight("blind")
    assert response_of((0.5,), clean=(0.0, 0.0)).sight("noise") == Sight("sees", (0.1,), (True,))


def test_what_cannot_be_shown_is_refused() -> None:
    world = opened("digits", 60)
    for asked, said in (
        ({"doses": (0.5, 0.1)}, "do not ascend"),
        ({"doses": (0.0, 0.1)}, "from above 0"),
        ({"doses": (1.5,)}, "at most 1"),
        ({"doses": ()}, "do not ascend"),
        ({"repeats": 0}, "1 or more"),
        ({"repeats": 3, "floors": 2}, "as many floors"),
        ({"repeats": 1, "floors": 1}, "2 at least"),
    ):
        with pytest.raises(InputError, match=said):
            demonstrate(world, ["frechet-distance"], **asked)
    with pytest.raises(InputError, match="support-size: needs generator"):
        demonstrate(world, ["support-size"])
    with pytest.raises(InputError, match="not a known measure"):
        demonstrate(world, ["frechet"])


def test_the_command_on_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("demo", "measures", "--data", "8-gaussians", "-n", "100", "--measures", "modes,frechet-distance")
    outcome = saddlepoint(*asked)
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[0] == "70 sets of 100 samples of 8-gaussians, by 2 measures"
    lines = outcome.out.splitlines()
    assert lines[0].split("  ")[0] == "measure"
    assert "blur" not in lines[0]
    (modes,) = [line for line in lines if line.startswith("modes found")]
    assert modes.split()[2:6] == ["↑", "▼", "from", "0.1"]
    assert sorted(listing(tmp_path / "demos")) == [
        "measures-8-gaussians",
        *(f"measures-8-gaussians/measures.{kind}" for kind in ("json", "md", "png")),
    ]
    again = saddlepoint(*asked, "--json", "--out", "other")
    assert again.json["files"]["measures.png"] == "other/measures.png"
    held = json.loads((tmp_path / "demos" / "measures-8-gaussians" / "measures.json").read_text())
    assert again.json["responses"] == held["responses"]


def test_bad_input_at_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    refused(saddlepoint("demo", "speed"), ("there is no 'speed'", "there is "))
    refused(saddlepoint("demo", "measures", "--measures", "frechet-distanse"), "nearest: frechet-distance")
    refused(saddlepoint("demo", "measures", "--measures", "modes,modes"), "there twice")
    refused(saddlepoint("demo", "measures", "--data", "cifar10"), "no 'cifar10'")
    refused(saddlepoint("demo", "measures", "-n", "5"), "give 50 or more")
    refused(saddlepoint("demo", "measures", "--out", "file/below"), ("is a file", "give a folder"))
    assert sorted(listing(tmp_path)) == ["file"]


def test_interrupted_it_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saddlepoint.demonstrations.measures.evaluate", interrupted)
    assert saddlepoint("demo", "measures", "--data", "digits", "--measures", "frechet-distance").code == 130
    assert listing(tmp_path) == {}
