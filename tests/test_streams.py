"""Streams: a replica draws what its seed draws, state is resumed, names do not disturb each other, distributions are right."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from saddlepoint.streams import BLOCK_DRAWS, ROWS, Streams

DRAWS: dict[str, Callable[[Streams], Tensor]] = {
    "normal": lambda streams: streams.normal("a", 5, 2),
    "one normal": lambda streams: streams.normal("a"),
    "large normal": lambda streams: streams.normal("a", 300, 70),
    "uniform": lambda streams: streams.uniform("a", 7),
    "integers": lambda streams: streams.integers("a", 10, 6),
    "order": lambda streams: streams.order("a", 10, 4),
    "long order": lambda streams: streams.order("a", 10, 37),
    "rows": lambda streams: streams.rows("normal", "a", 60, 140, 3),
}


def test_kinds_are_covered() -> None:
    public = {name for name in vars(Streams) if not name.startswith("_")} - {"state", "load_state", "apart", "whole"}
    assert public == {"normal", "uniform", "integers", "order", "rows"}
    assert len(DRAWS) == 8


@pytest.mark.parametrize("kind", DRAWS)
def test_replica_r_is_seed_r_to_the_bit(kind: str) -> None:
    draw, seeds = DRAWS[kind], [3, 0, 12345678901]
    stacked, alone = Streams(seeds), [Streams(seed) for seed in seeds]
    for _ in range(BLOCK_DRAWS + 3):
        together = draw(stacked)
        for r, streams in enumerate(alone):
            assert torch.equal(together[r], draw(streams))


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("before", [0, 1, BLOCK_DRAWS - 1, BLOCK_DRAWS, BLOCK_DRAWS + 5])
def test_resume_by_state(kind: str, before: int) -> None:
    draw, streams = DRAWS[kind], Streams([1, 2])
    for _ in range(before):
        draw(streams)
    state = streams.state()
    assert all(isinstance(value, int) for value in state.values())
    rest = [draw(streams) for _ in range(5)]
    other = Streams([1, 2])
    draw(other)
    other.load_state(state)
    assert all(torch.equal(draw(other), tensor) for tensor in rest)


def test_the_state_is_a_copy() -> None:
    streams = Streams(0)
    state = streams.state()
    streams.normal("a", 2)
    assert state == {}
    loaded = Streams(0)
    loaded.load_state(kept := streams.state())
    loaded.normal("a", 2)
    assert kept == streams.state()


@pytest.mark.parametrize("kind", DRAWS)
def test_other_streams_are_not_disturbed(kind: str) -> None:
    """A method that draws more, under other names, shifts nobody; nor does another kind, shape or size under the same name."""
    draw, quiet, busy = DRAWS[kind], Streams(4), Streams(4)
    for _ in range(4):
        busy.normal("b", 5, 2)
        busy.uniform("a", 5, 2)
        busy.integers("a", 11, 6)
        busy.order("a", 11, 4)
        busy.normal("a", 999)
        assert torch.equal(draw(quiet), draw(busy))


@pytest.mark.parametrize("kind", [kind for kind in DRAWS if kind != "rows"])
def test_draws_names_and_seeds_differ(kind: str) -> None:
    draw, streams = DRAWS[kind], Streams(4)
    size = torch.Size([]) if kind == "one normal" else None
    assert size is None or draw(Streams(4)).shape == size
    drawn = torch.stack([draw(streams) for _ in range(8)] + [draw(Streams(5))])
    assert len({tuple(row.flatten().tolist()) for row in drawn}) == 9
    assert not torch.equal(Streams(4).normal("a", 9), Streams(4).normal("b", 9))


@pytest.mark.parametrize(("size", "count"), [(10, 4), (10, 10), (10, 23), (7, 1), (1, 5), (100, 64)])
def test_order_visits_each_once_an_epoch(size: int, count: int) -> None:
    streams = Streams([0, 1])
    walk = torch.cat([streams.order("data", size, count) for _ in range(size * 3 // count + 2)], dim=1)
    for epoch in range(3):
        shuffled = walk[:, epoch * size : (epoch + 1) * size]
        assert torch.equal(shuffled.sort(dim=-1).values, torch.arange(size).expand(2, size))
    if size >= 7:
        assert not torch.equal(walk[:, :size], walk[:, size : 2 * size]), "shuffled anew"
        assert not torch.equal(walk[0, :size], walk[1, :size]), "each seed its own way"


def test_order_does_not_depend_on_the_batch() -> None:
    """The walk is one; how it is cut into batches changes nothing, whole epochs at once included."""
    whole = Streams(2).order("data", 10, 40)
    for cuts in ([1] * 40, [7, 3, 10, 20], [25, 15]):
        streams = Streams(2)
        assert torch.equal(torch.cat([streams.order("data", 10, cut) for cut in cuts]), whole)


def test_order_is_uniform() -> None:
    """Every position is as often first; chi-squared over 4,000 shuffles of 8, both for value at place 0 and at place 5."""
    shuffles = Streams(3).order("data", 8, 8 * 4000).reshape(4000, 8).numpy()
    for place in (0, 5):
        assert stats.chisquare(np.bincount(shuffles[:, place], minlength=8)).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 300), (63, 65), (64, 128), (5, 5), (1000, 1010)])
def test_rows_do_not_depend_on_chunks(kind: str, start: int, stop: int) -> None:
    """Row i is a function of (seed, i) only, so a sample has the same latent whatever batch it is drawn in."""
    assert kind in ("normal", "uniform")
    streams = Streams([1, 9])

    def rows(start: int, stop: int) -> Tensor:
        return streams.rows("normal" if kind == "normal" else "uniform", "samples", start, stop, 3, 2)

    together = rows(start, stop)
    assert together.shape == (2, stop - start, 3, 2)
    table = rows(0, 1100)
    assert torch.equal(together, table[:, start:stop])
    for row in range(start, min(stop, start + 3)):
        assert torch.equal(rows(row, row + 1), table[:, row : row + 1])
    assert streams.state() == {}, "rows have no position to save"
    assert len({tuple(row.flatten().tolist()) for row in table[0]}) == 1100
    assert ROWS == 64


def test_distributions() -> None:
    """Against scipy, pooled over many small draws, as training draws them."""
    streams = Streams([0, 1])
    normal = torch.stack([streams.normal("n", 10) for _ in range(1000)]).flatten().numpy()
    uniform = torch.stack([streams.uniform("u", 10) for _ in range(1000)]).flatten().numpy()
    integers = torch.stack([streams.integers("i", 7, 10) for _ in range(1000)]).flatten().numpy()
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.chisquare(np.bincount(integers, minlength=7)).pvalue > 1e-3
    assert integers.min() == 0
    assert integers.max() == 6
    assert uniform.min() >= 0
    assert uniform.max() < 1
    rows = Streams(0).rows("normal", "r", 0, 4000, 2).flatten().numpy()
    assert stats.kstest(rows, "norm").pvalue > 1e-3


def test_streams_are_independent() -> None:
    """No correlation between names, between seeds, or between one draw and the next."""
    streams = Streams([0, 1])
    a = torch.stack([streams.normal("a", 20) for _ in range(500)])
    b = torch.stack([streams.normal("b", 20) for _ in range(500)])
    pairs = [(a[:, 0], b[:, 0]), (a[:, 0], a[:, 1]), (a[:-1, 0], a[1:, 0])]
    for one, other in pairs:
        assert stats.pearsonr(one.flatten().numpy(), other.flatten().numpy()).pvalue > 1e-3


def test_a_float64_run_sees_the_same_randomness() -> None:
    for kind in ("normal", "uniform"):
        single, double = getattr(Streams(3), kind)("a", 9), getattr(Streams(3, dtype=torch.float64), kind)("a", 9)
        assert double.dtype == torch.float64
        assert torch.equal(single.double(), double)
    assert Streams(3, dtype=torch.float64).integers("a", 5, 4).dtype == torch.int64


def test_what_is_handed_out_is_never_written_again() -> None:
    """A draw kept by its owner stays what it was, though draws are made a block at a time."""
    streams = Streams(0)
    first = streams.normal("a", 3)
    kept = first.clone()
    for _ in range(2 * BLOCK_DRAWS):
        streams.normal("a", 3)
    assert torch.equal(first, kept)


def test_the_global_generators_are_left_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state(legacy=True)
    for draw in DRAWS.values():
        draw(Streams(1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state(legacy=True)) == str(before[1])


def test_streams_apart_shift_nothing_and_draw_other_numbers() -> None:
    streams, undisturbed = Streams([3, 4]), Streams([3, 4])
    apart = streams.apart("log 5")
    drawn = (apart.normal("latents", 6), apart.order("data", 50, 20), apart.rows("uniform", "samples", 0, 6))
    assert streams.state() == {}
    assert torch.equal(streams.normal("latents", 6), undisturbed.normal("latents", 6))
    own = (streams.normal("latents", 6), streams.order("data", 50, 20), streams.rows("uniform", "samples", 0, 6))
    assert not any(torch.equal(one, other) for one, other in zip(drawn, own, strict=True))
    assert not torch.equal(drawn[0], streams.apart("log 6").normal("latents", 6))
    assert torch.equal(drawn[0][1], Streams(4).apart("log 5").normal("latents", 6))
