"""A classifier of the real digits, to read what a generator drew.

A network trained on digits alone is sure of anything: it gives noise a class with more than .9 in half of all cases. This one also
learns to be sure of nothing (a uniform answer) on what is no digit: noise, and two digits laid over one another.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.source import Source, Split
from saddlepoint.streams import Streams

BATCH = 64
CLASSES = 10
UNSURE = 0.03


def everything(source: Source, split: Split) -> tuple[Tensor, Tensor]:
    """All images and labels of a split."""
    examples = list(source.all(split))
    labels = [example.label for example in examples if example.label is not None]
    return torch.cat([example.image for example in examples]), torch.cat(labels)


def not_digits(images: Tensor, streams: Streams) -> Tensor:
    """Noise, then overlays, half and half, `[n, 1, H, W]`."""
    n, half = len(images), len(images) // 2
    others = images[streams.integers("others", n, n)]
    noise = streams.normal("noise", *images.shape).clamp(-1, 1)
    overlaid = torch.maximum(images, others) if int(streams.integers("overlay", 2, 1)) else (images + others) / 2
    return torch.cat([noise[:half], overlaid[half:]])


def trained_classifier(source: Source, epochs: int = 15) -> nn.Module:
    """A small convolutional classifier of the training images, in eval mode."""
    streams = Streams(7)
    images, labels = everything(source, "train")
    network = _network(images.shape[-1], streams)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * len(images) // BATCH
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(steps):
        chosen = streams.order("classifier", len(images), BATCH)
        shift = streams.integers("shift", 3, 2).tolist()
        shown = torch.roll(images[chosen], (shift[0] - 1, shift[1] - 1), dims=(2, 3))
        answers = network(torch.cat([shown, not_digits(shown, streams)]))
        unsure = -answers[BATCH:].log_softmax(1).mean()
        loss = F.cross_entropy(answers[:BATCH], labels[chosen]) + UNSURE * unsure
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
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
    shares: Tensor = network(images).argmax(1).bincount(minlength=CLASSES) / len(images)
    return shares


def _network(side: int, streams: Streams) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (side // 4) ** 2, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )
    for name, parameter in network.named_parameters():
        fan_in = parameter[0].numel()
        drawn = streams.normal(name, *parameter.shape) * (2 / fan_in) ** 0.5
        parameter.data = drawn if parameter.ndim > 1 else torch.zeros_like(parameter)
    return network
