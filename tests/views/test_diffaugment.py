"""DiffAugment: each part against the formula by plain loops over the same draws, its bounds, its gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from saddlepoint.views import VIEWS

N = 40


def images(n: int = N, channels: int = 3, size: int = 16) -> Tensor:
    return Streams(7, dtype=torch.float64).normal("images", n, channels, size, size)


def round_of(image: Tensor, seed: int = 3) -> Round:
    found = Round.of(
        real=image, fake=image, discriminator=lambda x: x.flatten(1).sum(1), streams=Streams(seed, dtype=torch.float64)
    )
    found.viewing = "real"
    return found


def seen(image: Tensor, *policy: str) -> Tensor:
    return VIEWS["diffaugment"](policy=policy)(image, round_of(image))


def test_an_empty_policy_is_the_identity() -> None:
    image = images()
    assert torch.equal(seen(image), image)
    assert VIEWS["diffaugment"]().model_dump()["policy"] == ("color", "translation", "cutout")


@pytest.mark.parametrize("channels", [1, 3])
def test_color_by_the_formula(channels: int) -> None:
    image = images(channels=channels)
    drawn = Streams(3, dtype=torch.float64).uniform("diffaugment color, real", N, 3).numpy()
    assert drawn.min() >= 0
    assert len(np.unique(drawn)) == 3 * N, "every image has draws of its own"
    expected = np.empty_like(image.numpy())
    for i, x in enumerate(image.numpy()):
        brightness, saturation, contrast = drawn[i]
        x = x + brightness - 0.5
        for y in range(16):
            for z in range(16):
                mean = x[:, y, z].mean()
                x[:, y, z] = [mean + 2 * saturation * (value - mean) for value in x[:, y, z]]
        expected[i] = x.mean() + (contrast + 0.5) * (x - x.mean())
    torch.testing.assert_close(seen(image, "color"), torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


def test_color_keeps_what_it_should() -> None:
    """Of a grey image saturation keeps everything; contrast keeps the mean, brightness moves it by U(-.5, .5)."""
    grey = images(channels=1).expand(-1, 3, -1, -1)
    changed = seen(grey, "color")
    torch.testing.assert_close(changed, changed[:, :1].expand_as(changed), rtol=1e-12, atol=1e-12)
    moved = (changed.mean((1, 2, 3)) - grey.mean((1, 2, 3))).abs()
    assert float(moved.max()) <= 0.5
    assert float(moved.max()) > 0.4
    ratio = changed.std((1, 2, 3)) / grey.std((1, 2, 3))
    assert 0.5 <= float(ratio.min()) < 0.6
    assert 1.4 < float(ratio.max()) <= 1.5


@pytest.mark.parametrize("size", [8, 16, 20])
def test_translation_is_a_shift_by_whole_pixels(size: int) -> None:
    image, most = images(n=200, size=size), int(size / 8 + 0.5)
    changed, shifts = seen(image, "translation"), set()
    for before, after in zip(image.numpy(), changed.numpy(), strict=True):
        fitting = []
        for down in range(-most, most + 1):
            for across in range(-most, most + 1):
                padded = np.pad(before, ((0, 0), (most, most), (most, most)))
                moved = padded[:, most - down : most - down + size, most - across : most - across + size]
                if np.array_equal(moved, after):
                    fitting.append((down, across))
        assert len(fitting) == 1, "no whole shift with zeros, or one beyond an eighth of the size"
        shifts.add(fitting[0])
    assert len(shifts) == (2 * most + 1) ** 2, "every shift occurs, 0 among them, down and across by themselves"


@pytest.mark.parametrize("size", [8, 11, 16])
def test_cutout_is_a_square_of_half_the_size_anywhere(size: int) -> None:
    image = images(n=400, size=size).abs() + 1
    side = int(size / 2 + 0.5)
    zero = (seen(image, "cutout") == 0).numpy()
    assert (zero == zero[:, :1]).all(), "all channels"
    assert torch.equal(seen(image, "cutout")[torch.from_numpy(~zero)], image[torch.from_numpy(~zero)])
    spans = []
    for mask in zero[:, 0]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[np.ix_(rows, columns)].all(), "a rectangle"
        assert mask.sum() == len(rows) * len(columns)
        spans.append((rows[0], rows[-1], columns[0], columns[-1]))
    heights = {last - first + 1 for first, last, _, _ in spans}
    assert max(heights) == side
    assert min(heights) == side - side // 2
    assert {first for first, *_ in spans} == set(range(size - (side - side // 2) + 1))
    if size % 4 == 0:
        shares = zero.mean((1, 2, 3))
        assert shares.min() == 1 / 16
        assert shares.max() == 1 / 4


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ("color", "translation", "cutout")])
def test_gradients_reach_the_pixels_and_can_be_taken_twice(policy: tuple[str, ...]) -> None:
    image = images(n=2, size=8).requires_grad_()

    def score(x: Tensor) -> Tensor:
        return seen(x, *policy).pow(3).flatten(1).sum(1)

    assert torch.autograd.gradcheck(score, (image,), fast_mode=True)
    assert torch.autograd.gradgradcheck(score, (image,), fast_mode=True)
    (gradient,) = torch.autograd.grad(score(image).sum(), image)
    assert (gradient.flatten(1) != 0).any(1).all()


def test_the_parts_are_done_in_their_order() -> None:
    image = images()
    assert not torch.equal(seen(image, "color", "cutout"), seen(image, "cutout", "color"))
    zero_last = (seen(image, "color", "cutout") == 0).flatten(1).double().mean(1)
    assert float(zero_last.min()) >= 1 / 16
    assert float((seen(image, "cutout", "color") == 0).double().sum()) == 0


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="policy"):
        VIEWS["diffaugment"](policy=("colour",))
