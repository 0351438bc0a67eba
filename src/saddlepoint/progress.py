"""What a terminal shows while a run trains: a live line, or plain lines where there is no terminal."""

import time
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from saddlepoint.data.source import Source
from saddlepoint.recipe import Recipe

PLAIN_SECONDS = 10.0
SOON_SECONDS = 2.0
SHOWN = ("discriminator/loss", "generator/loss")


class Screen(Console):
    """A console whose reader may leave: training goes on without it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Gauge:
    """Watches an evaluation: a bar a stage with its time left; without a terminal, a line for a stage that lasts two seconds.

    Args:
        console: where to draw; a quiet one shows nothing.
        beside: bars that are drawn on it already, among which its own is one.
        fields: of its bar, as those need them.
    """

    def __init__(self, console: Console, beside: Progress | None = None, **fields: Any) -> None:
        self._console = console
        self._fields = fields
        self._progress = beside or Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
            refresh_per_second=5,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._total = self._done = 0
        self._stage = self._printed = time.perf_counter()
        self._later = Timer(0, self.stop)

    def stage(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._stage = time.perf_counter()
        self._progress.start()
        self.over()
        self._task = self._progress.add_task(escape(what), total=total or None, **self._fields)
        if not self._console.is_terminal and not self._console.quiet:
            self._later = Timer(SOON_SECONDS, self._line)
            self._later.daemon = True
            self._later.start()

    def advanced(self, steps: int) -> None:
        self._done += steps
        if self._task is not None:
            self._progress.advance(self._task, steps)
        if self._stage < self._printed < time.perf_counter() - PLAIN_SECONDS:
            self._line()

    def said(self, line: str) -> None:
        try:
            self._console.print(escape(line), highlight=False, emoji=False, soft_wrap=True)
        except OSError:
            # A full disk under a redirected output is no reason to stop.
            self._console.quiet = True

    def over(self) -> None:
        """The last stage is over, and no other begins."""
        self._later.cancel()
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._later.cancel()
        self._progress.stop()

    def _line(self) -> None:
        # A stage that lasts is told, without a terminal, in lines.
        self._printed = now = time.perf_counter()
        left = max(0, self._total - self._done) * (now - self._stage) / max(1, self._done)
        self.said(f"{self._what}: {self._done}/{self._total}  {left:.0f} s left" if self._done else f"{self._what} …")


class Terminal:
    """An observer that draws a live line with rate, time left and losses; or, without a terminal, one line every ten seconds.

    Args:
        console: where to draw; a quiet one shows nothing.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left {task.fields[losses]}"),
            console=console,
            disable=not console.is_terminal or console.quiet,
            refresh_per_second=5,
        )
        self._task: TaskID | None = None
        self._reading: TaskID | None = None
        self._total = 0
        # Whose losses are shown.
        self._of = ""
        self._first = 0
        self._begun = 0.0
        self._printed = 0.0
        self._gauge = Gauge(console, self._progress, rate="", losses="")

    def watching(self) -> Gauge:
        return self._gauge

    def reading(self, done: int, total: int) -> None:
        if self._reading is None:
            self._progress.start()
            self._reading = self._progress.add_task("reading images", total=total, rate="", losses="")
        self._progress.update(self._reading, completed=done, total=total)

    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None:
        self._gauge.over()
        if self._reading is not None:
            self._progress.remove_task(self._reading)
        for line in source.describe():
            self._print(escape(line), style="dim")
        if first >= recipe.schedule.updates:
            self._print(f"{escape(str(folder))} is at its end, update {first}; updates=N goes on to a larger N")
            return
        going_on = f" from update {first}" if first else ""
        last = recipe.schedule.updates
        self._of = " (medians)" if recipe.replicated else ""
        many = f" {recipe.replica_count} replicas" if recipe.replicated else ""
        self._print(f"training{many}{going_on} to update {last} on {escape(source.name)} into [bold]{escape(str(folder))}[/]")
        self._total, self._first, self._begun = recipe.schedule.updates, first, time.perf_counter()
        self._printed = self._begun
        self._progress.start()
        self._task = self._progress.add_task("updates", total=self._total, completed=first, rate="", losses="")

    def updated(self, update: int) -> None:
        self._gauge.over()
        if self._task is not None and self._console.is_terminal:
            self._progress.update(self._task, completed=update)

    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None:
        losses = {name.split("/")[0]: f"{values[name]:.3g}" for name in SHOWN if name in values}
        rate = f"{images_per_second:,.0f} images/s"
        if self._console.is_terminal:
            if self._task is not None:
                # So short that 80 columns hold it.
                short = "  ".join(f"{player[0].upper()} {loss}" for player, loss in losses.items())
                self._progress.update(self._task, completed=update, rate=rate, losses=short)
            return
        now = time.perf_counter()
        if now - self._printed >= PLAIN_SECONDS or update == self._total:
            self._printed = now
            shown = "  ".join(f"{player} {loss}" for player, loss in losses.items())
            left = (self._total - update) * (now - self._begun) / max(1, update - self._first)
            self._print(f"update {update}/{self._total}  {rate}  {left:.0f} s left  {shown}{self._of}")

    def warned(self, message: str) -> None:
        self._print(f"warning: {escape(message)}", style="yellow")

    def said(self, line: str) -> None:
        self._print(escape(line), style="dim")

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._gauge.stop()

    def _print(self, text: str, **style: Any) -> None:
        try:
            self._console.print(text, highlight=False, emoji=False, soft_wrap=True, **style)
        except OSError:
            # A full disk under a redirected output is no reason to stop training.
            self._console.quiet = True
