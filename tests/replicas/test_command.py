"""A stack of replicas at the command line: what it leaves with and writes when some diverge, and when all do."""

import json
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.training.checkpoints import read_checkpoint
from tests.cli.command_line import saddlepoint

GAME = (
    "gan",
    "data=8-gaussians",
    "networks.widths=[4]",
    "latent=2",
    "objective=wasserstein",
    "optimizers=sgd",
    "batch=8",
    "updates=60",
    "log.every=1",
    "samples.count=4",
    "seeds=0..3",
    "replicas.chunk=4",
)
ABSURD, FAIR = 1e3, 1e-3


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def rates(*numbers: float) -> list[str]:
    listed = json.dumps(list(numbers)) if len(numbers) > 1 else f"{numbers[0]}"
    return [f"optimizers.{player}.lr={listed}" for player in ("generator", "discriminator")]


def test_a_stack_of_which_some_diverge_is_done(run: Path) -> None:
    outcome = saddlepoint("train", *GAME, *rates(FAIR, ABSURD, FAIR, ABSURD), "vary.how=zip", "--out", run.name)
    assert outcome.code == 0, outcome.err
    ended = [event for event in events(run) if event["event"] == "replica diverged"]
    assert sorted(event["replica"] for event in ended) == [1, 3]
    assert all(event["seed"] == event["replica"] and event["term"] for event in ended)
    assert events(run)[-1]["event"] == "done"
    state = read_checkpoint(run).state
    assert [(one["replica"], one["term"], one["update"]) for one in state["diverged"]] == [
        (event["replica"], event["term"], event["update"]) for event in ended
    ]
    assert saddlepoint("resume", run.name).code == 0


def test_a_stack_of_which_all_diverge_leaves_with_3(run: Path) -> None:
    outcome = saddlepoint("train", *GAME, *rates(ABSURD), "--out", run.name)
    assert outcome.code == 3
    assert "Traceback" not in outcome.err
    assert "diverged: " in outcome.err
    assert sorted(event["replica"] for event in events(run) if event["event"] == "replica diverged") == [0, 1, 2, 3]
    assert events(run)[-1]["event"] == "diverged"


def test_weights_that_no_loss_has_met_end_a_stack_too(run: Path) -> None:
    """In the run's last step: all replicas' weights are infinite, and no loss is taken any more."""
    last = ("updates=1", "optimizers.generator.lr=1e38", "optimizers.generator.weight_decay=1e30")
    outcome = saddlepoint("train", *GAME, *last, "--out", run.name)
    assert outcome.code == 3
    told = [event for event in events(run) if event["event"] == "replica diverged"]
    assert [(event["replica"], event["term"], event["update"]) for event in told] == [
        (replica, "generator/weights", 1) for replica in range(4)
    ]
