"""What a measure is asked: evidence whose value is known by hand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.measure import Measure
from saddlepoint.verification.probe import Slip


@dataclass(frozen=True)
class Case:
    """Evidence and what a measure must say of it.

    Args:
        name, fed: in words.
        record: the measure, with the fields that the value is of.
        evidence: what it is given.
        expected: the value by quantity.
        slips: wrong values that have a name.
        plain: whether a function of the real and the fake features can answer it.
        tolerance: of each number, absolute up to 1 and relative above.
        unasked: why it cannot be asked here.
    """

    name: str
    fed: str
    record: Measure
    evidence: Evidence
    expected: Mapping[str, float]
    slips: tuple[Slip, ...] = ()
    plain: bool = False
    tolerance: float = 1e-5
    unasked: str | None = None


def sample(
    rows: Sequence[Sequence[float]] | Tensor,
    *,
    logits: Tensor | None = None,
    labels: Tensor | None = None,
    scores: Tensor | None = None,
) -> Sample:
    """Points `[n, d]`, which are their own features."""
    points = rows if isinstance(rows, Tensor) else torch.tensor(rows, dtype=torch.float32)
    return Sample(points, points, logits, labels, scores)


def pinned(record: Measure, **fields: object) -> Measure:
    """The measure with some fields set, for a value that is of them."""
    return type(record)(**{**record.model_dump(), **fields})


def one(*named: tuple[str, float]) -> tuple[Slip, ...]:
    """Slips that give one number each."""
    return tuple(Slip(what, (value,)) for what, value in named if math.isfinite(value))
