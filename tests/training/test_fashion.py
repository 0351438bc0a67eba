"""A real training on the real Fashion-MNIST, from the Debian package."""

from pathlib import Path

import torch

from saddlepoint.recipe import load
from saddlepoint.run import Run
from saddlepoint.training import loop


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """`2 E|x - y| - E|x - x'| - E|y - y'|` of two sets of images, 0 for equal distributions (Szekely and Rizzo 2013)."""
    a, b = a.flatten(1), b.flatten(1)
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def test_training_on_fashion_mnist_brings_samples_towards_held_out_pictures(tmp_path: Path) -> None:
    rates = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
    fields = {"data": "fashion-mnist", "networks.width": 8, "schedule.updates": 300, "average.decay": 0.95, "optimizers": rates}
    recipe = load("dcgan", fields | {"checkpoints.every": 10, "threads": 1})
    source = recipe.data.open()
    assert (source.size, source.held_out_size) == (60_000, 10_000)
    held_out = next(source.all("held-out")).image

    class Start(loop.Nobody):
        samples: torch.Tensor | None = None

        def updated(self, update: int) -> None:
            if update == 15:
                self.samples = Run(tmp_path / "run").sample(256, seed=1)

    start = Start()
    run = Run(loop.train(recipe, tmp_path / "run", start))
    assert start.samples is not None
    trained, early = energy_distance(run.sample(256, seed=1), held_out), energy_distance(start.samples, held_out)
    print(f"energy distance to 256 held-out pictures: {early:.2f} after 10 updates, {trained:.2f} after 300")
    assert trained < 0.5 * early
