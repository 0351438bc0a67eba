"""A recipe is what its values say: round trips, defaults, identity, differences, the end of schedules."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from saddlepoint.combiners import COMBINERS
from saddlepoint.data import DATA
from saddlepoint.errors import InputError
from saddlepoint.networks import NETWORKS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS, RATES
from saddlepoint.penalties import PENALTIES
from saddlepoint.recipe import Recipe, load
from saddlepoint.schedules import Linear
from saddlepoint.turns import SLOW_WEIGHTS, TURNS
from saddlepoint.views import VIEWS
from saddlepoint.weightings import RELABELLINGS, WEIGHTINGS
from saddlepoint.yaml_reading import read_yaml
from tests.recipe.telling import check_lines

# Where an entry of each registry may stand, in a recipe in which every one of them is possible.
SLOTS: list[tuple[str, Mapping[str, type[BaseModel]], str]] = [
    ("data", DATA, "name"),
    ("networks", NETWORKS, "family"),
    ("objective", OBJECTIVES, "name"),
    ("penalties.discriminator.0", PENALTIES, "name"),
    ("penalties.generator.0", PENALTIES, "name"),
    ("penalties.both.0", PENALTIES, "name"),
    ("weightings.generator", WEIGHTINGS, "name"),
    ("weightings.discriminator_real", WEIGHTINGS, "name"),
    ("weightings.discriminator_fake", WEIGHTINGS, "name"),
    ("relabelling", RELABELLINGS, "name"),
    ("views.0", VIEWS, "name"),
    ("projections.discriminator.0", PROJECTIONS, "name"),
    ("projections.generator.0", PROJECTIONS, "name"),
    ("optimizers.generator", OPTIMIZERS, "name"),
    ("optimizers.discriminator", OPTIMIZERS, "name"),
    ("gradients.combine.discriminator", COMBINERS, "name"),
    ("turns", TURNS, "name"),
    ("slow_weights", SLOW_WEIGHTS, "name"),
    ("rates", RATES, "name"),
]


def may_stand(slot: str, name: str) -> bool:
    """Of penalties, whether each player of the list may carry it."""
    room, _, rest = slot.partition(".")
    carriers: set[str] = set(PENALTIES[name].players) if room == "penalties" else set()
    asked = {"both": {"generator", "discriminator"}}.get(rest.removesuffix(".0"), {rest.removesuffix(".0")})
    return room != "penalties" or asked <= carriers


ENTRIES = [(slot, name, key) for slot, registry, key in SLOTS for name in registry if may_stand(slot, name)]
# What reads scores as errors goes with a discriminator that gives them.
COMPANIONS: dict[str, dict[str, Any]] = {
    "autoencoder": {"objective": "began"},
    "mlp-autoencoder": {"objective": "began"},
    "began": {"networks.family": "autoencoder"},
    "maligan": {"data": "binary-digits"},
    "bgan-discrete": {"data": "binary-digits"},
    "lecam": {"objective": "hinge"},
    "robustness": {"data.resolution": 32},
    "sagan": {"data.resolution": 32},
}
REQUIRED: dict[str, dict[str, Any]] = {"folder": {"path": "pictures"}}


def recipe_with(slot: str, name: str, key: str) -> Recipe:
    """A recipe in which every entry is possible: no batch norm, dropout where it is asked for, and data that fit the networks."""
    record = {key: name} | REQUIRED.get(name, {})
    drops = name in PENALTIES and PENALTIES[name].needs_dropout
    networks: dict[str, Any] = {"normalization": {"generator": "none", "discriminator": "none"}}
    data = "dirac" if name == "dirac" else "digits"
    companion = COMPANIONS.get(name, {})
    return load({"data": data, "networks": networks | ({"dropout": 0.5} if drops else {})}, {**companion, slot: record})


def read_back(recipe: Recipe) -> Recipe:
    written = read_yaml(recipe.to_yaml(), "recipe.yaml")
    assert isinstance(written, dict)
    return Recipe.from_mapping(written)


def test_every_entry_of_every_registry_is_covered() -> None:
    registries = (DATA, NETWORKS, OBJECTIVES, PENALTIES, WEIGHTINGS, RELABELLINGS, VIEWS, PROJECTIONS, OPTIMIZERS, COMBINERS, RATES)
    known = {name for registry in (*registries, TURNS, SLOW_WEIGHTS) for name in registry}
    assert {name for _, name, _ in ENTRIES} == known
    assert len(ENTRIES) >= 9 + 3 + 11 + 3 * 5 + 3 * 2 + 2 * 1 + 2 * 3 + 1


@pytest.mark.parametrize(("slot", "name", "key"), ENTRIES, ids=[f"{slot}={name}" for slot, name, _ in ENTRIES])
def test_from_yaml_and_back_unchanged(slot: str, name: str, key: str) -> None:
    recipe = recipe_with(slot, name, key)
    again = read_back(recipe)
    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()
    assert again.digest() == recipe.digest()
    assert recipe.differences(again) == []


@pytest.mark.parametrize(("slot", "name", "key"), ENTRIES, ids=[f"{slot}={name}" for slot, name, _ in ENTRIES])
def test_an_unknown_field_of_any_entry_is_named_with_its_nearest(slot: str, name: str, key: str) -> None:
    registry = next(registry for known, registry, _ in SLOTS if known == slot)
    fields = list(registry[name].model_fields)
    typo = f"{fields[0]}x" if fields else "nothing"
    with pytest.raises(InputError) as caught:
        load({}, {slot: {key: name, typo: 1} | REQUIRED.get(name, {})})
    (problem,) = [problem for problem in caught.value.problems if problem.startswith(f"{slot}.{typo}: unknown field")]
    assert (f"nearest: {fields[0]}" in problem) if fields else ("known: none" in problem)


def test_a_written_recipe_has_every_field_and_the_sections_of_the_design() -> None:
    mapping = Recipe.from_mapping({}).to_mapping()
    sections = (
        "data networks objective objective_weights penalties weightings relabelling views projections optimizers rates gradients "
        "turns slow_weights schedule stop average log samples checkpoints measures"
    )
    rest = "seed seeds vary replicas device precision threads memory_format fused kernels from"
    assert list(mapping) == [*sections.split(), *rest.split()]
    assert list(mapping["optimizers"]["generator"]) == ["name", *OPTIMIZERS["adam"].model_fields]
    assert mapping["from"] is None


@pytest.mark.parametrize("name", DATA)
def test_every_data_set_has_default_networks_that_fit(name: str) -> None:
    recipe = Recipe.from_mapping({"data": {"name": name} | REQUIRED.get(name, {})})
    images = "resolution" in DATA[name].model_fields
    assert recipe.networks.family == ("dcgan" if images else "mlp")


def test_a_family_left_out_follows_the_data_and_keeps_the_sizes_given() -> None:
    for data, family in (("digits", "dcgan"), ("swiss-roll", "mlp")):
        networks = Recipe.from_mapping({"data": data, "networks": {"latent": 7}}).to_mapping()["networks"]
        assert (networks["family"], networks["latent"]) == (family, 7)


def test_part_of_a_normalization_keeps_the_family_s_other_default() -> None:
    for family, generator in (("dcgan", "batch"), ("mlp", "none")):
        recipe = Recipe.from_mapping({"networks": {"family": family, "normalization": {"discriminator": "layer"}}})
        assert recipe.to_mapping()["networks"]["normalization"] == {"generator": generator, "discriminator": "layer"}


def test_names_stand_for_records_and_one_optimizer_for_both_players() -> None:
    short = {
        "data": "digits",
        "networks": "dcgan",
        "objective": "hinge",
        "weightings": {"generator": "wegan"},
        "optimizers": "rmsprop",
    }
    rmsprop = {"name": "rmsprop"}
    long = {
        "data": {"name": "digits"},
        "networks": {"family": "dcgan"},
        "objective": {"name": "hinge"},
        "weightings": {"generator": {"name": "wegan"}},
        "optimizers": {"generator": rmsprop, "discriminator": rmsprop},
    }
    assert Recipe.from_mapping(short) == Recipe.from_mapping(long)
    assert Recipe.from_mapping({"penalties": {"both": "sdp"}}) == Recipe.from_mapping({"penalties": {"both": [{"name": "sdp"}]}})


@pytest.mark.parametrize(
    ("word", "means"), [("off", False), ("on", True), ("no", False), ("yes", True), ("false", False), ("true", True)]
)
def test_words_mean_what_a_person_means(word: str, means: bool) -> None:
    read = read_yaml(f"fused: {word}\nfrom: {word}y\n", "here")
    assert isinstance(read, dict)
    recipe = Recipe.from_mapping(read)
    assert recipe.fused is means
    assert recipe.warm_start is not None
    assert recipe.warm_start.endswith(f"{word}y")


def test_a_path_is_a_folder_of_images(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for written in ("photos", "./photos", str(tmp_path / "photos")):
        data = Recipe.from_mapping({"data": written}).to_mapping()["data"]
        assert (data["name"], data["path"]) == ("folder", str(tmp_path / "photos"))
    (tmp_path / "digits").mkdir()
    assert Recipe.from_mapping({"data": "digits"}).data.name == "digits"


def test_a_recipe_cannot_be_changed() -> None:
    recipe = Recipe.from_mapping({})
    for section, field in ((recipe, "seed"), (recipe.schedule, "updates"), (recipe.objective, "saturating")):
        with pytest.raises(ValidationError):
            setattr(section, field, 1)


def test_identity_leaves_out_what_cannot_change_the_result_and_nothing_else() -> None:
    recipe = Recipe.from_mapping({})
    same = [
        "device=cpu",
        "threads=2",
        "log.every=7",
        "samples.every=7",
        "samples.count=4",
        "checkpoints.every=7",
        "checkpoints.keep=1",
    ]
    for override in same:
        assert load({}, [override]).digest() == recipe.digest(), override
    other = [
        "seed=1",
        "updates=7",
        "precision=float64",
        "fused=off",
        "memory_format=contiguous",
        "from=x",
        "objective=hinge",
        "width=8",
    ]
    digests = {load({}, [override]).digest() for override in other}
    assert len(digests | {recipe.digest()}) == len(other) + 1


def test_differences_name_the_fields() -> None:
    recipe = Recipe.from_mapping({})
    assert recipe.differences(recipe) == []
    changed = load({}, ["seed=2", "penalties.both=[sdp]", "weightings.generator=wegan"])
    assert recipe.differences(changed) == ["penalties.both.0", "weightings.generator", "seed"]
    assert changed.differences(recipe) == recipe.differences(changed)
    sdp = load("hinge-sdp")
    assert sdp.differences(load("hinge-sdp", ["penalties.both.0.k.start=9"])) == ["penalties.both.0.k.start"]


def test_an_open_schedule_ends_with_the_run_in_the_updates_it_counts() -> None:
    falling = {"name": "linear", "start": 1.0}
    raw = {
        "networks": {"normalization": {"discriminator": "none"}},
        "schedule": {"updates": 300, "discriminator_steps": 5},
        "optimizers": {"name": "adam", "lr": {"name": "cosine", "start": 1e-3}},
        "penalties": {
            "discriminator": [{"name": "r1", "weight": falling}, {"name": "sdp", "weight": falling, "k": falling}],
            "generator": [{"name": "sdp", "weight": falling | {"last": 20}, "count": "discriminator_steps", "k": falling}],
        },
    }
    recipe = Recipe.from_mapping(raw)

    def last(schedule: Any) -> int | None:
        return int(schedule.last)

    assert [last(optimizer.lr) for _, optimizer in recipe.optimizers] == [300, 300]
    r1, sdp = recipe.penalties.discriminator
    assert (last(r1.weight), last(sdp.weight)) == (1500, 300)
    assert recipe.to_mapping()["penalties"]["discriminator"][1]["k"]["last"] == 300
    (in_generator,) = recipe.to_mapping()["penalties"]["generator"]
    assert (in_generator["weight"]["last"], in_generator["k"]["last"]) == (20, 1500)
    assert isinstance(r1.weight, Linear)
    assert r1.weight(1500) == 0.0
    assert read_back(recipe) == recipe


def test_penalties_of_a_player_are_its_own_and_those_of_both() -> None:
    recipe = Recipe.from_mapping(
        {
            "networks": {"normalization": {"discriminator": "none"}},
            "penalties": {"discriminator": ["r1"], "generator": [], "both": ["sdp"]},
        }
    )
    assert [penalty.name for penalty in recipe.penalties_of("discriminator")] == ["r1", "sdp"]
    assert [penalty.name for penalty in recipe.penalties_of("generator")] == ["sdp"]


WORDS = st.sampled_from(
    [
        "name",
        "family",
        "weight",
        "lr",
        "digits",
        "sdp",
        "hinge",
        "adam",
        "both",
        "generator",
        "discriminator",
        "k",
        "linear",
        "off",
        "1",
    ]
)
SECTIONS = st.sampled_from([*Recipe.from_mapping({}).to_mapping(), "seeds", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS | st.binary(max_size=2)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3)
        | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=8,
)
FIELDS = st.lists(WORDS | SECTIONS | st.text(max_size=5) | st.integers(-1, 3).map(str), min_size=1, max_size=4).map(".".join)


def only_clean_errors(source: Any, overrides: Any = ()) -> None:
    try:
        recipe = load(source, overrides)
    except InputError as error:
        check_lines(error)
    else:
        assert read_back(recipe) == recipe


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(SECTIONS, ANYTHING, max_size=5))
def test_no_values_break_it(raw: dict[str, Any]) -> None:
    only_clean_errors(raw)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FIELDS, st.text(max_size=8) | WORDS).map("=".join) | st.text(max_size=10), max_size=4))
def test_no_override_texts_break_it(overrides: list[str]) -> None:
    only_clean_errors("hinge-sdp", overrides)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(FIELDS, ANYTHING, max_size=3))
def test_no_override_values_break_it(overrides: dict[str, Any]) -> None:
    only_clean_errors("wegan", overrides)


@settings(max_examples=60, deadline=None)
@given(ANYTHING | st.lists(st.integers()))
def test_only_a_mapping_is_a_recipe(raw: Any) -> None:
    if not isinstance(raw, dict):
        with pytest.raises(InputError, match="mapping"):
            Recipe.from_mapping(raw)


# Objectives that go with the default data and networks, and with batches of any sizes.
AT_HOME = [
    name
    for name, record in OBJECTIVES.items()
    if record.reads_scores_as == "realness" and not record.needs_log_probability and not record.pairs
]
VALID = st.fixed_dictionaries(
    {},
    optional={
        "data": st.sampled_from(["digits", "8-gaussians"]),
        "networks": st.fixed_dictionaries(
            {"normalization": st.just({"discriminator": "layer"})},
            optional={"latent": st.integers(1, 512), "width": st.integers(1, 256)},
        ),
        "objective": st.sampled_from(AT_HOME),
        "schedule": st.fixed_dictionaries(
            {},
            optional={
                "updates": st.integers(1, 10**9),
                "batch": st.integers(1, 512),
                "generator_batch": st.none() | st.integers(1, 512),
            },
        ),
        "optimizers": st.fixed_dictionaries(
            {"name": st.sampled_from([*OPTIMIZERS])},
            optional={
                "lr": st.floats(1e-12, 10) | st.builds(lambda start: {"name": "cosine", "start": start}, st.floats(1e-12, 1))
            },
        ),
        "weightings": st.fixed_dictionaries({}, optional={"generator": st.none() | st.just("wegan")}),
        "average": st.fixed_dictionaries({}, optional={"decay": st.floats(0, 1, exclude_max=True)}),
        "seed": st.integers(0, 2**62),
        "fused": st.booleans() | st.sampled_from(["on", "off"]),
        "threads": st.just("auto") | st.integers(1, 64),
        "from": st.none() | st.text(min_size=1).filter(lambda text: text.isprintable()),
    },
)


@settings(max_examples=30, deadline=None)
@given(VALID)
def test_whatever_is_right_comes_back_from_yaml_unchanged(raw: dict[str, Any]) -> None:
    recipe = Recipe.from_mapping(raw)
    assert read_back(recipe) == recipe
    assert read_back(recipe).digest() == recipe.digest()


def test_a_python_range_is_seeds_too() -> None:
    assert load({"seeds": range(3, 9, 2)}).seeds == (3, 5, 7)
    assert load("wegan", {"seeds": range(3)}).to_mapping()["seeds"] == "0..2"


@pytest.mark.parametrize("name", ["r1", "0-gp", "wgan-gp", "dragan"])
def test_a_penalty_that_does_nothing_there_is_said(name: str) -> None:
    fields = {"objective": "wasserstein", "networks.normalization.discriminator": "layer"}
    (line,) = load({}, {**fields, "penalties.generator": [name]}).cautions()
    assert line.startswith(f"penalties.generator.0: {name} ")
    assert load({}, {**fields, "penalties.discriminator": [name]}).cautions() == []
    assert load({}, {**fields, "penalties.generator": ["r2"]}).cautions() == []
