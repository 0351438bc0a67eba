"""Where the time of an update goes, by operation, for a DCGAN at 32 px and for the game of points.

python -m benchmarks.profile
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.race import machine
from benchmarks.training import DCGAN, POINTS
from saddlepoint.recipe import load
from saddlepoint.training.assembly import choose_threads
from saddlepoint.training.session import Session

ROWS = 10


def profiled(name: str, fields: Mapping[str, Any], updates: int) -> None:
    """Print the operations that take most of an update, with their share."""
    recipe = load(dict(fields))
    session = Session(recipe, recipe.data.open())
    torch.set_num_threads(choose_threads(recipe, session.source))
    for _ in range(3):
        session.trainer.update()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(updates):
            session.trainer.update()
    operations = sorted(seen.key_averages(), key=lambda operation: -operation.self_cpu_time_total)
    total = sum(operation.self_cpu_time_total for operation in operations)
    print(f"\n{name}: {total / 1e3 / updates:.2f} ms an update in operations")
    for operation in operations[:ROWS]:
        print(f"  {operation.self_cpu_time_total / total:6.1%}  {operation.count / updates:7.1f} calls  {operation.key}")


def main() -> None:
    """Print both tables."""
    print(machine())
    profiled("DCGAN, Fashion-MNIST at 32 px, width 64, batch 64", DCGAN, 10)
    profiled("8 Gaussians, 2-32-32, batch 64", POINTS, 300)


if __name__ == "__main__":
    main()
