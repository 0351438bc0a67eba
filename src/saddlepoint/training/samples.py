"""Samples of a generator: sample i of a seed depends on (seed, i) only, whatever is drawn around it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.streams import ROWS, Streams
from saddlepoint.training.assembly import Latents, streams_of
from saddlepoint.training.pictures import image_grid, image_rows, on_the_plane, point_panels, point_plot, write_png
from saddlepoint.training.session import Session

SHOWN_POINTS = 1000
# In each of small multiples, where more would hide one another.
PANEL_POINTS = 500
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
    real, samples = on_the_plane(session.source.batch(streams, SHOWN_POINTS).image), on_the_plane(samples)
    lowest, highest = real.amin(0), real.amax(0)
    margin = 0.15 * (highest - lowest).max().item() or 1.0
    (left, bottom), (right, top) = (lowest - margin).tolist(), (highest + margin).tolist()
    scores = _background(session, (left, right, bottom, top), like=real)
    title = f"update {session.trainer.updates}"
    write_png(point_plot(real, samples, scores=scores, extent=(left, right, bottom, top), title=title), path)


def _background(session: Session, extent: tuple[float, float, float, float], like: Tensor) -> Tensor | None:
    """How real each place of the plane looks, `[rows, columns]`; None where a score is of a whole batch, and no place has one."""
    networks = session.recipe.networks
    if networks.minibatch is not None:
        return None
    scores = contours(session.game.discriminator, extent, like)
    return scores if networks.scores == "realness" else -scores


def _draw_replicas(session: Session, samples: Tensor, path: Path) -> None:
    """Small multiples: a panel, or a row of images, for each of the first replicas, or of the first of each varying value."""
    seeds, values = session.recipe.axis()
    shown, columns = chosen_replicas(values)
    titles = [title_of(seeds[index], values[index]) for index in shown]
    frozen = {} if session.frozen is None else session.frozen.ended
    ended = {place: f"diverged at {frozen[index].update}" for place, index in enumerate(shown) if index in frozen}
    drawn, title = samples[shown], f"update {session.trainer.updates}"
    if len(session.source.shape) == 3:
        write_png(image_rows(drawn[:, :SHOWN_IMAGES], titles, title, ended), path)
        return
    streams = Streams(seeds[shown[0]], device=session.device, dtype=session.streams.dtype)
    real, drawn = on_the_plane(session.source.batch(streams, PANEL_POINTS).image), on_the_plane(drawn)
    write_png(point_panels(real, drawn[:, :PANEL_POINTS], titles, title, ended, columns), path)


def chosen_replicas(values: Sequence[Mapping[str, Any]]) -> tuple[list[int], int | None]:
    """Which replicas a picture shows, and in how many columns: at most 16, the first ones, or as many of each value.

    Args:
        values: of the varying fields, a mapping a replica.

    >>> chosen_replicas([{"eta": eta} for eta in (0.1, 0.5) for _ in range(20)])
    ([0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26, 27], 4)
    """
    groups: dict[str, list[int]] = {}
    for index, own in enumerate(values):
        groups.setdefault(json.dumps(own, sort_keys=True), []).append(index)
    each = max(1, SHOWN_REPLICAS // len(groups))
    shown = [index for members in groups.values() for index in members[:each]][:SHOWN_REPLICAS]
    sizes = {len(members[:each]) for members in groups.values()}
    # Rows of one value, or of whole values.
    columns = next((count for count in (4, 5, 3, 2) if all(size % count == 0 for size in sizes)), None)
    return shown, columns if len(groups) > 1 else None


def title_of(seed: int, values: Mapping[str, Any]) -> str:
    """A replica's seed, and a line for each of its varying values under its last name.

    >>> title_of(3, {"weightings.generator.eta": 0.1}).splitlines()
    ['seed 3', 'eta 0.1']
    """
    return "\n".join([f"seed {seed}", *(f"{field.rpartition('.')[2]} {_short(value)}" for field, value in values.items())])


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", "schedule"))
    return "none" if value is None else f"{value:g}"


@torch.no_grad()
def contours(discriminator: Discriminator, extent: tuple[float, float, float, float], like: Tensor) -> Tensor:
    """Scores on a grid over `extent` (left, right, bottom, top), `[rows, columns]`, bottom row first."""
    left, right, bottom, top = extent
    ys, xs = torch.linspace(bottom, top, CONTOUR_STEPS), torch.linspace(left, right, CONTOUR_STEPS)
    grid = torch.stack([xs.expand(CONTOUR_STEPS, -1), ys[:, None].expand(-1, CONTOUR_STEPS)], dim=-1).reshape(-1, 2).to(like)
    training = discriminator.training
    discriminator.eval()
    try:
        scores: Tensor = discriminator(grid[:, : discriminator.shape[0]])
    finally:
        discriminator.train(training)
    return scores.reshape(CONTOUR_STEPS, CONTOUR_STEPS)
