"""Train the classifiers that ship as extractors: the same bits again, on the same processor with the same torch.

    OMP_NUM_THREADS=1 python scripts/train_classifiers.py digits-classifier fashion-mnist-classifier [--into FOLDER]

The digits take some twenty seconds and Fashion-MNIST some ten minutes on one core. Fashion-MNIST is looked for as
`saddlepoint data fashion-mnist` looks for it.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from saddlepoint.data import DATA
from saddlepoint.data.arrays import ArraySource
from saddlepoint.data.source import Split
from saddlepoint.extractors.classifier import DIGITS, FASHION_MNIST, FOLDER, Classifier, Plan, prepared
from saddlepoint.extractors.network import in_pixels
from saddlepoint.streams import Streams

BATCH = 64
SEED = 7
UNSURE = 0.03


@dataclass(frozen=True)
class Schooling:
    """What a classifier is trained on, and how long."""

    plan: Plan
    data: str
    resolutions: tuple[int, ...]
    steps: int
    rate: float


SCHOOLING = {
    "digits-classifier": Schooling(DIGITS, "digits", (8, 16, 32), 450, 3e-3),
    "fashion-mnist-classifier": Schooling(FASHION_MNIST, "fashion-mnist", (32,), 7500, 3e-3),
}


def examples(schooling: Schooling, split: Split) -> tuple[Tensor, Tensor]:
    """Images of a split at all resolutions, prepared, and their labels."""
    images, labels = [], []
    for resolution in schooling.resolutions:
        source = DATA[schooling.data].model_validate({"resolution": resolution}).open()
        assert isinstance(source, ArraySource)
        assert source.labels is not None
        rows = source.rows[split]
        images.append(prepared(in_pixels(source.images[rows]), schooling.plan.side))
        labels.append(source.labels[rows])
    return torch.cat(images), torch.cat(labels)


def trained(plan: Plan, images: Tensor, labels: Tensor, steps: int, rate: float) -> Classifier:
    """Cross-entropy on shifted images, and `UNSURE` times the cross-entropy of a uniform answer on what is of no class."""
    streams = Streams(SEED)
    network = drawn(plan, streams)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    for _ in range(steps):
        chosen = streams.order("classifier", len(images), BATCH)
        shift = streams.integers("shift", 3, 2).tolist()
        shown = torch.roll(images[chosen], (shift[0] - 1, shift[1] - 1), dims=(2, 3))
        logits = network(torch.cat([shown, of_no_class(shown, streams)])).logits
        unsure = -logits[BATCH:].log_softmax(1).mean()
        loss = F.cross_entropy(logits[:BATCH], labels[chosen]) + UNSURE * unsure
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return network.eval()


def drawn(plan: Plan, streams: Streams) -> Classifier:
    """A network as He et al. (2015) start it: weights of variance 2 / fan-in, no bias."""
    network = Classifier(plan).to_empty(device="cpu")
    for name, parameter in network.named_parameters():
        scale = (2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.0
        parameter.data = streams.normal(name, *parameter.shape) * scale
    return network


def of_no_class(images: Tensor, streams: Streams) -> Tensor:
    """Half as many images of nothing: noise, then two images laid over one another."""
    half, quarter = len(images) // 2, len(images) // 4
    others = images[streams.integers("others", len(images), half - quarter)]
    noise = streams.normal("noise", quarter, *images.shape[1:]).clamp(-1, 1)
    brighter = int(streams.integers("overlay", 2, 1))
    laid = torch.maximum(images[quarter:half], others) if brighter else (images[quarter:half] + others) / 2
    return torch.cat([noise, laid])


@torch.no_grad()
def accuracy(network: Classifier, images: Tensor, labels: Tensor) -> float:
    """The share of images that get their label."""
    right = sum(
        int((network(images[start : start + 500]).logits.argmax(1) == labels[start : start + 500]).sum())
        for start in range(0, len(images), 500)
    )
    return right / len(images)


def environment() -> dict[str, str]:
    """What the bits depend on beside this file."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    capability = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "machine": platform.machine(), "processor": model, "capability": capability}


def file_of(network: Classifier, stated: dict[str, Any]) -> bytes:
    """The network as safetensors, with what is stated of it."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    # One key: safetensors writes several in no fixed order.
    return save(tensors, {"saddlepoint": json.dumps(stated, sort_keys=True)})


def built(name: str) -> bytes:
    """The file of a classifier, trained now."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        schooling = SCHOOLING[name]
        network = trained(schooling.plan, *examples(schooling, "train"), schooling.steps, schooling.rate)
        images, labels = examples(schooling, "held-out")
        stated = {
            "name": name,
            "data": schooling.data,
            "resolutions": schooling.resolutions,
            "held_out": len(images),
            "accuracy": accuracy(network, images, labels),
            "environment": environment(),
        }
        return file_of(network, stated)
    finally:
        torch.set_num_threads(threads)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", choices=list(SCHOOLING))
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder to write to; the package's own by default")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        path = chosen.into / f"{name}.safetensors"
        path.write_bytes(built(name))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
