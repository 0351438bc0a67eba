"""Samples depend on (seed, i) only; interpolations have the properties of survey 12."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.latents import interpolate, slerp
from saddlepoint.networks.dcgan import Dcgan
from saddlepoint.networks.network import Discriminator
from saddlepoint.recipe import load
from saddlepoint.streams import Streams
from saddlepoint.training.assembly import Latents, latents_of
from saddlepoint.training.pictures import point_plot
from saddlepoint.training.samples import contours, draw_samples, generate, sample_blocks
from saddlepoint.training.session import Session

FAMILY = Dcgan(width=4, latent=8)


def drawn(start: int, stop: int, seed: int = 3, uniform: bool = False) -> torch.Tensor:
    generator = FAMILY.generator((1, 8, 8), Streams(0))
    return torch.cat(list(sample_blocks(generator, Latents(8, uniform), Streams(seed), start, stop)))


@pytest.mark.parametrize("uniform", [False, True])
def test_a_sample_depends_on_its_seed_and_number_only(uniform: bool) -> None:
    whole = drawn(0, 150, uniform=uniform)
    assert whole.shape == (150, 1, 8, 8)
    for start, stop in ((0, 1), (63, 65), (64, 128), (149, 150)):
        assert torch.equal(drawn(start, stop, uniform=uniform), whole[start:stop])
    assert not torch.equal(drawn(0, 8, seed=4, uniform=uniform), whole[:8])


def test_generating_leaves_mode_and_buffers_alone() -> None:
    generator = FAMILY.generator((1, 8, 8), Streams(0)).train()
    before = {name: buffer.clone() for name, buffer in generator.named_buffers()}
    generate(generator, Streams(0).normal("z", 4, 8))
    assert generator.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in generator.named_buffers())


def test_slerp_ends_symmetry_and_norm() -> None:
    streams = Streams(0, dtype=torch.float64)
    start, end = streams.normal("a", 5, 64), streams.normal("b", 5, 64)
    t = torch.tensor(0.3, dtype=torch.float64)
    torch.testing.assert_close(slerp(start, end, torch.zeros_like(t)), start)
    torch.testing.assert_close(slerp(start, end, torch.ones_like(t)), end)
    torch.testing.assert_close(slerp(start, end, t), slerp(end, start, 1 - t))
    unit = start / start.norm(dim=-1, keepdim=True), end / end.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(slerp(*unit, t).norm(dim=-1), torch.ones(5, dtype=torch.float64))


def test_slerp_of_parallel_latents_is_linear_and_finite() -> None:
    start = torch.ones(1, 4, dtype=torch.float64)
    torch.testing.assert_close(slerp(start, start, torch.tensor(0.4, dtype=torch.float64)), start)


def test_linear_midpoint_shrinks_and_spherical_does_not() -> None:
    streams = Streams(1)
    start, end = streams.normal("a", 200, 128), streams.normal("b", 200, 128)
    middle = {way: interpolate(start, end, 3, spherical=way)[:, 1].norm(dim=-1).mean().item() for way in (False, True)}
    assert middle[False] == pytest.approx((128 / 2) ** 0.5, rel=0.05)
    assert middle[True] == pytest.approx(128**0.5, rel=0.05)


def background(
    networks: dict[str, Any], objective: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor | None, list[Tensor]]:
    """What is behind the picture of a fresh session's samples, and its discriminator's scores there, where they are asked for."""
    seen: list[Tensor | None] = []
    asked: list[Tensor] = []

    def plotted(real: Tensor, fake: Tensor, *, scores: Tensor | None, **rest: Any) -> Any:
        seen.append(scores)
        return point_plot(real, fake, scores, **rest)

    def judged(discriminator: Discriminator, extent: tuple[float, float, float, float], like: Tensor) -> Tensor:
        asked.append(contours(discriminator, extent, like))
        return asked[-1]

    monkeypatch.setattr("saddlepoint.training.samples.point_plot", plotted)
    monkeypatch.setattr("saddlepoint.training.samples.contours", judged)
    recipe = load({"data": "8-gaussians", "networks": networks, "objective": objective})
    draw_samples(Session(recipe, recipe.data.open()), latents_of(recipe), 4, path)
    return seen[0], asked


def test_behind_points_a_place_is_the_lighter_the_more_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score is turned over where a high one is an error."""
    for family, objective, sign in (("mlp", "vanilla", 1), ("mlp-autoencoder", "began", -1)):
        scores, judged = background({"family": family}, objective, tmp_path / "picture.png", monkeypatch)
        assert scores is not None
        assert torch.equal(scores, sign * judged[0])
        monkeypatch.undo()


def test_a_score_of_a_whole_batch_is_of_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for all places at once, minibatch discrimination would take the memory of their square."""
    networks = {"family": "mlp", "minibatch": "minibatch-discrimination"}
    scores, judged = background(networks, "vanilla", tmp_path / "picture.png", monkeypatch)
    assert scores is None
    assert judged == []
