"""Checkpoints: safetensors and JSON, written beside, forced to the disk, then renamed. Never pickle.

A folder under `checkpoints/` is whole: it gets its name only after every byte of it is on the disk. Writing happens in a
thread, on copies, so that the loop waits for the copy only.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.training.folder import resume_command

FORMAT = 1
PARTIAL = ".partial"


@dataclass(frozen=True)
class Snapshot:
    """What a run is at one update: tensors by file and name, and the rest as JSON."""

    update: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]

    def clone(self) -> "Snapshot":
        """A copy that later updates do not touch."""
        copies = {file: {name: tensor.detach().clone() for name, tensor in named.items()} for file, named in self.tensors.items()}
        return Snapshot(self.update, copies, self.state)


def checkpoint_path(run: Path, update: int) -> Path:
    """The folder of the checkpoint of an update."""
    return run / "checkpoints" / f"{update:06d}"


def updates_at_hand(run: Path) -> list[int]:
    """The updates of which the run holds a checkpoint, ascending."""
    folder = run / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()) if folder.is_dir() else []


def write_checkpoint(run: Path, snapshot: Snapshot, keep: int) -> Path:
    """Write a snapshot so that at every moment the folder of checkpoints holds only whole ones.

    Kept are the newest `keep`, and the one that the snapshot's state calls the best.
    """
    final = checkpoint_path(run, snapshot.update)
    if final.exists():
        return final
    partial = final.with_name(PARTIAL + final.name)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, snapshot)
        partial.rename(final)
    except BaseException:
        # On a full disk, the half that fitted would stand in the way of going on.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync(final.parent)
    best = (snapshot.state.get("best") or {}).get("update")
    for old in updates_at_hand(run)[:-keep]:
        if old != best:
            _remove(checkpoint_path(run, old))
    return final


def best_of(run: Path) -> Mapping[str, Any]:
    """The best measured checkpoint, as the newest one knows it: `quantity`, `value`, `update`.

    Raises:
        InputError: the run kept none.
    """
    best = read_checkpoint(run, only="generator").state.get("best")
    if not isinstance(best, dict):
        raise InputError([f"{run}: keeps no best checkpoint; train with measures.every=N and measures.best=QUANTITY"])
    if best["update"] not in updates_at_hand(run):
        raise InputError([f"{run}: its best checkpoint, of update {best['update']}, is gone; resume the run, or name another"])
    return best


def _write(folder: Path, snapshot: Snapshot) -> None:
    folder.mkdir(parents=True)
    files = {}
    for name, tensors in snapshot.tensors.items():
        path = folder / f"{name}.safetensors"
        path.write_bytes(safetensors.torch.save({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}))
        files[path.name] = _digest(path)
        _sync(path)
    path = folder / "state.json"
    path.write_text(json.dumps({"format": FORMAT, "update": snapshot.update, "files": files, **snapshot.state}, indent=1))
    _sync(path)
    _sync(folder)


def _remove(folder: Path) -> None:
    # Renamed first: a run killed in the middle leaves no half of a checkpoint under a checkpoint's name.
    doomed = folder.with_name(PARTIAL + folder.name)
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def read_checkpoint(run: Path, update: int | None = None, only: str | None = None) -> Snapshot:
    """The snapshot of `update`, by default the newest; every file is checked against the digest stored with it.

    Args:
        only: read this file alone ("generator", "average" …).

    Raises:
        InputError: there is none, or a file of it is cut short, changed or of a newer format.
    """
    at_hand = updates_at_hand(run)
    if not at_hand:
        raise InputError([f"{run}: holds no whole checkpoint yet; `{resume_command(run)}` trains it"])
    if update is not None and update not in at_hand:
        raise InputError([f"{run}: no checkpoint of update {update}; there are {', '.join(map(str, at_hand))}"])
    folder = checkpoint_path(run, at_hand[-1] if update is None else update)
    state = _read_state(folder, at_hand)
    names = [name for name in state["files"] if only is None or name == f"{only}.safetensors"]
    if not names:
        raise InputError([f"{folder}: holds no {only} weights; there are {', '.join(state['files'])}"])
    tensors = {Path(name).stem: _read_tensors(folder / name, state["files"][name], at_hand) for name in names}
    return Snapshot(state["update"], tensors, state)


class CheckpointWriter:
    """Writes snapshots in the background, one at a time; an error of the last write is raised at the next call."""

    def __init__(self, run: Path, keep: int) -> None:
        self._run = run
        self._keep = keep
        for left in (run / "checkpoints").glob(PARTIAL + "*"):
            shutil.rmtree(left, ignore_errors=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None

    def submit(self, snapshot: Snapshot) -> None:
        """Copy the snapshot and write it while the loop goes on."""
        self.wait()
        self._pending = self._thread.submit(write_checkpoint, self._run, snapshot.clone(), self._keep)

    def wait(self) -> None:
        """Until the last snapshot is on the disk.

        Raises:
            InputError: the disk is full or read-only. The checkpoints before it are whole.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError([_unwritten(self._run, error)]) from error

    def close(self) -> None:
        self._thread.shutdown(wait=True)


def _unwritten(run: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    whole, then = going_on(run)
    return f"{run}/checkpoints: cannot be written ({reason}); {whole}; make it writable, with room, then {then}"


def going_on(run: Path, processes: int = 1) -> tuple[str, str]:
    """What of a run is safe, and what goes on from there, in words."""
    at_hand = updates_at_hand(run)
    if not at_hand:
        return "there is no whole checkpoint yet", "start again"
    return f"the last whole checkpoint is {at_hand[-1]:06d}", f"`{resume_command(run, processes)}`"


def _read_state(folder: Path, at_hand: list[int]) -> dict[str, Any]:
    path = folder / "state.json"
    try:
        state: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError([_damaged(path, "cannot be read", at_hand)]) from error
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise InputError([_damaged(path, "is not a checkpoint's state", at_hand)])
    if state["format"] > FORMAT:
        raise InputError([f"{path}: format {state['format']} is newer than this version knows ({FORMAT}); upgrade saddlepoint"])
    if state.get("update") != int(folder.name) or not isinstance(state.get("files"), dict):
        raise InputError([_damaged(path, f"is not the state of update {int(folder.name)}", at_hand)])
    return state


def _read_tensors(path: Path, digest: str, at_hand: list[int]) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError([_damaged(path, f"cannot be read ({error.strerror})", at_hand)]) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError([_damaged(path, "is cut short or changed: its digest is not the stored one", at_hand)])
    return safetensors.torch.load(content)


def _damaged(path: Path, what: str, at_hand: list[int]) -> str:
    older = [f"{update:06d}" for update in at_hand if update < int(path.parent.name)]
    cure = f"remove {path.parent} to go on from {older[-1]}" if older else "there is no older checkpoint to go on from"
    return f"{path}: {what}; {cure}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_into(target: Mapping[str, Tensor], source: Mapping[str, Tensor], what: str) -> None:
    """Copy tensors by name, keeping the target's strides and device.

    Raises:
        InputError: a name is missing or left over, or a shape differs; all of them at once.
    """
    problems = [f"{what}: {name} is missing" for name in target if name not in source]
    problems += [f"{what}: {name} is not in this network" for name in source if name not in target]
    problems += [
        f"{what}: {name} has the shape {tuple(source[name].shape)}; {tuple(tensor.shape)} is needed"
        for name, tensor in target.items()
        if name in source and source[name].shape != tensor.shape
    ]
    if problems:
        raise InputError(problems)
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
