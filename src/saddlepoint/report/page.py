"""The page of a run: one HTML file that loads nothing. What came from a user is escaped, and its policy runs our script only."""

import hashlib
import shlex
import statistics
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value
from saddlepoint.evaluation.results import FILE as MEASURES
from saddlepoint.evaluation.results import read_values
from saddlepoint.evaluation.table import table_of
from saddlepoint.report.curves import draw
from saddlepoint.report.frames import Frame, animation, data_uri, page_frames, save_animation, shots
from saddlepoint.report.look import SCRIPT, STYLE
from saddlepoint.report.quantities import charts
from saddlepoint.report.reading import Reading, mapping, read_run
from saddlepoint.report.replica_section import alone_command, counted, described, divergence, replica_table
from saddlepoint.report.replicas import groupings
from saddlepoint.report.saving import save

MOST_WARNINGS = 100


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the page of a run, finished or not; its path, by default `report.html` in the run folder.

    Only the folder's recipe, environment, events, samples and measures are read. In its default place a 2-D run's page is joined by
    `samples/training.gif`.

    Raises:
        InputError: not a run folder, or the page cannot be written.
    """
    reading = read_run(run)
    moving = animation(reading)
    if out is None and moving is not None:
        save_animation(run, moving)
    path = out if out is not None else run / "report.html"
    save(path, page(reading, moving).encode("utf-8", errors="replace"))
    return path


def page(reading: Reading, moving: bytes | None) -> str:
    """The page as HTML text; `moving` is the animation of a 2-D run."""
    frames, unreadable = page_frames(reading)
    digest, problems = _digest(reading)
    values, damaged = _values(reading)
    body = [
        _header(reading),
        "<main>",
        *_notices(reading, [*reading.problems, *problems, *unreadable, *damaged]),
        _facts(reading),
        '<section id="samples"><div class="hero">',
        _samples(reading, frames),
        f'<div id="repeat">{_repeat(reading, digest, unfold=moving is None)}{_animation(frames, moving)}</div>',
        "</div></section>",
        values,
        _curves(reading),
        replica_table(reading),
        _environment(reading),
        "</main>",
        "<footer>Made by Saddlepoint from the run folder alone. This file loads nothing and works offline.</footer>",
    ]
    script = b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{script}'; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(reading.name)} · Saddlepoint</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _header(reading: Reading) -> str:
    measures = '<a href="#measures">Measures</a>' if (reading.path / MEASURES).is_file() else ""
    replicas = '<a href="#replicas">Replicas</a>' if reading.replicas else ""
    what = f"<b>{escape(reading.recipe_name)}</b>" if reading.recipe_name else "a recipe without a name"
    on = f" on <b>{escape(reading.data)}</b>" if reading.data else ""
    return (
        f'<header><p class="over">Saddlepoint · training run</p><h1>{escape(reading.name)}</h1>'
        f'<p class="lede"><span class="status {reading.status}">{_status(reading)}</span><span>{what}{on}</span>'
        f"{_many(reading)}</p>"
        '<nav aria-label="Parts of this page"><a href="#samples">Samples</a><a href="#repeat">Repeat it</a>'
        f"{measures}"
        f'<a href="#curves">Curves</a>{replicas}<a href="#environment">Environment</a></nav></header>'
    )


def _status(reading: Reading) -> str:
    ended = len(reading.log.ended)
    of = f", {ended:,} of {counted(len(reading.replicas), 'replica')} diverged" if ended else ""
    if reading.status != "unfinished":
        return "all replicas diverged" if of and reading.status == "diverged" else f"{reading.status}{of}"
    asked = f" of {reading.asked:,}" if reading.asked else ""
    over = sum(part.over(reading.asked) for part in reading.parts)
    parts = f", {over} of {counted(len(reading.parts), 'part')} at their end" if reading.divided else ""
    return f"unfinished: {reading.log.update:,}{asked} updates{parts}{of}"


def _many(reading: Reading) -> str:
    if not reading.replicas:
        return ""
    who = described(reading.replicas)
    return f"<span><b>{counted(len(reading.replicas), 'replica')}</b>{f': {escape(who)}' if who else ''}</span>"


def _notices(reading: Reading, problems: Iterable[str]) -> Iterator[str]:
    log = reading.log
    yield from divergence(reading)
    if log.diverged is not None and not reading.replicas:
        update, term = log.diverged
        yield (
            f'<div class="notice diverged" role="alert"><p><strong>Diverged at update {update:,}</strong>: {escape(term)} stopped '
            "being finite. The last good checkpoint is kept; the red line in the curves marks the place.</p></div>"
        )
    warnings = [f"{escape(message)} (update {update:,})" for update, message in log.warnings]
    if log.unreadable:
        lines = "1 line is" if log.unreadable == 1 else f"{log.unreadable:,} lines are"
        warnings.append(f"events.jsonl: {lines} damaged and left out")
    warnings += [escape(problem) for problem in problems]
    if warnings:
        more = f"<li>and {len(warnings) - MOST_WARNINGS:,} more</li>" if len(warnings) > MOST_WARNINGS else ""
        items = "".join(f"<li>{warning}</li>" for warning in warnings[:MOST_WARNINGS])
        yield f'<div class="notice unfinished"><p><strong>Warnings</strong></p><ul>{items}{more}</ul></div>'


def _facts(reading: Reading) -> str:
    log = reading.log
    facts: dict[str, tuple[str, str]] = {}
    many = bool(reading.replicas)
    if many:
        ended = len(log.ended)
        facts["Replicas"] = (f"{len(reading.replicas):,}", f"{ended:,} diverged" if ended else "none diverged")
    facts["Updates"] = (f"{log.update:,}", f"of {reading.asked:,} asked" if reading.asked else "of the generator")
    if log.progress:
        facts[f"{reading.examples.capitalize()} shown"] = (
            f"{log.progress[-1].images:,}",
            f"real, to {'each' if many else 'the'} discriminator",
        )
    if log.seconds is not None:
        facts["Time"] = (_duration(log.seconds), "of training, summed over parts" if reading.divided else "of training")
    rates = [entry.images_per_second for entry in log.progress if entry.images_per_second is not None]
    if rates:
        facts["Speed"] = (f"{statistics.median(rates):,.0f}", f"{reading.examples} a second, median{', of all' if many else ''}")
    for player, count in log.parameters.items():
        facts[player.capitalize()] = (f"{count:,}", "parameters each" if many else "parameters")
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(unit)}</small></dd></div>"
        for name, (value, unit) in facts.items()
    )
    return f'<dl class="facts">{tiles}</dl>'


def _samples(reading: Reading, frames: list[Frame]) -> str:
    if not frames:
        return '<div><h2>Samples</h2><div class="card"><p class="label">No samples have been drawn yet.</p></div></div>'
    what = "Samples over data" if reading.points else "Samples"
    images = "".join(
        f'<img src="{frame.source}" width="{frame.width}" height="{frame.height}" data-update="{frame.update}" '
        f'alt="{what} at update {frame.update:,}"{"" if number == len(frames) - 1 else " hidden"}>'
        for number, frame in enumerate(frames)
    )
    pixels = "" if reading.points else " pixels"
    last = len(frames) - 1
    slider = (
        f'<div class="slider"><button type="button">Play</button><input type="range" min="0" max="{last}" step="1" value="{last}" '
        f'aria-label="Update whose samples are shown" aria-valuetext="update {frames[-1].update:,}">'
        f"<output>update {frames[-1].update:,}</output></div>"
    )
    there = len(shots(reading))
    chosen = f" {len(frames)} of {there} pictures, evenly chosen." if len(frames) < there else ""
    which = f" {_shown(reading)}" if reading.replicas else ""
    hint = f'<p class="hint">The same latents at every update: drag, or use the arrow keys.{which}{chosen}</p>' if last else ""
    card = f'<div class="card"><div class="frames{pixels}">{images}</div>{slider if last else ""}{hint}</div>'
    return f"<div><h2>{what}</h2>{card}</div>"


def _shown(reading: Reading) -> str:
    if reading.divided:
        return "The first replicas of the first parts; those that diverged are marked."
    kind = "panel" if reading.points else "row"
    return f"A {kind} a replica: the first ones, or the first of each value; those that diverged are marked."


def _animation(frames: list[Frame], moving: bytes | None) -> str:
    if moving is None or not frames:
        return ""
    return (
        '<figure class="card animation"><picture>'
        f'<source media="(prefers-reduced-motion: reduce)" srcset="{frames[-1].source}">'
        f'<img src="{data_uri(moving, "gif")}" alt="Animation: samples over data, update by update" loading="lazy">'
        "</picture><figcaption>The whole training as an animation, <code>samples/training.gif</code>.</figcaption></figure>"
    )


def _repeat(reading: Reading, digest: str | None, unfold: bool) -> str:
    command = str(reading.sessions[0].get("command", "")) if reading.sessions else ""
    stored = shlex.quote(str(reading.path / "recipe.yaml"))
    parts = ['<h2>Repeat it</h2><div class="card">']
    if command:
        parts.append(f'<p class="label">The command that trained it</p>{_command(command)}')
    parts.append(f'<p class="label">From the recipe stored with the run</p>{_command(f"saddlepoint train {stored}")}')
    if reading.status == "unfinished":
        parts.append(f'<p class="label">Go on with it</p>{_command(f"saddlepoint resume {shlex.quote(str(reading.path))}")}')
    if reading.replicas:
        replica = reading.replicas[0]
        words = f"One replica alone: here {escape(replica.name)}; put in the seed and the values of another"
        parts.append(f'<p class="label">{words}</p>')
        parts.append(_command(alone_command(reading, replica)))
    seed = reading.found("seed")
    keys = {
        "Seed": None if seed is None or reading.replicas else str(seed),
        "Replicas": described(reading.replicas) or None if reading.replicas else None,
        "Recipe's digest": digest,
        "Data's digest": str(mapping(reading.environment.get("data")).get("digest") or "") or None,
    }
    parts.append(_keys({name: value for name, value in keys.items() if value is not None}))
    if reading.recipe_text:
        recipe = f'<pre tabindex="0" aria-label="recipe.yaml"><code>{escape(reading.recipe_text)}</code></pre>'
        parts.append(f"<details{' open' if unfold else ''}><summary>The whole recipe</summary>{recipe}</details>")
    parts.append("</div>")
    return "".join(parts)


def _values(reading: Reading) -> tuple[str, list[str]]:
    """What was evaluated: a table for each set of conditions, so that no two rules for a checkpoint stand in one."""
    try:
        values = read_values(reading.path / MEASURES)
    except InputError as error:
        return "", list(error.problems)
    groups: dict[str, list[Value]] = {}
    for value in values:
        groups.setdefault(_conditions(value), []).append(value)
    if not groups:
        return "", []
    tables = "".join(_table(conditions, found) for conditions, found in groups.items())
    words = "Measured by <code>saddlepoint evaluate</code>. The floor is the same quantity between two halves of the real data."
    return f'<section id="measures"><h2>Measures</h2><p class="label">{words}</p>{tables}</section>', []


def _conditions(value: Value) -> str:
    protocol, provenance = value.card.protocol, value.card.provenance
    return (
        f"Checkpoint: {protocol.get('checkpoint')}, of update {provenance.get('update')} · {protocol.get('weights')} weights · "
        f"{protocol.get('n_fake')} samples against {protocol.get('n_real')} {protocol.get('split')} samples of "
        f"{provenance.get('data')} · {protocol.get('extractor')} · seed {provenance.get('seed')}"
    )


def _table(conditions: str, values: list[Value]) -> str:
    found = table_of([("value", list({value.name: value for value in values}.values()))])
    head = "".join(f"<th>{escape(column)}</th>" for column in found.columns)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in found.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    return (
        f'<div class="card values"><p class="label">{escape(conditions)}</p><div class="wide" tabindex="0"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>{f'<ul>{notes}</ul>' if notes else ''}</div>"
    )


def _curves(reading: Reading) -> str:
    log = reading.log
    groups = charts(log, meanings(), reading.examples, reading.replicas)
    if not groups:
        return '<section id="curves"><h2>Curves</h2><p class="label">No progress has been logged yet.</p></section>'
    ended = log.diverged[0] if log.diverged is not None and not reading.replicas else None
    last = max([entry.update for entry in log.progress] + [entry.update for entry in log.measured], default=0)
    drawn = "".join(
        f'<h3>{escape(group)}</h3><div class="charts">{"".join(draw(chart, max(last, ended or 0), ended) for chart in found)}</div>'
        for group, found in groups.items()
    )
    return (
        '<section id="curves"><h2>Curves</h2><p class="label">By generator updates. Point at a curve, or focus it and use the '
        f"arrow keys, to read every chart at that update; otherwise the last values stand beside the names. "
        f"{_how_drawn(reading)}</p>{drawn}</section>"
    )


def _how_drawn(reading: Reading) -> str:
    if not reading.replicas:
        return "Thin lines are what was logged, thick ones its running mean."
    compared = groupings(reading.replicas)
    if any(len(grouping.groups) > 1 for grouping in compared):
        drawn = "A line is the median over the replicas with that value, the band around it their middle half"
    else:
        drawn = "A line is the median over replicas, the darker band their middle half, the lighter one 5 to 95 % of them"
    left = " Once a replica has diverged, its numbers are left out: a band is of those that are alive." if reading.log.ended else ""
    return f"{drawn}; beside the names stand the median and, in brackets, the widest band that is drawn.{left}"


def _environment(reading: Reading) -> str:
    found = mapping(reading.environment.get("data")).get("found")
    lines = [str(line) for line in found] if isinstance(found, list) else []
    data = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>nothing was noted</li>"
    sessions = "".join(_session(session) for session in reading.sessions) or '<p class="label">No session was noted.</p>'
    return (
        '<section id="environment"><h2>Environment</h2><div class="pair">'
        f'<div class="card"><h4>Sessions</h4>{sessions}</div>'
        f'<div class="card"><h4>Data found</h4><ul>{data}</ul></div></div></section>'
    )


def _session(session: Mapping[str, Any]) -> str:
    names = {"date": "Date", "command": "Command", "machine": "Machine", "device": "Device", "threads": "Threads"}
    keys = {label: str(session[name]) for name, label in names.items() if session.get(name) is not None}
    if "Date" in keys:
        keys["Date"] = _date(keys["Date"])
    versions = " · ".join(f"{name} {version}" for name, version in mapping(session.get("versions")).items())
    start = session.get("started_at_update", 0)
    began = f"{start:,}" if isinstance(start, int) else str(start)
    return f'<div class="session">{_keys({"From update": began, **keys, "Versions": versions})}</div>'


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%d %B %Y, %H:%M UTC")
    except (ValueError, OverflowError):
        return text


def _keys(pairs: Mapping[str, str]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items())
    return f'<dl class="keys">{rows}</dl>'


def _command(text: str) -> str:
    return f'<div class="command"><code>{escape(text)}</code><button type="button" data-copy>Copy</button></div>'


def _digest(reading: Reading) -> tuple[str | None, list[str]]:
    from saddlepoint.recipe import Recipe

    try:
        return Recipe.from_mapping(reading.recipe).digest() if reading.recipe else None, []
    except InputError as error:
        return None, [f"recipe.yaml: this version does not read it ({problem})" for problem in error.problems]


def meanings() -> dict[str, str]:
    """What each penalty is, in the first line of its docstring, by name."""
    from saddlepoint.penalties import PENALTIES

    return {name: (record.__doc__ or "").strip().split("\n")[0].replace("`", "") for name, record in PENALTIES.items()}


def _duration(seconds: float) -> str:
    """Two units at most.

    >>> [_duration(seconds) for seconds in (4.2, 75, 3700, 180_000)]
    ['4.2 s', '1 min 15 s', '1 h 1 min', '2 d 2 h']
    """
    if not seconds >= 0 or seconds == float("inf"):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
