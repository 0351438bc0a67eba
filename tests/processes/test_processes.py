"""A group of processes: what is gathered, whose gradient it carries, what they agree on, and how they join."""

import copy
import time
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from saddlepoint import processes as module
from saddlepoint.data.gaussians import EightGaussians
from saddlepoint.errors import Diverged, Elsewhere, InputError
from saddlepoint.processes import ALONE, Member, Processes, taking_part
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from saddlepoint.training.session import Session
from tests.battery.games import recipe_with
from tests.processes.group import Group

# Streams


def shards(world: int, seeds: Any = 3) -> list[Streams]:
    return [Streams(seeds, processes=Processes(rank=rank, world=world)) for rank in range(world)]


@pytest.mark.parametrize("world", [2, 3, 5])
@pytest.mark.parametrize("seeds", [3, [3, 8]])
def test_shards_together_are_what_one_draws(world: int, seeds: Any) -> None:
    parts, whole = shards(world, seeds), Streams(seeds)
    axis = len(whole.leading)
    for _ in range(70):  # beyond one block of draws
        drawn = [[one.normal("z", 4, 2), one.uniform("e", 4), one.integers("c", 9, 4)] for one in parts]
        alone = [whole.normal("z", 4 * world, 2), whole.uniform("e", 4 * world), whole.integers("c", 9, 4 * world)]
        for own, expected in zip(zip(*drawn, strict=True), alone, strict=True):
            assert torch.equal(torch.cat(own, axis), expected)
    assert all(one.state() == whole.state() for one in parts)


