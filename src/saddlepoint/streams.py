"""Named random streams: the only source of randomness.

A stream is a counter. What the draw number `t` of the stream `name` gives is a pure function of (seed, name, kind and shape
of the draw, t): Philox, a counter-based generator, keyed by a digest of the first three. So the state of all randomness is one
integer a stream, a replica draws exactly what its seed draws alone, and adding a method that draws never shifts another's draws.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.processes import ALONE, Processes

Kind = Literal["normal", "uniform", "integers"]

# Draws are made a block at a time, since creating a generator costs more than sixty-four small draws.
BLOCK_DRAWS = 64
BLOCK_NUMBERS = 2**14

ROWS = 64


def _generator(seed: int, stream: str, block: int) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(f"{seed} {stream}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key, counter=block << 64))


def _draw(kind: Kind, generator: np.random.Generator, size: Sequence[int], high: int) -> NDArray[Any]:
    if kind == "normal":
        return generator.standard_normal(size, dtype=np.float32)
    if kind == "uniform":
        return generator.random(size, dtype=np.float32)
    return generator.integers(high, size=size)


class Streams:
    """Random numbers by name, for one seed or for many side by side.

    Args:
        seeds: one seed, or a sequence of them: then every draw has a leading axis of that length.
        device: where draws are put. They are made on the CPU, so a run draws the same numbers on every device.
        dtype: of real draws. They are drawn in float32 and cast, so a float64 run sees the same randomness.
        processes: who share a batch. Then the first size of a shape is this process's samples: drawn are everyone's, kept its
            own, so that together they see what one process alone would.

    >>> lone, both = Streams(3), Streams([3, 4])
    >>> both.normal("latents", 5, 2).shape
    torch.Size([2, 5, 2])
    >>> bool((lone.normal("latents", 5, 2) == Streams([3, 4]).normal("latents", 5, 2)[0]).all())
    True
    """

    def __init__(
        self,
        seeds: int | Sequence[int] = 0,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        processes: Processes = ALONE,
    ) -> None:
        self.seeds: tuple[int, ...] = (seeds,) if isinstance(seeds, int) else tuple(seeds)
        self.leading: tuple[int, ...] = () if isinstance(seeds, int) else (len(self.seeds),)
        self.device = torch.device(device)
        self.dtype = dtype
        self.processes = processes
        self._positions: dict[str, int] = {}
        self._blocks: dict[str, tuple[int, tuple[Tensor, ...]]] = {}
        self._names: dict[tuple[object, ...], tuple[str, int]] = {}
        self._orders: dict[str, tuple[int, list[NDArray[np.int64]]]] = {}
        self._under = ""
        self._whole: Streams | None = None

    @property
    def whole(self) -> "Streams":
        """The same streams for what is not drawn by sample: every process gets all of it.

        >>> second = Streams(3, processes=Processes(rank=1, world=2))
        >>> bool((second.normal("z", 2) == Streams(3).normal("z", 4)[2:]).all())
        True
        >>> bool((second.whole.normal("centre", 2) == Streams(3).normal("centre", 2)).all())
        True
        """
        if self.processes.world == 1:
            return self
        if self._whole is None:
            self._whole = Streams(self.seeds if self.leading else self.seeds[0], device=self.device, dtype=self.dtype)
            self._whole._under, self._whole._positions = self._under, self._positions
        return self._whole

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal draws, `[*, *shape]`."""
        return self._next("normal", name, shape)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform draws in [0, 1), `[*, *shape]`."""
        return self._next("uniform", name, shape)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform integers in 0 … high - 1, int64, `[*, *shape]`."""
        return self._next("integers", name, shape, high)

    def order(self, name: str, size: int, count: int) -> Tensor:
        """The next `count` positions of an endless walk through shuffles of 0 … size - 1, int64, `[*, count]`, on the CPU.

        Each number comes once in every `size` positions; a batch may straddle two shuffles.
        """
        stream = f"{self._under}{name} order {size}"
        before = self._positions.get(stream, 0)
        self._positions[stream] = before + self.processes.world * count
        start = before + self.processes.rank * count
        walks = []
        for replica in range(len(self.seeds)):
            parts = [
                self._shuffle(stream, size, epoch)[replica][max(0, start - epoch * size) : start + count - epoch * size]
                for epoch in range(start // size, (start + count - 1) // size + 1)
            ]
            walks.append(np.concatenate(parts) if len(parts) > 1 else parts[0])
        return torch.from_numpy(np.stack(walks)).reshape(*self.leading, count)

    def rows(self, kind: Literal["normal", "uniform"], name: str, start: int, stop: int, *shape: int) -> Tensor:
        """Draws number `start` to `stop - 1` of an indexed stream, `[*, stop - start, *shape]`: row i depends on (seed, i) only."""
        stream = f"{self._under}{name} rows {kind} {shape}"
        blocks = range(start // ROWS, (stop - 1) // ROWS + 1) if stop > start else range(0)

        def replica(seed: int) -> NDArray[Any]:
            drawn = [_draw(kind, _generator(seed, stream, block), (ROWS, *shape), 0) for block in blocks]
            table = np.concatenate(drawn) if drawn else np.empty((0, *shape), np.float32)
            return table[start % ROWS :][: stop - start]

        table = torch.from_numpy(np.stack([replica(seed) for seed in self.seeds]))
        return self._put(table).reshape(*self.leading, stop - start, *shape)

    def apart(self, name: str) -> "Streams":
        """Fresh streams under another name: what is drawn from them shifts nothing here, and begins anew each time.

        >>> streams = Streams(3)
        >>> bool((streams.apart("log").normal("z", 2) == streams.apart("log").normal("z", 2)).all())
        True
        """
        seeds = self.seeds if self.leading else self.seeds[0]
        others = Streams(seeds, device=self.device, dtype=self.dtype, processes=self.processes)
        others._under = f"{self._under}{name}/"
        return others

    def state(self) -> dict[str, int]:
        """How many draws each stream has given: all there is to save."""
        return dict(self._positions)

    def load_state(self, state: Mapping[str, int]) -> None:
        """Go on where `state` was taken."""
        self._positions.clear()
        self._positions.update(state)
        for streams in (self, self.whole):
            streams._blocks.clear()
            streams._orders.clear()

    def _next(self, kind: Kind, name: str, shape: tuple[int, ...], high: int = 0) -> Tensor:
        key = (name, kind, high, shape)
        if key not in self._names:
            everyones = self._everyones(shape)
            draws = max(1, min(BLOCK_DRAWS, BLOCK_NUMBERS // max(1, math.prod(everyones))))
            self._names[key] = (f"{self._under}{name} {kind}{high or ''} {everyones}", draws)
        stream, draws = self._names[key]
        position = self._positions.get(stream, 0)
        self._positions[stream] = position + 1
        number, within = divmod(position, draws)
        held = self._blocks.get(stream)
        if held is None or held[0] != number:
            block = self._block(kind, stream, number, (draws, *self._everyones(shape)), high)
            held = (number, block.unbind())
            self._blocks[stream] = held
        return held[1][within]

    def _block(self, kind: Kind, stream: str, number: int, size: tuple[int, ...], high: int) -> Tensor:
        # The draws come first, so that each is whole in memory, all replicas together.
        drawn = np.stack([_draw(kind, _generator(seed, stream, number), size, high) for seed in self.seeds], axis=1)
        block = torch.from_numpy(drawn).reshape(size[0], *self.leading, *size[1:])
        return self._put(self.processes.own(block, len(self.leading) + 1))

    def _everyones(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.processes.world * shape[0], *shape[1:]) if shape else shape

    def _put(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def _shuffle(self, stream: str, size: int, epoch: int) -> list[NDArray[np.int64]]:
        held = self._orders.get(stream)
        if held is None or held[0] != epoch:
            held = (epoch, [_generator(seed, stream, epoch).permutation(size) for seed in self.seeds])
            self._orders[stream] = held
        return held[1]
