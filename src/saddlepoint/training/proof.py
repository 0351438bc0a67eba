"""`resume --prove`: play the last updates again and compare every bit."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from saddlepoint.errors import InputError
from saddlepoint.training import loop
from saddlepoint.training.checkpoints import Snapshot, checkpoint_path, read_checkpoint, updates_at_hand
from saddlepoint.training.folder import open_folder, resume_command
from saddlepoint.training.loop import Observer
from saddlepoint.training.many import divided, part_folders

CLOCK_KEYS = ("seconds", "files")


def prove(run: Path, updates: int, observer: Observer | None = None) -> list[str]:
    """Replay from the newest checkpoint that is at least `updates` before the last one; what differs, nothing if the bits agree.

    Compared are all tensors (weights, average, optimiser), the counters and streams, and the events, times apart.

    Raises:
        InputError: there is no checkpoint that far back.
    """
    if divided(run):
        first = part_folders(run)[0]
        raise InputError([f"{run}: its replicas lie in parts; prove them one by one: `{resume_command(first)} --prove {updates}`"])
    at_hand = updates_at_hand(open_folder(run).path)
    earlier = [update for update in at_hand[:-1] if update <= at_hand[-1] - updates]
    if not earlier:
        raise InputError(
            [f"{run}: keeps no checkpoint {updates} updates before its last one; it has {', '.join(map(str, at_hand))}"]
        )
    with tempfile.TemporaryDirectory(dir=run, prefix=".replay-") as folder:
        replay = Path(folder) / "run"
        _copy(run, replay, earlier[-1])
        loop.replay(replay, until=at_hand[-1], observer=observer)
        return differences(read_checkpoint(run), read_checkpoint(replay), run, replay)


def differences(kept: Snapshot, replayed: Snapshot, run: Path, replay: Path) -> list[str]:
    """What is not the same in two snapshots of the same update and in the events before them, one line each."""
    found = []
    for file, tensors in kept.tensors.items():
        for name, tensor in tensors.items():
            other = replayed.tensors[file][name]
            if tensor.dtype != other.dtype or not torch.equal(_bits(tensor), _bits(other)):
                found.append(f"{file}: {name}")
    own = {key: value for key, value in kept.state.items() if key not in CLOCK_KEYS}
    found += [f"state: {key}" for key, value in own.items() if key != "events_bytes" and replayed.state[key] != value]
    events = [_events(folder, snapshot) for folder, snapshot in ((run, kept), (replay, replayed))]
    if events[0] != events[1]:
        found.append("events.jsonl")
    return found


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.uint8) if tensor.ndim else tensor.reshape(1).view(torch.uint8)


def _events(run: Path, snapshot: Snapshot) -> list[dict[str, Any]]:
    text = (run / "events.jsonl").read_bytes()[: snapshot.state["events_bytes"]]
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in text.splitlines()]


def _copy(run: Path, replay: Path, update: int) -> None:
    (replay / "samples").mkdir(parents=True)
    (replay / "checkpoints").mkdir()
    for name in ("recipe.yaml", "environment.json", "events.jsonl"):
        shutil.copy(run / name, replay / name)
    shutil.copytree(checkpoint_path(run, update), checkpoint_path(replay, update))
