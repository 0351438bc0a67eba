"""The commands. Torch is imported inside them, so that `--help` answers at once."""

import io
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from saddlepoint.errors import Diverged, Elsewhere, Gone, InputError, Interrupted
from saddlepoint.printing import json_text, print_table, say

if TYPE_CHECKING:
    from rich.console import Console

    from saddlepoint.processes import Processes
    from saddlepoint.progress import Gauge, Terminal
    from saddlepoint.recipe import Recipe
    from saddlepoint.report.runs import ReplicaSummary
    from saddlepoint.run import Run

Form = Literal["grid", "files", "slerp"]
Weights = Literal["average", "raw"]
Split = Literal["train", "held-out"]
Kind = Literal["objective", "penalty", "weighting", "view", "measure"]
WIDEST = 2000
DEFAULT_COUNTS: dict[Form, int] = {"grid": 64, "files": 64, "slerp": 8}

app = typer.Typer(
    name="saddlepoint",
    help="Train generative adversarial networks, look at what they learned, and go on where they stopped.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def help_when_bare(context: typer.Context) -> None:
    """Without a command there is nothing to do but to say which there are."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def complete_recipe(incomplete: str) -> list[str]:
    """Names of shipped recipes, for the shell."""
    folder = Path(__file__).parent / "recipes"
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem.startswith(incomplete))


def complete_run(incomplete: str) -> list[str]:
    """Run folders under `runs/`, for the shell."""
    return sorted(str(path.parent) for path in Path("runs").glob("*/recipe.yaml") if str(path.parent).startswith(incomplete))


def _to_write(text: str) -> Path:
    if not text:
        raise typer.BadParameter("it is empty; give a path")
    return Path(text)


def _writes(metavar: str, what: str) -> Any:
    """An option for a path to write; an empty one would be the current folder."""
    return typer.Option(parser=_to_write, metavar=metavar, help=what)


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", autocompletion=complete_run, metavar="RUN")]
Replica = Annotated[
    int | None, typer.Option(min=0, metavar="I", help="One replica of a run of many seeds, by its place.", show_default=False)
]
Together = Annotated[
    int | None,
    typer.Option("--processes", min=1, help="How many processes a launcher must have started, as torchrun does.", metavar="N"),
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Fields to change, such as data=fashion-mnist seed=3.", metavar="[key=value]…")
]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, a YAML file or a run folder.", autocompletion=complete_recipe)],
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        _writes("RUN", "The run folder to make; by default the next free runs/RECIPE-DATA-N."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a data folder with corrupt or odd files.")] = False,
    together: Together = None,
    as_json: Json = False,
) -> None:
    """Train a recipe."""
    from saddlepoint.recipe import load
    from saddlepoint.run import default_folder
    from saddlepoint.training import many

    with _group(together) as processes:
        with processes.agreed():
            described = load(recipe, overrides or [])
            if strict:
                described = _strictly(described)
            free = out if out is not None else default_folder(recipe, described)
        folder = Path(processes.said(str(free))[0])
        with watching(as_json or not processes.first) as observer:
            _play(lambda: many.train(described, folder, observer, processes), folder, as_json, processes)


@app.command()
def resume(
    run: RunFolder,
    overrides: Annotated[list[str] | None, typer.Argument(help="updates=N, which may grow.", metavar="[updates=N]")] = None,
    prove: Annotated[int | None, typer.Option(min=1, help="Play the last N updates again and compare bits.", metavar="N")] = None,
    together: Together = None,
    as_json: Json = False,
) -> None:
    """Go on from a run's newest checkpoint."""
    from saddlepoint.training import many

    with _group(together) as processes:
        with processes.agreed():
            updates = _grown_updates(overrides or [])
            if prove is not None and (updates is not None or processes.world > 1):
                given = "updates" if updates is not None else "--prove"
                what = "plays again in one process what was trained, and trains no more"
                raise InputError([f"{given}: --prove {what}; give one of the two, and no launcher"])
        if prove is None:
            with watching(as_json or not processes.first) as observer:
                _play(lambda: many.resume(run, updates, observer, processes), run, as_json, processes)
            return
    _prove(run, prove, as_json)


def _prove(run: Path, updates: int, as_json: bool) -> None:
    from saddlepoint.training.proof import prove

    found = prove(run, updates)
    say({"run": str(run), "updates": updates, "differences": found}, as_json)
    if found:
        raise typer.Exit(1)


def _grown_updates(overrides: list[str]) -> int | None:
    updates = None
    problems = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in ("updates", "schedule.updates"):
            problems.append(f"{name}: a run goes on under its own recipe; only updates=N may be given, and may only grow")
            continue
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 1 <= number < 2**53 or number != int(number):
            problems.append(f"updates: {value!r} is not a number of updates; give a whole number above 0")
        elif updates is not None:
            problems.append(f"updates: given twice, {updates} and {int(number)}; give one")
        else:
            updates = int(number)
    if problems:
        raise InputError(problems)
    return updates


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="How many samples (64), or interpolations (8).", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Sample i depends on (seed, i) only.")] = 0,
    form: Annotated[Form, typer.Option("--as", help="One grid, a file each, or interpolations between latents.")] = "grid",
    weights: Annotated[Weights, typer.Option(help="The generator's averaged weights, or the raw ones.")] = "average",
    checkpoint: Annotated[
        str | None, typer.Option(metavar="U", help="The update of a checkpoint, or best; by default the newest.")
    ] = None,
    replica: Replica = None,
    out: Annotated[Path | None, _writes("PATH", "Where to put them; by default in the run folder.")] = None,
    as_json: Json = False,
) -> None:
    """Draw samples: a grid, single files, or interpolations."""
    from saddlepoint.run import open_run
    from saddlepoint.sampling import write_samples

    opened = open_run(run) if replica is None else open_run(run).replica(replica)
    count = n if n is not None else DEFAULT_COUNTS[form]
    chosen = _checkpoint(checkpoint)
    place = [] if chosen is None else [chosen if isinstance(chosen, str) else f"{chosen:06d}"]
    told = [form, f"seed{seed}", *(["raw"] if weights == "raw" else []), *place]
    where = out if out is not None else opened.path / "samples" / ("-".join(told) + (".png" if form != "files" else ""))
    with console(as_json) as screen:
        written = write_samples(opened, where, form, count, seed, weights=weights, checkpoint=chosen, screen=screen)
    say({"samples": str(written), "n": count, "seed": seed}, as_json)


