"""Samples of a run as pictures on the disk."""

from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.progress import track

from saddlepoint.errors import InputError
from saddlepoint.run import Run, Weights
from saddlepoint.streams import ROWS, Streams
from saddlepoint.training.assembly import DTYPES, choose_device, latents_of
from saddlepoint.training.pictures import image_grid, point_plot, write_png
from saddlepoint.training.samples import generate, interpolate

Form = Literal["grid", "files", "slerp"]
SLERP_STEPS = 10
SLERP_ROWS = 8


def write_samples(
    run: Run,
    where: Path,
    form: Form,
    n: int,
    seed: int,
    *,
    weights: Weights = "average",
    checkpoint: int | None = None,
    screen: Console | None = None,
) -> Path:
    """Write samples 0 to n - 1 of a seed: one grid, a PNG each (`where` is then a folder), or 8 interpolations of 10 steps.

    Raises:
        InputError: the place cannot be written, or points were asked for as single pictures.
    """
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        if form == "files":
            return _files(run, where, n, seed, weights, checkpoint, screen)
        if form == "slerp":
            write_png(image_grid(_interpolations(run, seed, weights, checkpoint), columns=SLERP_STEPS), where)
            return where
        drawn = run.sample(n, seed, weights=weights, checkpoint=checkpoint)
        write_png(
            image_grid(drawn)
            if drawn.ndim == 4
            else point_plot(run.recipe.data.open().batch(Streams(seed), n).image, drawn, title=f"{n} samples of seed {seed}"),
            where,
        )
    except OSError as error:
        raise InputError([f"{where}: cannot be written ({error.strerror}); give another place with --out"]) from error
    return where


def _files(run: Run, where: Path, n: int, seed: int, weights: Weights, checkpoint: int | None, screen: Console | None) -> Path:
    first = run.sample(1, seed, weights=weights, checkpoint=checkpoint)
    if first.ndim != 4:
        raise InputError(["--as files: this run's samples are points, not pictures; use --as grid"])
    where.mkdir(exist_ok=True)
    for start in track(range(0, n, ROWS), description="samples", console=screen or Console(quiet=True)):
        images = run.sample(min(ROWS, n - start), seed, start=start, weights=weights, checkpoint=checkpoint)
        for number, image in enumerate(images, start):
            write_png(image_grid(image[None], columns=1, scale=1), where / f"{number:06d}.png")
    return where


def _interpolations(run: Run, seed: int, weights: Weights, checkpoint: int | None) -> torch.Tensor:
    latents = latents_of(run.recipe)
    streams = Streams(seed, device=choose_device(run.recipe.device), dtype=DTYPES[run.recipe.precision])
    ends = latents.rows(streams, 0, 2 * SLERP_ROWS)
    steps = interpolate(ends[:SLERP_ROWS], ends[SLERP_ROWS:], SLERP_STEPS, spherical=not latents.uniform)
    generator = run.generator(weights, checkpoint)
    images = generate(generator, steps.reshape(-1, latents.size))
    if images.ndim != 4:
        raise InputError(["--as slerp: this run's samples are points, not pictures; use --as grid"])
    return images
