"""How the commands print: fields and tables for a person, JSON for a machine."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.text import Text

WIDEST = 2000


def say(fields: Mapping[str, Any], as_json: bool) -> None:
    """Print fields, a line each, or one JSON object."""
    if as_json:
        typer.echo(json_text(fields))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        shown = ("none: the bits agree" if not value else "; ".join(value)) if isinstance(value, list) else value
        typer.echo(f"{name:<{width}}  {shown}")


def json_text(value: Any) -> str:
    """JSON that every reader takes: numbers that are not finite as words."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def print_table(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    """Print rows under their names; `empty` where there are none."""
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(json_text(rows))
        return
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(rows[0]):
        # A name that is folded cannot be copied.
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console = Console()
    if not console.is_terminal:
        # A line a row, for other programs.
        console.width = WIDEST
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _cell(value: object) -> str:
    from saddlepoint.yaml_reading import one_line

    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key} {number:.3g}" for key, number in value.items())
    return "" if value is None else one_line(str(value))