@app.command()
def evaluate(
    subjects: Annotated[
        list[Path],
        typer.Argument(
            help="Runs, folders of images, .npy or .npz files, or a measures.json; several stand side by side.",
            autocompletion=complete_run,
            metavar="RUN|FOLDER|ARRAY…",
        ),
    ],
    against: Annotated[
        str | None, typer.Option(metavar="DATA", help="The real side: a data set, a folder, an array; by default a run's data.")
    ] = None,
    measures: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Measures by name, or all, or [A, {name: B, field: value}]; by default those that suit the data."
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where features are from, or {name: NAME, field: value}, or module:object; by default what suits."
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="Samples a side.", show_default=False)] = None,
    weights: Annotated[Weights, typer.Option(help="A run's averaged weights, or the raw ones.")] = "average",
    checkpoint: Annotated[
        str | None, typer.Option(metavar="U", help="The update of a checkpoint, or best; by default the newest.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    split: Annotated[Split, typer.Option(help="Of the data.")] = "train",
    out: Annotated[Path | None, _writes("FILE", "Also write the values here, as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Measure what was learned: runs, folders of images, arrays."""
    from saddlepoint.evaluating import evaluate_all, read_choices, show
    from saddlepoint.evaluation.card import Incomparable

    chosen, features = read_choices(measures, extractor)
    asked = {"against": against, "measures": chosen, "extractor": features, "n": n, "weights": weights}
    asked |= {"checkpoint": _checkpoint(checkpoint), "seed": seed, "split": split}
    try:
        with gauging() as watch:
            columns = evaluate_all(subjects, out, watch, **asked)
    except Incomparable as refusal:
        if as_json:
            say({"differences": list(refusal.differences)}, as_json)
        for line in refusal.differences:
            typer.echo(f"not comparable: {line}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json_text([column.to_mapping() for column in columns]))
        return
    with console(as_json) as screen:
        show(columns, screen)


@app.command()
def demo(
    name: Annotated[
        str,
        typer.Argument(
            help="measures: what each sees of known faults; dynamics: what a recipe's method does on the smallest games.",
            metavar="NAME",
        ),
    ],
    recipe: Annotated[
        str | None, typer.Argument(help="Of dynamics: a recipe, or plain descent.", autocompletion=complete_recipe)
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, _writes("FOLDER", "Where picture, numbers and table go; by default demos/NAME-DATA.")] = None,
    measures: Annotated[
        str | None, typer.Option(metavar="A,B", help="Measures by name; by default all that share the feature pass.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Samples a set, 1,000 where the data has them.", show_default=False)] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="fashion-mnist (where its files are at hand), digits or 8-gaussians.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show something: what measures see, or what a method does on the smallest games."""
    from saddlepoint.demonstrations.command import refuse_options, refuse_unknown, show_dynamics, show_measures

    refuse_unknown(name)
    if name == "dynamics":
        refuse_options(name, {"--measures": measures, "-n": n, "--data": data})
        found, files = show_dynamics(out, recipe, overrides or [])
        if as_json:
            typer.echo(json_text({**found.to_mapping(), "files": {kind: str(path) for kind, path in files.items()}}))
            return
        typer.echo(found.method)
        print_table(found.rows(), as_json, empty="no game was played")
        for line in (*found.notes, *(f"written to {path}" for path in files.values())):
            typer.echo(line)
        return
    refuse_options(name, {"RECIPE": recipe, "key=value": overrides})
    names = None if measures is None else [given.strip() for given in measures.split(",")]
    with gauging() as watch:
        demonstration, files = show_measures(out, names, n, data, watch)
    if as_json:
        typer.echo(json_text({**demonstration.to_mapping(), "files": {kind: str(path) for kind, path in files.items()}}))
        return
    print_table(demonstration.rows(), as_json, empty="no measure could be taken")
    for line in (*demonstration.left_out, *(f"written to {path}" for path in files.values())):
        typer.echo(line)


def _checkpoint(given: str | None) -> Any:
    """An update, or the word best."""
    if given is None or given == "best":
        return given
    if not given.isdecimal() or len(given) > 15:
        raise InputError([f"--checkpoint: {given!r} is not an update; give a number, or best"])
    return int(given)


@app.command()
def report(
    run: RunFolder,
    out: Annotated[Path | None, _writes("PATH", "The page; by default report.html in the run folder.")] = None,
    csv: Annotated[Path | None, _writes("FILE", "Also write the log's progress as CSV here.")] = None,
    tensorboard: Annotated[Path | None, _writes("FOLDER", "Also write the log for TensorBoard into this folder.")] = None,
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
    say(written, as_json)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="A folder of runs, or a run of many replicas.")] = Path("runs"),
    replica: Replica = None,
    as_json: Json = False,
) -> None:
    """A table of all runs in a folder, or of the replicas of one run; with --replica one of those, as a run of its own."""
    from saddlepoint.report.reading import is_run
    from saddlepoint.report.runs import replicas_table, runs_table

    if not folder.is_dir():
        raise InputError([f"{folder}: is not a folder; `saddlepoint train RECIPE` makes runs/ and fills it"])
    if replica is not None:
        from saddlepoint.run import open_run

        alone = open_run(folder).replica(replica)
        say({"run": str(alone.path), "samples": str(alone.newest_grid), "report": str(alone.report())}, as_json)
        return
    replicas = replicas_table(folder) if is_run(folder) else []
    if replicas:
        print_table([vars(replica) if as_json else _shown_replica(replica) for replica in replicas], as_json, empty="")
        return
    rows = [
        {
            "run": str(summary.path),
            "recipe": summary.recipe,
            "data": summary.data,
            "replicas": summary.replicas,
            "diverged": summary.diverged,
            "parts": None if summary.parts is None else "/".join(map(str, summary.parts)),
            "status": summary.status,
            "updates": f"{summary.updates}/{summary.asked or '?'}",
            "seconds": summary.seconds,
            "losses": summary.losses,
            "bytes": summary.bytes,
        }
        for summary in runs_table(folder)
    ]
    # What no run has is no column for a person.
    shown = [name for name in rows[0] if as_json or any(row[name] is not None for row in rows)] if rows else []
    print_table([{name: row[name] for name in shown} for row in rows], as_json, empty=f"no runs in {folder}")


def _shown_replica(replica: "ReplicaSummary") -> dict[str, Any]:
    """A replica as a row for a person: a column a varying field."""
    from saddlepoint.report.replicas import shortened, told

    return {
        "replica": replica.replica,
        "seed": replica.seed,
        **{name: told(value) for name, value in shortened(replica.values).items()},
        "status": f"diverged: {replica.term}" if replica.term is not None else replica.status,
        "update": replica.update,
        "losses": replica.losses,
    }


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, in full.", autocompletion=complete_recipe)] = None,
    as_json: Json = False,
) -> None:
    """The recipes that ship, or one in full."""
    from saddlepoint.recipe import shipped

    at_hand = shipped()
    if name is None:
        print_table([{"recipe": key, "about": _about(path)} for key, path in at_hand.items()], as_json, empty="")
        return
    text = _one_of(at_hand, name, "recipe").read_text()
    say({"recipe": name, "text": text}, as_json) if as_json else typer.echo(text, nl=False)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="A data set's name, or a folder of images.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a folder with corrupt or odd files.")] = False,
    as_json: Json = False,
) -> None:
    """The data sets there are, or what is found in one."""
    from saddlepoint.data import DATA
    from saddlepoint.methods import described_in_full, first_line
    from saddlepoint.recipe import load

    if name is None:
        print_table([{"data": key, "about": first_line(record)} for key, record in DATA.items()], as_json, empty="")
        return
    described = load("gan", {"data": name})
    if strict:
        described = _strictly(described)
    with watching(as_json) as observer:
        source = described.data.open(observer.reading)
    found = {"data": source.name, "found": source.describe(), "digest": source.digest}
    if as_json:
        say(found, as_json)
        return
    for line in source.describe():
        typer.echo(line)
    typer.echo("\n" + described_in_full(type(described.data)))


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, measure or extractor, in full, with its BibTeX.")] = None,
    as_json: Json = False,
) -> None:
    """The methods, measures and extractors there are, or one in full."""
    from saddlepoint.catalogue import rows
    from saddlepoint.methods import described_in_full, listed

    if name is None:
        print_table([row._asdict() | {"recipes": " ".join(row.recipes)} for row in rows()], as_json, empty="")
        return
    entries = listed()
    _one_of({entry.name: entry for entry in entries}, name, "method")
    texts = [f"{entry.name}  ({entry.room})\n\n{described_in_full(entry.record)}" for entry in entries if entry.name == name]
    say({"method": name, "text": "\n\n".join(texts)}, as_json) if as_json else typer.echo("\n\n".join(texts))


