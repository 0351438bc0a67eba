"""Who watches an evaluation: told of each stage, how far it is, and what is worth a line."""

from typing import Protocol


class Watch(Protocol):
    """A terminal, a notebook, nobody."""

    def stage(self, what: str, total: int) -> None:
        """A stage begins that has `total` steps; it ends when the next one begins."""
        ...

    def advanced(self, steps: int) -> None: ...

    def said(self, line: str) -> None:
        """Something to know before it is over, such as what a measure will cost."""
        ...


class Once:
    """Tells another watch everything, but each line only the first time."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lines: set[str] = set()

    def stage(self, what: str, total: int) -> None:
        self._watch.stage(what, total)

    def advanced(self, steps: int) -> None:
        self._watch.advanced(steps)

    def said(self, line: str) -> None:
        # A line says how long something takes, which differs from time to time.
        name = line.partition(":")[0]
        if name not in self._lines:
            self._lines.add(name)
            self._watch.said(line)


class Unwatched:
    """Looks away."""

    def stage(self, what: str, total: int) -> None: ...
    def advanced(self, steps: int) -> None: ...
    def said(self, line: str) -> None: ...
