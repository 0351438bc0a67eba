"""For every test: one thread a process, since the suite runs on as many processes as there are cores."""

import os

import pytest
import torch

from tests.mutants.machine import ROW, table

os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of mutants, whichever processes examined them."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", "") == "call"]
    rows = [row for report in reports for name, row in report.user_properties if name == ROW]
    if rows:
        terminalreporter.section("methods as they are, switched off and flipped")
        terminalreporter.write_line(table(sorted(rows)))
