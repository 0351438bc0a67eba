"""Checkpoints are whole or not there; damage is named; writing waits for nothing but the copy."""

import json
from pathlib import Path

import pytest
import torch

from saddlepoint.errors import InputError
from saddlepoint.training.checkpoints import (
    CheckpointWriter,
    Snapshot,
    checkpoint_path,
    copy_into,
    read_checkpoint,
    updates_at_hand,
    write_checkpoint,
)


def snapshot(update: int, value: float = 1.0) -> Snapshot:
    weights = {"weight": torch.full((3, 4), value), "running_mean": torch.arange(4.0)}
    return Snapshot(update, {"generator": weights, "training": {"step": torch.tensor(3.0)}}, {"streams": {"latents": 7}})


def test_round_trip_keeps_bits_and_state(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, snapshot(5), keep=3)
    read = read_checkpoint(tmp_path)
    assert read.update == 5
    assert read.state["streams"] == {"latents": 7}
    for file, tensors in snapshot(5).tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(read.tensors[file][name], tensor)
            assert read.tensors[file][name].shape == tensor.shape


def test_channels_last_tensors_are_written_by_value(tmp_path: Path) -> None:
    weight = torch.arange(120.0).reshape(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    write_checkpoint(tmp_path, Snapshot(1, {"generator": {"weight": weight}}, {}), keep=1)
    assert torch.equal(read_checkpoint(tmp_path).tensors["generator"]["weight"], weight)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for update in (1, 2, 3, 4):
        write_checkpoint(tmp_path, snapshot(update), keep=2)
    assert updates_at_hand(tmp_path) == [3, 4]
    assert [entry.name for entry in sorted((tmp_path / "checkpoints").iterdir())] == ["000003", "000004"]


def test_what_a_killed_writer_leaves_is_not_a_checkpoint_and_is_cleared(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, snapshot(1), keep=2)
    half = tmp_path / "checkpoints" / ".partial000002"
    half.mkdir()
    (half / "generator.safetensors").write_bytes(b"half")
    assert read_checkpoint(tmp_path).update == 1
    CheckpointWriter(tmp_path, keep=2).close()
    assert not half.exists()


@pytest.mark.parametrize("name", ["generator.safetensors", "training.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path, name: str, damage: str) -> None:
    write_checkpoint(tmp_path, snapshot(1), keep=2)
    write_checkpoint(tmp_path, snapshot(2), keep=2)
    path = checkpoint_path(tmp_path, 2) / name
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        path.unlink()
    with pytest.raises(InputError, match=f"{name}.*remove .*000002 to go on from 000001"):
        read_checkpoint(tmp_path)
    assert read_checkpoint(tmp_path, 1).update == 1


@pytest.mark.parametrize(("text", "words"), [("{", "cannot be read"), ("[]", "not a checkpoint"), ('{"format": 99}', "newer")])
def test_a_damaged_or_newer_state_is_named(tmp_path: Path, text: str, words: str) -> None:
    write_checkpoint(tmp_path, snapshot(1), keep=2)
    (checkpoint_path(tmp_path, 1) / "state.json").write_text(text)
    with pytest.raises(InputError, match=rf"state\.json.*{words}"):
        read_checkpoint(tmp_path)


def test_no_checkpoint_and_an_unknown_update_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no whole checkpoint"):
        read_checkpoint(tmp_path)
    write_checkpoint(tmp_path, snapshot(1), keep=2)
    with pytest.raises(InputError, match="no checkpoint of update 7; there are 1"):
        read_checkpoint(tmp_path, 7)


def test_the_writer_copies_before_it_returns(tmp_path: Path) -> None:
    taken = snapshot(1, value=1.0)
    writer = CheckpointWriter(tmp_path, keep=2)
    writer.submit(taken)
    taken.tensors["generator"]["weight"].fill_(2.0)
    writer.wait()
    writer.close()
    assert read_checkpoint(tmp_path).tensors["generator"]["weight"].unique().tolist() == [1.0]


def test_the_writer_reports_a_place_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    writer = CheckpointWriter(tmp_path, keep=2)
    writer.submit(snapshot(1))
    with pytest.raises(InputError, match=r"cannot be written.*no whole checkpoint yet"):
        writer.wait()
    writer.close()


def test_copying_in_names_all_that_does_not_fit() -> None:
    target = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
    with pytest.raises(InputError) as refused:
        copy_into(target, {"a": torch.ones(2), "b": torch.ones(4), "d": torch.ones(1)}, "generator")
    assert len(refused.value.problems) == 3
    assert target["a"].tolist() == [0, 0]


def test_state_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, snapshot(1), keep=1)
    state = json.loads((folder / "state.json").read_text())
    assert set(state["files"]) == {"generator.safetensors", "training.safetensors"}
