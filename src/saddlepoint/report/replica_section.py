"""What the page says of a run's replicas: who they are, how each went, the command that repeats one alone."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from saddlepoint.report.curves import short
from saddlepoint.report.reading import Reading
from saddlepoint.report.replicas import Replica, groupings, shortened, told
from saddlepoint.seeds import written_seeds

MOST_OPEN_ROWS = 20
MOST_ROWS = 2000
MOST_VALUES = 6


def counted(number: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "replica"), counted(1000, "part")
    ('1 replica', '1,000 parts')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def described(replicas: Sequence[Replica]) -> str:
    """Their seeds and the values that vary, in a line."""
    seeds = list(dict.fromkeys(replica.seed for replica in replicas if replica.seed is not None))
    written = written_seeds(seeds) if seeds else None
    listed = written if written is None or isinstance(written, str) else _listed([str(seed) for seed in written])
    parts = [f"{'seed' if len(seeds) == 1 else 'seeds'} {listed}"] if listed is not None else []
    for field, short_name in _names(replicas).items():
        values = list({json.dumps(replica.values[field]): replica.values[field] for replica in replicas}.values())
        parts.append(f"{short_name} {_listed([told(value) for value in values])}")
    return "; ".join(parts)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) if len(words) <= MOST_VALUES else f"{', '.join(words[:3])} … {words[-1]} ({len(words)} in all)"


def _names(replicas: Sequence[Replica]) -> dict[str, str]:
    """The varying fields with their short names."""
    fields = replicas[0].values if replicas else {}
    return dict(zip(fields, shortened(fields), strict=True))


def divergence(reading: Reading) -> Iterator[str]:
    """A notice of the replicas that diverged: how many, of which values, which was the first."""
    replicas = reading.replicas
    ended = [(replica.ended.update, replica, replica.ended.term) for replica in replicas if replica.ended is not None]
    if not ended:
        return
    update, first, term = min(ended, key=lambda end: end[0])
    shares = "; ".join(
        f"{label}: {sum(replicas[member].ended is not None for member in members)} of {len(members)}"
        for grouping in groupings(replicas)
        for label, members in grouping.groups.items()
        if len(grouping.groups) > 1
    )
    how_many = f"{'All' if len(ended) == len(replicas) else f'{len(ended):,} of'} {counted(len(replicas), 'replica')} diverged"
    yield (
        f'<div class="notice diverged" role="alert"><p><strong>{how_many}</strong>, the first (replica {first.index}: '
        f"{escape(first.name)}) at update {update:,}: {escape(term)} stopped being finite. "
        f"It is frozen there; the curves are of those that are left.</p>{f'<p>{escape(shares)}.</p>' if shares else ''}</div>"
    )


def replica_table(reading: Reading) -> str:
    """The section of the replicas: a row each, folded when they are many."""
    replicas = reading.replicas
    if not replicas:
        return ""
    monitors = _monitors(reading)
    names = _names(replicas)
    columns = ["replica", "seed", *names.values(), "status", *monitors.values()]
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(_row(replica, list(names), list(monitors)) for replica in replicas[:MOST_ROWS])
    table = f'<div class="wide" tabindex="0"><table class="axis"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    if len(replicas) > MOST_OPEN_ROWS:
        table = f"<details><summary>All {len(replicas):,} replicas</summary>{table}</details>"
    left_out = f" The first {MOST_ROWS:,}; <code>saddlepoint runs RUN</code> lists all." if len(replicas) > MOST_ROWS else ""
    words = f"By their place in the axis, with the last values; of one that diverged, its last before.{left_out}"
    words += " <code>saddlepoint runs RUN --replica I</code> opens one as a run of its own."
    return f'<section id="replicas"><h2>Replicas</h2><div class="card values"><p class="label">{words}</p>{table}</div></section>'


def _monitors(reading: Reading) -> dict[str, str]:
    """The quantities that the table shows, with their headings: losses, and what was measured."""
    losses = {name: f"{name.removesuffix('/loss')} loss" for name in reading.log.names if name.endswith("/loss")}
    return losses | {f"measures/{entry.name}": entry.title for entry in reading.log.measured}


def _row(replica: Replica, fields: Sequence[str], monitors: Sequence[str]) -> str:
    values = [str(replica.index), "–" if replica.seed is None else str(replica.seed), *(told(replica.values[f]) for f in fields)]
    last = [short(replica.last[name]) if name in replica.last else "–" for name in monitors]
    cells = [*(escape(value) for value in values), _status(replica), *(escape(value) for value in last)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _status(replica: Replica) -> str:
    words = replica.status
    if replica.ended is not None:
        words = f"diverged at {replica.ended.update:,}: {replica.ended.term}"
    elif not replica.done:
        words = f"at update {replica.update:,}"
    return f'<span class="is-{replica.status}">{escape(words)}</span>'


def alone_command(reading: Reading, replica: Replica) -> str:
    """The command that trains one replica as a run of its own."""
    words = ["saddlepoint", "train", str(reading.path / "recipe.yaml"), *alone_overrides(replica.seed, replica.values)]
    return shlex.join(words)


def alone_overrides(seed: int | None, values: Mapping[str, Any]) -> list[str]:
    """What turns the recipe of many replicas into the one of a replica.

    >>> alone_overrides(3, {"weightings.generator.eta": 0.1})
    ['seeds=null', 'seed=3', 'vary={}', 'weightings.generator.eta=0.1']
    """
    fields = [f"{field}={json.dumps(value)}" for field, value in values.items()]
    return ["seeds=null", f"seed={seed or 0}", *(["vary={}", *fields] if fields else [])]
