"""The commands. Torch is imported inside them, so that `--help` answers at once."""

import inspect
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.text import Text

from saddlepoint.errors import Diverged, InputError, Interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from saddlepoint.progress import Terminal
    from saddlepoint.rounds import Record
    from saddlepoint.run import Run

Form = Literal["grid", "files", "slerp"]
Weights = Literal["average", "raw"]

app = typer.Typer(
    name="saddlepoint",
    help="Train generative adversarial networks, look at what they learned, and go on where they stopped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def complete_recipe(incomplete: str) -> list[str]:
    """Names of shipped recipes, for the shell."""
    folder = Path(__file__).parent / "recipes"
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem.startswith(incomplete))


def complete_run(incomplete: str) -> list[str]:
    """Run folders under `runs/`, for the shell."""
    return sorted(str(path.parent) for path in Path("runs").glob("*/recipe.yaml") if str(path.parent).startswith(incomplete))


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", autocompletion=complete_run, metavar="RUN")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Fields to change, such as data=fashion-mnist seed=3.", metavar="[key=value]…")
]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, a YAML file or a run folder.", autocompletion=complete_recipe)],
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; by default the next free runs/RECIPE-DATA-N.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a data folder with corrupt or odd files.")] = False,
    as_json: Json = False,
) -> None:
    """Train a recipe."""
    from saddlepoint.recipe import load
    from saddlepoint.run import Run, default_folder
    from saddlepoint.training import loop

    described = load(recipe, [*(overrides or []), *(["data.strict=true"] if strict else [])])
    folder = out if out is not None else default_folder(recipe, described)
    with watching(as_json) as observer:
        _finish(Run(_played(lambda: loop.train(described, folder, observer), folder)), as_json)


@app.command()
def resume(
    run: RunFolder,
    overrides: Annotated[list[str] | None, typer.Argument(help="updates=N, which may grow.", metavar="[updates=N]")] = None,
    prove: Annotated[int | None, typer.Option(min=1, help="Play the last N updates again and compare bits.", metavar="N")] = None,
    as_json: Json = False,
) -> None:
    """Go on from a run's newest checkpoint."""
    from saddlepoint.run import Run
    from saddlepoint.training import loop
    from saddlepoint.training.proof import prove as replayed

    updates = _grown_updates(overrides or [])
    with watching(as_json) as observer:
        if prove is None:
            _finish(Run(_played(lambda: loop.resume(run, updates, observer), run)), as_json)
            return
        found = replayed(run, prove)
    _say({"run": str(run), "updates": prove, "differences": found}, as_json)
    if found:
        raise typer.Exit(1)


def _grown_updates(overrides: list[str]) -> int | None:
    updates = None
    problems = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in ("updates", "schedule.updates"):
            problems.append(f"{name}: a run goes on under its own recipe; only updates=N may be given, and may only grow")
        elif not value.isdigit() or int(value) == 0:
            problems.append(f"updates: {value!r} is not a number of updates; give a whole number above 0")
        else:
            updates = int(value)
    if problems:
        raise InputError(problems)
    return updates


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", min=1, help="How many samples.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Sample i depends on (seed, i) only.")] = 0,
    form: Annotated[Form, typer.Option("--as", help="One grid, a file each, or interpolations between latents.")] = "grid",
    weights: Annotated[Weights, typer.Option(help="The generator's averaged weights, or the raw ones.")] = "average",
    checkpoint: Annotated[int | None, typer.Option(min=0, help="The update of a checkpoint; by default the newest.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put them; by default in the run folder.")] = None,
    as_json: Json = False,
) -> None:
    """Draw samples: a grid, single files, or interpolations."""
    from saddlepoint.run import open_run
    from saddlepoint.sampling import write_samples

    opened = open_run(run)
    where = out if out is not None else run / "samples" / f"{form}-seed{seed}{'.png' if form != 'files' else ''}"
    with console(as_json) as screen:
        written = write_samples(opened, where, form, n, seed, weights=weights, checkpoint=checkpoint, screen=screen)
    _say({"samples": str(written), "n": n, "seed": seed}, as_json)


