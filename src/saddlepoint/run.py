"""The Python API: train a recipe, open a run, sample it, report on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.source import Split
from saddlepoint.errors import InputError
from saddlepoint.evaluation.engine import Evaluation
from saddlepoint.evaluation.over_replicas import over_replicas
from saddlepoint.evaluation.request import Against, Named, Request, against_named, answer
from saddlepoint.evaluation.results import add_values, refuse_unwritable
from saddlepoint.evaluation.watching import Unwatched, Watch
from saddlepoint.extractors.extractor import Extractor, FeatureExtractor
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.recipe import Recipe, load
from saddlepoint.report.page import write_report
from saddlepoint.report.replicas import shortened, told
from saddlepoint.streams import Streams
from saddlepoint.training import loop, many
from saddlepoint.training.assembly import DTYPES, build_networks, choose_device, latents_of, streams_of
from saddlepoint.training.checkpoints import Snapshot, best_of, copy_into, read_checkpoint, updates_at_hand
from saddlepoint.training.folder import free_name, open_folder, read_environment, stored_recipe
from saddlepoint.training.loop import Observer
from saddlepoint.training.measuring import Networks, weights_kept
from saddlepoint.training.replica import FOLDER, extract
from saddlepoint.training.samples import sample_blocks
from saddlepoint.training.standing import sampling

Weights = Literal["average", "raw"]
# The update of a checkpoint; the best of those that were measured while training; the newest.
Checkpoint = int | Literal["best"] | None


def train(
    recipe: str | Path | Mapping[str, Any], *, out: str | Path | None = None, observer: Observer | None = None, **overrides: Any
) -> "Run":
    """Train a recipe and return its run.

    Args:
        recipe: a shipped recipe's name, a YAML file, a run folder, or a mapping of the same shape.
        out: the run's folder; by default the next free `runs/RECIPE-DATA-N`.
        observer: told of progress.
        overrides: fields of the recipe; a field's last name is enough where only one has it (`updates=500`, `data="digits"`), and
            a dotted path is given as `**{"optimizers.generator.lr": 1e-4}`.

    Raises:
        InputError: the recipe, the data or the folder is not right; every problem at once.
        Diverged: a loss or gradient stopped being finite.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train("gan", out=f"{folder}/run", data="8-gaussians", updates=2)
    ...     run.sample(5, seed=0).shape
    torch.Size([5, 2])
    """
    described = load(recipe, overrides)
    folder = Path(out) if out is not None else default_folder(recipe, described)
    return Run(many.train(described, folder, observer))


def open_run(path: str | Path) -> "Run":
    """Open an existing run folder.

    Raises:
        InputError: it is not a run folder, or a newer version wrote it.
    """
    return Run(open_folder(Path(path)).path)


def default_folder(source: str | Path | Mapping[str, Any], recipe: Recipe) -> Path:
    """The next free `runs/RECIPE-DATA-N`; a recipe that has no name of its own goes by its objective's."""
    name = recipe.objective.name if isinstance(source, Mapping) else Path(source).absolute().stem
    return free_name(Path("runs"), f"{name}-{recipe.data.name}")


