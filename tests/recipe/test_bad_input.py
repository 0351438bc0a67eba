"""Whatever is wrong with a recipe: one line a problem that names the field, what came and what would be right."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.data import DATA
from saddlepoint.errors import InputError
from saddlepoint.networks import NETWORKS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import Recipe, load, shipped
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS
from tests.recipe.telling import told

GROUPED = {"networks": {"normalization": {"discriminator": "none"}}}

# What is wrong, the field that is named, and words of the cure.
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"objectiv": "hinge"}, "objectiv", "nearest: objective"),
    ({"seedz": [1, 2]}, "seedz", "nearest: seed"),
    ({"measures": ["fid"]}, "measures", "should be a mapping of fields"),
    ({"measure": {"every": 5}}, "measure", "nearest: measures"),
    ({"networks": {"widht": 8}}, "networks.widht", "nearest: width"),
    ({"networks": {"normalization": {"critic": "none"}}}, "networks.normalization.critic", "known: generator, discriminator"),
    (
        {"networks": {"normalization": {"discriminator": "spectrl"}}},
        "networks.normalization.discriminator.name",
        "nearest: spectral",
    ),
    ({"networks": {"normalization": "none"}}, "networks.normalization", "should be a mapping of fields (generator, discriminator)"),
    ({"networks": {"family": "dcgn"}}, "networks.family", "nearest: dcgan"),
    ({"networks": {"width": 0}}, "networks.width", "0 should be greater than or equal to 1"),
    ({"networks": {"width": True}}, "networks.width", "true should not be true or false"),
    ({"networks": {"width": "wide"}}, "networks.width", "wide should be a valid integer"),
    ({"networks": ["dcgan"]}, "networks", "name of one network family or a mapping"),
    ({"data": "digts"}, "data.name", "nearest: digits"),
    ({"data": {"name": "folder"}}, "data.path", "missing"),
    ({"data": {"name": "folder", "path": 2024}}, "data.path", "write it in quotes"),
    ({"data": {"name": "digits", "resolution": 17}}, "data.resolution", "17 should be 8, 16 or 32"),
    ({"objective": "hindge"}, "objective.name", "nearest: hinge"),
    ({"objective": {"name": "vanilla", "saturating": "maybe"}}, "objective.saturating", "maybe should be a valid boolean"),
    ({"objective": {"name": 3}}, "objective.name", "3 is not a known objective"),
    ({"penalties": {"both": [{"weight": 1}]}}, "penalties.both.0.name", "missing; give one of gradient"),
    ({"penalties": {"both": ["sdq"]}}, "penalties.both.0.name", "nearest: sdp"),
    ({"penalties": {"both": [{"name": "sdp", "weight": -1}]}}, "penalties.both.0.weight", "-1"),
    ({"penalties": {"both": 7}}, "penalties.both", "7 should be a list"),
    ({"penalties": {"discriminatr": []}}, "penalties.discriminatr", "nearest: discriminator"),
    ({"weightings": {"generator": {"name": "wegan", "eta": 0}}}, "weightings.generator.eta", "0 should be greater than 0"),
    ({"projections": {"discriminator": ["clipping"]}}, "projections.discriminator.0.name", "nearest: weight-clipping"),
    (
        {"projections": {"discriminator": [{"name": "weight-clipping", "bound": -0.01}]}},
        "projections.discriminator.0.bound",
        "-0.01 should be greater than 0",
    ),
    ({"optimizers": {"generator": {"lr": -1}}}, "optimizers.generator.lr", "give a number above 0"),
    ({"optimizers": {"generator": {"lr": "fast"}}}, "optimizers.generator.lr", "should be a number, or a mapping with a name"),
    ({"optimizers": {"generator": {"lr": {"name": "linaer", "start": 1}}}}, "optimizers.generator.lr", "nearest: linear"),
    ({"optimizers": {"generator": {"lr": {"name": "linear", "strat": 1}}}}, "optimizers.generator.lr.strat", "nearest: start"),
    ({"optimizers": {"generator": {"lr": {"name": "linear"}}}}, "optimizers.generator.lr.start", "missing; give the number"),
    ({"optimizers": {"generator": {"lr": {"name": "every", "period": 0, "value": 1}}}}, "optimizers.generator.lr.period", "0"),
    ({"optimizers": {"generator": {"betas": [0.5, 1.5]}}}, "optimizers.generator.betas.1", "1.5 should be less than 1"),
    ({"gradients": {"clip": {"generator": 0}}}, "gradients.clip.generator", "0 should be greater than 0"),
    (
        {"data": "8-gaussians", "gradients": {"accumulation": 2}, "objective": "softmax"},
        "gradients.accumulation",
        "2: softmax reads the batch as a whole",
    ),
    (
        {"data": "8-gaussians", "gradients": {"accumulation": 2}, "views": ["adaptive-instance-noise"]},
        "gradients.accumulation",
        "2: adaptive-instance-noise reads the batch as a whole",
    ),
    (
        {"gradients": {"accumulation": 2}, "networks": {"normalization": {"discriminator": "none"}}},
        "gradients.accumulation",
        "batch norm in the generator would be of a part",
    ),
    (
        {
            "data": "8-gaussians",
            "objective_weights": {"generator": {"name": "after", "start": 5, "value": 1}},
            "penalties": {"generator": ["feature-matching"]},
            "weightings": {"generator": "wegan"},
            "stop": "equilibrium",
        },
        "stop",
        "which have none where objective_weights.generator is 0; leave one of the two out",
    ),
    ({"gradients": {"accumulation": 0}}, "gradients.accumulation", "0 should be greater than or equal to 1"),
    ({"schedule": {"updates": 0}}, "schedule.updates", "0 should be greater than or equal to 1"),
    ({"schedule": {"updates": 2.5}}, "schedule.updates", "2.5 should be a valid integer"),
    ({"schedule": {"updates": True}}, "schedule.updates", "true should not be true or false"),
    ({"schedule": {"batch": -1}}, "schedule.batch", "-1"),
    ({"schedule": {"generator_batch": 0}}, "schedule.generator_batch", "0"),
    ({"schedule": {"discriminator_steps": 0}}, "schedule.discriminator_steps", "0"),
    ({"schedule": 2000}, "schedule", "2000 should be a mapping of fields (updates"),
    ({"average": {"decay": 1}}, "average.decay", "1 should be less than 1"),
    ({"average": {"decay": float("nan")}}, "average.decay", "should be a finite number"),
    ({"log": {"every": 0}}, "log.every", "0"),
    ({"samples": {"count": 0}}, "samples.count", "0"),
    ({"checkpoints": {"keep": 0}}, "checkpoints.keep", "0"),
    ({"seed": -1}, "seed", "-1 should be greater than or equal to 0"),
    ({"seed": 10**30}, "seed", "too large"),
    ({"device": "gpu"}, "device", "gpu should be one of auto, cpu, cuda, mps"),
    ({"precision": "float16"}, "precision", "nearest: bfloat16"),
    ({"threads": 0}, "threads", "should be auto, or a number of threads"),
    ({"threads": True}, "threads", "true should not be true or false"),
    ({"memory_format": "channels-last"}, "memory_format", "nearest: channels_last"),
    ({"fused": "maybe"}, "fused", "maybe should be a valid boolean"),
    ({"from": ""}, "from", "at least 1 character"),
    ({"from": 3}, "from", "3 should be text"),
    # Many replicas.
    ({"seeds": []}, "seeds", "there is no seed in it; give a range such as 0..127"),
    ({"seeds": [3, 1, 3]}, "seeds", "3 is there twice; name each replica once"),
    ({"seeds": "5..3"}, "seeds", "ends before it begins"),
    ({"seeds": "0..99999999"}, "seeds", "has more than 1048576 seeds"),
    ({"seeds": "many"}, "seeds", "should be seeds; give a range"),
    ({"seeds": [-1]}, "seeds", "out of range"),
    ({"seeds": [1.5]}, "seeds", "should be seeds"),
    ({"seeds": [1, 2], "seed": 7}, "seed", "7 would not be read beside seeds"),
    ({"replicas": {"chunk": 0}}, "replicas.chunk", "0 should be auto, or a whole number"),
    ({"replicas": {"processes": "all"}}, "replicas.processes", "all should be auto, or a whole number"),
    ({"vary": {"how": "sip"}}, "vary.how", "nearest: zip"),
    ({"vary": {"fields": {"optimizers.generator.rl": [1, 2]}}}, "vary.fields.optimizers.generator.rl", "unknown field"),
    ({"vary": {"fields": {"average.decay": []}}}, "average.decay", "an empty list"),
    ({"average": {"decay": [0.5, 0.9, 0.5]}}, "seeds", "0 is there twice with average.decay=0.5"),
    ({"average": {"decay": [0.0, 0.9]}}, "average.decay", "keep one or none of them does"),
    ({"average": {"decay": [0.5, 1.5]}}, "average.decay", "in its list: 1.5 should be less than 1"),
    ({"average": {"decay": [0.5, "much"]}}, "average.decay", "in its list: much should be a valid number"),
    ({"average": {"decay": [0.5, [0.9]]}}, "average.decay", "in its list: [0.9] should be a number"),
    ({"gradients": {"clip": {"generator": [1.0, None]}}}, "gradients.clip.generator", "for no bound, a number too large to count"),
    ({"seeds": [0, 1, 2], "vary": {"how": "zip"}, "average": {"decay": [0.5, 0.9]}}, "average.decay", "2 values beside 3 seeds"),
    (
        {"vary": {"how": "zip"}, "average": {"decay": [0.5, 0.9]}, "gradients": {"clip": {"generator": [1, 2, 3]}}},
        "average.decay",
        "2 values beside a list of 3; under zip give one value for each, or vary.how=product",
    ),
    ({"networks": {"width": [8, 16]}}, "networks.width", "it changes shapes, or how long a run is; train one run for each value"),
    ({"schedule": {"batch": [8, 16]}}, "schedule.batch", "it changes shapes"),
    ({"penalties": {"both": [{"name": "sdp", "k": [1, 2]}]}}, "penalties.both.0.k", "it changes shapes"),
    ({"data": {"name": "8-gaussians", "std": [1, 2]}}, "data.std", "the replicas share it"),
    ({"vary": {"fields": {"objective": ["hinge", "lsgan"]}}}, "objective", "it is no number of the method's formula"),
    (
        {"objective": {"name": "lsgan", "real": [1, 2], "fake": [0, 1.5], "target": 9}},
        "objective",
        "with objective.fake=1.5, objective.real=1: ",
    ),
    # Impossible together.
    (
        {"penalties": {"discriminator": ["wgan-gp"]}},
        "penalties.discriminator.0",
        "set networks.normalization.discriminator to layer, ",
    ),
    ({"penalties": {"both": ["r1"]}}, "penalties.both.0", "set networks.normalization.discriminator to layer, "),
    ({"data": "8-gaussians", "networks": {"depth": 0}, "penalties": {"both": ["sdp"]}}, "penalties.both.0", "hidden layer"),
    (
        {"objective": "hinge", "weightings": {"generator": "importance"}},
        "weightings.generator",
        "gives them (vanilla, bgan, maligan, bgan-discrete)",
    ),
    ({"objective": "wasserstein", "weightings": {"discriminator_fake": "importance"}}, "weightings.discriminator_fake", "vanilla"),
    (
        {"objective": "lsgan", "penalties": {"both": [{"name": "sdp", "score": "probability"}]}},
        "penalties.both.0.score",
        "score: raw",
    ),
    ({"data": "8-gaussians", "networks": "dcgan"}, "networks", "mlp"),
    ({"data": {"name": "fashion-mnist", "resolution": 28}}, "networks", "set data.resolution to 32"),
    ({"device": "mps", "precision": "float64"}, "precision", "float32"),
    ({"optimizers": {"generator": {"lr": {"name": "cosine", "start": 1, "first": 9999}}}}, "optimizers.generator.lr.first", "9999"),
    (
        GROUPED
        | {
            "schedule": {"discriminator_steps": 5},
            "penalties": {"both": [{"name": "r1", "weight": {"name": "linear", "start": 1}}]},
        },
        "penalties.both.0.weight.last",
        "list the penalty for each player",
    ),
]


@pytest.mark.parametrize(("raw", "field", "cure"), WRONG, ids=[field for _, field, _ in WRONG])
def test_what_is_wrong_is_one_line_with_its_field_and_its_cure(raw: dict[str, Any], field: str, cure: str) -> None:
    problems = [problem for problem in told(raw) if problem.startswith(f"{field}: ")]
    assert len(problems) == 1
    assert cure in problems[0]


def test_all_problems_come_at_once_also_those_of_combinations() -> None:
    problems = told(
        {
            "networks": {"widht": 8},
            "objective": "hinge",
            "weightings": {"generator": "importance"},
            "schedule": {"batch": 0},
            "seedz": 1,
        },
        ["updatse=3", "lr=1e-3"],
    )
    assert sorted(problem.split(": ")[0] for problem in problems) == [
        "lr",
        "networks.widht",
        "schedule.batch",
        "seedz",
        "updatse",
        "weightings.generator",
    ]


@pytest.mark.parametrize("name", ["wgan_gp", "hing", "sn-gan-spd"])
def test_an_unknown_recipe_names_the_nearest(name: str) -> None:
    (problem,) = told(name)
    assert "nearest: " in problem
    assert all(shipped_name in problem for shipped_name in shipped())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "bad.yaml:1: the file is empty"),
        ("# only a comment\n", "bad.yaml:1: the file is empty"),
        ("- data: digits\n", "bad.yaml:1: the file holds a list"),
        ("digits\n", "bad.yaml:1: the file holds digits"),
        ("seed: 1\nseed: 2\n", "bad.yaml:2: seed is given twice"),
        ("data: !!python/name:os.system\n", "bad.yaml:1: the tag"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    (problem,) = told(str(path))
    assert says in problem


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    (problem,) = told(str(tmp_path))
    assert "a folder without recipe.yaml" in problem


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "no\nsuch", "~nobody/x", "\ud800"])
def test_a_name_that_can_be_no_file_is_one_line(name: str) -> None:
    assert len(told(name)) == 1


@pytest.mark.parametrize("strange", [object(), b"bytes", {1, 2}, 1j, {3: 4}, {"a": [object()]}, "\ud800", lambda: None])
def test_what_is_no_plain_value_is_told(strange: object) -> None:
    for raw in (
        {"data": strange},
        {"schedule": {"batch": strange}},
        {"penalties": {"both": [strange]}},
        {"objective": {"name": strange}},
    ):
        assert told(raw)


def test_a_record_that_yaml_cannot_hold_is_refused() -> None:
    record = PENALTIES["sdp"](space=lambda image: image)
    assert "cannot be written" in told({"penalties": {"both": [record]}})[0]


def test_a_record_stands_for_its_mapping() -> None:
    hinge = OBJECTIVES["hinge"]()
    assert Recipe.from_mapping({"objective": hinge}) == Recipe.from_mapping({"objective": "hinge"})


def test_a_mistyped_name_of_any_registry_finds_itself() -> None:
    covered = 0
    slots: dict[str, Collection[str]] = {
        "data": DATA,
        "networks": NETWORKS,
        "objective": OBJECTIVES,
        "penalties.both": PENALTIES,
        "weightings.generator": WEIGHTINGS,
        "relabelling": RELABELLINGS,
        "views.0": VIEWS,
        "projections.generator": PROJECTIONS,
        "optimizers.generator": OPTIMIZERS,
    }
    for field, registry in slots.items():
        for name in registry:
            typo = f"{name}q"
            assert f"nearest: {name}" in " ".join(told({}, {field: typo})), (field, typo)
            covered += 1
    assert covered >= 26


def test_an_instance_of_a_wrong_room_is_refused() -> None:
    (problem,) = told({"objective": PENALTIES["sdp"]()})
    assert problem.startswith("objective: SDP is not one of")


def test_nothing_is_allocated_before_problems_are_found() -> None:
    with pytest.raises(InputError, match="penalties"):
        load("dcgan", ["width=1000000", "penalties.discriminator=[r1]"])
