"""What every shipped recipe reaches as it stands, and how long that takes: the figures of the recipes' headers.

python -m benchmarks.reaches [RECIPE …]
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from tests.digits_classifier import accuracy, class_shares, confident_share, trained_classifier

from benchmarks.race import machine
from saddlepoint.data.source import Source
from saddlepoint.recipe import load, shipped
from saddlepoint.run import Run
from saddlepoint.streams import Streams
from saddlepoint.training import loop

SAMPLES = 1000


def on_digits(run: Run, source: Source) -> str:
    """The share of samples that a classifier of the real digits takes for digits, and the share of the rarest class."""
    judge = trained_classifier(source)
    images = run.sample(SAMPLES)
    rarest = float(class_shares(judge, images).min())
    right = accuracy(judge, source)
    return f"{confident_share(judge, images):.3f} taken for digits, rarest class {rarest:.3f} (the judge is right on {right:.3f})"


def on_points(run: Run, source: Source) -> str:
    """Exact Wasserstein-1 distance to fresh data, beside that of two draws of the data."""
    import ot

    streams = Streams(1)
    real, again = (source.batch(streams, SAMPLES, "held-out").image.double().numpy() for _ in range(2))
    weights = [1 / SAMPLES] * SAMPLES
    reached, floor = (
        float(ot.emd2(weights, weights, ot.dist(real, other, "euclidean"), numItermax=10**7))
        for other in (run.sample(SAMPLES).double().numpy(), again)
    )
    return f"W1 {reached:.3f} to the data (two draws of the data: {floor:.3f})"


def main() -> None:
    """Train each recipe on one thread and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=sorted(shipped()), metavar="RECIPE")
    names = parser.parse_args().recipes
    torch.set_num_threads(1)
    print(machine())
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            recipe = load(name, {"threads": 1})
            start = time.process_time()
            run = Run(loop.train(recipe, Path(folder) / "run", None))
            seconds = time.process_time() - start
            source = recipe.data.open()
            reached = on_points(run, source) if len(source.shape) == 1 else on_digits(run, source)
            print(f"{name}: {reached}; {recipe.schedule.updates:,} updates in {seconds:.0f} s of one core", flush=True)


if __name__ == "__main__":
    main()
