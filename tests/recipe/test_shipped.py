"""Every recipe that ships loads, as do the sizes of its paper, and its header says what it is."""

import re
import shlex
from pathlib import Path

import pytest

from saddlepoint.recipe import Recipe, header, load, shipped
from saddlepoint.yaml_reading import read_yaml_file

NAMES = [
    "0-gp",
    "ada",
    "aw-gan",
    "bcr-gan",
    "began",
    "bgan-discrete",
    "maligan",
    "bgan",
    "cr-gan",
    "ct-gan",
    "dcgan",
    "diffaugment",
    "dragan",
    "f-gan",
    "fargan",
    "extra-adam",
    "feature-matching",
    "gan",
    "hinge",
    "hinge-sdp",
    "improved-gan",
    "instance-noise",
    "iwgan",
    "lecam",
    "lookahead",
    "lsgan",
    "lsgan-sdp",
    "optimistic-adam",
    "pu-gan",
    "r1",
    "r3gan",
    "rahinge",
    "ralsgan",
    "rasgan",
    "robustness",
    "sagan",
    "sn-gan",
    "sn-gan-cnn",
    "sn-gan-sdp",
    "softmax-gan",
    "top-k",
    "ttur",
    "weight-norm",
    "wegan",
    "wegan-non-saturating",
    "wgan",
    "wgan-gp",
    "wgan-gp-sdp",
    "wgan-lp",
]


def paper_line(name: str) -> list[str]:
    (line,) = [line for line in header(shipped()[name]) if line.startswith("Paper: ")]
    return shlex.split(line.removeprefix("Paper: "))


def test_all_are_there() -> None:
    assert sorted(shipped()) == sorted(NAMES)
    assert len(NAMES) == 49


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_is_repeated_by_what_it_writes(name: str, tmp_path: Path) -> None:
    recipe = load(name)
    assert load(recipe.to_mapping()) == recipe
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    assert load(str(tmp_path)) == recipe
    assert load(tmp_path / "recipe.yaml") == recipe
    assert load(shipped()[name]) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_on_what_is_at_hand(name: str) -> None:
    recipe = load(name)
    assert recipe.data.name in ("digits", "8-gaussians", "symbols", "binary-digits")
    assert recipe.schedule.updates * recipe.schedule.discriminator_steps <= 10_000


@pytest.mark.parametrize("name", NAMES)
def test_its_header_has_the_command_the_paper_and_the_line_for_the_paper_s_sizes(name: str) -> None:
    lines = header(shipped()[name])
    assert lines[0].startswith(f"saddlepoint train {name}")
    assert any(line.startswith("Source: ") for line in lines)
    command, verb, recipe, *overrides = paper_line(name)
    assert (command, verb, recipe) == ("saddlepoint", "train", name)
    assert overrides


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_s_sizes_load_and_are_larger(name: str) -> None:
    recipe, paper = load(name), load(name, paper_line(name)[3:])
    assert paper.schedule.updates > recipe.schedule.updates
    assert paper.objective == recipe.objective
    assert [type(weighting) for _, weighting in paper.weightings] == [type(weighting) for _, weighting in recipe.weightings]
    assert [penalty.name for penalty in paper.penalties_of("discriminator")] == [
        penalty.name for penalty in recipe.penalties_of("discriminator")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_writes_no_field_that_does_not_exist_and_nothing_twice(name: str) -> None:
    raw = read_yaml_file(shipped()[name])
    assert isinstance(raw, dict)
    assert set(raw) <= set(Recipe.from_mapping({}).to_mapping())
    assert {"data", "networks", "objective", "optimizers", "schedule", "average"} <= set(raw)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-sdp")])
def test_sdp_scales_with_the_run_as_in_the_paper(name: str) -> None:
    """t = 3000 and I_p = 5000 of 100,000 rounds, k0 = 5, lambda = .01, on both players."""
    for recipe in (load(name), load(name, paper_line(name)[3:])):
        (sdp,) = recipe.to_mapping()["penalties"]["both"]
        updates = recipe.schedule.updates
        assert sdp["weight"] == {"name": "after", "start": 3 * updates // 100, "value": 0.01}
        assert sdp["k"] == {"name": "staircase", "start": 5.0, "step": 1.0, "period": 5 * updates // 100}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("gan", {"objective": {"name": "vanilla", "saturating": False}}),
        ("wegan", {"objective": {"name": "vanilla", "saturating": True}}),
        ("iwgan", {"objective": {"name": "vanilla", "saturating": True}}),
        ("wegan-non-saturating", {"objective": {"name": "vanilla", "saturating": False}}),
        ("lsgan", {"objective": {"name": "lsgan", "fake": 0.0, "real": 1.0, "target": 1.0}}),
        ("wgan", {"projections": {"discriminator": [{"name": "weight-clipping", "bound": 0.01}], "generator": []}}),
    ],
)
def test_settings_of_the_papers(name: str, fields: dict[str, object]) -> None:
    mapping = load(name).to_mapping()
    assert {field: mapping[field] for field in fields} == fields


def test_the_wegan_game_is_the_paper_s() -> None:
    recipe = load("wegan").to_mapping()
    assert recipe["data"] == {"name": "8-gaussians", "radius": 3.0, "std": 1.0}
    assert [recipe["networks"][field] for field in ("family", "latent", "width", "depth")] == ["mlp", 2, 32, 2]
    assert recipe["weightings"]["generator"]["eta"] == 0.01
    assert recipe["schedule"]["batch"] == 128
    assert [(optimizer["lr"], optimizer["betas"]) for optimizer in recipe["optimizers"].values()] == [(1e-3, [0.5, 0.999])] * 2


def test_lecam_starts_its_term_and_its_averages_together() -> None:
    for recipe in (load("lecam"), load("lecam", paper_line("lecam")[3:])):
        (lecam,) = recipe.to_mapping()["penalties"]["discriminator"]
        assert lecam["weight"] == {"name": "after", "start": lecam["start"], "value": 0.3}
        assert (lecam["decay"], lecam["debias"]) == (0.9, False)


def test_critics_take_five_steps_and_no_batch_norm_under_a_gradient_penalty() -> None:
    for name in ("wgan", "wgan-gp", "wgan-gp-sdp", "wgan-lp"):
        assert load(name).schedule.discriminator_steps == 5
    for name in ("wgan-gp", "wgan-gp-sdp", "wgan-lp", "r1", "0-gp", "dragan", "sn-gan", "sn-gan-sdp", "sn-gan-cnn", "robustness"):
        assert not load(name).networks.couples_batch


def test_no_header_names_a_place_on_this_machine() -> None:
    for path in shipped().values():
        assert not re.search(r"(^|\s)/\w", path.read_text())
