"""Divergence is a result: exit code 3, the term and update named, the last good checkpoint and a page kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.errors import Diverged
from saddlepoint.rounds import Mover
from saddlepoint.training.checkpoints import read_checkpoint, updates_at_hand
from saddlepoint.training.trainer import Trainer
from tests.cli.command_line import DIGITS, POINTS, listing, saddlepoint

# The rate is 0 for four updates and enormous from then on.
LATE = "optimizers={name: sgd, lr: {name: after, start: 4, value: 1e30}}"


def last_event(run: str) -> dict[str, object]:
    event: dict[str, object] = json.loads(Path(run, "events.jsonl").read_text().splitlines()[-1])
    return event


def test_too_large_a_rate(here: Path) -> None:
    outcome = saddlepoint("train", *DIGITS, LATE, "updates=50", "checkpoints.every=2", "--out", "run")
    assert outcome.code == 3
    event = last_event("run")
    assert event["event"] == "diverged"
    assert str(event["term"]).split("/")[0] in ("generator", "discriminator")
    assert event["update"] in (4, 5)
    assert outcome.lines == [
        f"diverged: {event['term']} is not finite at update {event['update']}; the checkpoint of update 4 stays"
    ]
    assert "run/report.html" in outcome.out
    assert "diverged" in Path("run/report.html").read_text()
    kept = read_checkpoint(Path("run"))
    assert kept.update == 4
    assert all(bool(torch.isfinite(tensor).all()) for tensors in kept.tensors.values() for tensor in tensors.values())
    assert saddlepoint("sample", "run", "-n", "2").code == 0
    assert [row["status"] for row in saddlepoint("runs", ".", "--json").json] == ["diverged"]


def test_it_diverges_again_when_it_is_resumed_and_json_says_where(here: Path) -> None:
    first = saddlepoint("train", *DIGITS, LATE, "updates=50", "checkpoints.every=2", "--out", "run", "--json")
    event = last_event("run")
    said = {"run": "run", "diverged": event["term"], "update": event["update"], "report": "run/report.html"}
    assert first.json == said
    log = Path("run/events.jsonl").read_text()
    again = saddlepoint("resume", "run", "--json")
    assert (again.code, again.json) == (3, said)
    assert [line.split('"time"')[0] for line in Path("run/events.jsonl").read_text().splitlines()] == [
        line.split('"time"')[0] for line in log.splitlines()
    ]


def test_before_any_checkpoint(here: Path) -> None:
    outcome = saddlepoint("train", *POINTS, "optimizers={name: sgd, lr: 1e30}", "updates=50", "--out", "run")
    assert outcome.code == 3
    assert "there was no checkpoint yet" in outcome.err
    assert last_event("run")["event"] == "diverged"
    assert Path("run/report.html").exists()


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_no_checkpoint_holds_weights_that_are_not_finite(here: Path, monkeypatch: pytest.MonkeyPatch, player: Mover) -> None:
    """A step's weights meet their first loss in the next update, which is after a checkpoint that is due."""
    whole = Trainer.update

    def update(self: Trainer, *, watched: bool = False) -> dict[str, torch.Tensor]:
        records = whole(self, watched=watched)
        if self.updates == 4:
            with torch.no_grad():
                next(iter(self.game.players[player].parameters.values())).flatten()[0] = torch.inf
        return records

    monkeypatch.setattr(Trainer, "update", update)
    outcome = saddlepoint("train", *DIGITS, "updates=9", "checkpoints.every=2", "--out", "run")
    assert outcome.code == 3, outcome
    assert last_event("run") == {"event": "diverged", "update": 4, "term": f"{player}/weights"}
    assert updates_at_hand(Path("run")) == [2]
    assert "the checkpoint of update 2 stays" in outcome.err


def test_importance_weights_of_a_hopeless_fake(here: Path) -> None:
    """In probability space the weight D / (1 - D) overflows where D is sure."""
    words = ("weightings.generator={name: importance, space: probability}", "optimizers={name: sgd, lr: 1e4}", "updates=200")
    outcome = saddlepoint("train", *POINTS, *words, "--out", "run")
    assert outcome.code == 3, outcome
    assert last_event("run")["event"] == "diverged"
    assert str(last_event("run")["term"]) in outcome.err


def spoil(monkeypatch: pytest.MonkeyPatch, player: str, number: int) -> None:
    """A gradient that is not finite under a loss that is."""
    from saddlepoint.games.gradients import Losses
    from saddlepoint.games.players import Player

    whole = Player.losses

    def losses(self: Player, *given: Any) -> Losses:
        found = whole(self, *given)
        if self.name == player and self.updates == number:
            first = next(iter(self.parameters.values()))
            first.register_hook(lambda gradient: gradient * torch.inf)
        return found

    monkeypatch.setattr(Player, "losses", losses)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_gradient_that_is_not_finite_is_named(here: Path, monkeypatch: pytest.MonkeyPatch, player: Mover) -> None:
    spoil(monkeypatch, player, 3)
    outcome = saddlepoint("train", *DIGITS, "updates=9", "checkpoints.every=2", "--out", "run")
    assert outcome.code == 3
    assert last_event("run") == {"event": "diverged", "update": 3, "term": f"{player}/gradient norm"}
    assert read_checkpoint(Path("run")).update == 2


def test_a_page_that_cannot_be_written_does_not_hide_the_outcome(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(self: Trainer, *, watched: bool = False) -> None:
        Path("run/report.html").mkdir()
        raise Diverged("generator/loss fake", 0)

    monkeypatch.setattr(Trainer, "update", diverge)
    outcome = saddlepoint("train", *DIGITS, "updates=9", "--out", "run")
    assert "diverged: generator/loss fake" in outcome.err
    assert outcome.code == 3
    assert listing(Path("run"))
