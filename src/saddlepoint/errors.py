"""The ways a run ends that are not our fault: what the user can mend, divergence, a signal, a process that is gone."""

from collections.abc import Sequence


class InputError(Exception):
    """Something the user gave is wrong. Each problem is one line: where, what came, what would be right.

    The command line prints the lines and leaves with exit code 2; a program catches the exception and reads `problems`.

    >>> InputError(["optimizers.generator.lr: -1 is not a rate; give a number above 0"]).problems
    ('optimizers.generator.lr: -1 is not a rate; give a number above 0',)
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Diverged(Exception):
    """A loss or a gradient stopped being finite. A result of the method, not an error of the program (exit code 3)."""

    def __init__(self, term: str, update: int) -> None:
        super().__init__(f"{term} is not finite at update {update}")
        self.term = term
        self.update = update


class Interrupted(Exception):
    """The user asked the run to stop (Ctrl-C, SIGTERM); a checkpoint of the last whole update was written (exit code 130)."""

    def __init__(self, update: int) -> None:
        super().__init__(f"stopped at update {update}")
        self.update = update


class Gone(Exception):
    """A process of the group does not answer any more."""


class Elsewhere(Exception):
    """The run of a group of processes ends for a reason that another of them tells (exit code 0 here)."""