class Run:
    """A run folder: what was trained, and what can be drawn from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = stored_recipe(open_folder(path))
        self.parts = tuple(Run(part) for part in many.part_folders(path)) if many.divided(path) else ()
        self._loaded: dict[tuple[int | None, Weights], tuple[Generator, Snapshot]] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def replicas(self) -> int:
        """How many replicas the run holds; 1 of a lone run."""
        return self.recipe.replica_count

    def replica(self, index: int) -> "Run":
        """One replica as a run of its own, by its place in the axis (all seeds under the first varying values, then the next).

        It is written under `replicas/` of the run's folder, with its checkpoints and its log, so every verb works on it.

        Raises:
            InputError: the run has no such replica, or it has not begun.
        """
        if not self.recipe.replicated:
            raise InputError([f"{self.path}: is one run, without replicas; open it as it is"])
        if not isinstance(index, int):
            raise InputError([f"replica: {index!r} is not a place in the axis; give a whole number"])
        if not 0 <= index < self.replicas:
            raise InputError([f"replica: {index} is not there; the run has replicas 0 to {self.replicas - 1}"])
        holder, row = self, index
        if self.parts:
            holder, row = self._part_with(index)
        if not holder.recipe.replicated:
            return holder
        place = self.path / FOLDER / f"{index:04d}"
        return Run(extract(holder.path, row, self.recipe.part(index, index + 1), place))

    def _part_with(self, index: int) -> "tuple[Run, int]":
        for part in self.parts:
            first, _, last = part.path.name.partition("-")
            if int(first) <= index <= int(last or first):
                return part, index - int(first)
        raise InputError([f"replica: {index} has not begun; `saddlepoint resume {self.path}` trains it"])

    def sample(
        self, n: int, seed: int = 0, *, start: int = 0, weights: Weights = "average", checkpoint: Checkpoint = None
    ) -> Tensor:
        """Samples `start` to `start + n - 1` of a seed: images `[n, C, H, W]` in [-1, 1], or points `[n, d]`.

        Sample i depends on (seed, i) only: not on n, nor on what was drawn before. Of a run with replicas the samples have a
        leading axis, `[R, n, …]`; all replicas see the same latents.

        Args:
            weights: the generator's average (where the recipe keeps one) or the raw ones.
            checkpoint: the update of a checkpoint, or "best" where the run kept one; by default the newest.

        Raises:
            InputError: a number is out of range, or there is no such checkpoint.
        """
        problems = [
            f"{name}: {value} is out of range; give {least} or more"
            for name, value, least in (("n", n, 1), ("seed", seed, 0), ("start", start, 0))
            if value < least
        ]
        if problems:
            raise InputError(problems)
        if self.parts:
            drawn = [part.sample(n, seed, start=start, weights=weights, checkpoint=checkpoint) for part in self.parts]
            return torch.cat([one if part.recipe.replicated else one[None] for part, one in zip(self.parts, drawn, strict=True)])
        generator = self.generator(weights, checkpoint)
        seeds = [seed] * self.replicas if self.recipe.replicated else seed
        streams = Streams(seeds, device=choose_device(self.recipe.device), dtype=DTYPES[self.recipe.precision])
        blocks = sample_blocks(generator, latents_of(self.recipe), streams, start, start + n)
        return torch.cat(list(blocks), len(streams.leading))

    def generator(self, weights: Weights = "average", checkpoint: Checkpoint = None) -> Generator:
        """The generator of a checkpoint, in eval mode."""
        if weights not in ("average", "raw"):
            raise InputError([f"weights: {weights!r} is not one of average, raw"])
        checkpoint = self.update_of(checkpoint)
        key = (checkpoint, weights)
        if key not in self._loaded:
            kept = weights == "average" and self.recipe.averaged
            snapshot = read_checkpoint(self.path, checkpoint, only="average" if kept else "generator")
            self._loaded[key] = (self._built(snapshot, "average" if kept else "generator"), snapshot)
        return self._loaded[key][0]

    def discriminator(self, checkpoint: Checkpoint = None) -> Discriminator:
        """The discriminator of a checkpoint, in eval mode."""
        snapshot = read_checkpoint(self.path, self.update_of(checkpoint), only="discriminator")
        _, discriminator = build_networks(self.recipe, self._shape(snapshot), choose_device(self.recipe.device))
        _fill(discriminator, snapshot, "discriminator")
        return discriminator.requires_grad_(False).eval()

    def update_of(self, checkpoint: Checkpoint) -> int | None:
        """The update of a checkpoint: of the newest for None, which has none before there is one; of the best for "best"."""
        if checkpoint == "best":
            return int(best_of(self.path)["update"])
        if isinstance(checkpoint, str):
            raise InputError([f"checkpoint: {checkpoint!r} is not an update; give one, or best"])
        return next(iter(updates_at_hand(self.path)[-1:]), None) if checkpoint is None else checkpoint

    def rule_of(self, checkpoint: Checkpoint) -> str:
        """The rule by which a checkpoint is chosen, as cards say it."""
        return (
            f"best by {best_of(self.path)['quantity']} on held-out"
            if checkpoint == "best"
            else "last"
            if checkpoint is None
            else "given"
        )

    def evaluate(
        self,
        measures: Named = None,
        *,
        against: Against | None = None,
        extractor: str | Mapping[str, Any] | Extractor | FeatureExtractor | nn.Module | None = None,
        n: int | None = None,
        weights: Weights = "average",
        checkpoint: Checkpoint = None,
        seed: int = 0,
        split: Split = "train",
        watch: Watch | None = None,
    ) -> Evaluation:
        """Measure the run's samples against its data, or against other real samples, and add the values to its `measures.json`.

        Args:
            measures: names, names with fields (`{"name": "precision-recall", "k": 5}`) or records; "all" for every one that can be
                taken; None for those that suit the data.
            against: a data set's name or record, a folder of images, an array file, a tensor; None is what the run was trained on.
            extractor: where features are from; None is what suits the data.
            n: samples a side; None is half of the split, at most 10,000, and 2,000 points.
            weights: the generator's average (where the recipe keeps one) or the raw ones.
            checkpoint: an update, or "best"; None is the newest.
            seed: of the latents (sample i is that of `sample`), of the choice of real samples, and of what the measures draw.
            split: of the data: `train` or `held-out`.
            watch: told of progress.

        Raises:
            InputError: what was named cannot be had or cannot be measured; a line for each reason.
        """
        refuse_unwritable(self.path)
        if self.recipe.replicated:
            given = {"against": against, "extractor": extractor, "n": n, "weights": weights, "checkpoint": checkpoint}
            return self._evaluate_replicas(measures, watch, **given, seed=seed, split=split)
        request = Request(measures, extractor, n, seed, split, watch or Unwatched())
        (evaluation,) = self._answers(request, [self._networks(weights, checkpoint)], against)
        add_values(self.path, evaluation.values)
        return evaluation

    def _answers(self, request: Request, judged: Sequence[Networks], against: Against | None) -> list[Evaluation]:
        """What is asked of each, against the run's own data or other samples."""
        if against is None:
            own = self.recipe.data.open()
            loop.refuse_other_data(own, read_environment(open_folder(self.path))["data"]["digest"])
            return [answer(request, networks, own, own_data=True) for networks in judged]
        others = against_named(against, judged[0].shape, request.watch)
        return [answer(request, networks, others, own_data=False) for networks in judged]

    def _evaluate_replicas(self, measures: Named, watch: Watch | None, **given: Any) -> Evaluation:
        """Every replica's values, and of each quantity the mean over them."""
        if self.recipe.vary.fields:
            names = ", ".join(self.recipe.vary.fields)
            raise InputError([f"{self.path}: {names} varies between its replicas, so one mean says nothing; take by_values()"])
        return self.pooled(range(self.replicas), measures, watch=watch, **given)

    def by_values(self) -> dict[str, list[int]]:
        """The replicas that share their varying numbers, by what those are; all of them under "" where nothing varies.

        `run.pooled(indices, ...)` evaluates them together.
        """
        groups: dict[str, list[int]] = {}
        for index, values in enumerate(self.recipe.axis()[1]):
            label = ", ".join(f"{field}={told(value)}" for field, value in shortened(values).items())
            groups.setdefault(label, []).append(index)
        return groups

    def pooled(
        self,
        indices: Iterable[int],
        measures: Named = None,
        *,
        against: Against | None = None,
        weights: Weights = "average",
        checkpoint: Checkpoint = None,
        watch: Watch | None = None,
        **asked: Any,
    ) -> Evaluation:
        """Of each quantity the mean over some replicas, with its standard error, and their single values in its details.

        A replica that diverged is left out, and a note counts them.

        Args:
            asked: as for `evaluate`.

        Raises:
            InputError: all of them diverged, or as `evaluate`.
        """
        indices = list(indices)
        ended = self.diverged
        alive = [index for index in indices if index not in ended]
        if not alive:
            raise InputError([f"{self.path}: all {len(indices)} replicas diverged; there is nothing to measure"])
        request = Request(measures, watch=watch or Unwatched(), **asked)
        judged = [self._replica_networks(index, weights, checkpoint) for index in alive]
        pooled = over_replicas(self._answers(request, judged, against), str(self.path), diverged=len(indices) - len(alive))
        add_values(self.path, pooled.values)
        return pooled

    @property
    def diverged(self) -> frozenset[int]:
        """The replicas that diverged, by their places in the axis, as the newest checkpoints and logs of the run know."""
        found: set[int] = set()
        for holder, first in [(part, int(part.path.name.partition("-")[0])) for part in self.parts] or [(self, 0)]:
            if not holder.recipe.replicated:
                found |= {first} if many.end_of(holder.path) == "diverged" else set()
            elif updates_at_hand(holder.path):
                ended = read_checkpoint(holder.path, only="generator").state.get("diverged", [])
                found |= {first + one["replica"] for one in ended}
        return frozenset(found)

    def _replica_networks(self, index: int, weights: Weights, checkpoint: Checkpoint) -> Networks:
        """One replica's networks, taken out of the stack it was trained in."""
        holder, row = self._part_with(index) if self.parts else (self, index)
        if not holder.recipe.replicated:
            return holder._networks(weights, checkpoint)
        stacked, member = holder._networks(weights, checkpoint), self.recipe.part(index, index + 1)
        generator, discriminator = build_networks(member, stacked.shape, choose_device(member.device))
        _take_row(generator, stacked.generator, row)
        _take_row(discriminator, stacked.discriminator(), row)
        return replace(
            stacked,
            recipe=member,
            generator=generator,
            discriminator=lambda: discriminator,
            provenance={**stacked.provenance, "run": str(self.path), "recipe": member.digest(), "replica": index},
        )

    def resume(self, updates: int | None = None, observer: Observer | None = None) -> "Run":
        """Go on training; see `saddlepoint.training.many.resume`."""
        return Run(many.resume(self.path, updates, observer))

    @property
    def newest_grid(self) -> Path | None:
        """The last picture that training drew, of a run in parts the first part's; None when there is none."""
        if self.parts:
            return self.parts[0].newest_grid
        grids = [path for path in (self.path / "samples").glob("*.png") if path.stem.isdecimal()]
        return max(grids, key=lambda path: int(path.stem), default=None)

    def report(self) -> Path:
        """Write the run's page, one self-contained HTML file; its path."""
        page: Path = write_report(self.path)
        return page

    def _networks(self, weights: Weights, checkpoint: Checkpoint) -> Networks:
        generator = self.generator(weights, checkpoint)
        snapshot = self._loaded[(self.update_of(checkpoint), weights)][1]
        return Networks(
            recipe=self.recipe,
            shape=self._shape(snapshot),
            generator=generator,
            discriminator=lambda: self.discriminator(checkpoint),
            checkpoint=self.rule_of(checkpoint),
            weights=weights_kept(self.recipe, weights),
            provenance={"run": str(self.path), "recipe": self.recipe.digest(), "update": snapshot.update},
            name=str(self.path),
        )

    def _shape(self, snapshot: Snapshot) -> tuple[int, ...]:
        shape = snapshot.state.get("shape")
        if not isinstance(shape, list):
            raise InputError([f"{self.path}: the checkpoint does not say what shape its samples have"])
        return tuple(shape)

    def _built(self, snapshot: Snapshot, name: str) -> Generator:
        generator, _ = build_networks(self.recipe, self._shape(snapshot), choose_device(self.recipe.device))
        _fill(generator, snapshot, name)
        device, dtype = choose_device(self.recipe.device), DTYPES[self.recipe.precision]
        return sampling(self.recipe, generator.requires_grad_(False).eval(), streams_of(self.recipe, device, dtype))


def _take_row(lone: nn.Module, stacked: nn.Module, row: int) -> None:
    lone.load_state_dict({name: tensor[row] for name, tensor in stacked.state_dict().items()})
    lone.requires_grad_(False).eval()


def _fill(network: nn.Module, snapshot: Snapshot, name: str) -> None:
    copy_into({**dict(network.named_parameters()), **dict(network.named_buffers())}, snapshot.tensors[name], name)
