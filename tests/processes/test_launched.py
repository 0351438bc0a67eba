"""Commands started as a group: one writes, one tells, all stop together, and any may be killed."""

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import saddlepoint as saddlepoint_package
from saddlepoint.training.checkpoints import read_checkpoint, updates_at_hand
from tests.cli.command_line import DIGITS, POINTS, refused, saddlepoint
from tests.faults.conftest import here
from tests.faults.unbroken import same
from tests.processes.launch import Launch

__all__ = ["here"]

KILLS = 6
TOLD_WITHIN_SECONDS = 30.0
RUN = ("updates=60", "log.every=1", "samples.every=20", "checkpoints.every=4", "checkpoints.keep=3")
GAME = ("normalization.generator=layer", "normalization.discriminator=spectral", "weightings.generator=wegan")
TRAIN = ("train", *DIGITS, *RUN, *GAME)


def events(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [event for event in lines if kind in (None, event["event"])]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing stopped."""
    folder = tmp_path_factory.mktemp("unbroken") / "here"
    folder.mkdir()
    launch = Launch((*TRAIN, "--out", "run"), folder)
    assert launch.codes == [0, 0], launch.errors
    assert launch.errors == []
    assert launch.outputs[1] == "", "the first one tells"
    return folder / "run"


def test_the_first_process_writes_once(unbroken: Path) -> None:
    assert len(events(unbroken, "start")) == 1
    assert [event["update"] for event in events(unbroken, "progress")] == list(range(1, 61))
    assert sorted(path.name for path in (unbroken / "samples").iterdir()) == [
        "000000.png",
        "000020.png",
        "000040.png",
        "000060.png",
    ]
    assert updates_at_hand(unbroken) == [52, 56, 60]
    assert read_checkpoint(unbroken).state["made_under"]["processes"] == 2
    (session,) = json.loads((unbroken / "environment.json").read_text())["sessions"]
    assert session["processes"] == 2
    assert (unbroken / "report.html").is_file()
    assert list(unbroken.rglob("*partial*")) == []


def test_killed_at_random_moments_nothing_is_lost(here: Path, unbroken: Path) -> None:
    seed = int(os.environ.get("SADDLEPOINT_KILL_SEED", "20261124"))
    print(f"SADDLEPOINT_KILL_SEED={seed}")
    draws = random.Random(seed)
    run = Path("run")
    kills: list[int] = []
    while len(kills) < KILLS:
        launch = Launch(("resume", "run") if (run / "recipe.yaml").exists() else (*TRAIN, "--out", "run"), here)
        launch.commands[0].wait_for(lambda launch=launch: launch.joined)  # type: ignore[misc]
        if len(kills) % 2:
            # Some are killed before they begin to play, the others in the middle of it.
            before = max(updates_at_hand(run), default=0)
            launch.commands[0].wait_for(lambda before=before: max(updates_at_hand(run), default=0) > before)  # type: ignore[misc]
        time.sleep(draws.uniform(0.0, 0.5))
        killed = draws.randrange(2)
        launch.commands[killed].signal(signal.SIGKILL)
        killing = time.monotonic()
        codes = launch.codes
        waited = time.monotonic() - killing
        print(f"process {killed} killed, codes {codes} after {waited:.1f} s, checkpoints {updates_at_hand(run)}")
        assert codes[killed] == -signal.SIGKILL, launch.errors
        assert codes[1 - killed] == 2, launch.errors
        assert waited < TOLD_WITHIN_SECONDS
        assert_told(launch, killed)
        kills.append(killed)
    assert set(kills) == {0, 1}
    last = Launch(("resume", "run"), here)
    assert last.codes == [0, 0], last.errors
    assert same(unbroken, run)


def assert_told(launch: Launch, killed: int) -> None:
    """The one that is left says in one line who is gone, and what goes on."""
    # In the first moments torch itself may warn that it waits.
    (line,) = [line for line in launch.errors if not line.startswith("[W")]
    host, pid, _ = launch.members[killed]
    assert line.startswith(f"saddlepoint: process {killed} (host {host}, pid {pid}) of 2 was killed, or its machine is gone; "), (
        line
    )
    assert re.search(r"start(?: them)? again$|torchrun --nproc-per-node 2 -m saddlepoint resume run`$", line), line


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_signal_to_one_stops_all_at_one_update(here: Path, unbroken: Path, rank: int, number: signal.Signals) -> None:
    launch = Launch((*TRAIN, "--out", "run"), here)
    launch.commands[0].wait_for(lambda: bool(updates_at_hand(Path("run"))))
    launch.commands[rank].signal(number)
    assert launch.codes == [130, 0], launch.errors
    stopped, go_on = launch.errors
    last = read_checkpoint(Path("run")).update
    assert stopped == f"stopped at update {last}; a checkpoint is written"
    assert 4 <= last < 60
    assert go_on == "go on with: torchrun --nproc-per-node 2 -m saddlepoint resume run"
    again = Launch(tuple(shlex.split(go_on)[-2:]), here)
    assert again.codes == [0, 0], again.errors
    assert same(unbroken, Path("run"))


def test_another_number_of_processes_goes_on_closely(here: Path) -> None:
    words = ("train", *POINTS, "log.every=1", "precision=float64", "checkpoints.every=10", "penalties.both=wgan-gp")
    assert saddlepoint(*words, "updates=30", "--out", "alone").code == 0
    assert Launch((*words, "updates=10", "--out", "run"), here).codes == [0, 0]
    assert saddlepoint("resume", "run", "updates=20").code == 0
    launch = Launch(("resume", "run", "updates=30"), here, world=4)
    assert launch.codes == [0, 0, 0, 0], launch.errors
    warnings = [event["message"].partition(":")[0] for event in events(Path("run"), "warning")]
    assert warnings == ["processes 2 before, 1 now", "processes 1 before, 4 now"]
    one, other = (read_checkpoint(Path(name)) for name in ("alone", "run"))
    assert one.state["streams"] == other.state["streams"]
    for file, tensors in one.tensors.items():
        for name, tensor in tensors.items():
            assert float((tensor - other.tensors[file][name]).abs().max()) <= 1e-12, (file, name)
    alone, together = ([event["values"]["generator/loss"] for event in events(Path(name), "progress")] for name in ("alone", "run"))
    assert together == pytest.approx(alone, rel=1e-12)


def test_divergence_is_one_outcome(here: Path) -> None:
    launch = Launch(("train", *POINTS, "updates=50", "optimizers.generator.lr=1e30", "--out", "run"), here)
    assert launch.codes == [3, 0], launch.errors
    (line,) = launch.errors
    (event,) = events(Path("run"), "diverged")
    assert line == f"diverged: {event['term']} is not finite at update {event['update']}; there was no checkpoint yet"


REFUSED: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "a batch": (3, POINTS, ("schedule.batch: 8 samples cannot be shared by 3 processes; give 6 or 9, or start others",)),
    "both batches": (
        2,
        (*POINTS, "batch=1", "generator_batch=5"),
        ("schedule.batch: 1 samples cannot be shared by 2 processes; give 2,", "schedule.generator_batch: 5 samples"),
    ),
    "many seeds": (2, (*POINTS, "seeds=0..3"), ("seeds: a run of many seeds uses the machine's cores by itself",)),
    "fewer than asked for": (2, (*POINTS, "--processes", "4"), ("--processes: 4 are asked for, and the launcher started 2",)),
    "an unknown field": (2, (*POINTS, "colour=red"), ("colour",)),
    "a folder that is there": (2, (*POINTS, "--out", "taken"), ("taken: exists already",)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_refused_once(here: Path, what: str) -> None:
    world, words, said = REFUSED[what]
    (here / "taken").mkdir()
    (here / "taken" / "something").touch()
    launch = Launch(("train", "--out", "run", *words), here, world=world)
    assert launch.codes == [2] + [0] * (world - 1), launch.errors
    for line, start in zip(launch.errors, said, strict=True):
        assert line.startswith(f"saddlepoint: {start}"), line
    assert [path.name for path in here.iterdir()] == ["taken"]


def test_processes_without_a_launcher(here: Path) -> None:
    cure = "start them with `torchrun --nproc-per-node 2 -m saddlepoint …`"
    alone = saddlepoint("train", *POINTS, "--processes", "2")
    refused(alone, ("--processes: 2 are asked for, and no launcher started this one", cure))
    assert saddlepoint("train", *POINTS, "updates=1", "--processes", "1", "--out", "run").code == 0
    refused(saddlepoint("resume", "run", "--processes", "3"), "--processes: 3 are asked for")


def test_a_proof_is_for_one_process(here: Path) -> None:
    assert saddlepoint("train", *POINTS, "updates=2", "--out", "run").code == 0
    launch = Launch(("resume", "run", "--prove", "1"), here)
    assert launch.codes == [2, 0]
    (line,) = launch.errors
    assert line.startswith("saddlepoint: --prove:")


@pytest.mark.slow
def test_torchrun_itself(here: Path) -> None:
    """The launcher's own signals do not come in the way of the line, and its exit code is not 0."""
    environment = {**os.environ, "PYTHONPATH": str(Path(saddlepoint_package.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "saddlepoint"]
    words = [*TRAIN, "updates=100000", "--processes", "2", "--out", "run"]
    with (here / "errors").open("w") as errors:
        process = subprocess.Popen([*launcher, *words], stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        end = time.monotonic() + 120
        while not updates_at_hand(Path("run")) and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(workers) == 2
        os.kill(int(workers[1]), signal.SIGKILL)
        killing = time.monotonic()
        assert process.wait(TOLD_WITHIN_SECONDS) != 0
        print(f"down after {time.monotonic() - killing:.1f} s")
    lines = [line for line in (here / "errors").read_text().splitlines() if line.startswith("saddlepoint: ")]
    assert len(lines) == 1, lines
    assert f"pid {workers[1]}) of 2 was killed" in lines[0]
    assert lines[0].endswith("`torchrun --nproc-per-node 2 -m saddlepoint resume run`")
