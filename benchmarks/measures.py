"""Measures against their references on the same features, and against the feature pass that they share.

    python -m benchmarks.measures [frechet-5000] [frechet-1000] [kernel] [precision] [shared]

Every race first holds that both ways give the same number. What needs a library that is not there is said, and missed.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.race import machine, race, show, timed, verdict
from saddlepoint.measures import MEASURES, Moments, frechet_distance, kernel_distance_over_subsets, precision_recall
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.streams import Streams

Array = NDArray[np.float64]

ROUNDS = 3
FEATURES = 2048
CLASSES = 1008

THEIRS, OURS = "the reference", "saddlepoint"

# The measures that live on one pass of the extractor, by their registry names, with the fields that an evaluation of so many needs.
SHARING: Mapping[str, Mapping[str, int]] = {
    "frechet-distance": {},
    "kernel-distance": {},
    "classifier-score": {},
    "precision-recall": {},
    "density-coverage": {},
    "maximum-mean-discrepancy": {},
    "wasserstein-distance": {"samples": 2000},
    "class-modes": {},
    "memorisation": {},
}


def sets(n: int) -> tuple[Tensor, Tensor]:
    """Real and fake features, `[n, 2048]`, float32 as an extractor gives them; variances fall like 1/i."""
    streams = Streams(0)
    scale = (1 + torch.arange(FEATURES)).rsqrt()
    real, fake, other = (streams.normal(name, n, FEATURES) for name in ("real", "fake", "other"))
    return 0.5 + real * scale, 0.505 + 1.02 * fake * scale + 0.005 * other


def absent(library: str) -> bool:
    """Whether a rival is missing; it is said."""
    missing = importlib.util.find_spec(library) is None
    if missing:
        print(f"  MISSED: {library} is not installed, so there is nothing to race against")
    return missing


def equal(what: str, ours: float, theirs: float, *, within: float) -> bool:
    """Print both numbers; whether they agree."""
    agreed = abs(ours - theirs) <= within
    print(f"  {what}: {ours:.10g} and {theirs:.10g}, {'equal' if agreed else 'NOT EQUAL'} within {within:.1g}")
    return agreed


def by_matrix_root(mean: Array, covariance: Array, other_mean: Array, other: Array) -> float:
    """The formula with SciPy's root of the product, as most code has it."""
    import scipy.linalg

    shift = mean - other_mean
    root = scipy.linalg.sqrtm(covariance @ other)
    return float(shift @ shift + np.trace(covariance) + np.trace(other) - 2 * np.trace(root).real)


def frechet(n: int, least: float) -> bool:
    print(f"\nFréchet distance, d = {FEATURES}, n = {n}")
    if absent("scipy"):
        return False
    real, fake = sets(n)
    arrays = [side.double().numpy() for side in (real, fake)]
    covariances = [np.cov(rows, rowvar=False) for rows in arrays]
    means = [rows.mean(0) for rows in arrays]
    moments = Moments.of(real), Moments.of(fake)
    found: dict[str, float] = {}

    def theirs() -> None:
        found["theirs"] = by_matrix_root(means[0], covariances[0], means[1], covariances[1])

    def ours() -> None:
        found["ours"] = frechet_distance(*moments)

    cases = {
        THEIRS: lambda: timed(theirs),
        OURS: lambda: timed(ours),
        "saddlepoint, from features all in": lambda: timed(lambda: frechet_distance(real, fake)),
    }
    result = race(cases, ROUNDS)
    agreed = equal("the value", found["ours"], found["theirs"], within=1e-6 * found["ours"])
    show("sqrtm of the product and ours, both from moments", result, 1, "value")
    return verdict("against the root of the product", result, THEIRS, OURS, least) and agreed


def kernel() -> bool:
    n, subsets, size = 5000, 100, 1000
    print(f"\nKID, {subsets} subsets of {size} of {n}, d = {FEATURES}")
    if absent("torch_fidelity"):
        return False
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = sets(n)
    generator = np.random.RandomState(2020)
    drawn = [[torch.from_numpy(generator.choice(n, size, replace=False)) for _ in range(2)] for _ in range(subsets)]
    mine, other = (torch.stack([pair[side] for pair in drawn]) for side in (0, 1))
    found: dict[str, float] = {}

    def theirs() -> None:
        said = kid_features_to_metric(fake, real, kid_subsets=subsets, kid_subset_size=size, verbose=False)
        found["theirs"] = said["kernel_inception_distance_mean"]

    def ours() -> None:
        found["ours"] = kernel_distance_over_subsets(real, fake, other, mine).mean().item()

    cases = {THEIRS: lambda: timed(theirs), OURS: lambda: timed(ours)}
    result = race(cases, ROUNDS)
    agreed = equal("mean over subsets", found["ours"], found["theirs"], within=1e-6)
    show("torch-fidelity in float32, ours with products in float32 and the rest in float64, its own subsets", result, 1, "value")
    return verdict("against torch-fidelity", result, THEIRS, OURS, 2.5) and agreed


