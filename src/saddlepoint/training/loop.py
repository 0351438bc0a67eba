"""Train a recipe into a run folder, and go on from one: the loop, its log, its samples, its checkpoints."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from saddlepoint.recipe import Recipe
from torch import Tensor

from saddlepoint.data.source import Source
from saddlepoint.errors import Diverged, InputError, Interrupted
from saddlepoint.training.assembly import choose_threads, latents_of
from saddlepoint.training.checkpoints import CheckpointWriter, Snapshot, read_checkpoint, updates_at_hand
from saddlepoint.training.events import Events
from saddlepoint.training.folder import (
    Folder,
    add_session,
    new_folder,
    open_folder,
    read_environment,
    stored_recipe,
    write_recipe,
)
from saddlepoint.training.samples import draw_samples
from saddlepoint.training.session import Session


class Observer(Protocol):
    """Who watches a run: a terminal, a notebook, nobody."""

    def reading(self, done: int, total: int) -> None: ...
    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None: ...
    def updated(self, update: int) -> None: ...
    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None: ...
    def warned(self, message: str) -> None: ...


class Nobody:
    """An observer that looks away."""

    def reading(self, done: int, total: int) -> None: ...
    def started(self, folder: Path, recipe: Recipe, source: Source, first: int) -> None: ...
    def updated(self, update: int) -> None: ...
    def logged(self, update: int, values: Mapping[str, float], images_per_second: float) -> None: ...
    def warned(self, message: str) -> None: ...


def train(recipe: Recipe, out: Path, observer: Observer | None = None) -> Path:
    """Train a recipe from the start into the new folder `out`; the folder.

    Raises:
        InputError: the data, the folder or the networks cannot be had as asked; nothing is half-written.
        Diverged: a loss or gradient stopped being finite; the last good checkpoint stays.
        Interrupted: a signal asked to stop; a checkpoint of the last whole update was written.
    """
    observer = observer or Nobody()
    source = recipe.data.open(observer.reading)
    session = Session(recipe, source)
    _warm_start(session)
    with new_folder(out) as folder:
        _note_session(session, folder)
        write_recipe(folder, recipe)
    _play(session, folder, observer, events_bytes=0, seconds=0.0)
    return folder.path


def resume(run: Path, updates: int | None = None, observer: Observer | None = None) -> Path:
    """Go on from the newest checkpoint of a run, to the bits the run would have reached had it never stopped.

    A run that was killed before its first checkpoint starts again.

    Args:
        updates: train up to this many instead; it may only grow.

    Raises:
        InputError: the folder is not a run, its recipe or its data changed, a checkpoint is damaged.
    """
    observer = observer or Nobody()
    folder = open_folder(run)
    recipe = stored_recipe(folder)
    snapshot = read_checkpoint(run) if updates_at_hand(run) else None
    if snapshot is not None:
        refuse_changes(recipe, snapshot)
    if updates is not None:
        recipe = _grown(recipe, updates)
    source = recipe.data.open(observer.reading)
    refuse_other_data(source, read_environment(folder)["data"]["digest"])
    session = Session(recipe, source)
    if snapshot is None:
        _warm_start(session)
    else:
        session.restore(snapshot)
    write_recipe(folder, recipe)
    _warn_of_changes(folder, session, observer)
    _note_session(session, folder)
    state: Mapping[str, Any] = {"events_bytes": 0, "seconds": 0.0} if snapshot is None else snapshot.state
    _play(session, folder, observer, events_bytes=state["events_bytes"], seconds=state["seconds"])
    return run


def replay(run: Path, until: int, observer: Observer | None = None) -> None:
    """Play a copy of a run from its newest checkpoint to the checkpoint of update `until`, and stop there."""
    folder = open_folder(run)
    recipe, snapshot = stored_recipe(folder), read_checkpoint(run)
    session = Session(recipe, recipe.data.open())
    session.restore(snapshot)
    _play(
        session,
        folder,
        observer or Nobody(),
        events_bytes=snapshot.state["events_bytes"],
        seconds=snapshot.state["seconds"],
        until=until,
    )


def refuse_other_data(source: Source, digest: str) -> None:
    """Raise `InputError` when the data is not what the run was trained on."""
    if source.digest != digest:
        raise InputError([f"data: {source.name} is not what the run was trained on (its digest changed); put the files back"])


def _warm_start(session: Session) -> None:
    warm_start = session.recipe.warm_start
    if warm_start is not None:
        session.load_weights(read_checkpoint(open_folder(Path(warm_start)).path))


def _note_session(session: Session, folder: Folder) -> None:
    threads = choose_threads(session.recipe, session.source)
    add_session(folder, session.source, first=session.trainer.updates, threads=threads, device=str(session.device))


def refuse_changes(recipe: Recipe, snapshot: Snapshot) -> None:
    """Raise `InputError` naming every field of the stored recipe that differs from the checkpoint's; `updates` may have grown."""
    trained = Recipe.from_mapping(snapshot.state["recipe"])
    changed = [field for field in recipe.differences(trained) if field != "schedule.updates"]
    problems = [f"{field}: differs from what the run was trained with; put it back, or start another run" for field in changed]
    if recipe.schedule.updates < trained.schedule.updates:
        problems.append(f"schedule.updates: {recipe.schedule.updates} is less than the {trained.schedule.updates} asked before")
    if problems:
        raise InputError(problems)


