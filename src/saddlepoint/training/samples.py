"""Samples of a generator: sample i of a seed depends on (seed, i) only, whatever is drawn around it."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.streams import ROWS, Streams
from saddlepoint.training.assembly import Latents, streams_of
from saddlepoint.training.pictures import image_grid, point_panels, point_plot, write_png
from saddlepoint.training.session import Session

SHOWN_POINTS = 1000
SHOWN_REPLICAS = 16
SHOWN_IMAGES = 16
CONTOUR_STEPS = 64


@torch.no_grad()
def generate(generator: Generator, latents: Tensor) -> Tensor:
    """Images or points of latents `[*, n, latent]`, in eval mode; the generator's mode is put back."""
    training = generator.training
    generator.eval()
    try:
        images: Tensor = generator(latents)
    finally:
        generator.train(training)
    return images


def sample_blocks(generator: Generator, latents: Latents, streams: Streams, start: int, stop: int) -> Iterator[Tensor]:
    """Samples `start` to `stop - 1` of the stream's seed, a block at a time, each `[*, at most 64, …]`.

    Whole aligned blocks are computed and then cut, so that not even the last bit of a sample depends on its neighbours' number.
    """
    batch_axis = len(streams.leading)
    for block in range(start // ROWS, -(-stop // ROWS)):
        first = block * ROWS
        images = generate(generator, latents.rows(streams, first, first + ROWS))
        skipped = max(0, start - first)
        yield images.narrow(batch_axis, skipped, min(stop - first, ROWS) - skipped)


def draw_samples(session: Session, latents: Latents, count: int, path: Path) -> None:
    """Write the picture of a session's samples at its fixed latents: a grid of images, or points over data with D's contours."""
    streams = streams_of(session.recipe, session.device, session.streams.dtype)
    points = len(session.source.shape) == 1
    blocks = sample_blocks(session.sampled, latents, streams, 0, SHOWN_POINTS if points else count)
    samples = torch.cat(list(blocks), len(streams.leading))
    if streams.leading:
        _draw_replicas(session, samples, path)
        return
    if not points:
        write_png(image_grid(samples), path)
        return
    real = session.source.batch(streams, SHOWN_POINTS).image
    lowest, highest = real.amin(0), real.amax(0)
    margin = 0.15 * (highest - lowest).max()
    (left, bottom), (right, top) = (lowest - margin).tolist(), (highest + margin).tolist()
    scores = contours(session.game.discriminator, (left, right, bottom, top), like=real)
    title = f"update {session.trainer.updates}"
    write_png(point_plot(real, samples, scores=scores, extent=(left, right, bottom, top), title=title), path)


def _draw_replicas(session: Session, samples: Tensor, path: Path) -> None:
    """Small multiples: one panel a replica, of the first ones; or one row of images a replica."""
    shown = samples[:SHOWN_REPLICAS]
    seeds = session.streams.seeds[:SHOWN_REPLICAS]
    if len(session.source.shape) == 3:
        write_png(image_grid(shown[:, :SHOWN_IMAGES].flatten(0, 1), columns=min(SHOWN_IMAGES, shown.shape[1])), path)
        return
    real = session.source.batch(Streams(seeds[0], device=session.device, dtype=session.streams.dtype), SHOWN_POINTS).image
    write_png(point_panels(real, shown, [f"seed {seed}" for seed in seeds], title=f"update {session.trainer.updates}"), path)


@torch.no_grad()
def contours(discriminator: Discriminator, extent: tuple[float, float, float, float], like: Tensor) -> Tensor:
    """Scores on a grid over `extent` (left, right, bottom, top), `[rows, columns]`, bottom row first."""
    left, right, bottom, top = extent
    ys, xs = torch.linspace(bottom, top, CONTOUR_STEPS), torch.linspace(left, right, CONTOUR_STEPS)
    grid = torch.stack([xs.expand(CONTOUR_STEPS, -1), ys[:, None].expand(-1, CONTOUR_STEPS)], dim=-1).reshape(-1, 2).to(like)
    training = discriminator.training
    discriminator.eval()
    try:
        scores: Tensor = discriminator(grid)
    finally:
        discriminator.train(training)
    return scores.reshape(CONTOUR_STEPS, CONTOUR_STEPS)
