"""Values of the replicas of one run as one value each: the mean over them, with its error."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from saddlepoint.evaluation.card import Card, Value
from saddlepoint.evaluation.engine import Evaluation


def over_replicas(evaluations: Sequence[Evaluation], run: str) -> Evaluation:
    """Of each quantity that every replica has: the mean, and the standard error of the mean over replicas.

    The single values are in the details, in the order of the axis, with their median and quartiles. A replica without a finite
    value stands there as NaN; it is left out of the mean, and counted in a note.
    """
    names = [value.name for value in evaluations[0] if all(any(value.name == v.name for v in one) for one in evaluations)]
    values = tuple(_pooled([one[name] for one in evaluations], run) for name in names)
    left_out = tuple(dict.fromkeys(line for one in evaluations for line in one.left_out))
    warnings = tuple(dict.fromkeys(line for one in evaluations for line in one.warnings))
    return Evaluation(values, left_out, warnings)


def _pooled(values: Sequence[Value], run: str) -> Value:
    first = values[0]
    means = [value.mean for value in values]
    finite = [mean for mean in means if math.isfinite(mean)]
    notes = [f"Mean over {len(finite)} replicas, with the standard error between them."]
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
        notes=tuple(dict.fromkeys([*notes, *first.notes])),
        details=details,
        card=Card(first.card.protocol, {**first.card.provenance, "run": run, "replicas": len(means)}),
    )
