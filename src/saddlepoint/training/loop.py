"""Train a recipe into a run folder, and go on from one: the loop, its log, its samples, its checkpoints."""

import errno
import math
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from saddlepoint.data.source import Source
from saddlepoint.errors import Diverged, InputError, Interrupted
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.schedules import Cosine, Linear
from saddlepoint.training.assembly import choose_threads, computes_bfloat16, latents_of
from saddlepoint.training.checkpoints import CheckpointWriter, Snapshot, read_checkpoint, updates_at_hand
from saddlepoint.training.events import Events
from saddlepoint.training.folder import (
    Folder,
    add_session,
    new_folder,
    open_folder,
    read_environment,
    refuse_taken,
    resume_command,
    stored_recipe,
    write_recipe,
)
from saddlepoint.training.following import NoCheckpoints, Unwritten
from saddlepoint.training.measuring import Best, Measuring, told_together
from saddlepoint.training.samples import draw_samples
from saddlepoint.training.session import Session

Stopped = Callable[[], bool]


class Observer(Protocol):
    """Who watches a run: a terminal, a notebook, nobody."""

    def reading(self, done: int, total: int) -> None: ...
    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None: ...
    def updated(self, update: int) -> None: ...
    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None: ...
    def warned(self, message: str) -> None: ...
    def said(self, line: str) -> None: ...
    def watching(self) -> Watch:
        """Who is told of the stages of measuring while it trains; an observer without this is told nothing of them."""
        ...


class Nobody:
    """An observer that looks away."""

    def reading(self, done: int, total: int) -> None: ...
    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None: ...
    def updated(self, update: int) -> None: ...
    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None: ...
    def warned(self, message: str) -> None: ...
    def said(self, line: str) -> None: ...
    def watching(self) -> Watch:
        return Unwatched()


def train(recipe: Recipe, out: Path, observer: Observer | None = None, processes: Processes = ALONE) -> Path:
    """Train a recipe from the start into the new folder `out`; the folder.

    Args:
        processes: who play the game together; the first of them writes the folder.

    Raises:
        InputError: the data, the folder or the networks cannot be had as asked; nothing is half-written.
        Diverged: a loss or gradient stopped being finite; the last good checkpoint stays.
        Interrupted: a signal asked to stop; a checkpoint of the last whole update was written.
    """
    observer = observer or Nobody()
    with processes.agreed():
        refuse_processes(recipe, processes)
        refuse_place(recipe, out)
        first_weights = _first_weights(recipe)
        session = _session(recipe, recipe.data.open(observer.reading), processes)
        _warm_start(session, first_weights)
        measuring = _measuring(session, observer)
    if not processes.first:
        _play(session, Folder(out), Unwritten(), observer, measuring)
        return out
    with new_folder(out) as folder:
        _note_session(session, folder)
        write_recipe(folder, recipe)
        with _disk_told(folder), Events(folder.events) as events:
            _play(session, folder, events, observer, measuring, warnings=session.warnings)
    return out


def resume(run: Path, updates: int | None = None, observer: Observer | None = None, processes: Processes = ALONE) -> Path:
    """Go on from the newest checkpoint of a run, to the bits the run would have reached had it never stopped.

    A run that was killed before its first checkpoint starts again.

    Args:
        updates: train up to this many instead; it may only grow.
        processes: who play the game together; the run may have been begun by another number of them.

    Raises:
        InputError: the folder is not a run, its recipe or its data changed, a checkpoint is damaged.
    """
    observer = observer or Nobody()
    folder = open_folder(run)
    with processes.agreed():
        recipe = stored_recipe(folder)
        snapshot = read_checkpoint(run) if updates_at_hand(run) else None
        if snapshot is not None:
            refuse_changes(recipe, snapshot)
        if updates is not None:
            recipe = grown(recipe, updates)
        refuse_processes(recipe, processes)
        first_weights = _first_weights(recipe) if snapshot is None else None
        source = recipe.data.open(observer.reading)
        refuse_other_data(source, read_environment(folder)["data"]["digest"])
        session = _session(recipe, source, processes)
        warnings = list(session.warnings)
        if snapshot is None:
            _warm_start(session, first_weights)
        else:
            session.restore(snapshot)
            warnings += _changes(snapshot.state["made_under"], _made_under(session)) + _ended_rates(recipe)
        measuring = _measuring(session, observer)
        best = _best(snapshot)
    if not processes.first:
        _play(session, folder, Unwritten(), observer, measuring, best=best)
        return run
    with _disk_told(folder), Events(folder.events, _events_bytes(snapshot)) as events:
        write_recipe(folder, recipe)
        _note_session(session, folder)
        _play(session, folder, events, observer, measuring, best=best, seconds=_seconds(snapshot), warnings=warnings)
    return run


