"""The names that strangers rely on: each is there, and works alone in a loop that is not ours."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint
from saddlepoint.combiners import COMBINERS
from saddlepoint.data import DATA
from saddlepoint.errors import Diverged, InputError, Interrupted
from saddlepoint.networks import NETWORKS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Example, Features, InputGradient, Record, Round, Sides
from saddlepoint.streams import Streams
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS

NAMES: dict[str, tuple[Mapping[str, type[Record]], set[str]]] = {
    "objectives": (
        OBJECTIVES,
        {
            *("vanilla", "lsgan", "hinge", "wasserstein", "softmax", "one-sided-label-smoothing", "f-gan"),
            *("relativistic", "relativistic-average", "pu-gan", "bgan"),
        },
    ),
    "penalties": (
        PENALTIES,
        {
            *("gradient", "wgan-gp", "r1", "r2", "0-gp", "dragan"),
            *("sdp", "drift", "lecam", "historical-averaging", "orthogonal", "ct"),
            *("cr", "bcr", "zcr", "zcr-generator", "feature-matching", "path-length"),
        },
    ),
    "weightings": (WEIGHTINGS, {"wegan", "importance", "top-k"}),
    "relabellings": (RELABELLINGS, {"fake-can-be-real"}),
    "views": (VIEWS, {"diffaugment", "ada-lite", "instance-noise"}),
    "networks": (NETWORKS, {"mlp", "dcgan", "resnet", "dirac"}),
    "optimizers": (OPTIMIZERS, {"adam", "rmsprop", "sgd", "optimistic-mirror-descent", "optimistic-adam"}),
    "projections": (PROJECTIONS, {"weight-clipping"}),
    "combiners": (COMBINERS, {"aw-gan"}),
    "rates": (RATES, {"plateau"}),
    "data": (
        DATA,
        {
            *("8-gaussians", "25-gaussians", "swiss-roll", "parallel-lines", "dirac"),
            *("digits", "fashion-mnist", "mnist", "cifar10", "folder"),
            *("kmnist", "cifar100", "svhn", "tiny-imagenet", "celeba", "lsun"),
        },
    ),
}


@pytest.mark.parametrize("room", NAMES)
def test_the_registries_hold_the_literatures_names(room: str) -> None:
    registry, names = NAMES[room]
    assert set(registry) >= names, "names that strangers rely on stay"
    assert all(name == name.lower() and "_" not in name for name in registry)


def test_train_open_sample_report(here: Path) -> None:
    overrides: dict[str, Any] = {"data.resolution": 8, "networks.width": 4, "latent": 4, "batch": 8}
    run = saddlepoint.train("dcgan", out=here / "run", data="digits", updates=2, **overrides)
    assert isinstance(run, saddlepoint.Run)
    opened = saddlepoint.open_run("run")
    assert torch.equal(opened.sample(5, seed=3), run.sample(n=5, seed=3))
    assert opened.sample(5).shape == (5, 1, 8, 8)
    assert opened.sample(5).abs().max() <= 1
    assert opened.report() == Path("run/report.html")
    assert opened.resume(updates=3).recipe.schedule.updates == 3
    assert repr(opened) == "Run('run')"
    assert tuple(inspect.signature(saddlepoint.Run.sample).parameters)[:3] == ("self", "n", "seed")
    assert set(saddlepoint.__all__) == {"train", "open_run", "evaluate", "Run"}
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        saddlepoint.tarin  # noqa: B018


def test_a_mapping_a_file_and_a_run_are_recipes(here: Path) -> None:
    recipe: dict[str, Any] = {
        "data": {"name": "digits", "resolution": 8},
        "networks": {"family": "dcgan", "width": 4, "latent": 4},
        "schedule": {"updates": 1, "batch": 8},
    }
    first = saddlepoint.train(recipe)
    assert first.path == Path("runs/vanilla-digits-1")
    second = saddlepoint.train(first.path / "recipe.yaml", out="second")
    third = saddlepoint.train(first.path, out="third")
    assert torch.equal(first.sample(3), second.sample(3))
    assert torch.equal(first.sample(3), third.sample(3))


def test_the_api_raises_what_the_command_line_prints(here: Path) -> None:
    with pytest.raises(InputError) as refused:
        saddlepoint.train("gan", updatse=3, seed=-1)
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["updatse", "seed"]
    with pytest.raises(InputError, match="is not a run folder"):
        saddlepoint.open_run("nowhere")
    with pytest.raises(InputError, match="is not a run folder"):
        saddlepoint.open_run("\0")
    with pytest.raises(Diverged):
        saddlepoint.train("gan", out="diverged", updates=9, optimizers={"name": "sgd", "lr": 1e30})
    assert not issubclass(Interrupted, InputError)


def networks() -> tuple[nn.Sequential, nn.Sequential, Tensor]:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)).double()
    discriminator = nn.Sequential(nn.Linear(2, 16), nn.Softplus(), nn.Linear(16, 1), nn.Flatten(-2)).double()
    return generator, discriminator, torch.randn(32, 2, dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name, record in OBJECTIVES.items() if not record.needs_log_probability])
def test_an_objective_in_a_strangers_loop(name: str) -> None:
    generator, discriminator, real = networks()
    objective = OBJECTIVES[name]()
    sides = objective.discriminator(Sides(discriminator(real), discriminator(generator(real))))
    for side in objective.carries["discriminator"]:
        found = sides.real if side == "real" else sides.fake
        assert found is not None
        assert found.shape == (32,)
    torch.stack([side.mean() for side in sides if side is not None]).sum().backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    losses = objective.generator(Sides(discriminator(real), discriminator(generator(real)))).fake
    assert losses is not None
    assert losses.shape == (32,)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_in_a_strangers_loop(name: str) -> None:
    """Any modules on images and latents will do; what is learned by reaches the first player that may carry it."""
    generator, discriminator, real = networks()
    if PENALTIES[name].needs_dropout:
        discriminator = nn.Sequential(nn.Dropout(0.5), *discriminator)
    penalty, latents = PENALTIES[name](), torch.randn(32, 2, dtype=torch.float64)
    round = Round.of(
        real=real,
        fake=generator(latents),
        discriminator=discriminator,
        features=lambda image: {"hidden": discriminator[:-2](image)},
        latents=latents,
        generator=generator,
        streams=Streams(0, dtype=torch.float64),
    )
    # What remembers parameters remembers others.
    others = {name: 2 * weight.detach() for name, weight in discriminator.named_parameters()}
    value = penalty(round, penalty.initial_state_from(others, ()))
    assert value.shape == ()
    value.backward()
    taught = discriminator if "discriminator" in penalty.players else generator
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in taught.parameters())


def test_the_gradient_penalty_of_the_design() -> None:
    """PENALTIES["gradient"](centre=1.0, at="interpolates", weight=10.0)(round) is mean (|g| - centre)^2, unweighted."""
    slope = torch.tensor([3.0, 4.0], dtype=torch.float64)
    real = torch.zeros(8, 2, dtype=torch.float64)
    round = Round.of(real=real, fake=real + 1, discriminator=lambda image: image @ slope)
    torch.testing.assert_close(PENALTIES["gradient"](centre=1.0, at="interpolates", weight=10.0)(round).item(), 16.0)
    torch.testing.assert_close(PENALTIES["r1"](weight=5.0)(round).item(), 25.0)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_in_a_strangers_loop(name: str) -> None:
    weights = WEIGHTINGS[name]()(torch.randn(3, 32, dtype=torch.float64))
    assert weights.shape == (3, 32)
    torch.testing.assert_close(weights.mean(-1), torch.ones(3, dtype=torch.float64))
    assert not weights.requires_grad


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_and_a_projection_in_a_strangers_loop(name: str) -> None:
    _, discriminator, real = networks()
    parameters = dict(discriminator.named_parameters())
    optimizer = OPTIMIZERS[name](lr=0.1).build(parameters, fused=False)
    before = [parameter.detach().clone() for parameter in parameters.values()]
    discriminator(real).mean().backward()
    optimizer.step()
    assert any(not torch.equal(was, parameter) for was, parameter in zip(before, parameters.values(), strict=True))
    PROJECTIONS["weight-clipping"](bound=0.01)(parameters)
    assert max(parameter.abs().max().item() for parameter in parameters.values()) <= 0.01


@pytest.mark.parametrize("name", ["mlp", "dcgan", "resnet"])
def test_networks_in_a_strangers_loop(name: str) -> None:
    record = NETWORKS[name].model_validate({"latent": 4, "width": 4})
    shape = (1, 32, 32)
    assert record.problems(shape) == []
    generator, discriminator = record.generator(shape, Streams(0)), record.discriminator(shape, Streams(0))
    images = generator(torch.randn(3, 4))
    assert images.shape == (3, *shape)
    assert discriminator(images).shape == (3,)
    assert discriminator.judge(Example(images), False).scores.shape == (3,)


@pytest.mark.parametrize(
    "name", ["8-gaussians", "25-gaussians", "swiss-roll", "parallel-lines", "dirac", "symbols", "digits", "binary-digits"]
)
def test_data_in_a_strangers_loop(name: str) -> None:
    source = DATA[name]().open()
    assert source.batch(Streams(0), 5).image.shape == (5, *source.shape)


def test_rounds_words() -> None:
    assert Sides(real=torch.zeros(2)).fake is None
    assert Example(torch.zeros(2)).label is None
    assert len({Features("real"), Features("real"), InputGradient("real")}) == 2


def test_a_whole_loop_of_a_stranger_learns() -> None:
    """Hinge, R1, WeGAN's weights and Adam, without our trainer: the critic tells the sides apart afterwards."""
    generator, discriminator, _ = networks()
    hinge, r1, wegan = OBJECTIVES["hinge"](), PENALTIES["r1"](), WEIGHTINGS["wegan"]()
    adam = OPTIMIZERS["adam"](lr=0.02)
    steps = {
        "discriminator": adam.build(dict(discriminator.named_parameters()), fused=False),
        "generator": adam.build(dict(generator.named_parameters()), fused=False),
    }
    streams = Streams(0, dtype=torch.float64)
    for _ in range(60):
        real, fake = streams.normal("data", 64, 2) + 3, generator(streams.normal("latents", 64, 2)).detach()
        round = Round.of(real=real, fake=fake, discriminator=discriminator, streams=streams)
        sides = hinge.discriminator(round.scores)
        assert sides.real is not None
        assert sides.fake is not None
        steps["discriminator"].zero_grad()
        (sides.real.mean() + sides.fake.mean() + 0.1 * r1(round)).backward()
        steps["discriminator"].step()
        scores = discriminator(generator(streams.normal("latents", 64, 2)))
        losses = hinge.generator(Sides(fake=scores)).fake
        assert losses is not None
        steps["generator"].zero_grad()
        (wegan(scores) * losses).mean().backward()
        steps["generator"].step()
    samples = generator(streams.normal("latents", 256, 2))
    assert (samples.mean(0) - 3).norm() < 3 * 2**0.5 / 2
