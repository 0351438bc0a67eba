"""ADA: its pipeline against torch's sampling and plain arithmetic, and the controller of its probability."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from saddlepoint.views import VIEWS
from saddlepoint.views.ada_lite import COLOUR, GEOMETRY, NORMAL, TRANSFORMS, UNIFORM, colour, inverse_of_geometry
from saddlepoint.views.adaptive import Adaptive
from saddlepoint.views.warping import recoloured, warped


def images(n: int = 6, channels: int = 3, size: int = 8) -> Tensor:
    return Streams(7, dtype=torch.float64).normal("images", n, channels, size, size)


def round_of(image: Tensor, seed: int = 3) -> Round:
    found = Round.of(
        real=image, fake=image, discriminator=lambda x: x.flatten(1).sum(1), streams=Streams(seed, dtype=torch.float64)
    )
    found.viewing = "real"
    return found


def seen(image: Tensor, p: float) -> Tensor:
    state = {name: torch.tensor(p if name == "p" else 0.0, dtype=torch.float64) for name in ("p", "signs", "turns")}
    return VIEWS["ada-lite"]()(image, round_of(image), state)


def only(n: int, *names: str) -> dict[str, Tensor]:
    return {name: torch.full((n,), name in names) for name in TRANSFORMS}


def amounts(n: int, **given: float) -> dict[str, Tensor]:
    """Draws: uniform ones of 0.3 and normal ones of 0.7 unless given, with `_` for a space and `z_` before normal ones."""
    found = {name: torch.full((n,), given.get(name.replace(" ", "_"), 0.3), dtype=torch.float64) for name in UNIFORM}
    return found | {
        f"{name}, normal": torch.full((n,), given.get(f"z_{name.replace(' ', '_')}", 0.7), dtype=torch.float64) for name in NORMAL
    }


def under(image: Tensor, *names: str, **given: float) -> Tensor:
    return warped(image, inverse_of_geometry(only(len(image), *names), amounts(len(image), **given), image.shape[-2:]))


# Sampling


@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_sampling_is_torchs(size: tuple[int, int]) -> None:
    """Bilinear with reflection, `align_corners=False`, far beyond the edges too."""
    streams = Streams(1, dtype=torch.float64)
    image = streams.normal("image", 5, 2, *size)
    maps = torch.eye(3, dtype=torch.float64) + torch.cat(
        [streams.normal("maps", 5, 2, 3) * torch.tensor([1.0, 1.0, 9.0]), torch.zeros(5, 1, 3, dtype=torch.float64)], 1
    )
    height, width = size
    # From pixels about the centre to torch's coordinates, which are 1 at the outer edges.
    scale = torch.tensor([2 / width, 2 / height, 1.0], dtype=torch.float64)
    theta = (torch.diag(scale) @ maps @ torch.diag(1 / scale))[:, :2]
    grid = functional.affine_grid(theta, [5, 2, height, width], align_corners=False)
    expected = functional.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(warped(image, maps), expected, rtol=1e-10, atol=1e-10)


def test_sampling_may_be_differentiated_twice() -> None:
    image = images(n=2, channels=2, size=4).requires_grad_()
    maps = inverse_of_geometry(only(2, *GEOMETRY), amounts(2), torch.Size((4, 4)))
    assert torch.autograd.gradgradcheck(lambda x: warped(x, maps).pow(3).flatten(1).sum(1), (image,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: seen(x, 0.9), (images(n=3).requires_grad_(),), fast_mode=True)


# Geometry


def test_flips_and_turns_are_exact() -> None:
    image = images()
    close: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(under(image, "flip", flip=0.7), image.flip(-1), **close)
    torch.testing.assert_close(under(image, "flip", flip=0.3), image, **close)
    for quarter in range(4):
        turned = under(image, "turn", turn=quarter / 4 + 0.1)
        ways = [turns for turns in range(4) if torch.allclose(turned, image.rot90(turns, (-2, -1)))]
        assert ways in ([quarter], [(4 - quarter) % 4])
    torch.testing.assert_close(under(image), image, **close)


def test_shifts_are_of_whole_pixels_and_reflect() -> None:
    image = images(size=16)
    shifted = under(image, "shift", shift_across=0.999, shift_down=0.25)  # 2 right, -1 down
    torch.testing.assert_close(shifted[..., :-1, 2:], image[..., 1:, :-2], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shifted[..., :-1, :2], image[..., 1:, :2].flip(-1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shifted[..., -1, 2:], image[..., -1, :-2], rtol=1e-9, atol=1e-9)


def by_hand(chosen: tuple[str, ...], drawn: Mapping[str, Tensor], size: int) -> NDArray[np.float64]:
    """The maps of the paper one after another, from a pixel of the image to its place in the result, about the centre."""
    value = {name: float(tensor[0]) for name, tensor in drawn.items()}

    def matrix(a: float, b: float, c: float, d: float, x: float = 0.0, y: float = 0.0) -> NDArray[np.float64]:
        return np.array([[a, b, x], [c, d, y], [0, 0, 1]])

    def rotation(angle: float) -> NDArray[np.float64]:
        return matrix(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))

    scale, stretch = 2 ** (0.2 * value["scale, normal"]), 2 ** (0.2 * value["stretch, normal"])
    steps = {
        "flip": matrix(1 - 2 * math.floor(2 * value["flip"]), 0, 0, 1),
        "turn": rotation(math.pi / 2 * math.floor(4 * value["turn"])),
        "shift": matrix(1, 0, 0, 1, *(round((2 * value[f"shift {way}"] - 1) * size / 8) for way in ("across", "down"))),
        "scale": matrix(scale, 0, 0, scale),
        "rotation before": rotation(math.pi * (2 * value["rotation before"] - 1)),
        "stretch": matrix(stretch, 0, 0, 1 / stretch),
        "rotation after": rotation(math.pi * (2 * value["rotation after"] - 1)),
        "fraction": matrix(1, 0, 0, 1, *(value[f"fraction {way}, normal"] * size / 8 for way in ("across", "down"))),
    }
    assert tuple(steps) == GEOMETRY
    whole = np.eye(3)
    for name in chosen:
        whole = steps[name] @ whole
    return whole


@pytest.mark.parametrize("chosen", [(name,) for name in GEOMETRY] + [GEOMETRY, ("turn", "scale", "fraction")], ids=" ".join)
def test_the_map_of_the_plane_is_the_chosen_ones_first_to_last(chosen: tuple[str, ...]) -> None:
    drawn = amounts(1, turn=0.6, flip=0.8, shift_across=0.9, shift_down=0.1, rotation_after=0.9, z_stretch=-1.1)
    inverse = inverse_of_geometry(only(1, *chosen), drawn, torch.Size((32, 32)))[0].numpy()
    np.testing.assert_allclose(inverse, np.linalg.inv(by_hand(chosen, drawn, 32)), rtol=1e-9, atol=1e-9)


# Colour


def test_each_colour_does_what_it_is_called() -> None:
    image = images()
    close: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}

    def coloured(*names: str, **given: float) -> Tensor:
        return recoloured(image, colour(only(len(image), *names), amounts(len(image), **given)))

    luma = image.mean(1, keepdim=True)
    chroma = image - luma
    torch.testing.assert_close(coloured(), image, **close)
    torch.testing.assert_close(coloured("brightness", z_brightness=1.5), image + 0.3, **close)
    torch.testing.assert_close(coloured("contrast", z_contrast=-2.0), image / 2, **close)
    torch.testing.assert_close(coloured("luma flip", luma_flip=0.7), chroma - luma, **close)
    torch.testing.assert_close(coloured("luma flip", luma_flip=0.2), image, **close)
    torch.testing.assert_close(coloured("saturation", z_saturation=2.0), luma + 4 * chroma, **close)
    torch.testing.assert_close(coloured("hue", hue=0.5 + 1 / 3), image.roll(1, 1), **close)
    turned = coloured("hue", hue=0.6)
    torch.testing.assert_close(turned.mean(1, keepdim=True), luma, **close)
    torch.testing.assert_close((turned - luma).square().sum(1), chroma.square().sum(1), **close)
    # In their order: brightness comes before contrast.
    both = coloured("brightness", "contrast", z_brightness=1.5, z_contrast=2.0)
    torch.testing.assert_close(both, 2 * (image + 0.3), **close)


def test_one_channel_is_taken_as_grey() -> None:
    image = images(channels=1)
    matrix = colour(only(len(image), *COLOUR), amounts(len(image), luma_flip=0.9))
    three = recoloured(image.expand(-1, 3, -1, -1), matrix)
    torch.testing.assert_close(recoloured(image, matrix), three.mean(1, keepdim=True), rtol=1e-10, atol=1e-10)


# The pipeline


def test_p_of_0_is_the_identity_to_the_bit() -> None:
    image = images()
    assert torch.equal(seen(image, 0.0), image)


def test_each_image_is_changed_with_its_own_probability() -> None:
    """Untouched is an image to which nothing came: half of the flips, a quarter of the turns and of the shifts move nothing, and of
    two rotations together the probability is p."""
    image, p = images(n=4000), 0.1
    untouched = (seen(image, p) == image).flatten(1).all(1).double().mean()
    assert float(untouched) == pytest.approx((1 - p) ** 8 * (1 - p / 2) ** 2 * (1 - 3 * p / 4) ** 2, abs=0.025)
    assert (seen(image, 1.0) != image).flatten(1).any(1).all()


def test_replicas_have_their_own_p_and_draws() -> None:
    seeds, ps = (3, 11), torch.tensor([0.0, 0.9], dtype=torch.float64)
    image = images()
    stacked = Round.of(real=image, fake=image, discriminator=lambda x: x, streams=Streams(seeds, dtype=torch.float64))
    stacked.viewing = "real"
    view = VIEWS["ada-lite"]()
    found = view(image.expand(2, *image.shape), stacked, {"p": ps})
    for row, (seed, p) in enumerate(zip(seeds, ps, strict=True)):
        torch.testing.assert_close(found[row], view(image, round_of(image, seed), {"p": p}), rtol=1e-12, atol=1e-12)
    assert torch.equal(found[0], image)
    assert not torch.equal(found[1], image)


# The controller


def scored(scores: Tensor) -> Round:
    return Round.of(real=scores[:, None], fake=scores[:, None], discriminator=lambda x: x[:, 0])


CONTROLLED = ["ada-lite", "adaptive-instance-noise"]


@pytest.mark.parametrize("name", CONTROLLED)
def test_p_reaches_1_after_half_a_million_sure_reals(name: str) -> None:
    view = VIEWS[name](most=1.0)
    state, round = view.initial_state(()), scored(torch.full((500,), 2.0, dtype=torch.float64))
    for turn in range(1, 1001):
        state = view.observe(round, state)
        if turn == 996:
            assert float(state["p"]) == pytest.approx(0.996, abs=1e-9)
    assert float(state["p"]) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", CONTROLLED)
def test_p_moves_every_fourth_turn_by_the_sign_of_the_mean_since_the_last_move(name: str) -> None:
    view = VIEWS[name](images=100, most=0.5)
    state, found = view.initial_state(()), []
    # r of four turns: 1; then (1 + 1 + 1 - 1) / 4 < .6, twice over; then 1 until the cap.
    for level in [1, 1, 1, 1, 1, 1, 1, -1] + [1] * 16:
        state = view.observe(scored(torch.full((5,), float(level))), state)
        found.append(round(float(state["p"]), 6))
    assert found == [0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5]
    for _ in range(40):
        state = view.observe(scored(torch.full((5,), -1.0)), state)
    assert float(state["p"]) == 0


def test_p_stays_where_r_is_the_target() -> None:
    view = VIEWS["ada-lite"](every=1, target=0.5, images=10)
    state = view.observe(scored(torch.tensor([1.0, 2.0, 3.0, 4.0])), view.initial_state(()))
    moved = float(state["p"])
    assert moved == pytest.approx(0.4)
    state = view.observe(scored(torch.tensor([1.0, 2.0, 3.0, -4.0])), state)
    assert float(state["p"]) == moved


def test_replicas_have_their_own_targets() -> None:
    view = VIEWS["ada-lite"](every=1, images=10.0)
    assert isinstance(view, Adaptive)
    varied = view.model_copy(update={"target": torch.tensor([[0.0], [0.9]]), "most": torch.tensor([[0.3], [0.85]])})
    state = {"p": torch.tensor([0.1, 0.8]), "signs": torch.zeros(2), "turns": torch.zeros(2)}
    image = torch.ones(4, 1)
    round = Round.of(real=image, fake=image, discriminator=lambda x: x[:, 0])
    round.judge("real")
    round._judgements["real"] = round._judgements["real"]._replace(scores=torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, -1]]))
    torch.testing.assert_close(varied.observe(round, state)["p"], torch.tensor([0.3, 0.4]))
