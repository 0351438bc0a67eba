"""`demo dynamics`: the figures of the smallest games, whatever recipe's method plays them, and what is written."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.demonstrations.dynamics import STARTS, Dynamics, dynamics
from tests.cli.command_line import saddlepoint
from tests.dynamics.games import BILINEAR, radii, session_of

FAST = ("optimizers={name: sgd, lr: 0.1}", "turns=simultaneous", "updates=60")


@pytest.fixture(scope="module")
def plain() -> Dynamics:
    return dynamics(None, ["updates=60", "objective.saturating=true"])


def test_the_bilinear_game_is_that_of_the_tests(plain: Dynamics) -> None:
    bilinear, _ = plain.games
    assert float(bilinear.radii[0, -1]) == pytest.approx(radii(session_of(BILINEAR), 60)[0], rel=1e-12)
    assert bilinear.verdict() == "moves away"
    np.testing.assert_allclose(bilinear.paths[:, 0], STARTS)


def test_arrows_are_first_updates(plain: Dynamics) -> None:
    """Of plain simultaneous steps of .1: psi by -.1 theta, theta by .1 psi."""
    places, moves = plain.games[0].field.unbind()
    np.testing.assert_allclose(moves[:, 0], -0.1 * places[:, 1], atol=1e-12)
    np.testing.assert_allclose(moves[:, 1], 0.1 * places[:, 0], atol=1e-12)


def test_verdicts() -> None:
    converging = dynamics(None, ["updates=200", "turns=extragradient", "optimizers={name: sgd, lr: 0.3}"])
    assert converging.games[0].verdict() == "converges"
    assert dynamics(None, ["updates=60", "turns=alternating"]).games[0].verdict() in ("keeps its distance", "comes nearer")
    diverging = dynamics(None, ["updates=60", "optimizers={name: sgd, lr: 1e30}"])
    assert diverging.games[0].verdict() == "diverges"
    assert math.isnan(float(diverging.games[0].paths[0, -1, 0]))


def test_a_recipes_method_is_its_own_and_features_are_left_out() -> None:
    r1 = dynamics("r1", FAST)
    assert "r1" in r1.method
    sdp = dynamics("hinge-sdp", ["updates=3"])
    assert any("sdp compares features" in note for note in sdp.notes)
    assert any("go no farther" in note for note in sdp.notes)


def test_the_command_writes_picture_numbers_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = saddlepoint("demo", "dynamics", "updates=20")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "demos" / "dynamics-plain"
    assert "moves away" in outcome.out
    assert Image.open(folder / "dynamics.png").size == (1200, 1060)
    written = json.loads((folder / "dynamics.json").read_text())
    assert [game["name"] for game in written["games"]] == ["bilinear game", "Dirac game"]
    assert len(written["games"][0]["radii"][0]) == 21
    assert "| bilinear game |" in (folder / "dynamics.md").read_text()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("demo", "dynamics", "nothing-such"), "no recipe of that name"),
        (("demo", "dynamics", "--data", "digits"), "--data: demo dynamics does not read it"),
        (("demo", "measures", "gan"), "RECIPE: demo measures does not read it"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], wanted: str) -> None:
    outcome = saddlepoint(*words)
    assert outcome.code == 2
    assert wanted in outcome.err
