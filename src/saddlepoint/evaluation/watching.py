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


class Unwatched:
    """Looks away."""

    def stage(self, what: str, total: int) -> None: ...
    def advanced(self, steps: int) -> None: ...
    def said(self, line: str) -> None: ...
