"""Measures while several processes train: each sees a share of the samples, and the values are those of one process."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from saddlepoint.measures.frechet_distance import Moments
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import load
from saddlepoint.training.measuring import Measuring, share_of
from saddlepoint.training.session import Session
from tests.battery.games import play as update
from tests.processes.group import Group

NAMES = [
    "frechet-distance",
    "kernel-distance",
    "precision-recall",
    "discriminator-overfitting",
    "modes",
    "maximum-mean-discrepancy",
]
FIELDS: dict[str, dict[str, Any]] = {
    "digits": {"data": "digits", "data.resolution": 8, "networks.width": 4, "networks.latent": 4, "batch": 8, "measures.n": 170},
    "one block": {"data": "8-gaussians", "networks.family": "mlp", "batch": 8, "measures.n": 50},
    "points": {"data": "8-gaussians", "networks.family": "mlp", "batch": 8, "measures.n": 300},
}


def recipe_of(which: str) -> dict[str, Any]:
    points = FIELDS[which]["data"] == "8-gaussians"
    names = [name for name in NAMES if (name == "modes") <= points and (name != "kernel-distance" or not points)]
    recipe = "gan" if points else "dcgan"
    return load(recipe, {**FIELDS[which], "measures.every": 2, "measures.names": names}).to_mapping()


def measured(processes: Processes, raw: Mapping[str, Any]) -> tuple[dict[str, float], list[str], int]:
    """The values of networks that one process trained: the same in all, so that what differs is the measuring."""
    recipe = load(raw)
    source = recipe.data.open()
    session = update(Session(recipe, source), 2)
    measuring = Measuring(recipe, source, processes=processes)
    seen = 0
    extractor = measuring._extractor

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(extractor, name)

        def __call__(self, images: torch.Tensor) -> Any:
            nonlocal seen
            seen += len(images)
            return extractor(images)

    measuring._extractor = Counting()
    session.streams.processes = processes
    (evaluation,) = measuring.at(session)
    return {value.name: value.mean for value in evaluation.values}, list(evaluation.left_out), seen


@pytest.mark.parametrize("which", FIELDS)
def test_the_values_are_those_of_one_process(pair: Group, which: str) -> None:
    recipe = recipe_of(which)
    alone, left_out, seen_alone = measured(ALONE, recipe)
    assert len(alone) >= 6
    first, second = pair(measured, recipe)
    assert second[0] == {}, "the first one computes"
    assert first[0] == pytest.approx(alone, rel=1e-10, abs=1e-12, nan_ok=True)
    assert first[1] == left_out
    n = FIELDS[which]["measures.n"]
    assert seen_alone == n
    if which != "one block":
        assert max(first[2], second[2]) < n
        assert first[2] + second[2] == n


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [1, 64, 65, 200, 1000])
def test_shares_are_all_the_samples_once_in_whole_blocks(world: int, n: int) -> None:
    shares = [share_of(n, Processes(rank, world)) for rank in range(world)]
    assert [first for first, _ in shares[1:]] == [stop for _, stop in shares[:-1]]
    assert (shares[0][0], shares[-1][1]) == (0, n)
    assert all(first % 64 == 0 for first, stop in shares if first < stop)


def moments_of(processes: Processes) -> tuple[Any, Any]:
    features = torch.randn(500, 20, generator=torch.Generator().manual_seed(0))
    first, stop = share_of(500, processes)
    moments = Moments.of(torch.cat(processes.each(features[first:stop])))
    return moments.mean.tolist(), moments.spread.tolist()


def test_moments_are_those_of_all_samples(pair: Group) -> None:
    mean, spread = moments_of(ALONE)
    for answer in pair(moments_of):
        assert answer == (mean, spread)
