"""Train many replicas: in this process where one game holds them, else part by part in worker processes."""

import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.errors import Diverged, InputError, Interrupted
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.sections import Replicas
from saddlepoint.training import loop
from saddlepoint.training.checkpoints import updates_at_hand
from saddlepoint.training.folder import Folder, add_session, new_folder, open_folder, resume_command, stored_recipe, write_recipe
from saddlepoint.training.loop import Nobody, Observer
from saddlepoint.training.parts import FOLDER, Part, Plan, parts_of, plan

# glibc keeps what it freed, so that a step of many small tensors does not ask the kernel for pages again and again.
KEEPS_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**62),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def train(recipe: Recipe, out: Path, observer: Observer | None = None, processes: Processes = ALONE) -> Path:
    """Train a recipe into the new folder `out`, whether it is one run or many replicas; the folder.

    Raises:
        InputError, Diverged, Interrupted: as `loop.train`; `Diverged` when every replica has.
    """
    if not recipe.replicated or processes.world > 1:
        return loop.train(recipe, out, observer, processes)
    observer = observer or Nobody()
    loop.refuse_place(recipe, out)
    source = recipe.data.open(observer.reading)
    spread = plan(recipe, source)
    recipe = recipe.model_copy(update={"replicas": Replicas(chunk=spread.chunk, processes=recipe.replicas.processes)})
    if len(spread.parts) == 1:
        return loop.train(recipe, out, observer)
    with new_folder(out) as folder:
        add_session(folder, source, first=0, threads=1, device="cpu")
        write_recipe(folder, recipe)
        observer.started(out, recipe, source, 0)
        observer.said(spread.told(recipe))
        _train_parts(recipe, folder, spread, observer, updates=None)
    return out


def resume(run: Path, updates: int | None = None, observer: Observer | None = None, processes: Processes = ALONE) -> Path:
    """Go on with a run, whether it is one or many replicas; see `loop.resume`."""
    folder = open_folder(run)
    recipe = stored_recipe(folder)
    if not recipe.replicated or not divided(run) or processes.world > 1:
        return loop.resume(run, updates, observer, processes)
    observer = observer or Nobody()
    if updates is not None:
        recipe = loop.grown(recipe, updates)
    chunk = recipe.replicas.chunk
    if not isinstance(chunk, int):
        raise InputError([f"{folder.recipe}: replicas.chunk: {chunk}; put back the number that the run began with"])
    parts = parts_of(recipe.replica_count, chunk)
    _refuse_changes(recipe, folder, parts)
    source = recipe.data.open(observer.reading)
    workers = plan(recipe, source).processes
    done = _seen(folder, parts)
    add_session(folder, source, first=min(done.values()), threads=1, device="cpu")
    write_recipe(folder, recipe)
    observer.started(run, recipe, source, min(done.values()))
    _train_parts(recipe, folder, Plan(parts, workers), observer, updates=updates)
    return run


def divided(run: Path) -> bool:
    """Whether a run's replicas lie in parts."""
    return (run / FOLDER).is_dir()


def part_folders(run: Path) -> list[Path]:
    """The folders of a divided run's parts, in the order of the replicas."""
    return sorted(path for path in (run / FOLDER).iterdir() if path.is_dir() and path.name.replace("-", "").isdecimal())


def _refuse_changes(recipe: Recipe, folder: Folder, parts: Sequence[Part]) -> None:
    """Raise `InputError` naming every field in which a part was trained with another recipe."""
    changed: dict[str, None] = {}
    for part in parts:
        place = folder.path / FOLDER / part.name
        if (place / "recipe.yaml").is_file():
            known = stored_recipe(Folder(place))
            expected = recipe.part(part.start, part.stop)
            changed |= dict.fromkeys(name for name in known.differences(expected) if name != "schedule.updates")
            if recipe.schedule.updates < known.schedule.updates:
                changed |= {"schedule.updates": None}
    if changed:
        cure = "put it back, or start another run"
        raise InputError([f"{name}: differs from what the run was trained with; {cure}" for name in changed])


