"""Values of the replicas of one run as one value each: the mean over them, with its error."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from saddlepoint.evaluation.card import Card, Value
from saddlepoint.evaluation.engine import Evaluation


def over_replicas(evaluations: Sequence[Evaluation], run: str, *, diverged: int = 0) -> Evaluation:
    """Of each quantity that every replica has: the mean, and the standard error of the mean over replicas.

    The single values are in the details, in the order of the axis, with their median and quartiles. A replica without a finite
    value stands there as NaN; it is left out of the mean, and counted in a note.

    Args:
        diverged: replicas that are not among them since they diverged, which a note says.
    """
    # A mean of p-values is none.
    asked = [value.name for value in evaluations[0] if "p-value" not in value.title]
    names = [name for name in asked if all(name in [value.name for value in one] for one in evaluations)]
    values = tuple(_pooled([one[name] for one in evaluations], run, diverged) for name in names)
    left_out = tuple(dict.fromkeys(line for one in evaluations for line in one.left_out))
    warnings = tuple(dict.fromkeys(line for one in evaluations for line in one.warnings))
    return Evaluation(values, left_out, warnings)


def _pooled(values: Sequence[Value], run: str, diverged: int) -> Value:
    first = values[0]
    means = [value.mean for value in values]
    finite = [mean for mean in means if math.isfinite(mean)]
    notes = [f"Mean over {len(finite)} replicas, with the standard error between them."]
    if diverged:
        notes.append(f"{diverged} of {diverged + len(means)} replicas diverged and are not in the mean.")
    if len(finite) < len(means):
        notes.append(f"{len(means) - len(finite)} replicas have no finite value and are not in the mean.")
    details = {"replicas": len(means), "values": means}
    if len(finite) > 1:
        details |= {"median": statistics.median(finite), "quartiles": statistics.quantiles(finite, n=4)}
    error = statistics.stdev(finite) / math.sqrt(len(finite)) if len(finite) > 1 else None
    return replace(
        first,
        mean=statistics.fmean(finite) if finite else math.nan,
        error=error,
        interval=None,
        # What a note says of a single value's error does not hold of the error between replicas.
        notes=tuple(dict.fromkeys([*notes, *(note for note in first.notes if "error" not in note)])),
        details=details,
        card=Card(first.card.protocol, {**first.card.provenance, "run": run, "replicas": len(means)}),
    )
