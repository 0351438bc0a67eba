"""A classifier of the real digits, to read what a generator drew."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.source import Source
from saddlepoint.streams import Streams


def everything(source: Source, split: str) -> tuple[Tensor, Tensor]:
    """All images and labels of a split."""
    examples = list(source.all("train" if split == "train" else "held-out"))
    labels = [example.label for example in examples if example.label is not None]
    return torch.cat([example.image for example in examples]), torch.cat(labels)


def trained_classifier(source: Source, epochs: int = 30) -> nn.Module:
    """A small convolutional classifier of the training images, in eval mode; shifted by a pixel so that it does not overfit."""
    streams = Streams(7)
    images, labels = everything(source, "train")
    side = images.shape[-1]
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (side // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for name, parameter in network.named_parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        drawn = streams.normal(name, *parameter.shape) * (2 / fan_in) ** 0.5
        parameter.data = drawn if parameter.ndim > 1 else torch.zeros_like(parameter)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    batch = 64
    for _ in range(epochs * len(images) // batch):
        chosen = streams.order("classifier", len(images), batch)
        shift = streams.integers("shift", 3, 2).tolist()
        shifted = torch.roll(images[chosen], (shift[0] - 1, shift[1] - 1), dims=(2, 3))
        loss = F.cross_entropy(network(shifted), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, source: Source) -> float:
    """On the held-out split."""
    images, labels = everything(source, "held-out")
    return float((network(images).argmax(1) == labels).double().mean())


@torch.no_grad()
def confident_share(network: nn.Module, images: Tensor, confidence: float = 0.9) -> float:
    """The share of images to which the classifier gives a class with more than `confidence`."""
    return float((network(images).softmax(1).amax(1) > confidence).double().mean())


@torch.no_grad()
def class_shares(network: nn.Module, images: Tensor) -> Tensor:
    """The share of each class among images, `[10]`."""
    shares: Tensor = network(images).argmax(1).bincount(minlength=10) / len(images)
    return shares