def _seen(folder: Folder, parts: Iterable[Part]) -> dict[Part, int]:
    """The update of each part's newest checkpoint."""
    return {part: next(iter(updates_at_hand(folder.path / FOLDER / part.name)[-1:]), 0) for part in parts}


def end_of(run: Path) -> str | None:
    """How a run ended, by the last line of its log: `done` or `diverged`; None where it has not."""
    event = _last_event(run)
    return event["event"] if event.get("event") in ("done", "diverged") else None


def _last_event(run: Path) -> dict[str, Any]:
    try:
        *_, line = (run / "events.jsonl").read_bytes().splitlines()
        event = json.loads(line)
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _over(part: Path, last: int) -> bool:
    """Whether a part came to its end: trained to update `last`, or diverged."""
    event = _last_event(part)
    done = event.get("event") == "done" and (event.get("update", 0) >= last or "stopped_by" in event)
    return bool(event.get("event") == "diverged" or done)


def _train_parts(recipe: Recipe, folder: Folder, spread: Plan, observer: Observer, updates: int | None) -> None:
    done = _seen(folder, spread.parts)
    last = recipe.schedule.updates
    fleet = Fleet(recipe, folder, observer, done, updates)
    with loop.stopping() as stopped:
        fleet.play([part for part in spread.parts if not _over(folder.path / FOLDER / part.name, last)], spread.processes, stopped)
    ends = [_last_event(folder.path / FOLDER / part.name) for part in spread.parts]
    if all(end.get("event") == "diverged" for end in ends):
        raise Diverged(ends[0]["term"], ends[0]["update"])


@dataclass
class Worker:
    """A process, and the part it trains."""

    process: "subprocess.Popen[str]"
    part: Part | None = None
    reader: threading.Thread | None = None


Report = tuple[Worker, Mapping[str, Any] | None]