def _grown(recipe: Recipe, updates: int) -> Recipe:
    if updates < recipe.schedule.updates:
        raise InputError([f"updates: {updates} is less than the run's {recipe.schedule.updates}; it may only grow"])
    mapping = recipe.to_mapping()
    mapping["schedule"]["updates"] = updates
    return Recipe.from_mapping(mapping)


def _warn_of_changes(folder: Folder, session: Session, observer: Observer) -> None:
    last = read_environment(folder)["sessions"][-1]
    now = {"threads": choose_threads(session.recipe, session.source), "device": str(session.device)}
    changed = [f"{name} {last[name]} before, {value} now" for name, value in now.items() if last.get(name) != value]
    if last["versions"].get("torch") != torch.__version__:
        changed.append(f"torch {last['versions'].get('torch')} before, {torch.__version__} now")
    if changed:
        observer.warned(f"{'; '.join(changed)}: the run goes on closely, but not to the same bits")


def _play(
    session: Session, folder: Folder, observer: Observer, *, events_bytes: int, seconds: float, until: int | None = None
) -> None:
    recipe, trainer = session.recipe, session.trainer
    threads = choose_threads(recipe, session.source)
    first, last = trainer.updates, recipe.schedule.updates
    observer.started(folder.path, recipe, session.source, first)
    writer = CheckpointWriter(folder.path, recipe.checkpoints.keep)
    clock = _Clock(seconds, session.images)
    with _threads(threads), _stopping() as stopped, Events(folder.events, events_bytes) as events:
        log = _Log(session, folder, events, writer, clock, observer)
        try:
            if first == 0:
                log.start()
            while trainer.updates < (until or last):
                update = trainer.updates + 1
                watched = update % recipe.log.every == 0 or update == last
                records = _update(session, log, watched)
                stop = stopped() or update == until
                log.after(update, records if watched else None, final=update == last, stop=stop)
                if stopped() and update < last:
                    writer.wait()
                    raise Interrupted(update)
            writer.wait()
            if trainer.updates == last:
                events.write("done", last)
        except OSError as error:
            raise InputError(
                [f"{error.filename or folder.path}: cannot be written ({error.strerror}); {_go_on(folder)}"]
            ) from error
        finally:
            writer.close()


def _go_on(folder: Folder) -> str:
    return f"make room, then `saddlepoint resume {folder.path}`"


def _update(session: Session, log: "_Log", watched: bool) -> Mapping[str, Tensor]:
    try:
        return session.trainer.update(watched=watched)
    except Diverged as outcome:
        log.diverged(outcome)
        raise
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        batch = session.recipe.schedule.batch
        raise InputError(
            [f"schedule.batch: {batch} images and these networks do not fit in memory; lower schedule.batch or networks.width"]
        ) from error


def _out_of_memory(error: Exception) -> bool:
    known = ("not enough memory", "can't allocate memory", "out of memory")
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
        self, session: Session, folder: Folder, events: Events, writer: CheckpointWriter, clock: _Clock, observer: Observer
    ) -> None:
        self._session = session
        self._folder = folder
        self._events = events
        self._writer = writer
        self._clock = clock
        self._observer = observer
        self._latents = latents_of(session.recipe)

    def start(self) -> None:
        players = self._session.game.players
        sizes = {name: sum(tensor.numel() for tensor in player.parameters.values()) for name, player in players.items()}
        self._events.write("start", 0, parameters=sizes, data=self._session.source.digest)
        self._samples(0)

    def after(self, update: int, records: Mapping[str, Tensor] | None, *, final: bool, stop: bool) -> None:
        recipe = self._session.recipe
        if records is not None:
            self._progress(update, records)
        if final or update % recipe.samples.every == 0:
            self._samples(update)
        if final or stop or update % recipe.checkpoints.every == 0:
            events_bytes = self._events.sync()
            self._writer.submit(self._session.snapshot(events_bytes=events_bytes, seconds=self._clock.seconds))
        self._observer.updated(update)

    def diverged(self, outcome: Diverged) -> None:
        self._events.write("diverged", outcome.update, term=outcome.term)
        self._events.sync()
        self._writer.wait()

    def _progress(self, update: int, records: Mapping[str, Tensor]) -> None:
        values = {name: value.item() for name, value in records.items()}
        players = self._session.game.players
        values |= {f"{name}/learning rate": player.learning_rate(update - 1) for name, player in players.items()}
        rate = self._clock.rate(self._session.images)
        self._events.write(
            "progress",
            update,
            images=self._session.images,
            updates={name: player.updates for name, player in players.items()},
            values=values,
            time={"seconds": round(self._clock.seconds, 3), "images_per_second": round(rate, 1)},
        )
        self._observer.logged(update, values, rate)

    def _samples(self, update: int) -> None:
        path = self._folder.samples / f"{update:06d}.png"
        draw_samples(self._session, self._latents, self._session.recipe.samples.count, path)
        self._events.write("samples", update, path=f"samples/{path.name}")


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
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
