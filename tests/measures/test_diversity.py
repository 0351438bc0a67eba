"""MS-SSIM and LPIPS against torchmetrics, the Vendi score against its definition, and the properties of all three."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, structural_similarity_index_measure
from torchmetrics.functional.image.lpips import _LPIPS

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.lpips import BACKBONES, Lpips, Net
from saddlepoint.measures.ms_ssim import WEIGHTS, MsSsim, ms_ssim, number_of_scales, pairs_of_a_class
from saddlepoint.measures.vendi_score import VendiScore, vendi_score
from saddlepoint.streams import Streams


def smooth(name: str, n: int, channels: int, side: int) -> Tensor:
    """Images with structure at several scales, as bytes."""
    coarse, fine = Streams(3).normal(name, n, channels, 4, 4), Streams(4).normal(name, n, channels, side, side)
    image = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear") * 60 + 15 * fine + 128
    return image.round().clamp(0, 255).to(torch.uint8)


def evidence(images: Tensor, labels: Tensor | None = None) -> Evidence:
    real = smooth("real", len(images), *images.shape[1:3])
    return Evidence(Sample(real, real.flatten(1).float(), labels=labels), Sample(images, images.flatten(1).float(), labels=labels))


@pytest.mark.parametrize(("side", "channels", "scales"), [(16, 1, 1), (32, 3, 2), (37, 1, 2), (64, 3, 3)])
def test_ms_ssim_is_that_of_torchmetrics(side: int, channels: int, scales: int) -> None:
    first, second = smooth("first", 9, channels, side), smooth("second", 9, channels, side)
    second[:4] = (first[:4].float() * 0.8 + 20).round().to(torch.uint8)
    assert number_of_scales(first.shape) == scales
    betas = tuple(weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales])
    ours = ms_ssim(first, second)
    for one, other, value in zip(first.double(), second.double(), ours, strict=True):
        theirs = multiscale_structural_similarity_index_measure(one[None], other[None], data_range=255.0, betas=betas)
        assert float(value) == pytest.approx(float(theirs), abs=1e-6)


def test_valid_windows_are_the_inner_ones_of_torchmetrics() -> None:
    first, second = smooth("first", 4, 1, 20), smooth("second", 4, 1, 20)
    second = (0.5 * first.float() + 0.5 * second.float()).to(torch.uint8)
    whole = structural_similarity_index_measure(first.double(), second.double(), data_range=255.0, return_full_image=True)
    assert isinstance(whole, tuple)
    inner = whole[1][..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(ms_ssim(first, second, "valid"), inner.clamp_min(0), rtol=0, atol=1e-12)


def test_ms_ssim_of_equal_images_of_noise_and_both_ways_round() -> None:
    first, second = smooth("first", 70, 3, 32), smooth("second", 70, 3, 32)
    torch.testing.assert_close(ms_ssim(first, first), torch.ones(70, dtype=torch.float64), rtol=0, atol=1e-9)
    assert torch.equal(ms_ssim(first, second), ms_ssim(second, first))
    noise = Streams(0).integers("noise", 256, 2, 50, 1, 64, 64).to(torch.uint8)
    assert float(ms_ssim(noise[0], noise[1]).mean()) < 0.05
    parts = torch.cat([ms_ssim(first[:3], second[:3]), ms_ssim(first[3:], second[3:])])
    torch.testing.assert_close(parts, ms_ssim(first, second), rtol=1e-10, atol=0)


def test_five_scales_need_176_pixels() -> None:
    assert [number_of_scales((1, 1, side, 300)) for side in (10, 11, 21, 22, 43, 44, 87, 88, 175, 176)] == [
        0,
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
        5,
    ]
    assert number_of_scales((9, 2)) == 0


def test_pairs_are_of_a_class_and_share_no_sample() -> None:
    labels = torch.tensor([0] * 7 + [1] * 4 + [2])
    pairs = pairs_of_a_class(labels, 12, 100, Streams(0), "pairs")
    assert sorted(labels[pairs].tolist()) == [[0, 0]] * 3 + [[1, 1]] * 2
    assert len(pairs.flatten().unique()) == 10
    assert pairs_of_a_class(None, 12, 3, Streams(0), "pairs").shape == (3, 2)
    few = torch.cat([pairs_of_a_class(labels, 12, 1, Streams(seed), "pairs") for seed in range(200)])
    assert (labels[few[:, 0]] == 0).double().mean() == pytest.approx(0.6, abs=0.14)


def test_a_collapsed_generator_has_ms_ssim_one_and_reals_are_beside() -> None:
    found = MsSsim(pairs=20)(evidence(smooth("one", 1, 3, 32).repeat(60, 1, 1, 1)), Streams(0))["ms-ssim"]
    assert found.mean == pytest.approx(1, abs=1e-9)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.details["name"] == "ms-ssim-2"
    assert found.details["real"] < 0.7
    assert "labels are missing" in found.notes[0]


def test_the_error_is_that_of_independent_pairs() -> None:
    found = [MsSsim(pairs=40)(evidence(smooth(f"many {i}", 80, 1, 11)), Streams(i))["ms-ssim"] for i in range(60)]
    errors, means = torch.tensor([one.error for one in found]), torch.tensor([one.mean for one in found])
    assert float(errors.mean()) == pytest.approx(float(means.std()), rel=0.35)
    images = smooth("many", 80, 1, 11)
    assert MsSsim()(evidence(images), Streams(0)) == MsSsim()(evidence(images), Streams(0))
    assert "40 pairs, not 1000" in MsSsim()(evidence(images), Streams(0))["ms-ssim"].notes[-1]


def test_classes_are_kept_apart() -> None:
    """Two constant images by label: within a class all are alike, across classes not."""
    images = smooth("two", 2, 1, 16).repeat(30, 1, 1, 1)
    labels = torch.arange(60) % 2
    assert MsSsim()(evidence(images, labels), Streams(0))["ms-ssim"].mean == pytest.approx(1)
    assert MsSsim()(evidence(images), Streams(0))["ms-ssim"].mean < 0.95


def test_what_ms_ssim_cannot_see_is_named() -> None:
    with pytest.raises(InputError, match="8 x 8 pixels are too few"):
        MsSsim()(evidence(smooth("small", 5, 1, 8)), Streams(0))
    points = Sample(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(InputError, match="the samples are points"):
        MsSsim()(Evidence(points, points), Streams(0))
    with pytest.raises(InputError, match="no two of the 4 generated samples have one label"):
        MsSsim()(evidence(smooth("few", 4, 1, 16), torch.arange(4)), Streams(0))
    with pytest.raises(InputError, match="give two sets alike"):
        ms_ssim(smooth("a", 2, 1, 16), smooth("a", 2, 3, 16))
    with pytest.raises(InputError, match="no scale of 11"):
        ms_ssim(smooth("a", 2, 1, 8), smooth("a", 2, 1, 8))


def reference(net: Net, folder: Path) -> tuple[Any, Path]:
    """torchmetrics' LPIPS with its own heads on a random network that does not collapse, and a file like torchvision's of it."""
    theirs = _LPIPS(pretrained=True, net=net, pnet_rand=True)
    tensors: dict[str, Tensor] = {}
    for part in (theirs.net.slice1, theirs.net.slice2, theirs.net.slice3, theirs.net.slice4, theirs.net.slice5):
        for number, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                fan = layer.weight[0].numel()
                layer.weight.copy_(Streams(0).normal(f"weight {number}", *layer.weight.shape) * (2 / fan) ** 0.5)
                assert layer.bias is not None
                layer.bias.copy_(0.1 * Streams(0).normal(f"bias {number}", *layer.bias.shape))
                tensors |= {f"features.{number}.weight": layer.weight, f"features.{number}.bias": layer.bias}
    path = folder / BACKBONES[net].file
    torch.save({name: tensor.detach().clone() for name, tensor in tensors.items()}, path)
    return theirs, path


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_lpips_is_that_of_torchmetrics_and_its_file_is_checked(net: Net, tmp_path: Path) -> None:
    theirs, path = reference(net, tmp_path)
    measure = Lpips(net=net, weights=str(path), trust=True, pairs=20)
    distance, _ = measure.opened()
    first, second = smooth("first", 5, 3, 40), smooth("second", 5, 3, 40)
    expected = theirs(first.float() / 127.5 - 1, second.float() / 127.5 - 1).flatten()
    torch.testing.assert_close(distance(first, second), expected, rtol=1e-5, atol=0)
    assert float(distance(first, first).abs().max()) == 0
    grey = smooth("grey", 2, 1, 40)
    assert torch.equal(distance(grey, grey.flip(0)), distance(grey.repeat(1, 3, 1, 1), grey.flip(0).repeat(1, 3, 1, 1)))

    found = measure(evidence(smooth("fake", 12, 3, 40)), Streams(0))["lpips"]
    assert found.mean > 0
    assert found.details["pairs"] == 6
    assert measure(evidence(smooth("one", 1, 3, 40).repeat(12, 1, 1, 1)), Streams(0))["lpips"].mean == 0
    with pytest.raises(InputError, match=f"{net}'s begins {BACKBONES[net].sha256}"):
        Lpips(net=net, weights=str(path)).opened()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="fetch it again"):
        measure.opened()
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=f"not those of {net}"):
        measure.opened()


def test_without_weights_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"vgg16-397923af\.pth is not there") as caught:
        Lpips()(evidence(smooth("small", 5, 1, 11)), Streams(0))
    assert len(caught.value.problems) == 2


def by_definition(features: Tensor) -> float:
    unit = features.double() / features.double().norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit @ unit.T / len(unit)).tolist()
    return math.exp(-sum(value * math.log(value) for value in values if value > 1e-15))


@pytest.mark.parametrize(("n", "d"), [(40, 7), (9, 30), (1, 3)])
def test_the_vendi_score_is_its_definition(n: int, d: int) -> None:
    features = Streams(0).normal("features", n, d) + 0.3
    assert vendi_score(features) == pytest.approx(by_definition(features), rel=1e-9)
    assert vendi_score(1e-25 * features) == pytest.approx(vendi_score(features), rel=1e-6)


def test_properties_of_the_vendi_score() -> None:
    assert vendi_score(torch.ones(50, 3)) == pytest.approx(1)
    assert vendi_score(torch.eye(12) * 5) == pytest.approx(12)
    assert vendi_score(torch.eye(2).repeat_interleave(20, 0)) == pytest.approx(2)
    features = Streams(0).normal("features", 60, 16)
    assert vendi_score(features.repeat(3, 1)) == pytest.approx(vendi_score(features), rel=1e-10)
    assert vendi_score(features[torch.randperm(60)]) == pytest.approx(vendi_score(features), rel=1e-10)
    for d, expected in ((16, 15.8), (64, 60.3)):
        assert vendi_score(Streams(1).normal("gaussian", 500, d)) == pytest.approx(expected, abs=0.2)


def test_the_vendi_measure_shows_the_reals_at_equal_n() -> None:
    real, fake = Streams(0).normal("real", 300, 8), Streams(0).normal("fake", 100, 8)
    given = Evidence(Sample(real, real), Sample(fake, fake))
    found = VendiScore()(given, Streams(0))["vendi-score"]
    assert found.mean == vendi_score(fake)
    assert found.details["real"] == pytest.approx(7.9, abs=0.2)
    assert found.details["at most"] == 8
    other = VendiScore()(Evidence(given.fake, given.real), Streams(0))["vendi-score"]
    assert "fewer than the 300 samples" in other.notes[0]
    flat = Sample(fake, torch.zeros(100, 8))
    with pytest.raises(InputError, match="100 of 100 fake features are 0"):
        VendiScore()(Evidence(given.real, flat), Streams(0))
    for broken in (torch.zeros(3, 2), torch.full((2, 2), torch.nan), torch.zeros(0, 2)):
        with pytest.raises(InputError, match="leave such samples out"):
            vendi_score(broken)
