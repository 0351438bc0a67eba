"""Whole runs: the folder they leave, going on bit for bit, growing, warm starts, divergence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.killing import RECIPE

from saddlepoint.errors import Diverged, InputError
from saddlepoint.recipe import load
from saddlepoint.run import Run
from saddlepoint.training import loop
from saddlepoint.training.checkpoints import read_checkpoint, updates_at_hand
from saddlepoint.training.proof import differences, prove
from saddlepoint.training.session import Session

PLAYERS = ("generator", "discriminator")
POINTS: dict[str, Any] = {
    "data": "8-gaussians",
    "networks": {"family": "mlp", "latent": 2, "width": 8},
    "schedule": {"updates": 12, "batch": 8},
    "log": {"every": 3},
    "samples": {"every": 1000, "count": 4},
    "checkpoints": {"every": 4, "keep": 3},
}
HARD: dict[str, Any] = RECIPE | {"schedule": RECIPE["schedule"] | {"updates": 12}, "samples": {"every": 6, "count": 4}}


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_run_leaves_the_folder_of_the_design(tmp_path: Path) -> None:
    run = loop.train(load(POINTS), tmp_path / "run")
    assert {entry.name for entry in run.iterdir()} == {"recipe.yaml", "environment.json", "events.jsonl", "checkpoints", "samples"}
    assert updates_at_hand(run) == [4, 8, 12]
    assert [event["update"] for event in events(run) if event["event"] == "progress"] == [3, 6, 9, 12]
    assert events(run)[-1] == {"event": "done", "update": 12}
    assert (run / "samples" / "000012.png").exists()
    assert load(run).digest() == load(POINTS).digest()


@pytest.mark.parametrize("recipe", [POINTS, HARD], ids=["points", "hard"])
def test_a_stopped_run_goes_on_with_the_same_bits(tmp_path: Path, recipe: dict[str, Any]) -> None:
    unbroken = loop.train(load(recipe), tmp_path / "unbroken")
    broken = tmp_path / "broken"

    class Breaks(loop.Nobody):
        def updated(self, update: int) -> None:
            if update == 7:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        loop.train(load(recipe), broken, Breaks())
    assert updates_at_hand(broken)[-1] < 12
    loop.resume(broken)
    assert differences(read_checkpoint(unbroken), read_checkpoint(broken), unbroken, broken) == []
    lines = [events(run) for run in (unbroken, broken)]
    for line in [*lines[0], *lines[1]]:
        line.pop("time", None)
    assert lines[0] == lines[1]


def test_growing_equals_asking_for_more_at_once(tmp_path: Path) -> None:
    longer = POINTS | {"schedule": {"updates": 20, "batch": 8}}
    whole = loop.train(load(longer), tmp_path / "whole")
    grown = loop.train(load(POINTS), tmp_path / "grown")
    loop.resume(grown, updates=20)
    one, other = read_checkpoint(whole), read_checkpoint(grown)
    for file, tensors in one.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other.tensors[file][name]), (file, name)
    assert one.state["streams"] == other.state["streams"]
    with pytest.raises(InputError, match="updates: 5 is less than"):
        loop.resume(grown, updates=5)


def test_prove_agrees_and_finds_a_planted_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = loop.train(load(HARD), tmp_path / "run")
    assert prove(run, 2) == []
    assert not list(run.glob(".replay-*"))
    with pytest.raises(InputError, match="keeps no checkpoint 12 updates before"):
        prove(run, 12)

    played = Session.restore

    def with_a_slip(session: Any, snapshot: Any) -> None:
        played(session, snapshot)
        generator = session.game.players["generator"]
        generator.shares = [replace(share, learning_rate=lambda update: 1e-3) for share in generator.shares]

    monkeypatch.setattr(Session, "restore", with_a_slip)
    found = prove(run, 2)
    assert any(line.startswith("generator: ") for line in found)
    assert "events.jsonl" in found


def test_a_changed_recipe_is_refused_by_the_fields_name(tmp_path: Path) -> None:
    run = loop.train(load(POINTS), tmp_path / "run")
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("batch: 8", "batch: 16").replace("seed: 0", "seed: 1"))
    with pytest.raises(InputError) as refused:
        loop.resume(run)
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["schedule.batch", "seed"]


def test_a_warm_start_takes_the_weights_and_refuses_others(tmp_path: Path) -> None:
    first = loop.train(load(POINTS), tmp_path / "first")
    still = POINTS | {"optimizers": {"name": "sgd", "lr": 1e-30}, "from": str(first), "schedule": {"updates": 1, "batch": 8}}
    second = loop.train(load(still), tmp_path / "second")
    for file in ("generator", "discriminator"):
        for name, tensor in read_checkpoint(first).tensors[file].items():
            assert torch.equal(tensor, read_checkpoint(second).tensors[file][name])
    wider = still | {"networks": POINTS["networks"] | {"width": 9}}
    with pytest.raises(InputError, match="has the shape") as refused:
        loop.train(load(wider), tmp_path / "third")
    assert len(refused.value.problems) > 2
    assert not (tmp_path / "third").exists()


def test_divergence_names_term_and_update_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    wild = POINTS | {"optimizers": {"name": "sgd", "lr": 10.0}, "objective": "lsgan", "checkpoints": {"every": 1}}
    wild |= {"schedule": {"updates": 500, "batch": 8}}
    run = tmp_path / "run"
    with pytest.raises(Diverged) as outcome:
        loop.train(load(wild), run)
    last = events(run)[-1]
    assert last == {"event": "diverged", "update": outcome.value.update, "term": outcome.value.term}
    assert outcome.value.term.split("/")[0] in ("discriminator", "generator")
    kept = read_checkpoint(run)
    assert kept.update <= outcome.value.update
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.tensors["generator"].values())


def test_threads_are_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    loop.train(load(POINTS | {"threads": 1}), tmp_path / "run")
    assert torch.get_num_threads() == before


def test_accumulation_averages_the_gradients_of_several_batches(tmp_path: Path) -> None:
    """With plain gradient descent from the same weights, one step of two batches moves by the mean of what each would move by."""

    def moved(accumulation: int, skipped: int) -> torch.Tensor:
        fields = {"gradients": {"accumulation": accumulation}, "optimizers": {"name": "sgd", "lr": 0.1}, "precision": "float64"}
        recipe = load(POINTS | fields)
        session = Session(recipe, recipe.data.open())
        for _ in range(skipped):
            session.source.batch(session.streams, 8)
            session.game.fake(session.streams, "discriminator")
        weight = session.game.players["discriminator"].parameters["head.layer.weight"]
        before = weight.detach().clone()
        session.trainer.step(session.game.turns[0])
        return weight.detach() - before

    torch.testing.assert_close(moved(2, 0), (moved(1, 0) + moved(1, 1)) / 2, rtol=0, atol=1e-12)


def test_a_lazy_penalty_is_logged_though_the_log_never_meets_it(tmp_path: Path) -> None:
    lazy = {"name": "r1", "weight": {"name": "every", "period": 4, "value": 0.5}}
    recipe = load(POINTS | {"penalties": {"discriminator": [lazy]}, "log": {"every": 4}, "checkpoints": {"every": 2, "keep": 9}})
    run = loop.train(recipe, tmp_path / "run")
    values = [event["values"] for event in events(run) if event["event"] == "progress"]
    assert all(value["discriminator/penalty r1"] > 0 for value in values)
    assert prove(run, 2) == []


def test_two_penalties_of_one_name_are_told_apart(tmp_path: Path) -> None:
    both = [{"name": "gradient", "at": side, "centre": 0.0, "weight": weight} for side, weight in (("real", 1.0), ("fake", 2.0))]
    run = loop.train(load(POINTS | {"penalties": {"discriminator": both}}), tmp_path / "run")
    values = events(run)[-3]["values"]
    assert values["discriminator/penalty gradient 0"] != values["discriminator/penalty gradient 1"]


def test_an_open_run_samples_its_newest_checkpoint(tmp_path: Path) -> None:
    run = Run(loop.train(load(POINTS), tmp_path / "run"))
    before = run.sample(3, seed=1)
    run.resume(updates=20)
    assert not torch.equal(run.sample(3, seed=1), before)


def test_growing_past_a_rates_end_is_said(tmp_path: Path) -> None:
    falling = {"name": "adam", "lr": {"name": "linear", "start": 1e-3, "end": 1e-4}}
    run = loop.train(load(POINTS | {"optimizers": falling}), tmp_path / "run")
    loop.resume(run, updates=20)
    told = [event["message"] for event in events(run) if event["event"] == "warning"]
    assert told == [
        f"optimizers.{player}.lr: its schedule ends at update 12 and stays at 0.0001 from there on" for player in PLAYERS
    ]
