"""The cache is whole or absent: two builders at once, a builder killed, a damaged entry, a full disk, a read-only one."""

import ctypes
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint.data import cache as cache_room
from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.folder import Folder
from saddlepoint.data.source import Progress
from saddlepoint.errors import InputError
from saddlepoint.storage import cache_folder
from tests.data.drawing import draw_folder

IMAGES = 8
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "pictures", {"a": 5, "b": 3})


def opened(pictures: Path, progress: Progress | None = None) -> ArraySource:
    return Folder(path=str(pictures), resolution=16).open(progress)


def entries(cache: Path) -> list[str]:
    """What the cache shows of decoded images, locks apart."""
    return sorted(path.suffix or "entry" for path in (cache / "images").glob("*") if path.suffix != ".lock")


def in_child(act: Callable[[], object]) -> int:
    """Run in a forked process; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_second_opening_decodes_nothing(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(pictures)
    monkeypatch.setattr(cache_room, "Writer", None)
    second = opened(pictures)
    assert torch.equal(first.images, second.images)
    assert first.describe() == second.describe()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SADDLEPOINT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "saddlepoint"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "saddlepoint"


@pytest.mark.parametrize("damage", ["pixel", "short", "index", "number", "no index", "no pixels"])
def test_a_damaged_entry_is_built_again_and_said(damage: str, pictures: Path, cache: Path) -> None:
    before = opened(pictures)
    expected = before.images.clone()
    (index,) = (cache / "images").glob("*/index.json")
    array = index.with_name("images.u8")
    data = array.read_bytes()
    if damage == "pixel":
        array.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif damage == "short":
        array.write_bytes(data[:-1])
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:-20])
    elif damage == "number":
        held = json.loads(index.read_text())
        held["body"]["found"]["names"].reverse()
        index.write_text(json.dumps(held))
    else:
        (index if damage == "no index" else array).unlink()
    after = opened(pictures)
    assert torch.equal(after.images, expected)
    assert after.digest == before.digest
    assert sum("was damaged" in line and str(cache) in line for line in after.describe()) == 1
    assert not any("was damaged" in line for line in opened(pictures).describe())


def test_two_processes_at_once_build_it_once(pictures: Path, cache: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier, told = fork.Barrier(3), fork.Queue()

    def work() -> None:
        decoded: list[int] = []
        barrier.wait()
        source = opened(pictures, lambda done, total: decoded.append(done))
        told.put((source.digest, int(source.images.long().sum()), len(decoded)))

    workers = [fork.Process(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        answers = [told.get(timeout=30) for _ in workers]
    except Empty:
        pytest.fail("a process did not come back")
    for worker in workers:
        worker.join()
    digests, sums, steps = zip(*answers, strict=True)
    assert len(set(digests)) == len(set(sums)) == 1
    assert sorted(steps) == [IMAGES, IMAGES, 2 * IMAGES]
    assert entries(cache) == ["entry"]


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("moment", ["first image", "last image", "sync", "index", "rename"])
def test_killed_while_building(moment: str, pictures: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act() -> None:
        steps = {"first image": IMAGES + 1, "last image": 2 * IMAGES}
        calls = iter(range(1, 100))
        if moment == "sync":
            monkeypatch.setattr(os, "fsync", die)
        if moment == "index":
            monkeypatch.setattr(cache_room, "replace_file", die)
        if moment == "rename":
            real = os.replace
            monkeypatch.setattr(os, "replace", lambda a, b: die() if Path(a).is_dir() else real(a, b))
        opened(pictures, lambda done, total: die() if next(calls) == steps.get(moment) else None)

    assert os.WTERMSIG(in_child(act)) == signal.SIGKILL
    assert entries(cache) == [".partial"]
    killed = opened(pictures)
    assert entries(cache) == ["entry"]
    assert not any("was damaged" in line for line in killed.describe())
    shutil.rmtree(cache)
    assert torch.equal(killed.images, opened(pictures).images)


def test_another_build_sweeps_up_what_a_killed_one_left(pictures: Path, cache: Path, tmp_path: Path) -> None:
    calls = iter(range(1, 100))
    assert in_child(lambda: opened(pictures, lambda *_: die() if next(calls) == IMAGES + 3 else None)) == signal.SIGKILL
    assert entries(cache) == [".partial"]
    opened(draw_folder(tmp_path / "others", {"c": 3}))
    assert entries(cache) == ["entry"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_while_building(error: type[BaseException], pictures: Path, cache: Path) -> None:
    calls = iter(range(1, 100))

    def stop(done: int, total: int) -> None:
        if next(calls) == IMAGES + 3:
            raise error

    with pytest.raises(error):
        opened(pictures, stop)
    assert entries(cache) == []


def test_a_file_that_may_not_grow(pictures: Path, cache: Path) -> None:
    """RLIMIT_FSIZE stands in for a full disk where namespaces are refused."""

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        with pytest.raises(InputError) as caught:
            opened(pictures)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (line,) = caught.value.problems
        assert line.startswith(f"{cache / 'images'}: the cache of decoded images cannot be written (File too large)")
        assert "make room there, or set SADDLEPOINT_CACHE to another folder" in line

    assert in_child(act) == 0
    assert entries(cache) == []


@pytest.mark.parametrize("where", ["in a file", "/dev/full", "/proc"])
def test_a_cache_that_is_no_place_to_write(where: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "file" / "cache") if where == "in a file" else f"{where}/cache")
    with pytest.raises(InputError) as caught:
        opened(pictures)
    (line,) = caught.value.problems
    assert "cannot be written" in line
    assert "SADDLEPOINT_CACHE" in line


def mounted(cache: Path, *options: str) -> bool:
    return not subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", cache], capture_output=True, check=False).returncode


def in_a_namespace_of_its_own() -> bool:
    """Give this single-threaded process a user and a mount namespace (`unshare -rm`); False where that is refused."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNS):
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    return not subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode


