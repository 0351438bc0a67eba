"""What every measure is: a record that turns evidence into estimates, and the card that each number carries."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.rounds import Record
from saddlepoint.streams import Streams

# What a measure may use of the evidence, beside the images and features of both sides, which are always there.
Use = Literal["logits", "labels", "scores", "train", "held-out", "mixture", "generator", "encoder"]


@dataclass(frozen=True)
class Quantity:
    """One number that a measure gives.

    Args:
        title: as a table shows it; "{extractor}" stands for the extractor's title.
        higher_is_better: None where neither direction is better.
        unit: "" for a pure number.
    """

    title: str
    higher_is_better: bool | None
    unit: str = ""


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Args:
        mean: the value.
        n: generated samples it was computed on.
        error: standard error of `mean`, in its unit; None where there is none that holds.
        interval: 95 % interval.
        notes: what this number does not say, or says only roughly: one sentence each.
        details: what stands behind it (by class, by level), plain JSON values.
    """

    mean: float
    n: int
    error: float | None = None
    interval: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Measure(Record):
    """A measure: pure, so that the same evidence and the same streams give the same bits.

    `quantities` names what it gives; `__call__` returns an estimate for each. The record's fields are part of the card's protocol.
    """

    name: ClassVar[str]
    quantities: ClassVar[Mapping[str, Quantity]]
    uses: ClassVar[frozenset[Use]] = frozenset()
    own_samples: ClassVar[bool] = False
    """Whether it draws or trains on its own, beyond the shared feature pass; then its cost is printed before it starts."""
    has_floor: ClassVar[bool] = True
    """Whether it means something between two halves of the real data; that value is shown beside it."""
    reads_moments: ClassVar[bool] = False
    """Whether it takes `Sample.moments` where they are there, which are then kept of real samples."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @property
    def least(self) -> int:
        """The fewest samples of each side that give a right number."""
        return 2

    def of_run(self, boundary: float | None) -> "Measure":
        """The measure as it is of a run whose objective says "real" of scores above `boundary`; None where it says nothing."""
        return self

    @abstractmethod
    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        """The estimates by quantity.

        Raises:
            InputError: the evidence cannot give a right number (see `problems`).
        """

    def generated(self, evidence: Evidence) -> int:
        """How many samples of its own it will draw at most; 0 for measures that live on the shared pass."""
        return 0

    def problems(self, evidence: Evidence) -> list[str]:
        """Why the evidence cannot give a right number, a line each; empty when it can."""
        absent = [f"{self.name}: needs {use}; {WANTED[use]}" for use in sorted(self.uses) if not _has(evidence, use)]
        short = [
            f"{self.name}: {len(sample)} {side} samples are too few; give {self.least} or more"
            for side, sample in (("real", evidence.real), ("fake", evidence.fake))
            if len(sample) < self.least
        ]
        return absent + short + _not_comparable(self.name, evidence.real, evidence.fake)

    def check(self, evidence: Evidence) -> None:
        """Raise all `problems` at once."""
        problems = self.problems(evidence)
        if problems:
            raise InputError(problems)


WANTED: Mapping[Use, str] = {
    "logits": "choose an extractor with a classifier; a module of yours says them: ModuleExtractor(module, title=…, classes=[…])",
    "labels": "both sides must be labelled",
    "scores": "evaluate a run, whose discriminator gives them",
    "train": "evaluate a run, or give the training images",
    "held-out": "evaluate a run, or give held-out images",
    "mixture": "the data is not a known mixture of Gaussians",
    "generator": "evaluate a run: a folder of images cannot draw more",
    "encoder": "evaluate a run whose game has an encoder",
}


def _has(evidence: Evidence, use: Use) -> bool:
    sides = (evidence.real, evidence.fake)
    found: dict[Use, bool] = {
        "logits": all(side.logits is not None for side in sides),
        "labels": all(side.labels is not None for side in sides),
        "scores": all(side is not None and side.scores is not None for side in (evidence.train, evidence.held_out, evidence.fake)),
        "train": evidence.train is not None,
        "held-out": evidence.held_out is not None,
        "mixture": evidence.mixture is not None,
        "generator": evidence.generator is not None,
        "encoder": evidence.encoder is not None,
    }
    return found[use]


def _not_comparable(name: str, real: Sample, fake: Sample) -> list[str]:
    sides = (("real", real), ("fake", fake))
    problems = [line for side, sample in sides for line in value_problems(name, sample.features, side)]
    if real.features.shape[1:] != fake.features.shape[1:]:
        shapes = f"{tuple(real.features.shape[1:])} and {tuple(fake.features.shape[1:])}"
        problems.append(f"{name}: real and fake features have the shapes {shapes}; both sides need the same extractor and channels")
    return problems
