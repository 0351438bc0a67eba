"""CR, bCR and zCR: their formulas on critics whose answer is known, the changes themselves, and where they are nothing."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.consistency import shifted
from saddlepoint.recipe import load
from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from tests.recipe.telling import told

IMAGES = ("cr", "bcr")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def round_of(real: Tensor, fake: Tensor, critic: nn.Module, *, seed: int = 0) -> Round:
    return Round.of(real=real, fake=fake, discriminator=critic, streams=Streams(seed, dtype=torch.float64), needs=())


def padded(image: Tensor, steps: int, axis: int) -> Tensor:
    """One image `[C, H, W]` shifted, by torch's padding."""
    farthest = abs(steps)
    padding = (farthest, farthest, 0, 0) if axis == -1 else (0, 0, farthest, farthest)
    wide: Tensor = nn.functional.pad(image[None], padding, mode="reflect")[0]
    return wide.narrow(image.ndim + axis, farthest - steps, image.shape[axis])


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_shift_is_torchs_reflection(axis: int) -> None:
    image, steps = drawn(7, 2, 5, 6), torch.tensor([-3, -2, -1, 0, 1, 2, 3])
    moved = shifted(image, steps, axis)
    for i in range(7):
        assert torch.equal(moved[i], padded(image[i], int(steps[i]), axis))
    stacked = shifted(torch.stack([image, 2 * image]), torch.stack([steps, steps.flip(0)]), axis)
    assert torch.equal(stacked[0], moved)
    assert torch.equal(stacked[1], shifted(2 * image, steps.flip(0), axis))