def _events_bytes(snapshot: Snapshot | None) -> int:
    return 0 if snapshot is None else int(snapshot.state["events_bytes"])


def _seconds(snapshot: Snapshot | None) -> float:
    return 0.0 if snapshot is None else float(snapshot.state["seconds"])


def _best(snapshot: Snapshot | None) -> Best | None:
    return None if snapshot is None else Best.read(snapshot.state.get("best"))


def _measuring(session: Session, observer: Observer) -> Measuring | None:
    if session.recipe.measures.every is None:
        return None
    watching: Callable[[], Watch] = getattr(observer, "watching", Unwatched)
    with _threads(choose_threads(session.recipe, session.source)), _measures_told():
        return Measuring(session.recipe, session.source, watching(), session.streams.processes)


def replay(run: Path, until: int, observer: Observer | None = None) -> None:
    """Play a copy of a run from its newest checkpoint to the checkpoint of update `until`, and stop there."""
    folder = open_folder(run)
    recipe, snapshot = stored_recipe(folder), read_checkpoint(run)
    refuse_changes(recipe, snapshot)
    source = recipe.data.open()
    refuse_other_data(source, snapshot.state["data"])
    session = _session(recipe, source)
    session.restore(snapshot)
    observer = observer or Nobody()
    measuring = _measuring(session, observer)
    best = _best(snapshot)
    with _disk_told(folder), Events(folder.events, _events_bytes(snapshot)) as events:
        _play(session, folder, events, observer, measuring, best=best, seconds=_seconds(snapshot), until=until)


def refuse_other_data(source: Source, digest: str) -> None:
    """Raise `InputError` when the data is not what the run was trained on."""
    if source.digest != digest:
        raise InputError([f"data: {source.name} is not what the run was trained on (its digest changed); put the files back"])


def refuse_processes(recipe: Recipe, processes: Processes) -> None:
    """Raise `InputError` when a group of processes cannot share the recipe's batches."""
    world = processes.world
    if world == 1:
        return
    sizes = {"batch": recipe.schedule.batch, "generator_batch": recipe.schedule.generator_batch}
    problems = [
        f"schedule.{field}: {size} samples cannot be shared by {world} processes; give {_divided(size, world)}, or start others"
        for field, size in sizes.items()
        if size is not None and size % world
    ]
    if recipe.replicated:
        what = "a run of many seeds uses the machine's cores by itself"
        problems.append(f"seeds: {what}, and this one was started as {world} processes; start it without a launcher")
    if problems:
        raise InputError(problems)


def _divided(size: int, world: int) -> str:
    least = size - size % world
    return f"{least} or {least + world}" if least else str(world)


def _session(recipe: Recipe, source: Source, processes: Processes = ALONE) -> Session:
    with _memory_told(recipe):
        return Session(recipe, source, processes)


def refuse_place(recipe: Recipe, out: Path) -> None:
    """Raise `InputError` when a run cannot be made at `out`: something is there, or the data lie around it."""
    refuse_taken(out)
    folder = dict(recipe.data).get("path")
    if folder is not None and out.resolve().is_relative_to(Path(folder).resolve()):
        what = f"lies in the data's folder {folder}, whose pictures its samples would join"
        raise InputError([f"{out}: {what}; give another place with --out"])


def _first_weights(recipe: Recipe) -> Snapshot | None:
    """The newest checkpoint of the run that the recipe's `from` names."""
    if recipe.warm_start is None:
        return None
    with _named("from"):
        donor = open_folder(Path(recipe.warm_start))
        if stored_recipe(donor).replicated:
            cure = f"`saddlepoint runs {recipe.warm_start} --replica I` opens one, which can be named"
            raise InputError([f"{recipe.warm_start}: has many replicas; {cure}"])
        return read_checkpoint(donor.path)


