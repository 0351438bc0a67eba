"""Measures while it trains: no stream is shifted, resume ends with the same bits, and the best checkpoint is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import saddlepoint
from saddlepoint.errors import InputError
from saddlepoint.evaluation.results import read_values
from saddlepoint.run import Checkpoint
from saddlepoint.training.checkpoints import best_of, read_checkpoint, updates_at_hand
from saddlepoint.training.measuring import Best
from saddlepoint.training.proof import differences
from tests.evaluation.conftest import DIGITS, POINTS
from tests.evaluation.samples import MeanGap, MeanGapUp, registered

MEASURED: dict[str, Any] = {
    "measures.every": 2,
    "measures.names": ["frechet-distance", "maximum-mean-discrepancy"],
    "measures.best": "frechet-distance",
    "measures.n": 100,
}


def events(run: Path, kind: str = "measures") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [{name: field for name, field in event.items() if name != "time"} for event in lines if event["event"] == kind]


def weights(run: Path) -> dict[str, torch.Tensor]:
    tensors = read_checkpoint(run).tensors
    return {f"{file}/{name}": tensor for file, named in tensors.items() for name, tensor in named.items()}


def test_measuring_changes_no_bit_of_the_training(here: Path) -> None:
    saddlepoint.train("dcgan", out=here / "plain", **DIGITS)
    saddlepoint.train("dcgan", out=here / "measured", **DIGITS, **MEASURED)
    plain, measured = weights(here / "plain"), weights(here / "measured")
    assert set(plain) == set(measured)
    assert all(torch.equal(tensor, measured[name]) for name, tensor in plain.items())
    streams = [read_checkpoint(here / name).state["streams"] for name in ("plain", "measured")]
    assert streams[0] == streams[1]
    assert events(here / "plain", "progress") == events(here / "measured", "progress")
    assert [event["update"] for event in events(here / "measured")] == [2, 4, 6]


@pytest.mark.parametrize("data", ["points", "digits"])
def test_stopped_and_resumed_the_measures_are_the_same(here: Path, data: str) -> None:
    recipe, fields = ("gan", POINTS) if data == "points" else ("dcgan", DIGITS)
    bests = set()
    with registered(MeanGap, MeanGapUp):
        # One of two opposite directions is best early, so what is carried over matters.
        for best in ("mean-gap", "mean-gap-up"):
            measured = {"measures.every": 1, "measures.names": [best, "maximum-mean-discrepancy"], "measures.best": best}
            often = {**fields, "checkpoints.keep": 9, "average.decay": 0.0, "measures.n": 60, **measured}
            whole = saddlepoint.train(recipe, out=here / best, **often)
            cut = shutil.copytree(whole.path, here / f"{best} again")
            for update in (4, 5, 6):
                shutil.rmtree(cut / "checkpoints" / f"{update:06d}", ignore_errors=True)
            saddlepoint.open_run(cut).resume()
            assert differences(read_checkpoint(whole.path), read_checkpoint(cut), whole.path, cut) == []
            assert events(whole.path) == events(cut)
            assert [event["update"] for event in events(cut)] == [1, 2, 3, 4, 5, 6]
            bests.add(best_of(cut)["update"])
    assert min(bests) <= 3


def test_the_best_is_kept_beside_the_last(here: Path) -> None:
    kept = []
    with registered(MeanGap, MeanGapUp):
        for best in ("mean-gap", "mean-gap-up"):
            measured = {"measures.every": 1, "measures.names": [best], "measures.best": best, "average.decay": 0.0}
            fields = {**DIGITS, "checkpoints.every": 100, "checkpoints.keep": 1, **measured}
            run = saddlepoint.train("dcgan", out=here / best, **fields)
            values = {event["update"]: event["values"][best]["mean"] for event in events(run.path)}
            update = (min if best == "mean-gap" else max)(values, key=values.__getitem__)
            assert best_of(run.path) == {"quantity": best, "value": values[update], "update": update}
            assert set(updates_at_hand(run.path)) == {update, 6}
            assert run.update_of("best") == update
            assert torch.equal(run.sample(5, checkpoint="best"), run.sample(5, checkpoint=update))
            kept += updates_at_hand(run.path)
    assert len(kept) >= 3, "one of two opposite directions is best before the end"


def test_the_logged_value_is_the_one_that_evaluate_gives(here: Path) -> None:
    run = saddlepoint.train("dcgan", out=here / "run", **DIGITS, **MEASURED)
    logged = events(run.path)[-1]["values"]["frechet-distance"]["mean"]
    again = run.evaluate(["frechet-distance"], n=100, split="held-out", seed=run.recipe.seed)["frechet-distance"]
    assert again.mean == pytest.approx(logged, rel=1e-6)
    assert again.card.protocol["checkpoint"] == "last"


def test_the_rules_stand_apart(here: Path) -> None:
    run = saddlepoint.train("dcgan", out=here / "run", **DIGITS, **MEASURED)
    rule: Checkpoint = "best"
    for checkpoint in (None, rule):
        run.evaluate(["frechet-distance"], n=50, checkpoint=checkpoint)
    rules = [value.card.protocol["checkpoint"] for value in read_values(run.path / "measures.json")]
    assert rules == ["last", "best by frechet-distance on held-out"]


def test_what_is_better() -> None:
    from saddlepoint.evaluation.card import Card, Value
    from saddlepoint.evaluation.engine import Evaluation
    from saddlepoint.measures import MEASURES
    from saddlepoint.training.measuring import Measuring

    def chosen(name: str, means: list[float]) -> list[int]:
        measuring = object.__new__(Measuring)
        measuring.measures = (MEASURES["frechet-distance"](), MEASURES["precision-recall"]())
        measuring.best_by = name
        best: Best | None = None
        updates = []
        for update, mean in enumerate(means):
            best = measuring.better(best, Evaluation((Value(name, name, mean, 10, Card({})),)), update)
            updates.append(-1 if best is None else best.update)
        return updates

    nan = float("nan")
    assert chosen("frechet-distance", [nan, 3.0, 2.0, 2.0, nan, 2.5, 1.0]) == [-1, 1, 2, 2, 2, 2, 6]
    assert chosen("precision-recall.recall", [0.1, 0.3, 0.2, float("inf"), 0.4]) == [0, 1, 1, 1, 4]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown measure": (
        {"measures.names": ["frechet"]},
        "measures.names.0.name: frechet is not a known measure; nearest: frechet-distance",
    ),
    "an unknown extractor": (
        {"measures.extractor": "pixel"},
        "measures.extractor.name: pixel is not a known extractor; nearest: pixels",
    ),
    "the best of nothing": (
        {"measures.every": None},
        "measures.best: frechet-distance: nothing is measured; give measures.every too",
    ),
    "the best of another": ({"measures.best": "kernel-distance"}, "measures.best: kernel-distance is not among what is measured"),
    "a direction that is none": (
        {"measures.best": "maximum-mean-discrepancy.mmd-p-value"},
        "measures.best: maximum-mean-discrepancy.mmd-p-value",
    ),
    "too many": ({"measures.n": 500}, "measures.n: 500 is more than the 179 held-out samples of digits"),
    "no labels": (
        {"measures.names": ["class-conditional-frechet-distance"], "measures.best": None},
        "class-conditional-frechet-distance: needs labels",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_measured_is_refused_before_it_trains(here: Path, what: str) -> None:
    changed, line = WRONG[what]
    with pytest.raises(InputError) as refusal:
        saddlepoint.train("dcgan", out=here / "run", **{**DIGITS, **MEASURED, **changed})
    (problem,) = refusal.value.problems
    assert line in problem
    assert not (here / "run").exists()


def test_what_cannot_be_measured_at_an_update_does_not_stop_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.measures import MEASURES

    def refuse(*_: object) -> object:
        raise InputError(["frechet-distance: constant features; nothing to say"])

    monkeypatch.setattr(MEASURES["frechet-distance"], "__call__", refuse)
    run = saddlepoint.train("dcgan", out=here / "run", **DIGITS, **MEASURED)
    assert {event["left_out"][0] for event in events(run.path)} == {"left out: frechet-distance: constant features; nothing to say"}
    with pytest.raises(InputError, match="keeps no best checkpoint"):
        run.sample(1, checkpoint="best")


def test_measures_are_no_part_of_the_identity() -> None:
    from saddlepoint.recipe import load

    assert load("dcgan", DIGITS).digest() == load("dcgan", {**DIGITS, **MEASURED}).digest()


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bits_and_the_same_best(here: Path) -> None:
    fields = {**DIGITS, "updates": 40, "checkpoints.every": 4, "checkpoints.keep": 2, **MEASURED}
    whole = saddlepoint.train("dcgan", out=here / "whole", **fields)
    (here / "recipe.yaml").write_text(whole.recipe.to_yaml())
    command = [sys.executable, "-m", "saddlepoint.cli", "train", "recipe.yaml", "--out", "killed", "--json"]
    for attempt in range(2):
        process = subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted, deadline = 8 + 12 * attempt, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and max(updates_at_hand(here / "killed"), default=0) < wanted:
            time.sleep(0.003)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        command = [sys.executable, "-m", "saddlepoint.cli", "resume", "killed", "--json"]
        if updates_at_hand(here / "killed"):
            state = read_checkpoint(here / "killed", only="generator").state
            assert state["best"]["update"] in updates_at_hand(here / "killed")
    saddlepoint.open_run(here / "killed").resume()
    assert differences(read_checkpoint(whole.path), read_checkpoint(here / "killed"), whole.path, here / "killed") == []
    assert best_of(whole.path) == best_of(here / "killed")
