"""Samples of a run as pictures on the disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL.Image import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.latents import interpolate
from saddlepoint.run import Checkpoint, Run, Weights
from saddlepoint.streams import ROWS, Streams
from saddlepoint.training.assembly import DTYPES, choose_device, latents_of
from saddlepoint.training.folder import made_folder
from saddlepoint.training.pictures import image_grid, image_rows, on_the_plane, point_panels, point_plot, write_png
from saddlepoint.training.samples import chosen_replicas, generate, title_of

Form = Literal["grid", "files", "slerp"]
SLERP_STEPS = 10
LARGEST_GRID = 2**16


def write_samples(
    run: Run,
    where: Path,
    form: Form,
    n: int,
    seed: int,
    *,
    weights: Weights = "average",
    checkpoint: Checkpoint = None,
    screen: Console | None = None,
) -> Path:
    """Write samples 0 to n - 1 of a seed: one grid, a PNG each (`where` is then a folder), or n interpolations of 10 steps.

    Raises:
        InputError: the place cannot be written or holds files, points were asked for as single pictures, or a grid is too large to
            be looked at.
    """
    draw = Drawing(run, seed, weights, checkpoint)
    if form != "grid" and run.recipe.replicated:
        raise InputError([f"--as {form}: {run.path} has {run.replicas} replicas; say which with --replica, or use --as grid"])
    if form != "grid" and len(draw.shape) != 3:
        raise InputError([f"--as {form}: this run's samples are points, not pictures; use --as grid"])
    if form != "files" and n > LARGEST_GRID:
        raise InputError([f"-n: {n} pictures in one are too many to look at; give {LARGEST_GRID} or fewer, or --as files"])
    if form == "files" and where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise InputError([f"{where}: is there already and not empty; give another place with --out"])
    try:
        with made_folder(where if form == "files" else where.parent):
            if form == "files":
                _files(draw, where, n, screen or Console(quiet=True))
            elif form == "slerp":
                write_png(image_grid(_interpolations(draw, n), columns=SLERP_STEPS), where)
            else:
                write_png(_grid(draw, n), where)
    except OSError as error:
        raise InputError([f"{where}: cannot be written ({error.strerror}); give another place with --out"]) from error
    return where


@dataclass(frozen=True)
class Drawing:
    """Which samples: of what run, seed, weights, checkpoint."""

    run: Run
    seed: int
    weights: Weights
    checkpoint: Checkpoint

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return tuple(self(0, 1).shape[1:])

    def __call__(self, start: int, n: int) -> Tensor:
        return self.run.sample(n, self.seed, start=start, weights=self.weights, checkpoint=self.checkpoint)


def _grid(draw: Drawing, n: int) -> Image:
    samples = draw(0, n)
    if draw.run.recipe.replicated:
        return _panels(draw, samples)
    if samples.ndim == 4:
        return image_grid(samples)
    real = on_the_plane(draw.run.recipe.data.open().batch(Streams(draw.seed), n).image)
    return point_plot(real, on_the_plane(samples), title=f"{n} samples of seed {draw.seed}")


def _panels(draw: Drawing, samples: Tensor) -> Image:
    """Small multiples of some replicas, of each varying value as many: a panel each, or a row of images each."""
    seeds, values = draw.run.recipe.axis()
    shown, columns = chosen_replicas(values)
    titles = [title_of(seeds[index], values[index]) for index in shown]
    title = f"{samples.shape[1]} samples of seed {draw.seed}"
    if samples.ndim == 5:
        return image_rows(samples[shown], titles, title)
    real = on_the_plane(draw.run.recipe.data.open().batch(Streams(draw.seed), samples.shape[1]).image)
    return point_panels(real, on_the_plane(samples[shown]), titles, title, columns=columns)


def _files(draw: Drawing, where: Path, n: int, screen: Console) -> None:
    made: list[Path] = []
    try:
        for start in track(range(0, n, ROWS), description="samples", console=screen, disable=not screen.is_terminal):
            for number, image in enumerate(draw(start, min(ROWS, n - start)), start):
                made.append(where / f"{number:06d}.png")
                write_png(image_grid(image[None], columns=1, scale=1), made[-1])
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _interpolations(draw: Drawing, n: int) -> Tensor:
    """Row i goes from latent 2i to latent 2i + 1, whatever n is."""
    recipe = draw.run.recipe
    latents = latents_of(recipe)
    ends = latents.rows(Streams(draw.seed, device=choose_device(recipe.device), dtype=DTYPES[recipe.precision]), 0, 2 * n)
    steps = interpolate(ends[0::2], ends[1::2], SLERP_STEPS, spherical=not latents.uniform)
    generator = draw.run.generator(draw.weights, draw.checkpoint)
    return torch.cat([generate(generator, row) for row in steps])
