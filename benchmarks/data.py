"""Batches of Fashion-MNIST at 32 px: from the cached array against a DataLoader with PIL transforms.

python -m benchmarks.data
"""

import itertools
import sys
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.race import machine, race, show, timed, verdict
from saddlepoint.data.mnist import FashionMnist
from saddlepoint.streams import Streams

BATCH = 64
BATCHES = 100
WORKERS = (1, 2, 4)


class Pictures(Dataset[tuple[Tensor, int]]):
    """What `torchvision.datasets.FashionMNIST` does for each image, on an array that is in memory already."""

    def __init__(self, images: NDArray[np.uint8], labels: list[int]) -> None:
        self.images = images
        self.labels = labels
        self.transform = transforms.Compose([transforms.Pad(2), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image: Tensor = self.transform(Image.fromarray(self.images[index]))
        return image, self.labels[index]


def unpadded() -> Pictures:
    """The 60,000 training images as their files hold them."""
    examples = list(FashionMnist(resolution=28).open().all("train"))
    images = torch.cat([((example.image[:, 0] + 1) * 127.5).round().to(torch.uint8) for example in examples])
    return Pictures(
        images.numpy(), [label for example in examples if example.label is not None for label in example.label.tolist()]
    )


def main() -> None:
    """Print the table; exit code 1 when a goal is missed."""
    source, streams, pictures = FashionMnist().open(), Streams(0), unpadded()

    def loader(workers: int) -> Callable[[], float]:
        def load() -> float:
            batches = iter(DataLoader(pictures, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=workers))
            next(batches)
            return timed(lambda: list(itertools.islice(batches, BATCHES)))

        return load

    cases = {f"DataLoader, {workers} workers": loader(workers) for workers in (0, *WORKERS)}
    cases["cached array"] = lambda: timed(lambda: [source.batch(streams, BATCH) for _ in range(BATCHES)])
    result = race(cases, 7)
    print(machine())
    show("Fashion-MNIST, padded to 32 px, batches of 64", result, BATCHES, "batch")
    reached = verdict("against no workers", result, "DataLoader, 0 workers", "cached array", 40)
    for workers in WORKERS:
        reached &= verdict(f"against {workers} workers", result, f"DataLoader, {workers} workers", "cached array", 30)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
