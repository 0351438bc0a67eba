"""The Python API: train a recipe, open a run, sample it, report on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.networks.network import Generator
from saddlepoint.recipe import Recipe, load
from saddlepoint.report.page import write_report
from saddlepoint.streams import Streams
from saddlepoint.training import loop
from saddlepoint.training.assembly import DTYPES, build_networks, choose_device, latents_of
from saddlepoint.training.checkpoints import Snapshot, copy_into, read_checkpoint, updates_at_hand
from saddlepoint.training.folder import free_name, open_folder, stored_recipe
from saddlepoint.training.loop import Observer
from saddlepoint.training.samples import sample_blocks

Weights = Literal["average", "raw"]


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
    return Run(loop.train(described, folder, observer))


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
        self._loaded: dict[tuple[int | None, Weights], tuple[Generator, Snapshot]] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def sample(
        self, n: int, seed: int = 0, *, start: int = 0, weights: Weights = "average", checkpoint: int | None = None
    ) -> Tensor:
        """Samples `start` to `start + n - 1` of a seed: images `[n, C, H, W]` in [-1, 1], or points `[n, d]`.

        Sample i depends on (seed, i) only: not on n, nor on what was drawn before.

        Args:
            weights: the generator's average (where the recipe keeps one) or the raw ones.
            checkpoint: the update of a checkpoint; by default the newest.

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
        generator = self.generator(weights, checkpoint)
        streams = Streams(seed, device=choose_device(self.recipe.device), dtype=DTYPES[self.recipe.precision])
        return torch.cat(list(sample_blocks(generator, latents_of(self.recipe), streams, start, start + n)))

    def generator(self, weights: Weights = "average", checkpoint: int | None = None) -> Generator:
        """The generator of a checkpoint, in eval mode."""
        if weights not in ("average", "raw"):
            raise InputError([f"weights: {weights!r} is not one of average, raw"])
        newest = updates_at_hand(self.path)[-1:]
        key = (newest[0] if checkpoint is None and newest else checkpoint, weights)
        if key not in self._loaded:
            kept = weights == "average" and self.recipe.average.decay > 0
            snapshot = read_checkpoint(self.path, checkpoint, only="average" if kept else "generator")
            self._loaded[key] = (self._built(snapshot, "average" if kept else "generator"), snapshot)
        return self._loaded[key][0]

    def resume(self, updates: int | None = None, observer: Observer | None = None) -> "Run":
        """Go on training; see `saddlepoint.training.loop.resume`."""
        return Run(loop.resume(self.path, updates, observer))

    @property
    def newest_grid(self) -> Path | None:
        """The last picture that training drew; None when there is none."""
        grids = [path for path in (self.path / "samples").glob("*.png") if path.stem.isdecimal()]
        return max(grids, key=lambda path: int(path.stem), default=None)

    def report(self) -> Path:
        """Write the run's page, one self-contained HTML file; its path."""
        page: Path = write_report(self.path)
        return page

    def _built(self, snapshot: Snapshot, name: str) -> Generator:
        shape = snapshot.state.get("shape")
        if not isinstance(shape, list):
            raise InputError([f"{self.path}: the checkpoint does not say what shape its samples have"])
        generator, _ = build_networks(self.recipe, tuple(shape), choose_device(self.recipe.device))
        tensors = {**dict(generator.named_parameters()), **dict(generator.named_buffers())}
        copy_into(tensors, snapshot.tensors[name], name)
        return generator.requires_grad_(False).eval()