def attempt(pictures: Path, resolution: int) -> str:
    try:
        return str(Folder(path=str(pictures), resolution=resolution).open().size)
    except InputError as error:
        (line,) = error.problems
        return line


def test_a_full_and_a_read_only_disk(pictures: Path, cache: Path) -> None:
    """On a real file system of 64 kB; where namespaces are refused, the two tests above have held the same by other means."""
    cache.mkdir()
    answers, refused = cache.with_name("answers.json"), 77

    def act() -> None:
        if not in_a_namespace_of_its_own() or not mounted(cache, "-o", "size=64k"):
            os._exit(refused)
        told = [attempt(pictures, 256), entries(cache), attempt(pictures, 16), entries(cache)]
        if not mounted(cache, "-o", "remount,ro"):
            os._exit(refused)
        answers.write_text(json.dumps([*told, attempt(pictures, 16), attempt(pictures, 32), entries(cache)]))

    code = os.waitstatus_to_exitcode(in_child(act))
    assert code in (0, refused)
    if code == 0:
        full, left, fits, after, cached, read_only, last = json.loads(answers.read_text())
        assert full.startswith(f"{cache / 'images'}: the cache of decoded images cannot be written (No space left on device)")
        assert "make room there, or set SADDLEPOINT_CACHE" in full
        assert left == []
        assert (fits, cached) == ("6", "6")
        assert read_only.startswith(f"{cache / 'images'}: the cache of decoded images cannot be written (Read-only file system)")
        assert "make it writable, or set SADDLEPOINT_CACHE" in read_only
        assert after == last == ["entry"]


def test_the_array_is_mapped_and_stays_as_it_is(pictures: Path, cache: Path) -> None:
    source = opened(pictures)
    (path,) = (cache / "images").glob("*/images.u8")
    before = path.read_bytes()
    assert np.array_equal(np.frombuffer(before, np.uint8), source.images.flatten().numpy())
    source.images.zero_()
    assert path.read_bytes() == before
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(path) in maps.read_text()


def test_writers_narrow_what_turned_out_grey(tmp_path: Path) -> None:
    images = np.repeat(np.arange(2500, dtype=np.uint8).reshape(-1, 1, 1, 1), 3, axis=1)

    def build(writer: cache_room.Writer) -> dict[str, Any]:
        writer.append(images)
        writer.keep_first_channel()
        return {}

    entry = cache_room.open_or_build("narrow", build)
    assert np.array_equal(entry.images.numpy(), images[:, :1])