@dataclass
class Fleet:
    """Workers that train the parts of a run; what they tell is told on to one observer.

    Args:
        at: the update that each part has reached.
    """

    recipe: Recipe
    folder: Folder
    observer: Observer
    at: dict[Part, int]
    updates: int | None
    stopping: bool = False
    _latest: dict[Part, Mapping[str, Any]] = field(default_factory=dict)
    _told: int = 0

    def play(self, parts: Sequence[Part], processes: int, stopped: "loop.Stopped") -> None:
        """Train all parts; on a signal every worker writes a checkpoint and stops.

        Raises:
            Interrupted: a signal asked to stop.
            InputError: a part was refused, or a worker was lost; the others wrote a checkpoint first.
        """
        waiting = list(parts)
        reports: queue.Queue[Report] = queue.Queue()
        workers = [self._hired(reports) for _ in range(min(processes, len(waiting)))]
        problems: list[str] = []
        try:
            while any(worker.process.returncode is None for worker in workers):
                if (stopped() or problems) and not self.stopping:
                    self.stopping = True
                    waiting.clear()
                    for worker in workers:
                        _ask_to_stop(worker)
                try:
                    worker, report = reports.get(timeout=0.2)
                except queue.Empty:
                    continue
                if report is None:
                    problems += self._lost(worker, bool(waiting) and not any(other.process.poll() is None for other in workers))
                elif report["what"] in ("ready", "done", "diverged", "interrupted", "refused"):
                    problems += self._finished(worker, report)
                    self._employ(worker, waiting)
                else:
                    self._heard(worker, report)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        if stopped() and self._update() < self.recipe.schedule.updates:
            raise Interrupted(self._update())

    def _hired(self, reports: "queue.Queue[Report]") -> Worker:
        keeps = KEEPS_MEMORY if self.recipe.networks.stacks else {}
        environment = {**os.environ, **ONE_THREAD, **keeps}
        process = subprocess.Popen(
            [sys.executable, "-m", "saddlepoint.training.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            # Ctrl-C is for the parent, which asks each worker once.
            start_new_session=True,
        )
        worker = Worker(process)
        worker.reader = threading.Thread(target=_read, args=(worker, reports), daemon=True)
        worker.reader.start()
        return worker

    def _employ(self, worker: Worker, waiting: list[Part]) -> None:
        """Give the worker its next part, or let it go."""
        worker.part = waiting.pop(0) if waiting else None
        order = "\n" if worker.part is None else json.dumps(self._order(worker.part)) + "\n"
        assert worker.process.stdin is not None
        with suppress(OSError):
            worker.process.stdin.write(order)
            worker.process.stdin.flush()

    def _order(self, part: Part) -> dict[str, Any]:
        place = self.folder.path / FOLDER / part.name
        begun = (place / "recipe.yaml").is_file() and (place / "environment.json").is_file()
        recipe = None if begun else self.recipe.part(part.start, part.stop).to_mapping()
        return {"folder": str(place), "resume": begun, "updates": self.updates if begun else None, "recipe": recipe}

    def _heard(self, worker: Worker, report: Mapping[str, Any]) -> None:
        assert worker.part is not None
        if report["what"] == "warned":
            self.observer.warned(report["message"])
            return
        self.at[worker.part] = report["update"]
        if report["what"] == "logged":
            self._latest[worker.part] = report
            rate = sum(latest["rate"] for part, latest in self._latest.items() if self.at[part] < self.recipe.schedule.updates)
            values = _medians([latest["values"] for latest in self._latest.values()])
            self.observer.logged(self._update(), values, rate or report["rate"])
        if self._update() > self._told:
            self._told = self._update()
            self.observer.updated(self._told)

    def _finished(self, worker: Worker, report: Mapping[str, Any]) -> list[str]:
        part = worker.part
        if part is None:
            return []
        if report["what"] == "diverged":
            self.at[part] = self.recipe.schedule.updates
            self.observer.warned(f"replicas {part.name}: diverged: {Diverged(report['term'], report['update'])}")
        if report["what"] == "done":
            self.at[part] = self.recipe.schedule.updates
        whole = resume_command(self.folder.path)
        if report["what"] == "interrupted" and not self.stopping:
            what = f"process {worker.process.pid} that trained replicas {part.name} was asked to stop"
            return [f"{self.folder.path}: {what}; the others stop too; `{whole}` goes on"]
        # A part is no run that a person knows of.
        known = resume_command(self.folder.path / FOLDER / part.name)
        return [problem.replace(known, whole) for problem in report.get("problems", [])]

    def _lost(self, worker: Worker, needed: bool) -> list[str]:
        """A worker's reports have ended: well, when it had nothing left to do and nobody waits for it."""
        code = worker.process.wait()
        asked = self.stopping and code == -signal.SIGTERM
        if asked or (worker.part is None and not needed):
            return []
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        of = f" that trained replicas {worker.part.name}" if worker.part is not None else ""
        then = f"the others stop too; `{resume_command(self.folder.path)}` goes on"
        return [f"{self.folder.path}: process {worker.process.pid}{of} ended ({how}); {then}"]

    def _update(self) -> int:
        """The mean update over replicas."""
        replicas = sum(part.size for part in self.at)
        return sum(part.size * update for part, update in self.at.items()) // replicas


def _read(worker: Worker, reports: "queue.Queue[Report]") -> None:
    assert worker.process.stdout is not None
    for line in worker.process.stdout:
        with suppress(ValueError):
            reports.put((worker, json.loads(line)))
    reports.put((worker, None))


def _ask_to_stop(worker: Worker) -> None:
    if worker.process.returncode is None:
        if worker.part is None:
            worker.process.kill()
        else:
            worker.process.send_signal(signal.SIGTERM)


def _medians(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in values for name in one)
    return {name: statistics.median(one[name] for one in values if name in one) for name in names}