@app.command()
def verify(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Methods, measures, recipes; your own as file.py:name or module:name; field=value. All of ours by default.",
            metavar="[NAME|MODULE:OBJECT|field=value]…",
        ),
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="NAME", help="The method of ours whose answers your own should give.")] = None,
    kind: Annotated[Kind | None, typer.Option("--as", help="What your own is, where it cannot be told.")] = None,
    weight: Annotated[float, typer.Option(help="What your penalty is multiplied with inside.")] = 1.0,
    points: Annotated[bool, typer.Option("--points", help="Ask your penalty about points, not images.")] = False,
    as_json: Json = False,
) -> None:
    """Probe methods with questions whose answers are known by hand."""
    from saddlepoint.verifying import show, verify_all

    if not math.isfinite(weight) or weight == 0:
        raise InputError([f"--weight: {weight:g} cannot be divided by; give the number that your penalty is multiplied with"])
    found = verify_all(what or [], like=like, kind=kind, weight=weight, points=points)
    if as_json:
        typer.echo(json_text([outcome.to_mapping() for outcome in found]))
    else:
        with console(as_json) as screen:
            show(found, screen)
    if any(outcome.verdict in ("fails", "raises") for outcome in found):
        raise typer.Exit(1)


def main() -> None:
    """Run a command; leave with the exit code the design gives each outcome."""
    with suppress(ValueError):
        # SIGTERM undoes what is half-written, as Ctrl-C does, wherever it comes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(_outcome())
    finally:
        _let_go_of_output()


