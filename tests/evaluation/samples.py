"""What the tests of evaluations share: a measure whose answer is known, points, and a watch that remembers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import pytest
from pydantic import Field
from torch import Tensor

from saddlepoint.measures import MEASURES
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.streams import Streams


class MeanGap(Measure):
    """`|mean of the fakes' features - mean of the reals'|` times a factor: a measure that a test can do by hand."""

    name: ClassVar[str] = "mean-gap"
    quantities: ClassVar[Mapping[str, Quantity]] = {"mean-gap": Quantity("gap ({extractor})", higher_is_better=False, unit="px")}

    factor: float = Field(default=1.0, gt=0, description="of the gap")

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        return {"mean-gap": Estimate(self.factor * gap(evidence.real.features, evidence.fake.features), len(evidence.fake))}


class MeanGapUp(MeanGap):
    """The same, and higher is better."""

    name: ClassVar[str] = "mean-gap-up"
    quantities: ClassVar[Mapping[str, Quantity]] = {"mean-gap-up": Quantity("gap ({extractor})", higher_is_better=True)}

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        return {"mean-gap-up": super().__call__(evidence, streams)["mean-gap"]}


class Dice(Measure):
    """Nothing but what it draws."""

    name: ClassVar[str] = "dice"
    quantities: ClassVar[Mapping[str, Quantity]] = {"dice": Quantity("dice", higher_is_better=None)}

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        return {"dice": Estimate(streams.normal("dice", 1).item(), len(evidence.fake))}


class Wide(Measure):
    """Reads everything there is, draws samples of its own, and has two quantities."""

    name: ClassVar[str] = "wide"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "drawn": Quantity("drawn", higher_is_better=None),
        "score gap": Quantity("score gap", higher_is_better=True),
    }
    uses = frozenset({"train", "held-out", "scores", "generator"})
    own_samples: ClassVar[bool] = True

    def generated(self, evidence: Evidence) -> int:
        return 128

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        assert evidence.generator is not None
        assert evidence.train is not None
        assert evidence.train.scores is not None
        assert evidence.fake.scores is not None
        seen = evidence.generator.see(evidence.generator.generate(evidence.generator.latents(0, 128)))
        scores = evidence.train.scores.mean() - evidence.fake.scores.mean()
        return {"drawn": Estimate(float(len(seen)), 128), "score gap": Estimate(scores.item(), len(evidence.fake))}


def gap(real: Tensor, fake: Tensor) -> float:
    return float((real.double().mean(0) - fake.double().mean(0)).norm())


@contextmanager
def registered(*records: type[Measure]) -> Iterator[None]:
    """The registry with these measures too."""
    with pytest.MonkeyPatch.context() as patch:
        for record in records:
            patch.setitem(MEASURES, record.name, record)
        yield


def points(n: int, shift: float = 0.0, seed: int = 0) -> Tensor:
    return shift + Streams(seed).normal("points", n, 2)


class Notebook:
    """A watch that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.lines: list[str] = []
        self.steps: list[int] = []

    def stage(self, what: str, total: int) -> None:
        self.stages.append((what, total))
        self.steps.append(0)

    def advanced(self, steps: int) -> None:
        self.steps[-1] += steps

    def said(self, line: str) -> None:
        self.lines.append(line)