@pytest.mark.parametrize("world", [2, 5])
def test_an_order_is_shared_across_shuffles(world: int) -> None:
    parts, whole = shards(world), Streams(3)
    for _ in range(9):  # a batch of 20 straddles shuffles of 7, several at a time
        assert torch.equal(torch.cat([one.order("data", 7, 20 // world) for one in parts]), whole.order("data", 7, 20))
    assert all(one.state() == whole.state() for one in parts)


def test_what_is_not_by_sample_is_whole_and_counts_too() -> None:
    parts, whole = shards(2), Streams(3)
    for _ in range(3):
        expected = whole.uniform("neighbours", 3, 8)
        assert all(torch.equal(one.whole.uniform("neighbours", 3, 8), expected) for one in parts)
    assert all(one.state() == whole.state() for one in parts)
    for one in parts:
        one.load_state({})
    assert torch.equal(parts[1].whole.uniform("neighbours", 3, 8), Streams(3).uniform("neighbours", 3, 8))


def test_streams_apart_are_shared_and_samples_by_number_are_not() -> None:
    parts, whole = shards(2), Streams(3)
    apart = [one.apart("log 1").normal("z", 4) for one in parts]
    assert torch.equal(torch.cat(apart), whole.apart("log 1").normal("z", 8))
    assert all(torch.equal(one.rows("normal", "samples", 3, 9, 2), whole.rows("normal", "samples", 3, 9, 2)) for one in parts)


# Exchanges


def gathered(processes: Processes, axis: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Each process's loss is `(rank + 1) sum_ij w_ij x_ij` of everyone's rows."""
    x = (10.0 * processes.rank + torch.arange(6.0).reshape(2, 3)).requires_grad_()
    everyone = processes.everyone(x, axis)
    weights = torch.arange(float(everyone.numel())).reshape(everyone.shape)
    ((processes.rank + 1) * weights * everyone).sum().backward()
    assert x.grad is not None
    return everyone.tolist(), x.grad.tolist(), processes.own(everyone, axis).tolist()


@pytest.mark.parametrize("axis", [0, 1])
def test_what_comes_back_to_a_row_is_what_all_say_of_it(pair: Group, axis: int) -> None:
    parts = [10.0 * rank + torch.arange(6.0).reshape(2, 3) for rank in range(2)]
    everyone = torch.cat(parts, axis)
    weights = torch.arange(12.0).reshape(everyone.shape)
    for rank, (joined, gradient, own) in enumerate(pair(gathered, axis)):
        assert joined == everyone.tolist()
        assert own == parts[rank].tolist()
        # 1 and 2 times the weights, from the two losses.
        assert gradient == (3 * weights).chunk(2, axis)[rank].tolist()


def exchanged(processes: Processes) -> tuple[Any, ...]:
    image = torch.full((2, 3, 4, 4), float(processes.rank)).contiguous(memory_format=torch.channels_last)
    means = processes.mean([torch.tensor([1.0, 2.0]) * (processes.rank + 1), image, torch.tensor(7 * processes.rank)])
    flags = [processes.any(processes.rank == 1), processes.any(False)]
    said = [processes.said("é\udcff" * processes.rank), processes.said("")]
    return [mean.tolist() for mean in means[::2]], means[1].unique().tolist(), flags, said


def test_means_words_and_flags(pair: Group) -> None:
    for answer in pair(exchanged):
        assert answer == ([[1.5, 3.0], 3.5], [0.5], [True, False], [["", "é\udcff"], ["", ""]])


def agreeing(processes: Processes, problems: Mapping[int, list[str]]) -> Any:
    with processes.agreed():
        if processes.rank in problems:
            raise InputError(problems[processes.rank])
    return "fine"


def test_problems_of_one_are_everyones(pair: Group) -> None:
    assert pair(agreeing, {}) == ["fine", "fine"]
    for problems, told in (
        ({0: ["a"]}, ("a",)),
        ({1: ["b"]}, ("process 1: b",)),
        ({0: ["a"], 1: ["a", "b"]}, ("a", "process 1: b")),
    ):
        first, second = pair(agreeing, problems)
        assert isinstance(first, InputError)
        assert first.problems == told
        assert isinstance(second, Elsewhere)


# Divergence


class SpoiledOnce:
    """Eight Gaussians of which one process gets a sample that is not a number, once."""

    def __init__(self, spoiled: bool) -> None:
        self._source = EightGaussians().open()
        self._batches = 0
        self._spoiled = spoiled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def batch(self, streams: Streams, n: int, split: Any = "train") -> Example:
        example = self._source.batch(streams, n, split)
        self._batches += 1
        if self._spoiled and self._batches == 3:
            example.image[0, 0] = torch.nan
        return example


def diverge(processes: Processes, rank: int) -> tuple[str, int, bool]:
    source: Any = SpoiledOnce(processes.rank == rank)
    session = Session(Recipe.from_mapping(recipe_with(None, {"schedule.batch": 4})), source, processes)
    try:
        for _ in range(5):
            session.trainer.update()
    except Diverged as outcome:
        weights: list[Tensor] = [*session.game.discriminator.parameters(), *session.game.generator.parameters()]
        return outcome.term, outcome.update, all(bool(torch.isfinite(weight).all()) for weight in weights)
    return "", -1, False


@pytest.mark.parametrize("rank", [0, 1])
def test_what_is_not_finite_in_one_stops_all_with_the_same_term(pair: Group, rank: int) -> None:
    assert pair(diverge, rank) == [("discriminator/loss real", 2, True)] * 2


# Joining


def test_alone_everything_is_the_identity() -> None:
    x = torch.arange(6.0, requires_grad=True)
    assert ALONE.everyone(x) is x
    assert ALONE.own(x) is x
    assert ALONE.mean([x]) == [x]
    assert ALONE.said("words") == ["words"]
    with taking_part() as processes:
        assert processes is ALONE
    assert copy.deepcopy(Processes(1, 2)) == Processes(1, 2)


def test_who_does_not_join_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in {**place, "WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "JOINING_SECONDS", 0.5)
    begun = time.monotonic()
    line = "processes: 1 of 4 joined within 0 s, and not 0, 2, 3; start them all, on machines that reach one another"
    with pytest.raises(InputError) as refusal, taking_part():
        pass
    assert refusal.value.problems == (line,)
    assert time.monotonic() - begun >= 0.5
    store.set("member/0", "[]")
    with pytest.raises(Elsewhere), taking_part():
        pass


def test_no_place_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="processes: no place to meet"), taking_part():
        pass


@pytest.mark.parametrize("given", ["two", "0", "-1", ""])
def test_a_number_of_processes_that_is_none(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", given)
    with pytest.raises(InputError, match="WORLD_SIZE"), taking_part():
        pass


def test_a_process_that_ended_is_told_from_one_that_has_its_number() -> None:
    own = Member.own()
    assert not own.died
    assert own._replace(begun="1").died, "another process got the number"
    assert own._replace(pid=2**22 + 1).died
    assert not own._replace(host="elsewhere", pid=2**22 + 1).died, "of another machine nothing is known"