def test_every_change_is_as_likely() -> None:
    """Flipped or not, and each shift of -1, 0, 1 both ways: seen in an image of which every change is another image."""
    n, image = 3600, torch.arange(64.0).reshape(1, 8, 8)
    penalty = PENALTIES["cr"]()
    real = image.expand(n, 1, 8, 8)
    seen: list[Tensor] = []

    def judge(image: Tensor) -> Tensor:
        seen.append(image)
        return image.sum((1, 2, 3))

    penalty(Round.of(real=real, fake=real, discriminator=judge, needs=()))
    assert [len(images) for images in seen] == [n, n]
    assert torch.equal(seen[0], real), "the loss sees what was not changed"
    expected = {
        tuple(padded(padded(start, down, -2), right, -1).flatten().tolist())
        for start in (image, image.flip(-1))
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    found = Counter(tuple(one.flatten().tolist()) for one in seen[1])
    assert set(found) == expected
    assert len(expected) == 18
    each = n / 18
    assert sum((count - each) ** 2 / each for count in found.values()) < 40.8, "chi-squared of 17 degrees of freedom, p = .001"


class Linear(nn.Module):
    """`<w, x>`."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, image: Tensor) -> Tensor:
        return (self.weight * image).flatten(1).sum(1)


@pytest.mark.parametrize("name", IMAGES)
def test_the_formula_on_what_was_judged(name: str) -> None:
    """By the images that the critic saw; bCR adds the fakes, `fakes` times, and no gradient reaches them."""
    weight, real, fake = drawn(1, 8, 8, seed=1), drawn(4, 1, 8, 8, seed=2), drawn(5, 1, 8, 8, seed=3).requires_grad_()
    seen: list[Tensor] = []

    class Watched(Linear):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(image)
            return super().forward(image)

    penalty = PENALTIES[name](**({"fakes": 0.25} if name == "bcr" else {}))
    value = penalty(round_of(real, fake.detach(), Watched(weight)))
    pairs = list(zip(seen[1::2], seen[::2], strict=True)) if name == "cr" else [(seen[1], seen[0]), (seen[3], seen[2])]
    parts = []
    for one, other in pairs:
        parts.append(sum(float((weight * (a - b)).sum()) ** 2 for a, b in zip(one, other, strict=True)) / len(one))
    assert float(value.detach()) == pytest.approx(parts[0] + (0.25 * parts[1] if name == "bcr" else 0.0), rel=1e-12)
    assert parts[0] > 0


@pytest.mark.parametrize("name", IMAGES)
def test_what_changes_nothing_costs_nothing(name: str) -> None:
    """T the identity, or a critic that does not see it: 0, with a gradient of 0."""
    real, fake = drawn(4, 2, 8, 8), drawn(4, 2, 8, 8, seed=1)
    for fields, critic in (
        ({"shift": 0.0, "flip": False}, Linear(drawn(2, 8, 8, seed=2))),
        ({"shift": 0.0}, Linear(torch.ones(2, 8, 8, dtype=torch.float64))),
    ):
        value = PENALTIES[name](**fields)(round_of(real, fake, critic))
        assert float(value.detach()) == pytest.approx(0, abs=1e-24)
        (gradient,) = torch.autograd.grad(value, critic.weight)
        assert float(gradient.abs().max()) < 1e-12


def test_a_shift_by_a_known_step_is_its_score_squared() -> None:
    """Linear D, T = a shift by v: `<w, v>^2`. On points v is the noise, known by its stream."""
    weight, real = drawn(2, seed=1), drawn(6, 2, seed=2)
    step = 0.3 * Streams(5, dtype=torch.float64).normal("cr noise real", 6, 2)
    value = PENALTIES["cr"](noise=0.3)(round_of(real, real, Linear(weight), seed=5))
    torch.testing.assert_close(value.detach(), (step @ weight).square().mean(), rtol=1e-12, atol=0)
    assert float(PENALTIES["cr"](noise=0.0)(round_of(real, real, Linear(weight))).detach()) == 0


@pytest.mark.parametrize(("shape", "pixels"), [((3,), 3), ((2, 3, 4), 24)])
def test_the_generators_half_has_its_expectation(shape: tuple[int, ...], pixels: int) -> None:
    """Linear `G = M z`: `E |Gz - Gz'|^2 = sigma^2 |M|_F^2 / P`; its sign is that of a reward."""
    matrix, n = drawn(4, pixels, seed=1), 20_000
    latents = drawn(n, 4, seed=2)

    def generate(z: Tensor) -> Tensor:
        return (z @ matrix).reshape(len(z), *shape)

    fake = generate(latents)
    round = Round.of(
        real=fake, fake=fake, latents=latents, generator=generate, discriminator=lambda x: x.flatten(1).sum(1), needs=()
    )
    value = float(PENALTIES["zcr-generator"](sigma=0.3)(round))
    assert value == pytest.approx(-0.09 * float(matrix.square().sum()) / pixels, rel=0.04)


def test_the_discriminators_half_by_its_steps() -> None:
    weight, matrix, latents = drawn(3, seed=1), drawn(2, 3, seed=2), drawn(6, 2, seed=3)
    step = 0.05 * Streams(5, dtype=torch.float64).normal("zcr step", 6, 2)
    critic, streams = Linear(weight), Streams(5, dtype=torch.float64)
    fake = latents @ matrix
    round = Round.of(
        real=fake, fake=fake, latents=latents, generator=lambda z: z @ matrix, discriminator=critic, streams=streams, needs=()
    )
    torch.testing.assert_close(PENALTIES["zcr"]()(round).detach(), (step @ matrix @ weight).square().mean(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["zcr", "zcr-generator"])
def test_no_step_costs_nothing_and_no_generator_is_told(name: str) -> None:
    fake = drawn(4, 2).requires_grad_()
    critic = Linear(drawn(2, seed=1))
    same = Round.of(real=fake, fake=2 * fake, latents=fake, generator=lambda z: 2 * z, discriminator=critic, needs=())
    value = PENALTIES[name](sigma=0.0)(same)
    assert float(value.detach()) == 0
    for gradient in torch.autograd.grad(value, [fake, critic.weight], materialize_grads=True, allow_unused=True):
        assert not gradient.any()
    with pytest.raises(ValueError, match="give the round its latents and its generator"):
        PENALTIES[name]()(Round.of(real=fake, fake=fake, discriminator=critic, needs=()))


WASSERSTEIN = {"data": "8-gaussians", "objective": "wasserstein"}


@pytest.mark.parametrize("name", ["cr", "bcr", "zcr"])
def test_a_default_weight_is_refused_where_scores_have_no_scale(name: str) -> None:
    (problem,) = told({**WASSERSTEIN, "penalties": {"discriminator": [name]}})
    assert problem.startswith(f"penalties.discriminator.0.weight: {name} squares differences of scores, and those of wasserstein")
    for cure in (
        {"penalties": {"discriminator": [{"name": name, "weight": 0.1}]}},
        {"penalties": {"discriminator": [name]}, "networks": {"normalization": {"discriminator": "spectral"}}},
        {"penalties": {"discriminator": [name]}, "objective": "hinge"},
    ):
        recipe = load({**WASSERSTEIN, **cure})
        assert load(recipe.to_mapping()) == recipe


def test_batch_norm_in_the_discriminator_is_cautioned() -> None:
    batch = load({"penalties": {"discriminator": ["bcr"]}})
    (line,) = batch.cautions()
    assert line.startswith("penalties: bcr: batch norm in the discriminator")
    assert (
        load({"networks": {"normalization": {"discriminator": "layer"}}, "penalties": {"discriminator": ["bcr"]}}).cautions() == []
    )
    assert load({}).cautions() == []