def _outcome() -> int:
    from typer.exceptions import TyperException

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _refused([f"{error.format_message().rstrip('.')}; `{_command()} --help` says what can be given"])
    except InputError as error:
        return _refused(error.problems)
    except Diverged:
        return 3
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        return 130
    except Elsewhere:
        return 0
    except SystemExit as leaving:
        # Who read our output has seen enough, as `head` does; typer leaves with 1 then, which says something else here.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except OSError as error:
        where = error.filename if error.filename is not None else "standard output"
        return _refused([f"{where}: {error.strerror}; give a path that can be read and written, on a disk with room"])
    return code if isinstance(code, int) else 0


def _refused(problems: Sequence[str]) -> int:
    from saddlepoint.yaml_reading import one_line

    for problem in problems:
        typer.echo(f"saddlepoint: {one_line(problem)}", err=True)
    return 2


def _command() -> str:
    """The command that was given, as a person writes it."""
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    return " ".join(["saddlepoint", *(word for word in sys.argv[1:2] if word in commands)])


def _let_go_of_output() -> None:
    """What could not be written must not be tried again when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
def gauging() -> Iterator["Gauge"]:
    """A watch of an evaluation on standard error, which leaves standard output to the numbers."""
    from saddlepoint.progress import Gauge, Screen

    gauge = Gauge(Screen(stderr=True))
    try:
        yield gauge
    finally:
        gauge.stop()


@contextmanager
def console(as_json: bool) -> Iterator["Console"]:
    """Where a person reads: the terminal, or nowhere when a machine reads the JSON."""
    from saddlepoint.progress import Screen

    yield Screen(quiet=as_json)


@contextmanager
def _group(asked: int | None) -> Iterator["Processes"]:
    """The processes that a launcher started with this one."""
    from saddlepoint.processes import taking_part

    with taking_part(asked) as processes:
        try:
            yield processes
        except Gone as error:
            raise _loss(processes, str(error), "start them again") from error


def _play(play: Callable[[], Path], folder: Path, as_json: bool, processes: "Processes") -> None:
    """Train, and say where the run is; of a group of processes the first says it, and who is left names the one that was lost."""
    from saddlepoint.run import Run
    from saddlepoint.training.checkpoints import going_on

    try:
        if processes.first:
            _finish(Run(_played(play, folder, as_json, processes)), as_json)
        else:
            play()
    except (Diverged, Interrupted) as outcome:
        raise outcome if processes.first else Elsewhere from outcome
    except (Gone, KeyboardInterrupt) as error:
        # A launcher that has seen the loss first interrupts the others.
        if isinstance(error, KeyboardInterrupt) and not processes.one_died:
            raise
        raise _loss(processes, str(error), "; ".join(going_on(folder, processes.world))) from error


def _loss(processes: "Processes", reason: str, cure: str) -> Exception:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    told = processes.lost(reason)
    return typer.Exit(2) if told is None else InputError([f"{told}; {cure}"])


def _played(play: Callable[[], Path], folder: Path, as_json: bool, processes: "Processes") -> Path:
    """Train; when it stops early, say how to go on, or leave a page that shows how it diverged."""
    from saddlepoint.report.page import write_report
    from saddlepoint.training.checkpoints import updates_at_hand
    from saddlepoint.training.folder import resume_command

    try:
        return play()
    except (Interrupted, KeyboardInterrupt) as stop:
        if (folder / "recipe.yaml").exists() and not processes.one_died:
            saved = f"{stop}; a checkpoint is written" if isinstance(stop, Interrupted) else "stopped at once"
            typer.echo(f"{saved}\ngo on with: {resume_command(folder, processes.world)}", err=True)
        raise
    except Diverged as outcome:
        at_hand = updates_at_hand(folder)
        stays = f"the checkpoint of update {at_hand[-1]} stays" if at_hand else "there was no checkpoint yet"
        typer.echo(f"diverged: {outcome}; {stays}", err=True)
        page = None
        try:
            page = str(write_report(folder))
        except InputError as error:
            _refused(error.problems)
        say({"run": str(folder), "diverged": outcome.term, "update": outcome.update, "report": page}, as_json)
        raise


def _strictly(recipe: "Recipe") -> "Recipe":
    from saddlepoint.recipe import load

    if "strict" not in type(recipe.data).model_fields:
        raise InputError([f"--strict: {recipe.data.name} is not a folder of images; leave it out, or give data=FOLDER"])
    return load(recipe.to_mapping(), {"data.strict": True})


def _finish(run: "Run", as_json: bool) -> None:
    say({"run": str(run.path), "samples": str(run.newest_grid), "report": str(run.report())}, as_json)


def _one_of(at_hand: Mapping[str, Any], name: str, what: str) -> Any:
    from difflib import get_close_matches

    if name not in at_hand:
        near = get_close_matches(name, at_hand, n=1, cutoff=0)
        raise InputError([f"{what}: there is no {name!r}; the nearest is {near[0]!r}, and `saddlepoint {what}s` lists all"])
    return at_hand[name]


def _about(recipe: Path) -> str:
    lines = [line.lstrip("# ").rstrip() for line in recipe.read_text().splitlines() if line.startswith("#")]
    return next((line for line in lines if line and not line.startswith("saddlepoint")), "")


if __name__ == "__main__":
    main()
