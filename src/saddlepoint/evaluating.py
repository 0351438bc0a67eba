"""`saddlepoint evaluate`: who is judged, one or several side by side, and how the numbers are shown."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from saddlepoint.data.source import Split
from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value, refuse_different
from saddlepoint.evaluation.defaults import extractor_named, measures_named
from saddlepoint.evaluation.engine import Evaluation
from saddlepoint.evaluation.request import Against, AtHand, Named, Request, against_named, answer, samples_at
from saddlepoint.evaluation.results import FILE, read_values, refuse_unwritable_file, write_values
from saddlepoint.evaluation.table import table_of
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.extractors.extractor import Extractor, FeatureExtractor
from saddlepoint.extractors.module import ModuleExtractor, extractor_of
from saddlepoint.measures.measure import Measure
from saddlepoint.run import Checkpoint, Run, Weights, open_run
from saddlepoint.yaml_reading import read_yaml

WIDEST = 2000


def evaluate(
    subject: Run | AtHand,
    against: Against | None = None,
    *,
    measures: Named = None,
    extractor: str | Mapping[str, Any] | Extractor | FeatureExtractor | nn.Module | None = None,
    n: int | None = None,
    weights: Weights = "average",
    checkpoint: Checkpoint = None,
    seed: int = 0,
    split: Split = "train",
    watch: Watch | None = None,
) -> Evaluation:
    """Measure a run, a folder of images, an array file, or a tensor of images or points.

    Args:
        subject: a run or its folder; a folder of images; an `.npy` or `.npz` file; images uint8 `[n, C, H, W]` or float in [-1, 1];
            points float `[n, d]`.
        against: the real side: a data set's name or record, or samples as above. A run may leave it out: it is its data then.
        measures: names, names with fields (`{"name": "precision-recall", "k": 5}`) or records; "all" for every one that can be
            taken; None for those that suit the data.
        extractor: where features are from; None is what suits the data.
        n: samples a side; None is what there is, of a data set half of the split, at most 10,000.
        weights, checkpoint: of a run; see `Run.evaluate`.
        seed: of all that is drawn.
        split: of a data set, `train` or `held-out`.
        watch: told of progress.

    Raises:
        InputError: what was named cannot be had or cannot be measured; a line for each reason.

    >>> import torch
    >>> points = torch.arange(200.0).reshape(100, 2)
    >>> evaluation = evaluate(points + 1, points, measures=["frechet-distance"])
    >>> round(evaluation["frechet-distance"].mean, 3)
    2.0
    """
    watch = watch or Unwatched()
    if isinstance(extractor, nn.Module):
        extractor = ModuleExtractor(extractor, title=type(extractor).__name__)
    if isinstance(subject, str | os.PathLike) and (Path(subject) / "recipe.yaml").is_file():
        subject = open_run(Path(subject))
    if isinstance(subject, Run):
        return subject.evaluate(
            measures,
            against=against,
            extractor=extractor,
            n=n,
            weights=weights,
            checkpoint=checkpoint,
            seed=seed,
            split=split,
            watch=watch,
        )
    name = str(subject) if isinstance(subject, str | os.PathLike) else "the samples"
    if against is None:
        raise InputError([f"{name}: is not a run, which knows its data; give --against DATA, FOLDER or ARRAY to compare it with"])
    odd = [field for field, value, usual in (("weights", weights, "average"), ("checkpoint", checkpoint, None)) if value != usual]
    if odd:
        raise InputError([f"{field}: {name} is not a run, so there is none to choose; leave it out" for field in odd])
    request = Request(measures, extractor, n, seed, split, watch)
    judged = samples_at(subject, watch)
    return answer(request, judged, against_named(against, judged.shape, watch), own_data=False)


Measures = tuple[Measure, ...] | Literal["all"] | None


def read_choices(measures: str | None, extractor: str | None) -> tuple[Measures, Extractor | FeatureExtractor | None]:
    """What `--measures` and `--extractor` say: plain names, a recipe's YAML, or for an extractor `module:object`.

    Raises:
        InputError: everything that is wrong with both, a line each.

    >>> measures, extractor = read_choices("[modes, {name: precision-recall, k: 5}]", "pixels")
    >>> [measure.name for measure in measures], extractor.name
    (['modes', 'precision-recall'], 'pixels')
    """
    chosen: Measures = None
    features: Extractor | FeatureExtractor | None = None
    problems: list[str] = []
    try:
        chosen = "all" if measures == "all" else None if measures is None else _measures(measures)
    except InputError as error:
        problems += error.problems
    try:
        features = None if extractor is None else _extractor(extractor)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return chosen, features


def _measures(text: str) -> tuple[Measure, ...]:
    if not text.lstrip().startswith(("[", "{")):
        return measures_named([name.strip() for name in text.split(",")])
    read = _yaml("--measures", text)
    return measures_named(read if isinstance(read, list) else [read])


def _extractor(text: str) -> Extractor | FeatureExtractor:
    if text.lstrip().startswith("{"):
        return extractor_named(_yaml("--extractor", text))
    # Code is named on a command line only, by whoever runs it: a recipe cannot.
    return extractor_of(text) if ":" in text else extractor_named(text)


def _yaml(option: str, text: str) -> Any:
    try:
        return read_yaml(text, option)
    except InputError as error:
        raise InputError([problem.replace(f"{option}:1:", f"{option}:", 1) for problem in error.problems]) from None


@dataclass(frozen=True)
class Column:
    """What came of one of the subjects that a command names."""

    subject: str
    evaluation: Evaluation
    file: Path | None

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "subject": self.subject,
            "values": [value.to_mapping() for value in self.evaluation.values],
            "left_out": list(self.evaluation.left_out),
            "warnings": list(self.evaluation.warnings),
            "file": None if self.file is None else str(self.file),
        }


def evaluate_all(subjects: Sequence[Path], out: Path | None, watch: Watch, **asked: Any) -> list[Column]:
    """Evaluate each subject by one request; of a file of values that an evaluation wrote, the newest are taken as they are.

    Raises:
        InputError: one of them cannot be evaluated.
        Incomparable: the protocols of two of them differ.
    """
    if out is not None:
        refuse_unwritable_file(out)
    columns = []
    for subject in subjects:
        if subject.suffix == ".json":
            columns.append(Column(str(subject), Evaluation(tuple(_newest(subject))), subject))
            continue
        if (subject / "recipe.yaml").is_file() and (run := open_run(subject)).recipe.vary.fields:
            for values, replicas in run.by_values().items():
                columns.append(_of_values(run, f"{subject} {values}", replicas, watch, asked))
            continue
        evaluation = evaluate(subject, watch=watch, **asked)
        trained = (subject / "recipe.yaml").is_file()
        columns.append(Column(str(subject), evaluation, subject / FILE if trained else None))
    refuse_different([value for column in columns for value in column.evaluation.values])
    if out is not None:
        write_values(out, [value for column in columns for value in column.evaluation.values])
    return columns


def _of_values(run: Run, subject: str, replicas: Sequence[int], watch: Watch, asked: Mapping[str, Any]) -> Column:
    """The replicas under one set of varying values, which may all have diverged."""
    if run.diverged.issuperset(replicas):
        return Column(subject, Evaluation((), (f"{subject}: all {len(replicas)} replicas diverged",)), None)
    return Column(subject, run.pooled(replicas, watch=watch, **asked), run.path / FILE)


def _newest(path: Path) -> list[Value]:
    if not path.is_file():
        raise InputError([f"{path}: does not exist; give the measures.json of a run, a run, a folder or an array"])
    values = read_values(path)
    if not values:
        raise InputError([f"{path}: holds no values; `saddlepoint evaluate RUN` writes them"])
    # A file may hold values of several checkpoints or splits: those of the last evaluation stand together.
    conditions, update = values[-1].card.conditions().protocol, values[-1].card.provenance.get("update")
    alike = [v for v in values if v.card.conditions().protocol == conditions and v.card.provenance.get("update") == update]
    return list({value.name: value for value in alike}.values())


def show(columns: Sequence[Column], console: Console) -> None:
    """The table, with what to know below it."""
    found = table_of([(column.subject, column.evaluation.values) for column in columns])
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(found.columns):
        values = 0 < number <= len(columns)
        table.add_column(column, overflow="fold", no_wrap=values, justify="right" if column in ("floor", "n") else "left")
    for row in found.rows:
        table.add_row(*map(Text, row))
    if not console.is_terminal:
        # A line a row, for other programs.
        console.width = WIDEST
    console.print(table)
    said = [line for column in columns for line in (*column.evaluation.warnings, *column.evaluation.left_out)]
    for line in [*found.notes, *dict.fromkeys(said), *_from(columns)]:
        console.print(Text(line), style="dim")


def _from(columns: Sequence[Column]) -> list[str]:
    """What all values share, and where they are written."""
    protocol = next((value.card.protocol for column in columns for value in column.evaluation.values), {})
    provenance = next((value.card.provenance for column in columns for value in column.evaluation.values), {})
    seeds = dict.fromkeys(str(value.card.provenance.get("seed")) for column in columns for value in column.evaluation.values)
    parts = [
        f"against {protocol.get('n_real')} {'' if protocol.get('split') == 'all' else str(protocol.get('split')) + ' '}samples of "
        f"{provenance.get('data')}",
        f"extractor {protocol.get('extractor')}",
        *([f"{protocol['weights']} weights"] if protocol.get("weights") else []),
        *([f"checkpoint: {protocol['checkpoint']}"] if protocol.get("checkpoint") else []),
        f"seed {', '.join(seeds)}",
    ]
    files = dict.fromkeys(str(column.file) for column in columns if column.file is not None and str(column.file) != column.subject)
    return ["; ".join(parts), *(f"written to {file}" for file in files)]
