"""`saddlepoint verify`: what is asked, and how it is shown."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saddlepoint import methods
from saddlepoint.errors import InputError
from saddlepoint.overrides import read_overrides
from saddlepoint.recipe import Recipe, load, shipped
from saddlepoint.rounds import Record
from saddlepoint.validation import Problems, validated
from saddlepoint.verification.probe import Numbers, Outcome, Room
from saddlepoint.verification.verify import registered, verify

WIDEST = 2000
SHOWN = 6
ROUNDING = 1e-12
# More subjects than this are shown a line each, with what does not hold below.
FULL = 2


def verify_all(
    words: Sequence[str], *, like: str | None = None, kind: Room | None = None, weight: float = 1.0, points: bool = False
) -> list[Outcome]:
    """Probe what the words name: methods, recipes, `module:object`; nothing is everything. `field=value` words set fields.

    Raises:
        InputError: there is no such thing.
    """
    fields = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word] or sorted(registered())
    own = [name for name in names if ":" in name]
    _check(names, own, fields, like)
    model = None if like is None else _record(like, fields)
    set_here = [] if like is not None else fields
    # What somebody's own code prints is no part of the answer.
    with redirect_stdout(sys.stderr):
        return [
            outcome
            for name in names
            for outcome in (
                verify(name, like=model, kind=kind, weight=weight, points=points) if name in own else _ours(name, set_here)
            )
        ]


def _check(names: Sequence[str], own: Sequence[str], fields: Sequence[str], like: str | None) -> None:
    problems = []
    if like is not None and len(own) != len(names):
        problems.append("--like: is for a module:object of yours; ours are compared with themselves")
    if fields and like is None and (len(names) != 1 or own):
        problems.append(f"{fields[0]}: fields are of one method of ours, named alone or by --like")
    if problems:
        raise InputError(problems)


def _ours(name: str, fields: Sequence[str]) -> Iterator[Outcome]:
    if name in registered():
        yield from verify(_record(name, fields), name=name)
        return
    for title, record in _of_recipe(_recipe(name, fields)):
        yield from verify(record, name=title)


def _record(name: str, fields: Sequence[str]) -> Record:
    """The record of a name, with fields set."""
    known = registered()
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0)[0]
        raise InputError([f"{name}: is not an objective, penalty, weighting, view or measure; the nearest is {near}"])
    try:
        record: Record = validated(known[name], dict(read_overrides(fields)))
    except Problems as error:
        raise InputError([problem.line().replace("recipe", name, 1) for problem in error.problems]) from None
    return record


def _recipe(name: str, fields: Sequence[str]) -> Recipe:
    if name in shipped() or (Path(name).exists() and not name.endswith(".py")):
        return load(name, fields)
    if name.endswith(".py"):
        raise InputError([f"{name}: name what in it is meant, as in {name}:gradient_penalty"])
    others = {entry.name: entry.room for entry in methods.registered()}
    if name in others:
        raise InputError(
            [f"{name}: is one of the {others[name]}, which have no probes; objectives, penalties, weightings, views, measures do"]
        )
    near = get_close_matches(name, [*registered(), *shipped()], n=1, cutoff=0)[0]
    raise InputError(
        [f"{name}: is no method and no recipe; the nearest is {near}. Your own is file.py:name or package.module:name"]
    )


def _of_recipe(recipe: Recipe) -> list[tuple[str, Record]]:
    """The methods of a recipe that have probes, each once."""
    weightings = [weighting for _, weighting in recipe.weightings if weighting is not None]
    penalties = [penalty for _, penalty in recipe.penalties_with_addresses()]
    records: list[Any] = [recipe.objective, *penalties, *weightings, *recipe.views, *recipe.measures.names]
    return [(record.name, record) for number, record in enumerate(records) if record not in records[:number]]


def show(found: Sequence[Outcome], console: Console) -> None:
    """What holds and what does not."""
    if not console.is_terminal:
        # A line a row, for other programs.
        console.width = WIDEST
    subjects = list(dict.fromkeys((outcome.room, outcome.subject) for outcome in found))
    for room, subject in subjects:
        mine = [outcome for outcome in found if (outcome.room, outcome.subject) == (room, subject)]
        held = sum(outcome.verdict == "holds" for outcome in mine)
        left = sum(outcome.verdict == "skipped" for outcome in mine)
        console.print(
            Text(f"{subject} ({room}): {held} of {len(mine) - left} probes hold" + (f", {left} left out" if left else ""))
        )
        told = mine if len(subjects) <= FULL else [outcome for outcome in mine if outcome.verdict != "holds"]
        if told:
            console.print(_table(told))
        for slips in dict.fromkeys(outcome.slips for outcome in mine if outcome.slips):
            probes = [outcome.probe for outcome in mine if outcome.slips == slips]
            console.print(Text(f"  likely slip: {'; or '.join(slips)}  [{', '.join(probes)}]"))
    failed = sum(outcome.verdict in ("fails", "raises") for outcome in found)
    asked = sum(outcome.verdict != "skipped" for outcome in found)
    console.print(Text(f"{asked} probes, {len(subjects)} asked: " + (f"{failed} say no" if failed else "all hold")))


def _table(told: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=True)
    for column in ("probe", "expected", "came", "verdict"):
        table.add_column(column, overflow="fold")
    for outcome in told:
        came = outcome.note or _shown(outcome.came)
        table.add_row(*map(Text, (outcome.probe, _shown(outcome.expected), came, outcome.verdict)))
    return table


def _shown(numbers: Numbers) -> str:
    """The first few numbers."""
    told = ", ".join("0" if abs(number) < ROUNDING else f"{number:.6g}" for number in numbers[:SHOWN])
    return told + (", …" if len(numbers) > SHOWN else "")
