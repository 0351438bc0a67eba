"""Two or more ways of the same work, in turn, in one run: medians of rounds with their spread, and ratios within a round."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Case = Callable[[], float]


@dataclass(frozen=True)
class Result:
    """Seconds of every case by round."""

    seconds: Mapping[str, Sequence[float]]

    def ratio(self, slow: str, fast: str) -> tuple[float, float, float]:
        """How many times faster `fast` is than `slow`: smallest, median and largest over rounds."""
        ratios = sorted(a / b for a, b in zip(self.seconds[slow], self.seconds[fast], strict=True))
        return ratios[0], statistics.median(ratios), ratios[-1]


def race(cases: Mapping[str, Case], rounds: int) -> Result:
    """Run every case once a round, in turn. A case returns the seconds that count."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            seconds[name].append(case())
    return Result(seconds)


def timed(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> str:
    """The machine and what ran on it."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def show(title: str, result: Result, unit: int, what: str) -> None:
    """Print a table: the median time of one `what`, of which a case did `unit`."""
    print(f"\n{title}")
    for name, seconds in result.seconds.items():
        each = sorted(1e3 * value / unit for value in seconds)
        print(f"  {name:<34} {statistics.median(each):9.3f} ms a {what}   ({each[0]:.3f} to {each[-1]:.3f}, {len(each)} rounds)")


def verdict(goal: str, result: Result, slow: str, fast: str, least: float) -> bool:
    """Print a ratio beside its goal; whether the median reaches it."""
    low, median, high = result.ratio(slow, fast)
    reached = median >= least
    print(f"  {goal}: {median:.2f} x ({low:.2f} to {high:.2f}), goal {least:.2f} x: {'reached' if reached else 'MISSED'}")
    return reached
