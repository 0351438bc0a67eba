"""Equal to torch-fidelity on the same features, with its own subsets and its own shuffle."""

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import FeatureExtractorBase, calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from saddlepoint.measures import classifier_score, frechet_distance, kernel_distance_over_subsets

NAME = "sixty-four"
SUBSETS, SUBSET = 7, 90
SEED = 2020

Both = tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]


class SixtyFour(FeatureExtractorBase):  # type: ignore[misc]
    """Sixty-four features that are not Gaussian, and ten logits."""

    def __init__(self, name: str, features_list: list[str], **others: Any) -> None:
        super().__init__(name, features_list)
        generator = torch.Generator().manual_seed(1)
        self.first = torch.randn(48, 64, generator=generator) / 3
        self.second = torch.randn(64, 10, generator=generator) / 3

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return True

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pooled = nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1)
        features = (4 * (pooled - 0.5) @ self.first).relu() + 0.1 * (pooled @ self.first)
        seen = {"features": features, "logits": features @ self.second}
        return tuple(seen[name] for name in self.features_list)


class Images(Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def images(seed: int, n: int, size: int, power: float) -> Tensor:
    uniform = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return (255 * uniform**power).to(torch.uint8)


@pytest.fixture(scope="module")
def both() -> Both:
    """What torch-fidelity says of two sets of images, input 1 the fakes, and what the extractor says of both."""
    register_feature_extractor(NAME, SixtyFour)
    fake, real = images(0, 400, 8, 1.0), images(1, 500, 8, 1.3)
    said = calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        cuda=False,
        cache=False,
        verbose=False,
        fid=True,
        kid=True,
        isc=True,
        kid_subsets=SUBSETS,
        kid_subset_size=SUBSET,
        feature_extractor=NAME,
    )
    network = SixtyFour(NAME, ["features", "logits"])
    seen = [dict(zip(network.features_list, network(side), strict=True)) for side in (real, fake)]
    return said, seen[0], seen[1]


def test_frechet_distance_at_sixty_four_features(both: Both) -> None:
    said, real, fake = both
    assert said["frechet_inception_distance"] > 0.1
    assert frechet_distance(real["features"], fake["features"]) == pytest.approx(said["frechet_inception_distance"], rel=1e-6)


def subsets(first: int, second: int) -> tuple[Tensor, Tensor]:
    """The subsets that torch-fidelity draws, input 1's before input 2's."""
    generator = np.random.RandomState(SEED)
    drawn = [[torch.from_numpy(generator.choice(n, SUBSET, replace=False)) for n in (first, second)] for _ in range(SUBSETS)]
    return torch.stack([pair[0] for pair in drawn]), torch.stack([pair[1] for pair in drawn])


def test_kernel_distance_over_its_subsets(both: Both) -> None:
    said, real, fake = both
    mine, other = subsets(400, 500)
    values = kernel_distance_over_subsets(real["features"], fake["features"], other, mine)
    assert said["kernel_inception_distance_mean"] > 1e-3
    assert values.mean().item() == pytest.approx(said["kernel_inception_distance_mean"], abs=1e-6)
    assert values.std(correction=0).item() == pytest.approx(said["kernel_inception_distance_std"], abs=1e-6)


def test_kernel_distance_in_float64_agrees_to_rounding(
    both: Both,
) -> None:
    _, real, fake = both
    mine, other = subsets(400, 500)
    said = kid_features_to_metric(
        fake["features"].double(), real["features"].double(), kid_subsets=SUBSETS, kid_subset_size=SUBSET, verbose=False
    )
    values = kernel_distance_over_subsets(real["features"].double(), fake["features"].double(), other, mine)
    assert values.mean().item() == pytest.approx(said["kernel_inception_distance_mean"], rel=1e-9)
    assert values.std(correction=0).item() == pytest.approx(said["kernel_inception_distance_std"], rel=1e-9)
    # Products in float32, about the common mean, cost a reader nothing.
    lean = kernel_distance_over_subsets(real["features"], fake["features"], other, mine)
    torch.testing.assert_close(lean, values, rtol=1e-6, atol=0)


def test_classifier_score_with_its_shuffle(both: Both) -> None:
    said, _, fake = both
    order = torch.from_numpy(np.random.RandomState(SEED).permutation(400))
    score = classifier_score(fake["logits"], order)
    assert said["inception_score_mean"] > 1.05
    assert score.mean == pytest.approx(said["inception_score_mean"], rel=1e-5)
    assert score.std == pytest.approx(said["inception_score_std"], rel=1e-5)


@pytest.fixture(scope="module")
def inception() -> nn.Module:
    """An Inception that does not collapse: He weights, and a batch norm with statistics of its own."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.pth"
        torch.save({}, empty)
        with mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict", return_value=None):
            network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(empty))
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            shape = module.num_features
            module.running_mean = 0.1 * torch.randn(shape, generator=generator)
            module.running_var = 0.5 + torch.rand(shape, generator=generator)
            module.weight.data = 0.5 + torch.rand(shape, generator=generator)
            module.bias.data = 0.1 * torch.randn(shape, generator=generator)
    network.eval()
    return nn.Sequential(network)


@pytest.mark.slow
def test_frechet_distance_on_inception_at_small_n(inception: nn.Module) -> None:
    with torch.no_grad():
        real, fake = (inception(images(seed, 12, 32, power))[0] for seed, power in ((2, 1.0), (3, 1.5)))
    assert real.shape == (12, 2048)
    ours = frechet_distance(real, fake)
    theirs = fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), False)
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=2e-5)

    x, y = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (side.double().numpy() for side in (real, fake)))
    shift = real.double().mean(0) - fake.double().mean(0)
    roots = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    expected = float(shift @ shift) + np.square(x).sum() + np.square(y).sum() - 2 * roots
    assert expected > 1e-3
    assert ours == pytest.approx(expected, rel=1e-8)
