"""Two processes that share each batch of a DCGAN, one thread each, against one process with two threads.

    python -m benchmarks.processes

Both are the product as a user starts it; what counts is the time between log entries, by the run's own clock.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.race import machine, race, show, verdict
from benchmarks.replicas import rate_of
from benchmarks.training import DCGAN

ROUNDS = 5
WARM, UPDATES = 10, 60


def trained(*launcher: str) -> float:
    """Seconds of an update."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = DCGAN | {"log": {"every": 10}, "samples": {"every": 10_000}}
        recipe["schedule"] = {**DCGAN["schedule"], "updates": UPDATES}
        path = Path(folder) / "dcgan.yaml"
        path.write_text(yaml.safe_dump(recipe))
        run = Path(folder) / "run"
        command = [sys.executable, "-m", *launcher, "saddlepoint", "train", str(path), "--out", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return 1 / rate_of(run, WARM)


def main() -> None:
    """Race them; exit code 1 when the goal is missed."""
    print(machine())
    cases = {
        "one process, two threads": lambda: trained(),
        "two processes": lambda: trained("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"),
    }
    result = race(cases, ROUNDS)
    show("DCGAN, 32 px, width 64, batch 64", result, 1, "update")
    reached = verdict("two processes against one", result, "one process, two threads", "two processes", 1.2)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
