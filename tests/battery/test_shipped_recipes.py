"""Every recipe that ships is built and plays, with the passes its method needs; and its paper's networks are built."""

import shlex
from typing import Any

import pytest
import torch

from saddlepoint.data.source import gives_images
from saddlepoint.recipe import Recipe, header, load, shipped
from saddlepoint.streams import Streams
from tests.battery.games import Passes, differing, kept, play, session_of

# Passes of the discriminator in one of its turns and in the generator's: one a side (for points one for both), one for
# interpolates, one for SDP's reals, one for what a consistency term judges again, one for the reals that the generator's loss
# compares with.
PASSES: dict[str, tuple[int, int]] = {
    "0-gp": (3, 1),
    "ada": (2, 1),
    "aw-gan": (2, 1),
    "bcr-gan": (4, 1),
    "began": (2, 1),
    "bgan-discrete": (2, 1),
    "maligan": (1, 1),
    "bgan": (2, 1),
    "cr-gan": (3, 1),
    "ct-gan": (4, 1),
    "dcgan": (2, 1),
    "diffaugment": (2, 1),
    "dragan": (3, 1),
    "f-gan": (2, 1),
    "fargan": (2, 1),
    "extra-adam": (6, 0),
    "feature-matching": (2, 2),
    "gan": (2, 1),
    "hinge": (2, 1),
    "hinge-sdp": (2, 2),
    "improved-gan": (2, 1),
    "instance-noise": (2, 1),
    "iwgan": (1, 1),
    "lecam": (2, 1),
    "lookahead": (2, 1),
    "lsgan": (2, 1),
    "lsgan-sdp": (2, 2),
    "optimistic-adam": (3, 1),
    "pu-gan": (2, 1),
    "r1": (2, 1),
    "r3gan": (2, 2),
    "rahinge": (2, 2),
    "ralsgan": (2, 2),
    "rasgan": (2, 2),
    "robustness": (3, 1),
    "sagan": (2, 1),
    "sn-gan": (2, 1),
    "sn-gan-cnn": (2, 1),
    "sn-gan-sdp": (2, 2),
    "softmax-gan": (2, 2),
    "top-k": (2, 1),
    "ttur": (2, 1),
    "wegan": (1, 1),
    "weight-norm": (2, 1),
    "wegan-non-saturating": (2, 1),
    "wgan": (2, 1),
    "wgan-gp": (3, 1),
    "wgan-gp-sdp": (3, 2),
    "wgan-lp": (3, 1),
}
UPDATES = 3
CHANNELS = {"mnist": 1, "fashion-mnist": 1, "digits": 1, "binary-digits": 1}
PLANE = (2,)


def test_how_many() -> None:
    assert sorted(PASSES) == sorted(shipped())
    assert len(PASSES) == 49


@pytest.mark.parametrize("name", PASSES)
def test_it_trains_with_the_passes_it_needs(name: str) -> None:
    started = {"penalties.both.0.weight.start": 0} if name.endswith("-sdp") else {}
    recipe = load(name, started)
    session = session_of(recipe.to_mapping())
    before, passes = kept(session), Passes(session.game)
    play(session, UPDATES)
    after = kept(session)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    # Weights only: the critic's last bias cancels between the sides, and the hinge's as long as all scores are in the margin.
    weights = {name for name in after if name.split("/")[0] in ("generator", "discriminator") and name.endswith(".weight")}
    assert weights - set(differing(before, after)) == set()
    discriminator, generator = PASSES[name]
    assert len(passes.by_turn["discriminator"]) == UPDATES * recipe.schedule.discriminator_steps * discriminator
    assert len(passes.by_turn["generator"]) == UPDATES * generator
    few = {size for size in passes.by_turn["generator"] if size != recipe.schedule.batch}
    # Where no batch norm couples the batch, SDP judges in the generator's turn only the reals it chose, at most k of them.
    assert (bool(few) and max(few) <= 5) == (name.endswith("-sdp") and not recipe.networks.couples_batch)


@pytest.mark.parametrize("name", [name for name in PASSES if name.endswith("-sdp")])
def test_sdp_costs_nothing_before_it_starts(name: str) -> None:
    session = session_of(load(name).to_mapping())
    passes = Passes(session.game)
    play(session, 1)
    assert len(passes.by_turn["generator"]) == 1


def shape_of(recipe: Recipe) -> tuple[int, ...]:
    if not gives_images(type(recipe.data)):
        return PLANE
    fields: dict[str, Any] = dict(recipe.data)
    return (CHANNELS.get(recipe.data.name, 3), fields["resolution"], fields["resolution"])


@pytest.mark.parametrize("name", PASSES)
def test_the_papers_networks_are_built(name: str) -> None:
    (line,) = [line for line in header(shipped()[name]) if line.startswith("Paper: ")]
    _, _, recipe_name, *overrides = shlex.split(line.removeprefix("Paper: "))
    recipe = load(recipe_name, overrides)
    shape, streams = shape_of(recipe), Streams(0)
    generator = recipe.networks.generator(shape, streams)
    discriminator = recipe.networks.discriminator(shape, streams)
    images = generator(streams.normal("latents", 2, recipe.networks.latent))
    assert images.shape == (2, *shape)
    assert discriminator(images).shape == (2,)


def test_two_time_scales_are_two_rates_and_nothing_else() -> None:
    """With the rates and betas of the recipe it is made of, it is that recipe to the bit."""
    optimizers = load("sn-gan").to_mapping()["optimizers"]
    assert optimizers["generator"] == optimizers["discriminator"]
    same, base = load("ttur", {"optimizers": optimizers}), load("sn-gan")
    assert same.to_mapping() == base.to_mapping()
    equal, plain, apart = (session_of(recipe.to_mapping()) for recipe in (same, base, load("ttur")))
    assert differing(kept(play(equal, 2)), kept(play(plain, 2))) == []
    assert differing(kept(plain), kept(play(apart, 2)))
    rates = [load("ttur").to_mapping()["optimizers"][player]["lr"] for player in ("generator", "discriminator")]
    assert rates == [1e-4, 4e-4]
