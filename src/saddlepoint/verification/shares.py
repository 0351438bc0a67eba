"""What counts and shares must be on small sets: neighbours, modes, classes, accuracies."""

import math
from collections.abc import Iterator, Sequence

import torch

from saddlepoint.measures.class_modes import ClassModesCounted
from saddlepoint.measures.classifier_accuracy_score import ClassifierAccuracyScore
from saddlepoint.measures.classifier_score import ClassifierScore
from saddlepoint.measures.density_coverage import DensityAndCoverage
from saddlepoint.measures.discriminator_overfitting import DiscriminatorOverfitting
from saddlepoint.measures.evidence import Evidence, GaussianMixture, Sample
from saddlepoint.measures.memorisation import Memorisation
from saddlepoint.measures.modes import ModesCounted
from saddlepoint.measures.precision_recall import ImprovedPrecisionRecall
from saddlepoint.measures.vendi_score import VendiScore
from saddlepoint.streams import Streams
from saddlepoint.verification.cases import Case, one, pinned, sample
from saddlepoint.verification.probe import Slip

LINE = tuple(float(x) for x in range(10))
# 12 is on the rim of the ball of 9 that reaches to its third neighbour.
BESIDE = (-2.5, 4.0, 4.5, 5.5, 12.0, 13.0, 20.0)


def _radii(points: Sequence[float], k: int) -> list[float]:
    """To the k-th other point."""
    return [sorted(abs(x - y) for j, y in enumerate(points) if j != i)[k - 1] for i, x in enumerate(points)]


def _inside(centres: Sequence[float], radii: Sequence[float], points: Sequence[float], closed: bool) -> list[list[bool]]:
    """Which ball holds which point, `[centres][points]`."""
    pairs = zip(centres, radii, strict=True)
    return [[abs(x - y) <= r if closed else abs(x - y) < r for y in points] for x, r in pairs]


def _covered(centres: Sequence[float], points: Sequence[float], k: int, closed: bool = True) -> float:
    """Share of the points that lie in some ball."""
    held = _inside(centres, _radii(centres, k), points, closed)
    return sum(any(column) for column in zip(*held, strict=True)) / len(points)


def _column(values: Sequence[float]) -> Sample:
    return sample(torch.tensor(values)[:, None])


def precision_recall(record: ImprovedPrecisionRecall) -> Iterator[Case]:
    """Closed balls on a line."""
    k = min(record.k, 5)
    precision, recall = _covered(LINE, BESIDE, k), _covered(BESIDE, LINE, k)
    yield Case(
        "on a line",
        f"reals 0, 1, ... 9 and fakes {list(BESIDE)}, k = {k}; balls by hand: precision, recall",
        pinned(record, k=k),
        Evidence(_column(LINE), _column(BESIDE)),
        {"precision": precision, "recall": recall},
        (
            Slip("precision and recall are exchanged: real and fake are swapped", (recall, precision)),
            *(
                [Slip("a sample counts as its own neighbour: k is one too small", (_own(LINE, BESIDE, k), _own(BESIDE, LINE, k)))]
                if k > 1
                else []
            ),
            Slip("balls are open", (_covered(LINE, BESIDE, k, closed=False), _covered(BESIDE, LINE, k, closed=False))),
            Slip("they are given in percent", (100 * precision, 100 * recall)),
        ),
        plain=True,
    )


def _own(centres: Sequence[float], points: Sequence[float], k: int) -> float:
    return _covered(centres, points, k - 1)


def _density(k: int, closed: bool = False, counted: int | None = None) -> tuple[float, float]:
    held = _inside(LINE, _radii(LINE, counted or k), BESIDE, closed)
    return sum(map(sum, held)) / (k * len(BESIDE)), sum(any(row) for row in held) / len(LINE)


def density_coverage(record: DensityAndCoverage) -> Iterator[Case]:
    """Open balls on a line."""
    k = min(record.k, 5)
    density, coverage = _density(k)
    yield Case(
        "on a line",
        f"reals 0, 1, ... 9 and fakes {list(BESIDE)}, k = {k}; balls by hand: density, coverage",
        pinned(record, k=k),
        Evidence(_column(LINE), _column(BESIDE)),
        {"density": density, "coverage": coverage},
        (
            *([Slip("a sample counts as its own neighbour: k is one too small", _density(k, counted=k - 1))] if k > 1 else []),
            Slip("balls are closed", _density(k, closed=True)),
            Slip("the density is not divided by k", (k * density, coverage)),
            Slip(
                "coverage is the share of fakes inside balls (precision), not of balls that hold a fake",
                (density, _covered(LINE, BESIDE, k, closed=False)),
            ),
        ),
        plain=True,
    )


