"""Real processes, killed with SIGKILL at random moments, end with the bits of a run that was never stopped."""

import os
from pathlib import Path

import pytest
from benchmarks.killing import endure

KILLS, INSIDE = 20, 8


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits(tmp_path: Path) -> None:
    seed = int(os.environ.get("SADDLEPOINT_KILL_SEED", "20261124"))
    print(f"SADDLEPOINT_KILL_SEED={seed}")
    tally = endure(KILLS, INSIDE, seed, tmp_path)
    print(f"{tally.kills} kills, {tally.inside} while a checkpoint was written, {tally.runs} runs")
    assert tally.kills >= KILLS
    assert tally.inside >= INSIDE
    assert tally.wrong == []
