"""The small network that some measures train: an instrument of fixed size and budget, so that its answers compare."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.measures.evidence import Step, unwatched
from saddlepoint.networks.layers import Convolution, Linear
from saddlepoint.streams import Streams

LARGEST_SIDE = 32
SMALLEST_SIDE = 4
FIRST_CHANNELS = 16
MOST_CHANNELS = 64
HIDDEN = 64
RATE = 2e-3
SEEN_AT_A_TIME = 256


class Probe(nn.Module):
    """From images or points to `outputs` numbers, `[n, outputs]`.

    Images: blocks of a 3 x 3 convolution (16, 32, 64, 64 … channels), ReLU and maximum over 2 x 2, until a side is 4 px or less,
    then a linear layer; images above 32 px are averaged down to that first. Points: two hidden layers of 64 ReLU units.

    Args:
        reference: what it will see, uint8 `[n, C, H, W]` or points `[n, d]`. Points are centred and scaled by this set, all
            coordinates alike; of images only the shape is used.
        streams: first weights are drawn from its stream `NAME weights`, uniform on `(-1/sqrt(inputs), 1/sqrt(inputs))`.

    >>> Probe(torch.zeros(5, 1, 16, 16, dtype=torch.uint8), 10, Streams(0), "probe")(torch.zeros(3, 1, 16, 16)).shape
    torch.Size([3, 10])
    """

    def __init__(self, reference: Tensor, outputs: int, streams: Streams, name: str) -> None:
        super().__init__()
        self.on_points = reference.ndim == 2
        if self.on_points:
            centred = reference.double() - reference.double().mean(0)
            self.centre = reference.double().mean(0).float()
            self.scale = float(centred.square().mean().sqrt()) or 1.0
            widths = (reference.shape[1], HIDDEN, HIDDEN)
            self.blocks = nn.ModuleList(Linear(*sides) for sides in pairwise(widths))
            self.last = Linear(HIDDEN, outputs)
        else:
            sides = _sides(reference)
            widths = (reference.shape[1], *(min(MOST_CHANNELS, FIRST_CHANNELS * 2**i) for i in range(len(sides) - 1)))
            self.blocks = nn.ModuleList(Convolution(*ends, 3, padding=1) for ends in pairwise(widths))
            self.last = Linear(widths[-1] * sides[-1][0] * sides[-1][1], outputs)
        self._draw(streams, name)

    def forward(self, seen: Tensor) -> Tensor:
        for block in self.blocks:
            seen = F.relu(block(seen))
            seen = seen if self.on_points else F.max_pool2d(seen, 2)
        answer: Tensor = self.last(seen.flatten(1))
        return answer

    def prepared(self, samples: Tensor) -> Tensor:
        """Bytes as numbers in [-1, 1], at most 32 px; points about 0 and of size 1."""
        if self.on_points:
            return (samples.float() - self.centre) / self.scale
        images = samples.float() / 127.5 - 1
        size = _sides(samples)[0]
        return images if images.shape[2:] == size else F.adaptive_avg_pool2d(images, size)

    @torch.no_grad()
    def answers(self, samples: Tensor) -> Tensor:
        """What it says of all samples, `[n, outputs]`, 256 at a time."""
        return torch.cat([self(self.prepared(part)) for part in samples.split(SEEN_AT_A_TIME)])

    def train_on(self, samples: Tensor, batches: Tensor, loss: Callable[[Tensor, Tensor], Tensor], step: Step = unwatched) -> None:
        """Adam with a rate of 2e-3 that falls to 0 in a line, one update for each row of `batches`.

        Args:
            batches: positions of samples, `[updates, batch]`.
            loss: from answers `[batch, outputs]` and their positions to a number.
            step: told of each update.
        """
        optimizer = torch.optim.Adam(self.parameters(), lr=RATE)
        for update, rows in enumerate(batches):
            optimizer.param_groups[0]["lr"] = RATE * (1 - update / len(batches))
            optimizer.zero_grad()
            loss(self(self.prepared(samples[rows])), rows).backward()
            optimizer.step()
            step(1)

    @torch.no_grad()
    def _draw(self, streams: Streams, name: str) -> None:
        for layer in self._layers():
            bound = layer.fan_in**-0.5
            for parameter in layer.parameters():
                parameter.copy_(bound * (2 * streams.uniform(f"{name} weights", *parameter.shape) - 1))

    def _layers(self) -> Iterator[Linear | Convolution]:
        for layer in (*self.blocks, self.last):
            assert isinstance(layer, Linear | Convolution)
            yield layer


def _sides(images: Tensor) -> list[tuple[int, int]]:
    """Height and width before each block, and after the last."""
    height, width = images.shape[2:]
    sides = [(min(height, LARGEST_SIDE), min(width, LARGEST_SIDE))]
    while min(sides[-1]) > SMALLEST_SIDE:
        sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
    return sides