def _warm_start(session: Session, first_weights: Snapshot | None) -> None:
    """Take another run's weights; one that kept no average starts this one's at its generator."""
    if first_weights is None:
        return
    with _named("from"):
        session.load_weights(
            replace(first_weights, tensors={"average": first_weights.tensors["generator"], **first_weights.tensors})
        )


@contextmanager
def _named(field: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError([f"{field}: {problem}" for problem in error.problems]) from error


@contextmanager
def _measures_told() -> Iterator[None]:
    """What an evaluation calls `n` is a recipe's `measures.n`."""
    try:
        yield
    except InputError as error:
        raise InputError([f"measures.{line}" if line.startswith("n: ") else line for line in error.problems]) from error


def _note_session(session: Session, folder: Folder) -> None:
    threads = choose_threads(session.recipe, session.source)
    first, world = session.trainer.updates, session.streams.processes.world
    add_session(folder, session.source, first=first, threads=threads, device=str(session.device), processes=world)


def refuse_changes(recipe: Recipe, snapshot: Snapshot) -> None:
    """Raise `InputError` naming every field of the stored recipe that differs from the checkpoint's; `updates` may have grown."""
    trained = Recipe.from_mapping(snapshot.state["recipe"])
    changed = [field for field in recipe.differences(trained) if field != "schedule.updates"]
    problems = [f"{field}: differs from what the run was trained with; put it back, or start another run" for field in changed]
    if recipe.schedule.updates < trained.schedule.updates:
        problems.append(f"schedule.updates: {recipe.schedule.updates} is less than the {trained.schedule.updates} asked before")
    if problems:
        raise InputError(problems)


def grown(recipe: Recipe, updates: int) -> Recipe:
    """The recipe with more updates.

    Raises:
        InputError: they are fewer.
    """
    if updates < recipe.schedule.updates:
        raise InputError([f"updates: {updates} is less than the run's {recipe.schedule.updates}; it may only grow"])
    mapping = recipe.to_mapping()
    mapping["schedule"]["updates"] = updates
    return Recipe.from_mapping(mapping)


def _ended_rates(recipe: Recipe) -> list[str]:
    """The learning rates whose schedule ends before the run does, a line each."""
    rates = {f"optimizers.{player}.lr": record.lr for player, record in recipe.optimizers}
    return [
        f"{field}: its schedule ends at update {rate.last} and stays at {rate.end:g} from there on"
        for field, rate in rates.items()
        if isinstance(rate, Linear | Cosine) and rate.last is not None and rate.last < recipe.schedule.updates
    ]


def _made_under(session: Session) -> dict[str, Any]:
    """What the bits of a run depend on, besides its recipe, its data and the machine."""
    threads = choose_threads(session.recipe, session.source)
    world = session.streams.processes.world
    kernels = {"kernels": session.kernels} if session.frozen is not None else {}
    return {"threads": threads, "device": str(session.device), "torch": torch.__version__, "processes": world, **kernels}


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    # A checkpoint that does not say was made by one process.
    before = {"processes": 1, **before}
    changed = [f"{name} {before.get(name)} before, {value} now" for name, value in now.items() if before.get(name) != value]
    return [f"{'; '.join(changed)}: the run goes on closely, but not to the same bits"] if changed else []


def _play(
    session: Session,
    folder: Folder,
    events: Events | Unwritten,
    observer: Observer,
    measuring: Measuring | None,
    *,
    best: Best | None = None,
    seconds: float = 0.0,
    until: int | None = None,
    warnings: Sequence[str] = (),
) -> None:
    recipe, trainer, processes = session.recipe, session.trainer, session.streams.processes
    first, last = trainer.updates, recipe.schedule.updates
    observer.started(folder.path, recipe, session.source, first)
    with (
        _threads(choose_threads(recipe, session.source)),
        stopping() as stopped,
        _memory_told(recipe),
        closing(CheckpointWriter(folder.path, recipe.checkpoints.keep) if processes.first else NoCheckpoints()) as writer,
    ):
        log = _Log(session, folder, events, writer, _Clock(seconds, session.images), observer, measuring, best)
        log.start(first, warnings)
        try:
            while trainer.updates < (until or last) and not trainer.stopped:
                update = trainer.updates + 1
                watched = update % recipe.log.every == 0 or update == last
                records = trainer.update(watched=watched)
                stop = processes.any(stopped())
                final = update == last or trainer.stopped
                log.after(update, records if watched else None, final=final, save=stop or update == until)
                if stop and not final:
                    writer.wait()
                    raise Interrupted(update)
        except Diverged as outcome:
            log.diverged(outcome)
            raise
        writer.wait()
        if trainer.stopped and recipe.stop is not None:
            events.write("done", trainer.updates, stopped_by=recipe.stop.name)
            observer.said(f"stopped after update {trainer.updates} of {last}: {recipe.stop.name}")
        elif trainer.updates == last:
            events.write("done", last)


@contextmanager
def _disk_told(folder: Folder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename if error.filename is not None else folder.path
        then = f"`{resume_command(folder.path)}`" if updates_at_hand(folder.path) else "start again"
        cure = f"make it writable, with room, then {then}"
        raise InputError([f"{where}: cannot be written ({error.strerror}); {cure}"]) from error


@contextmanager
def _memory_told(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _out_of_memory(error):
            raise
        schedule, networks = recipe.schedule, dict(recipe.networks)
        field = "generator_batch" if (schedule.generator_batch or 0) > schedule.batch else "batch"
        narrower = f"networks.{'widths' if networks.get('widths') else 'width'}"
        what = f"{dict(schedule)[field]} samples and these networks do not fit in memory; lower it, or {narrower}"
        raise InputError([f"schedule.{field}: {what}"]) from error


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    known = ("not enough memory", "can't allocate memory", "out of memory", "size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error).lower() for words in known)


class _Clock:
    """Seconds of training, over all sessions, and images a second since the last reading."""

    def __init__(self, seconds: float, images: int) -> None:
        self._start = time.perf_counter() - seconds
        self._last = (time.perf_counter(), images)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def rate(self, images: int) -> float:
        now = time.perf_counter()
        (before, shown), self._last = self._last, (now, images)
        return (images - shown) / max(now - before, 1e-9)


class _Log:
    """What is written after an update: events, samples, checkpoints."""

    def __init__(
        self,
        session: Session,
        folder: Folder,
        events: Events | Unwritten,
        writer: CheckpointWriter | NoCheckpoints,
        clock: _Clock,
        observer: Observer,
        measuring: Measuring | None,
        best: Best | None,
    ) -> None:
        self._session = session
        self._folder = folder
        self._events = events
        self._writer = writer
        self._clock = clock
        self._observer = observer
        self._latents = latents_of(session.recipe)
        self._measuring = measuring
        self._best = best
        self._writes = session.streams.processes.first
        self._ended = 0 if session.frozen is None else len(session.frozen.ended)
        self._stopped = 0 if session.frozen is None else len(session.frozen.stopped)

    def start(self, first: int, warnings: Sequence[str]) -> None:
        for message in warnings:
            self._events.write("warning", first, message=message)
            self._observer.warned(message)
        if self._session.recipe.precision == "bfloat16" and not computes_bfloat16(self._session.device):
            self._observer.warned("precision: this CPU has no bfloat16 instructions; float32 is many times faster")
        if first > 0:
            return
        players = self._session.game.players
        replicas = self._session.replicas
        sizes = {name: sum(p.numel() for p in player.parameters.values()) // replicas for name, player in players.items()}
        seeds = {"seeds": list(self._session.streams.seeds)} if self._session.frozen is not None else {}
        self._events.write("start", 0, parameters=sizes, data=self._session.source.digest, **seeds)
        self._samples(0)

    def after(self, update: int, records: Mapping[str, Tensor] | None, *, final: bool, save: bool) -> None:
        recipe = self._session.recipe
        self._replicas_ended(update)
        if records is not None:
            self._progress(update, records)
        if final or update % recipe.samples.every == 0:
            self._samples(update)
        improved = self._measure(update, final=final)
        if final or save or improved or update % recipe.checkpoints.every == 0:
            self._save(update)
        self._observer.updated(update)

    def _replicas_ended(self, update: int) -> None:
        """An event for each replica that diverged in this update, and for each that stopped."""
        frozen = self._session.frozen
        if frozen is None:
            return
        seeds, rule = self._session.streams.seeds, "" if self._session.recipe.stop is None else self._session.recipe.stop.name
        for replica, stopped in list(frozen.stopped.items())[self._stopped :]:
            self._events.write("replica stopped", stopped, replica=replica, seed=seeds[replica], rule=rule)
        self._stopped = len(frozen.stopped)
        for ended in list(frozen.ended.values())[self._ended :]:
            seed = self._session.streams.seeds[ended.replica]
            self._events.write("replica diverged", ended.update, replica=ended.replica, seed=seed, term=ended.term)
        self._ended = len(frozen.ended)

    def _measure(self, update: int, *, final: bool) -> bool:
        """Measure when it is due; whether this is the best so far, whose checkpoint is kept."""
        measuring, every = self._measuring, self._session.recipe.measures.every
        if measuring is None or every is None or not (final or update % every == 0):
            return False
        self._check_weights(update)
        begun = time.perf_counter()
        evaluations = measuring.at(self._session)
        seconds = round(time.perf_counter() - begun, 3)
        self._events.write(
            "measures",
            update,
            split="held-out",
            values=told_together(evaluations),
            left_out=list(dict.fromkeys(line for evaluation in evaluations for line in evaluation.left_out)),
            time={"seconds": seconds},
        )
        if len(evaluations) > 1:
            return False
        best = measuring.better(self._best, evaluations[0], update)
        improved = best is not self._best
        self._best = best
        return improved

    def _save(self, update: int) -> None:
        best = {} if self._best is None else {"best": vars(self._best)}
        self._check_weights(update)
        snapshot = self._session.snapshot(
            events_bytes=self._events.sync(), seconds=self._clock.seconds, made_under=_made_under(self._session), **best
        )
        self._writer.submit(snapshot)

    def _check_weights(self, update: int) -> None:
        # A step can leave weights that no loss has met yet: what is kept, and measured, is good.
        frozen = self._session.frozen
        for name, player in self._session.game.players.items():
            if all(bool(torch.isfinite(parameter).all()) for parameter in player.parameters.values()):
                continue
            if frozen is None:
                raise Diverged(f"{name}/weights", update)
            frozen.mark_broken(name, player.parameters.values(), update)
            self._replicas_ended(update)
            if frozen.all:
                raise Diverged(f"{name}/weights", update)

    def diverged(self, outcome: Diverged) -> None:
        self._replicas_ended(outcome.update)
        self._events.write("diverged", outcome.update, term=outcome.term)
        self._events.sync()
        self._writer.wait()

    def _progress(self, update: int, records: Mapping[str, Tensor]) -> None:
        values: dict[str, float | list[float]] = {name: _logged(value) for name, value in records.items()}
        players = self._session.game.players
        values |= {f"{name}/learning rate": _one_or_all(player.learning_rates(update - 1)) for name, player in players.items()}
        rate = self._clock.rate(self._session.images) * self._session.replicas
        self._events.write(
            "progress",
            update,
            images=self._session.images,
            updates={name: player.updates for name, player in players.items()},
            values=values,
            time={"seconds": round(self._clock.seconds, 3), "images_per_second": round(rate, 1)},
        )
        ended = {} if self._session.frozen is None else self._session.frozen.ended
        self._observer.logged(update, {name: _middle(value, ended) for name, value in values.items()}, rate)

    def _samples(self, update: int) -> None:
        if not self._writes:
            return
        path = self._folder.samples / f"{update:06d}.png"
        draw_samples(self._session, self._latents, self._session.recipe.samples.count, path)
        self._events.write("samples", update, path=f"samples/{path.name}")


def _logged(value: Tensor) -> float | list[float]:
    """A number, or one a replica, in as many digits as a chart of many can use."""
    return value.item() if value.ndim == 0 else [float(f"{number:.6g}") for number in value.tolist()]


def _middle(value: float | list[float], ended: Mapping[int, object]) -> float:
    """The median over the replicas that go on, for who watches."""
    if not isinstance(value, list):
        return value
    finite = [number for replica, number in enumerate(value) if replica not in ended and math.isfinite(number)]
    return statistics.median(finite) if finite else math.nan


def _one_or_all(rates: list[float]) -> float | list[float]:
    return rates[0] if len(set(rates)) == 1 else rates


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def stopping() -> Iterator[Stopped]:
    """Whether Ctrl-C or SIGTERM asked to stop; a second one is not waited for."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
