"""A run of many seeds in several processes: any of them may be killed, and Ctrl-C stops all; nothing is lost."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from saddlepoint.training.checkpoints import updates_at_hand
from tests.cli.command_line import saddlepoint
from tests.faults.processes import Command
from tests.faults.unbroken import same

UPDATES = 1200
GAME = ("networks.width=4", "batch=4", "average.decay=.9", "discriminator_steps=2", "eta=[.01,.5]", "seeds=0..3")
RUN = ("train", "wegan", *GAME, f"updates={UPDATES}", "log.every=100", "samples.every=1200", "checkpoints.every=50")
SPREAD = ("replicas.chunk=4", "replicas.processes=2")
PARTS = ("0000-0003", "0004-0007")
KILLS = 3
SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stops."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = saddlepoint(*RUN, *SPREAD, "--out", str(out))
    assert done.code == 0, done.err
    return out


def reached(run: Path) -> int:
    """Updates in the newest checkpoints of both parts, together."""
    return sum(max(updates_at_hand(run / "parts" / part), default=0) for part in PARTS)


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked yet how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def ended_soon(pids: list[int]) -> bool:
    end = time.monotonic() + SOON_SECONDS
    while time.monotonic() < end:
        if all(gone(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def all_the_same(whole: Path, run: Path) -> bool:
    return all(same(whole / "parts" / part, run / "parts" / part) for part in PARTS)


@pytest.mark.slow
def test_any_process_may_be_killed_at_any_moment(here: Path, whole: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"kills from seed {seed}")
    draw = random.Random(seed)
    words: tuple[str, ...] = (*RUN, *SPREAD, "--out", "run")
    for _ in range(KILLS):
        if reached(Path("run")) > UPDATES:
            # Near its end it could come to it before the kill: it ends well, and another takes its place.
            assert saddlepoint("resume", "run").code == 0
            assert all_the_same(whole, Path("run"))
            shutil.rmtree("run")
            words = (*RUN, *SPREAD, "--out", "run")
        command = Command(words, here)
        parent, before = command.process.pid, reached(Path("run"))
        assert parent is not None
        command.wait_for(lambda before=before: reached(Path("run")) > before)  # type: ignore[misc]
        time.sleep(draw.uniform(0, 0.2))
        workers = workers_of(parent)
        victim = draw.choice([parent, *workers])
        how = signal.SIGKILL if victim == parent else draw.choice([signal.SIGKILL, signal.SIGTERM])
        os.kill(victim, how)
        code = command.code()
        assert ended_soon(workers), "a worker outlived its parent"
        if victim == parent:
            assert code == -signal.SIGKILL
        elif code == 0:
            # Its part was over: nobody needed it any more.
            assert reached(Path("run")) == len(PARTS) * UPDATES
        else:
            assert code == 2, command.errors
            (line,) = command.errors.splitlines()
            assert f"process {victim} that trained replicas" in line
            assert ("SIGKILL" if how == signal.SIGKILL else "was asked to stop") in line
            assert "`saddlepoint resume run` goes on" in line
        words = ("resume", "run")
    assert saddlepoint("resume", "run").code == 0
    assert all_the_same(whole, Path("run"))


def test_a_stopped_run_of_many_goes_on(here: Path, whole: Path) -> None:
    command = Command((*RUN, *SPREAD, "--out", "run"), here)
    command.wait_for(lambda: reached(Path("run")) > 0)
    command.signal(signal.SIGINT)
    assert command.code() == 130, command.errors
    stopped, go_on = command.errors.splitlines()
    assert stopped.startswith("stopped at update ")
    assert go_on == "go on with: saddlepoint resume run"
    assert reached(Path("run")) < len(PARTS) * UPDATES
    done = saddlepoint("resume", "run")
    assert done.code == 0, done.err
    assert all_the_same(whole, Path("run"))


def test_a_changed_recipe_of_many_is_refused_by_the_fields_name(here: Path, whole: Path) -> None:
    recipe = whole / "recipe.yaml"
    kept = recipe.read_text()
    try:
        recipe.write_text(kept.replace("0.01, 0.5", "0.01, 0.6"))
        done = saddlepoint("resume", str(whole))
    finally:
        recipe.write_text(kept)
    assert done.code == 2
    assert "vary.fields.weightings.generator.eta" in done.err
    assert "Traceback" not in done.err
