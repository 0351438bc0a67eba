"""A stacked run in a real process, killed with SIGKILL at random moments, ends with the bits of one that was never stopped."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from saddlepoint.training.checkpoints import read_checkpoint
from tests.faults.processes import Command
from tests.faults.unbroken import same

KILLS = 4
LONGEST_LIFE = 0.8
# Four replicas in one stack; optimizers are divided, and two replicas diverge early and stay frozen over every resume.
STACK = ("wegan", "seeds=0..1", "optimizers.generator.lr=[1e-3, 1e30]", "replicas.chunk=4", "average.decay=0.9")
LENGTH = ("updates=120", "log.every=1", "samples.every=1000", "samples.count=4", "checkpoints.every=3", "checkpoints.keep=2")


def killed_until_done(run: Path, here: Path, draws: random.Random) -> int:
    """Train a run and kill it, again and again until it is done; how often it was killed."""
    kills = 0
    events = run / "events.jsonl"
    while True:
        words = ("resume", run.name) if (run / "recipe.yaml").exists() else ("train", *STACK, *LENGTH, "--out", run.name)
        length = events.stat().st_size if events.exists() else 0
        command = Command(words, here)
        while command.process.is_alive() and not (events.exists() and events.stat().st_size != length):
            time.sleep(0.002)
        command.process.join(draws.uniform(0, LONGEST_LIFE))
        if command.process.is_alive() and kills < KILLS:
            command.signal(signal.SIGKILL)
        code = command.code()
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, command.errors
        kills += 1


@pytest.mark.slow
def test_a_killed_stack_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(os.environ.get("SADDLEPOINT_KILL_SEED", "20261124"))
    print(f"SADDLEPOINT_KILL_SEED={seed}")
    draws = random.Random(seed)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    unbroken = Command(("train", *STACK, *LENGTH, "--out", "unbroken"), here)
    assert unbroken.code() == 0, unbroken.errors
    kills = runs = 0
    begun = time.monotonic()
    while kills < KILLS:
        run = here / f"run{runs}"
        kills += killed_until_done(run, here, draws)
        assert same(here / "unbroken", run)
        runs += 1
    print(f"{kills} kills, {runs} runs, {time.monotonic() - begun:.0f} s")
    state = read_checkpoint(here / "unbroken").state
    assert [ended["replica"] for ended in state["diverged"]] == [2, 3]
    told = [json.loads(line) for line in (here / "run0" / "events.jsonl").read_text().splitlines()]
    assert [event["replica"] for event in told if event["event"] == "replica diverged"] == [2, 3]