@app.command()
def report(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The page; by default report.html in the run folder.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the log's progress as CSV here.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Also write the log for TensorBoard into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run's page, one self-contained HTML file."""
    from saddlepoint.report.export import export_csv, export_tensorboard
    from saddlepoint.report.page import write_report
    from saddlepoint.training.folder import open_folder

    folder = open_folder(run).path
    written = {"report": str(write_report(folder, out))}
    if csv is not None:
        export_csv(folder, csv)
        written["csv"] = str(csv)
    if tensorboard is not None:
        export_tensorboard(folder, tensorboard)
        written["tensorboard"] = str(tensorboard)
    _say(written, as_json)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="A folder of runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """A table of all runs in a folder."""
    from saddlepoint.report.runs import runs_table

    if not folder.is_dir():
        raise InputError([f"{folder}: is not a folder; `saddlepoint train RECIPE` makes runs/ and fills it"])
    found = runs_table(folder)
    rows = [
        {
            "run": str(folder / summary.name),
            "recipe": summary.recipe,
            "data": summary.data,
            "status": summary.status,
            "updates": f"{summary.updates}/{summary.asked}",
            "seconds": summary.seconds,
            "losses": summary.losses,
            "bytes": summary.bytes,
        }
        for summary in found
    ]
    _table(rows, as_json, empty=f"no runs in {folder}")


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, in full.", autocompletion=complete_recipe)] = None,
    as_json: Json = False,
) -> None:
    """The recipes that ship, or one in full."""
    from saddlepoint.recipe import shipped

    at_hand = shipped()
    if name is None:
        _table([{"recipe": key, "about": _about(path)} for key, path in at_hand.items()], as_json, empty="")
        return
    text = _one_of(at_hand, name, "recipe").read_text()
    _say({"recipe": name, "text": text}, as_json) if as_json else typer.echo(text, nl=False)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A data set's name, or a folder of images.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a folder with corrupt or odd files.")] = False,
    as_json: Json = False,
) -> None:
    """The data sets there are, or what is found in one."""
    from saddlepoint.data import DATA
    from saddlepoint.recipe import load

    if name is None:
        _table([{"data": key, "about": _first_line(record)} for key, record in DATA.items()], as_json, empty="")
        return
    described = load("gan", [f"data={name}", *(["data.strict=true"] if strict else [])])
    with watching(as_json) as observer:
        source = described.data.open(observer.reading)
    found = {"data": source.name, "found": source.describe(), "digest": source.digest}
    if as_json:
        _say(found, as_json)
        return
    for line in source.describe():
        typer.echo(line)
    typer.echo("\n" + _described(type(described.data)))


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, in full, with its BibTeX.")] = None,
    as_json: Json = False,
) -> None:
    """The methods there are, or one in full."""
    from saddlepoint.methods import registered

    entries = registered()
    if name is None:
        rows = [{"method": entry.name, "room": entry.room, "about": _first_line(entry.record)} for entry in entries]
        _table(rows, as_json, empty="")
        return
    _one_of({entry.name: entry for entry in entries}, name, "method")
    texts = [f"{entry.name}  ({entry.room})\n\n{_described(entry.record)}" for entry in entries if entry.name == name]
    _say({"method": name, "text": "\n\n".join(texts)}, as_json) if as_json else typer.echo("\n\n".join(texts))


def main() -> None:
    """Run a command; leave with the exit code the design gives each outcome."""
    from typer.exceptions import TyperException

    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        _refuse([error.format_message()])
    except InputError as error:
        _refuse(error.problems)
    except Diverged as outcome:
        typer.echo(f"diverged: {outcome}; the last good checkpoint stays", err=True)
        sys.exit(3)
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(problems: Sequence[str]) -> NoReturn:
    for problem in problems:
        typer.echo(f"saddlepoint: {' '.join(problem.split())}", err=True)
    sys.exit(2)


@contextmanager
def watching(as_json: bool) -> Iterator["Terminal"]:
    """An observer for this terminal, which is left as it was."""
    from saddlepoint.progress import Terminal

    with console(as_json) as screen:
        terminal = Terminal(screen)
        try:
            yield terminal
        finally:
            terminal.stop()


@contextmanager
def console(as_json: bool) -> Iterator["Console"]:
    """Where a person reads: the terminal, or nowhere when a machine reads the JSON."""
    from rich.console import Console

    yield Console(quiet=as_json)


def _played(play: Callable[[], Path], folder: Path) -> Path:
    """Train; when it stops early, say how to go on, or leave a page that shows how it diverged."""
    from saddlepoint.report.page import write_report

    try:
        return play()
    except Interrupted as stop:
        typer.echo(f"{stop}; a checkpoint is written\ngo on with: saddlepoint resume {shlex.quote(str(folder))}", err=True)
        raise
    except Diverged:
        typer.echo(f"report   {write_report(folder)}", err=True)
        raise


def _finish(run: "Run", as_json: bool) -> None:
    grids = sorted(path for path in (run.path / "samples").glob("*.png") if path.stem.isdigit())
    _say({"run": str(run.path), "samples": str(grids[-1]), "report": str(run.report())}, as_json)


def _say(fields: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(fields, ensure_ascii=False))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        shown = ("none: the bits agree" if not value else "; ".join(value)) if isinstance(value, list) else value
        typer.echo(f"{name:<{width}}  {shown}")


def _table(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key} {number:.3g}" for key, number in value.items())
    return str(value)


def _one_of(at_hand: Mapping[str, Any], name: str, what: str) -> Any:
    from difflib import get_close_matches

    if name not in at_hand:
        near = get_close_matches(name, at_hand, n=1, cutoff=0)
        raise InputError([f"{what}: there is no {name!r}; the nearest is {near[0]!r}, and `saddlepoint {what}s` lists all"])
    return at_hand[name]


def _about(recipe: Path) -> str:
    lines = [line.lstrip("# ").rstrip() for line in recipe.read_text().splitlines() if line.startswith("#")]
    return next((line for line in lines if line and not line.startswith("saddlepoint")), "")


def _first_line(record: type) -> str:
    return (record.__doc__ or "").strip().splitlines()[0]


def _described(record: "type[Record]") -> str:
    fields = [
        f"  {name:<22} {field.description or ''}" + ("" if field.is_required() else f"  [default: {field.get_default()!s}]")
        for name, field in record.model_fields.items()
    ]
    return "\n".join(
        [inspect.cleandoc(record.__doc__ or ""), "", "Fields:", *fields, *(["", record.bibtex] if record.bibtex else [])]
    )


if __name__ == "__main__":
    main()
