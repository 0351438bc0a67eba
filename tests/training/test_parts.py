"""How replicas are spread: chunks, processes, memory; and the runs that come of it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.errors import Diverged, InputError
from saddlepoint.recipe import load
from saddlepoint.run import open_run
from saddlepoint.training import many, parts
from saddlepoint.training.checkpoints import updates_at_hand
from saddlepoint.training.parts import Part, Plan, plan

POINTS: Mapping[str, Any] = {
    "data": "8-gaussians",
    "networks": {"family": "mlp", "latent": 2, "width": 4},
    "schedule": {"updates": 6, "batch": 4},
    "log": {"every": 2},
    "samples": {"every": 6},
    "checkpoints": {"every": 3},
}
IMAGES: Mapping[str, Any] = {
    "data": {"name": "digits", "resolution": 8},
    "networks": {"family": "dcgan", "width": 2, "latent": 4},
    "schedule": {"updates": 2, "batch": 4},
}


def planned(recipe: Mapping[str, Any], *overrides: str) -> Plan:
    described = load(recipe, overrides)
    return plan(described, described.data.open())


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("seeds", "chunk", "count", "processes"),
    [("0..5", 6, 1, 1), ("0..15", 8, 2, 2), ("0..99", 50, 2, 2), ("0..999", 64, 16, 2)],
)
def test_as_many_are_stacked_as_pay(seeds: str, chunk: int, count: int, processes: int) -> None:
    found = planned(POINTS, f"seeds={seeds}")
    assert (found.chunk, len(found.parts), found.processes) == (chunk, count, processes)
    assert [replica for part in found.parts for replica in range(part.start, part.stop)] == list(range(found.parts[-1].stop))


@pytest.mark.usefixtures("two_cores")
def test_networks_that_do_not_stack_are_trained_one_by_one() -> None:
    found = planned(IMAGES, "seeds=0..2")
    assert found.parts == (Part(0, 1), Part(1, 2), Part(2, 3))
    assert found.told(load(dict(IMAGES), ["seeds=0..2"])).startswith(
        "3 replicas: 3 games of one replica (dcgan networks are no faster stacked), 2"
    )
    with pytest.raises(InputError, match=r"replicas.chunk: 3, but dcgan networks are not stacked"):
        planned(IMAGES, "seeds=0..2", "replicas.chunk=3")


@pytest.mark.usefixtures("two_cores")
def test_what_does_not_fit_in_memory_is_refused_with_the_number_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load(dict(POINTS), ["seeds=0..999"])
    each = parts.bytes_of_a_replica(recipe, recipe.data.open())
    room = 20 * each + parts.BYTES_OF_A_PROCESS
    monkeypatch.setattr(parts, "available_memory", lambda: int(2 * room / parts.SHARE_OF_MEMORY) + 1)
    with pytest.raises(
        InputError, match=r"replicas.chunk: 500 replicas do not fit in memory; 20 do in each of 2 processes; give 20"
    ):
        planned(POINTS, "seeds=0..999", "replicas.chunk=500")
    assert planned(POINTS, "seeds=0..999").chunk == 20


def test_a_replica_holds_more_the_wider_it_is() -> None:
    narrow, wide = (load(dict(POINTS), ["seeds=0..1", f"networks.width={width}"]) for width in (8, 64))
    sizes = [parts.bytes_of_a_replica(recipe, recipe.data.open()) for recipe in (narrow, wide)]
    weights = [2 * 8 + 8 + 8 * 8 + 8, 2 * 64 + 64 + 64 * 64 + 64]
    assert sizes[0] > 4 * weights[0]
    assert sizes[1] > 4 * weights[1] > sizes[0]


def test_parts_are_runs_and_a_replica_opens_alone(tmp_path: Path) -> None:
    recipe = load(dict(POINTS), ["seeds=[3, 5, 8]", "weightings.generator={name: wegan, eta: [.1, 1]}", "replicas.chunk=4"])
    run = open_run(many.train(recipe, tmp_path / "run"))
    assert [part.path.name for part in run.parts] == ["0000-0003", "0004-0005"]
    samples = run.sample(7, seed=2)
    assert samples.shape == (6, 7, 2)
    for index in (0, 4):
        alone = run.replica(index)
        assert alone.recipe == run.recipe.members()[index]
        assert torch.equal(alone.sample(7, seed=2), samples[index])
        assert alone.resume(updates=8).recipe.schedule.updates == 8
    lone = many.train(run.recipe.members()[4], tmp_path / "lone")
    assert torch.allclose(open_run(lone).sample(7, seed=2), samples[4], atol=1e-5)
    assert run.report().is_file()
    with pytest.raises(InputError, match="replica: 6 is not there; the run has replicas 0 to 5"):
        run.replica(6)


def test_images_in_parts_are_the_lone_runs_to_the_bit(tmp_path: Path) -> None:
    recipe = load(dict(IMAGES), ["seeds=0..1", "threads=1"])
    run = open_run(many.train(recipe, tmp_path / "run"))
    assert run.sample(3).shape == (2, 3, 1, 8, 8)
    assert run.replica(1).path == run.parts[1].path
    lone = open_run(many.train(run.recipe.members()[1], tmp_path / "lone"))
    assert torch.equal(lone.sample(3), run.sample(3)[1])


def test_measures_over_the_replicas(tmp_path: Path) -> None:
    recipe = load(
        POINTS, ["seeds=0..2", "replicas.chunk=3", "measures.every=3", "measures.names=[wasserstein-distance]", "measures.n=50"]
    )
    run = open_run(many.train(recipe, tmp_path / "run"))
    pooled = run.evaluate(["wasserstein-distance"], n=60)
    singles = [run.replica(index).evaluate(["wasserstein-distance"], n=60)["wasserstein-distance"].mean for index in range(3)]
    value = pooled["wasserstein-distance"]
    assert value.details["values"] == singles
    assert value.mean == pytest.approx(sum(singles) / 3, abs=1e-12)
    assert value.error == pytest.approx(float(torch.tensor(singles, dtype=torch.float64).std()) / 3**0.5, abs=1e-12)
    alone = [line for line in (run.replica(1).path / "events.jsonl").read_text().splitlines() if '"measures"' in line]
    assert len(alone) == 2
    with pytest.raises(InputError, match=r"measures\.best: each of many replicas"):
        load(recipe.to_mapping(), ["measures.best=wasserstein-distance"])


def test_a_warm_start_serves_every_replica(tmp_path: Path) -> None:
    donor = many.train(load(dict(POINTS), ["seed=7"]), tmp_path / "donor")
    recipe = load(dict(POINTS), ["seeds=0..1", "replicas.chunk=2", "updates=1", f"from={donor}"])
    run = open_run(many.train(recipe, tmp_path / "run"))
    assert torch.allclose(run.sample(5), open_run(donor).sample(5, weights="average").expand(2, 5, 2), atol=0.05)


UNSTABLE = {"weightings": {"generator": {"name": "importance", "space": "probability"}}, "log": {"every": 2}}


@pytest.fixture(scope="module")
def half_diverged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Replicas 0 and 1 are fine, 2 and 3 diverge at once."""
    recipe = load({**POINTS, **UNSTABLE}, ["seeds=0..1", "optimizers.discriminator.lr=[1e-4, 50]", "replicas.chunk=4"])
    return many.train(recipe, tmp_path_factory.mktemp("half") / "run")


