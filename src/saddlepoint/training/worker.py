"""A process that trains parts of a run: `python -m saddlepoint.training.worker`, told what to do by its parent.

Orders come as lines of JSON on standard input, what happens goes as lines of JSON to standard output. When standard input ends
the parent is gone, and so is the worker, at once: a part is whole at every moment, as after SIGKILL.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from saddlepoint.data.source import Source
from saddlepoint.errors import Diverged, InputError, Interrupted
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.recipe import Recipe
from saddlepoint.training import loop

PARENT_GONE = 70


class Reporter:
    """Tells the parent how a part goes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def tell(self, what: str, **fields: Any) -> None:
        self._stream.write(json.dumps({"what": what, **fields}) + "\n")
        self._stream.flush()

    def reading(self, done: int, total: int) -> None: ...
    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None:
        self.tell("started", update=first)

    def updated(self, update: int) -> None:
        if update % 10 == 0:
            self.tell("updated", update=update)

    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None:
        self.tell("logged", update=update, values=values, rate=images_per_second)

    def warned(self, message: str) -> None:
        self.tell("warned", message=message)

    def said(self, line: str) -> None: ...

    def watching(self) -> Watch:
        return Unwatched()


def main() -> None:
    """Train one part after another, until there are no more orders."""
    reporter = Reporter(os.fdopen(os.dup(sys.stdout.fileno()), "w"))
    # Whatever else prints must not stand among the reports.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    reporter.tell("ready")
    while order := orders.get():
        _obey(json.loads(order), reporter)


def _listen(orders: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        if not line.strip():
            orders.put("")
            return
        orders.put(line)
    os._exit(PARENT_GONE)


def _obey(order: Mapping[str, Any], reporter: Reporter) -> None:
    folder = Path(order["folder"])
    try:
        if order["resume"]:
            loop.resume(folder, order["updates"], reporter)
        else:
            loop.train(Recipe.from_mapping(order["recipe"]), folder, reporter)
    except Diverged as outcome:
        reporter.tell("diverged", term=outcome.term, update=outcome.update)
    except Interrupted as outcome:
        reporter.tell("interrupted", update=outcome.update)
    except InputError as error:
        reporter.tell("refused", problems=list(error.problems))
    else:
        reporter.tell("done")


if __name__ == "__main__":
    main()
