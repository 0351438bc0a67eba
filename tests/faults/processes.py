"""Commands in processes of their own, which can be signalled, limited, and given any output."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from saddlepoint.cli import main

# Processes are forked from one that has imported torch: they start at once, and their signals and limits are their own.
CONTEXT = multiprocessing.get_context("forkserver")
# Nothing of `tests` is imported before the fork: Python 3.11's fork server does not know pytest's path, and dependencies install a
# package of that name too.
CONTEXT.set_forkserver_preload(["saddlepoint.cli", "saddlepoint.run", "saddlepoint.sampling", "sklearn.datasets"])
PATIENCE_SECONDS = 120.0


@dataclass
class Command:
    """`saddlepoint WORDS` in a process.

    Args:
        out: where standard output goes: a terminal, a pipe by name; else to `output`.
        memory: bytes of address space it may have beyond what it has at its start.
        file_bytes: the largest file it may write.
    """

    words: tuple[str, ...]
    folder: Path
    out: Path | None = None
    memory: int | None = None
    file_bytes: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._texts = self.folder.parent / f"output {time.monotonic_ns()}"
        self._texts.mkdir()
        out = self.out or self._texts / "out"
        arguments = (self.words, self.folder, out, self._texts / "err", self.memory, self.file_bytes, dict(self.environment))
        self.process = CONTEXT.Process(target=_live, args=arguments)
        self.process.start()

    def wait_for(self, there: Callable[[], bool]) -> None:
        """Until something is there, such as a checkpoint."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not there():
            assert self.process.is_alive(), f"ended with {self.process.exitcode}: {self.errors}"
            assert time.monotonic() < end, "nothing came"
            time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def code(self) -> int:
        """The exit code, once it has ended; minus the signal's number when a signal ended it."""
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    @property
    def output(self) -> str:
        return (self._texts / "out").read_text()

    @property
    def errors(self) -> str:
        return (self._texts / "err").read_text()


def _live(
    words: tuple[str, ...],
    folder: Path,
    out: Path,
    err: Path,
    memory: int | None,
    file_bytes: int | None,
    environment: Mapping[str, str],
) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    sys.argv = ["saddlepoint", *words]
    main()