def modes(record: ModesCounted) -> Iterator[Case]:
    """Three samples near a mode and one far from all."""
    mixture = GaussianMixture(torch.tensor([[0.0, 0.0], [9.0, 0.0]], dtype=torch.float64), 1.0)
    fakes = sample([(0.1, 0), (0, 2), (1, 1), (50, 50)])
    yield Case(
        "three near, one far",
        "means (0, 0) and (9, 0), std 1; three fakes within 3 std of the first, one far out on the second's side",
        record,
        Evidence(sample([(0, 0), (9, 0)]), fakes, mixture=mixture),
        {"modes": 1.0, "high-quality": 0.75, "mode-kl": 0.75 * math.log(1.5) + 0.25 * math.log(0.5)},
        (
            Slip("the far sample counts for its nearest mode", lambda came: came[0] == 2),
            Slip("the divergence leaves the far sample out", lambda came: abs(came[2] - math.log(2)) < 1e-6),
            Slip("the divergence is taken the other way round", lambda came: abs(came[2] - math.log(4 / 3) / 2) < 1e-6),
        ),
    )


def _logits(counts: Sequence[int]) -> torch.Tensor:
    return torch.cat([100.0 * torch.eye(len(counts))[label].expand(count, -1) for label, count in enumerate(counts)])


def _classified(counts: Sequence[int]) -> Sample:
    logits = _logits(counts)
    return sample(logits, logits=logits)


def class_modes(record: ClassModesCounted) -> Iterator[Case]:
    """Shares of three classes."""
    real, fake = (4, 4, 2), (8, 2, 0)
    shares = [(p / 10, q / 10) for p, q in zip(real, fake, strict=True)]
    yield Case(
        "shares of three classes",
        f"reals by class {list(real)}, fakes {list(fake)}: classes found, KL(fake || real)",
        record,
        Evidence(_classified(real), _classified(fake)),
        {
            "classes": float(sum(q >= record.share * p for p, q in shares)),
            "class-kl": sum(q * math.log(q / p) for p, q in shares if q > 0),
        },
        (Slip("the divergence is taken the other way round", lambda came: came[1] == math.inf),),
    )


def classifier_score(record: ClassifierScore) -> Iterator[Case]:
    """Sure predictions, evenly spread: as many as there are classes."""
    yield Case(
        "four classes, evenly and surely",
        "8 fakes, 2 of each of 4 classes, sure predictions, one split: e^(ln 4)",
        pinned(record, splits=1),
        Evidence(_classified((2, 2, 2, 2)), _classified((2, 2, 2, 2))),
        {"classifier-score": 4.0},
        one(("the exponential is missing", math.log(4)), ("nothing is averaged over samples", math.exp(8 * math.log(4)))),
    )


def vendi_score(record: VendiScore) -> Iterator[Case]:
    """As many as there are directions."""
    features = torch.eye(4).repeat(2, 1)
    yield Case(
        "four directions, each twice",
        "8 fakes along 4 axes: e^(ln 4)",
        record,
        Evidence(sample(features), sample(3 * features)),
        {"vendi-score": 4.0},
        one(("the exponential is missing", math.log(4)), ("similarities are not divided by n", math.exp(-4 * 2 * math.log(2)))),
    )


def memorisation(record: Memorisation) -> Iterator[Case]:
    """Training samples replayed."""
    streams = Streams(0)
    train, held_out = (streams.normal(f"verification memorisation {side}", 60, 2) for side in ("train", "held-out"))
    yield Case(
        "training samples replayed",
        "60 fakes that are the training samples, 60 held-out ones that are not: A in pixels and in features",
        pinned(record, resamples=100),
        Evidence(sample(held_out), sample(train.flip(0)), sample(train), sample(held_out)),
        {"copying-pixels": 1.0, "copying-features": 1.0},
        (Slip("A is turned round: copies must give 1, not 0", (0.0, 0.0)),),
    )


def discriminator_overfitting(record: DiscriminatorOverfitting) -> Iterator[Case]:
    """Four scores a side."""
    scores = {"train": (1.0, 2.0, -1.0, 3.0), "held-out": (1.0, -1.0, -2.0, 2.0), "fake": (-1.0, -2.0, 3.0, -3.0)}
    points = [(0, 0)] * 4
    train, held_out, fake = (sample(points, scores=torch.tensor(values)) for values in scores.values())
    yield Case(
        "four scores a side",
        f"scores {', '.join(f'{side} {list(values)}' for side, values in scores.items())}: accuracies, r_v",
        pinned(record, threshold=0.0),
        Evidence(train, fake, train, held_out),
        {"train-accuracy": 0.75, "held-out-accuracy": 0.5, "fake-accuracy": 0.75, "overfitting-ratio": 1.25 / 2.0},
        (Slip("fakes are judged right when they look real", lambda came: came[2] == 0.25),),
    )


def classifier_accuracy_score(record: ClassifierAccuracyScore) -> Iterator[Case]:
    """Two classes that nothing can confuse."""
    streams, labels = Streams(0), torch.arange(40) % 2

    def side(name: str) -> Sample:
        points = 0.1 * streams.normal(f"verification classes {name}", 40, 2) + torch.tensor([-2.0, 2.0])[labels][:, None]
        return sample(points, labels=labels)

    yield Case(
        "two classes far apart",
        "two clusters of 20 points, 40 std apart, on every side: all three accuracies",
        pinned(record, seeds=1, updates=30, batch=16),
        Evidence(side("real"), side("fake"), side("train"), side("held-out")),
        {"classifier-accuracy-score": 1.0, "reverse-classifier-accuracy-score": 1.0, "real-trained-accuracy": 1.0},
        (Slip("labels and samples are out of step", lambda came: min(came) < 0.8),),
    )
