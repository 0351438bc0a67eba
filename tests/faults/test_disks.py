"""The scenarios of `disk_scenarios`, on disks mounted in a namespace of our own; never skipped."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import disk_scenarios
from tests.faults.disks import MOUNTED, namespaces


def scenarios_passed(tmp_path: Path, *before: str, **environment: str) -> None:
    """Run them with pytest, behind the words `before`; all of them pass."""
    number = len([name for name in vars(disk_scenarios) if name.startswith("test_")])
    assert number == 9
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner"), str(disk_scenarios.__file__)]
    done = subprocess.run(
        [*before, sys.executable, *words],
        env=os.environ | environment,
        cwd=Path(disk_scenarios.__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == number


def test_on_mounted_disks_or_else_under_limits(tmp_path: Path) -> None:
    if namespaces():
        scenarios_passed(tmp_path, "unshare", "-rm", **{MOUNTED: "yes"})
    else:
        scenarios_passed(tmp_path)


@pytest.mark.slow
def test_under_limits(tmp_path: Path) -> None:
    """What runs where namespaces are refused is tried here too, so that it does not rot."""
    scenarios_passed(tmp_path)
