"""Out of memory is one line that says what to lower; nothing half-written stays."""

from pathlib import Path

import pytest
import torch

from saddlepoint.training.checkpoints import Snapshot
from saddlepoint.training.session import Session
from saddlepoint.training.trainer import Trainer
from tests.cli.command_line import DIGITS, POINTS, listing, refused, saddlepoint
from tests.faults.processes import Command

# What torch says: of the CPU's memory under Linux and Windows, of a GPU's, of an Apple chip's.
SAID = [
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
        "1099511627776 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB)"),
    MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,) and data type int64"),
    OSError(12, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: str(error)[:40])
@pytest.mark.parametrize("where", ["update", "networks", "copy"])
def test_the_line_says_what_to_lower(here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str) -> None:
    def refuse(self: object, *arguments: object, **more: object) -> None:
        raise error

    owner, name = {"update": (Trainer, "update"), "networks": (Session, "__init__"), "copy": (Snapshot, "clone")}[where]
    monkeypatch.setattr(owner, name, refuse)
    outcome = saddlepoint("train", *DIGITS, "updates=2", "--out", "run")
    assert outcome.code == 2
    (line,) = outcome.lines
    assert line.startswith(
        "saddlepoint: schedule.batch: 8 samples and these networks do not fit in memory; lower it, or networks.width"
    )
    assert listing(here) == {}


def test_another_fault_is_not_taken_for_want_of_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, **more: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Trainer, "update", fail)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        saddlepoint("train", *DIGITS, "updates=2", "--out", "run")


def test_the_field_that_is_to_be_lowered_is_the_one_that_is_large(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, **more: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Trainer, "update", refuse)
    outcome = saddlepoint("train", *POINTS, "generator_batch=1000", "updates=2", "--out", "run", "--json")
    refused(outcome, ("schedule.generator_batch: 1000 samples", "networks.widths"))


def test_a_real_limit(here: Path) -> None:
    words = ("train", *DIGITS, "batch=1e5", "networks.width=256", "updates=2", "--out", "run")
    command = Command(words, here, memory=2**30)
    assert command.code() == 2, command.errors
    (line,) = command.errors.splitlines()
    assert line.startswith("saddlepoint: schedule.batch: 100000 samples and these networks do not fit in memory; lower it, or ")
    assert listing(here) == {}