def test_what_diverged_is_measured_with_nobody(half_diverged: Path) -> None:
    run = open_run(half_diverged)
    assert run.diverged == {2, 3}
    pooled = run.pooled(range(4), ["wasserstein-distance"], n=40)["wasserstein-distance"]
    assert pooled.details["values"] == [
        run.replica(i).evaluate(["wasserstein-distance"], n=40)["wasserstein-distance"].mean for i in (0, 1)
    ]
    assert "2 of 4 replicas diverged and are not in the mean." in pooled.notes
    with pytest.raises(InputError, match="all 2 replicas diverged"):
        run.pooled([2, 3], ["wasserstein-distance"], n=40)


def test_a_diverged_replica_alone_ends_where_it_did(half_diverged: Path) -> None:
    alone = open_run(half_diverged).replica(3)
    *_, last = (json.loads(line) for line in (alone.path / "events.jsonl").read_text().splitlines())
    assert last["event"] == "diverged"
    assert all(update <= last["update"] for update in updates_at_hand(alone.path))


def test_an_opened_replica_that_was_trained_further_is_not_thrown_away(half_diverged: Path) -> None:
    run = open_run(half_diverged)
    further = run.replica(0).resume(updates=8)
    with pytest.raises(InputError, match="was trained further since it was opened"):
        run.replica(0)
    assert updates_at_hand(further.path)[-1] == 8
    assert run.pooled([0, 1], ["wasserstein-distance"], n=40).values
    with pytest.raises(InputError, match="is not a place in the axis"):
        run.replica("first")  # type: ignore[arg-type]


def test_a_donor_of_many_is_refused(half_diverged: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"from: .*has many replicas"):
        many.train(load(dict(POINTS), ["seeds=0..3", "replicas.chunk=4", f"from={half_diverged}"]), tmp_path / "run")


def test_all_diverged_is_an_outcome_also_in_parts(tmp_path: Path) -> None:
    recipe = load({**POINTS, **UNSTABLE}, ["seeds=0..1", "optimizers.discriminator.lr=50", "replicas.chunk=1"])
    with pytest.raises(Diverged):
        many.train(recipe, tmp_path / "run")
    with pytest.raises(Diverged):
        many.resume(tmp_path / "run", updates=9)
    assert open_run(tmp_path / "run").report().is_file()