def precision() -> bool:
    n = 10_000
    print(f"\nPrecision and recall, k = 3, n = {n}, d = {FEATURES}")
    if absent("torch_fidelity"):
        return False
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = sets(n)
    found: dict[str, tuple[float, float]] = {}

    def theirs() -> None:
        said = prc_features_to_metric(fake, real, verbose=False)
        found["theirs"] = said["precision"], said["recall"]

    def ours() -> None:
        pair = precision_recall(real, fake, k=3)
        found["ours"] = float(pair[0]), float(pair[1])

    cases = {THEIRS: lambda: timed(theirs), OURS: lambda: timed(ours)}
    result = race(cases, ROUNDS)
    agreed = [
        equal(what, mine, other, within=1 / n)
        for what, mine, other in zip(("precision", "recall"), found["ours"], found["theirs"], strict=True)
    ]
    show("torch-fidelity and ours", result, 1, "value")
    return verdict("against torch-fidelity", result, THEIRS, OURS, 1.5) and all(agreed)


def inception() -> nn.Module:
    """torch-fidelity's Inception with the weights it was made with: its pass takes as long with any."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.pth"
        torch.save({}, empty)
        with mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict", return_value=None):
            network: nn.Module = FeatureExtractorInceptionV3(
                "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(empty)
            )
    return network.eval()


def seconds_an_image(images: int, batch: int = 64) -> float:
    """Of a pass of Inception over a few images."""
    network = inception()
    pixels = torch.zeros(images, 3, 32, 32, dtype=torch.uint8)
    with torch.no_grad():
        network(pixels[:2])
        return timed(lambda: [network(part) for part in pixels.split(batch)]) / images


def evidence(n: int) -> Evidence:
    """Everything that the sharing measures read, in the sizes of an evaluation."""
    streams = Streams(1)

    def sample(name: str, features: Tensor) -> Sample:
        images = streams.integers(f"{name} images", 256, n, 3, 32, 32).to(torch.uint8)
        logits = 5 * streams.normal(f"{name} logits", n, CLASSES)
        return Sample(images, features, logits, streams.integers(f"{name} labels", 10, n))

    real, fake = sets(n)
    train, held_out = (streams.normal(name, n, FEATURES) for name in ("train", "held-out"))
    return Evidence(sample("real", real), sample("fake", fake), train=sample("train", train), held_out=sample("held-out", held_out))


def shared(n: int = 10_000, images: int = 256) -> bool:
    print(f"\nThe measures that share the pass, n = {n}, d = {FEATURES}, logits of {CLASSES} classes")
    if absent("torch_fidelity"):
        return False
    one = seconds_an_image(images)
    whole = n * one
    print(f"  Inception: {1 / one:.1f} images a second over {images} images; {n} fakes would take {whole:.0f} s (extrapolated)")
    given, total, reached = evidence(n), 0.0, True
    for name, fields in SHARING.items():
        if name not in MEASURES:
            print(f"  MISSED: {name} is not in the registry")
            reached = False
            continue
        record = MEASURES[name](**fields)
        seconds = timed(partial(record, given, Streams(0)))
        total += seconds
        said = ", ".join(f"{field} {value}" for field, value in fields.items())
        print(f"  {name + (f' ({said})' if said else ''):<42} {seconds:9.1f} s", flush=True)
    share = total / whole
    within = share <= 0.10
    print(f"  together {total:.1f} s, {share:.1%} of the pass, goal 10 % or less: {'reached' if within else 'MISSED'}")
    return within and reached


RACES: Mapping[str, Callable[[], bool]] = {
    "frechet-5000": lambda: frechet(5000, 9),
    "frechet-1000": lambda: frechet(1000, 50),
    "kernel": kernel,
    "precision": precision,
    "shared": shared,
}


def main() -> None:
    """Run the races named, by default all; exit code 1 when a goal is missed."""
    print(machine())
    reached = [RACES[name]() for name in sys.argv[1:] or RACES]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
