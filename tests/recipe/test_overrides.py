"""Overrides set the field they name, or say which fields they may mean."""

from typing import Any

import pytest

from saddlepoint.errors import InputError
from saddlepoint.overrides import find_fields, read_overrides
from saddlepoint.recipe import Recipe, load
from tests.recipe.telling import told

LAYER = "networks.normalization.discriminator=layer"


def at(recipe: Recipe, address: str) -> Any:
    value: Any = recipe.to_mapping()
    for part in address.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


@pytest.mark.parametrize(
    ("source", "overrides", "address", "value"),
    [
        ("wgan-gp", ["penalties.discriminator.0.weight=5"], "penalties.discriminator.0.weight", 5.0),
        ("wgan-gp", ["weight=5"], "penalties.discriminator.0.weight", 5.0),
        ("wgan-gp", ["discriminator.0.centre=0"], "penalties.discriminator.0.centre", 0.0),
        ("wegan", ["eta=.1"], "weightings.generator.eta", 0.1),
        ("wegan", ["updates=1e3"], "schedule.updates", 1000),
        ("gan", ["generator.lr=1e-4"], "optimizers.generator.lr", 1e-4),
        ("gan", ["data=fashion-mnist"], "data.name", "fashion-mnist"),
        ("gan", ["objective=hinge"], "objective.name", "hinge"),
        ("sn-gan", ["objective.name=wasserstein"], "objective.name", "wasserstein"),
        ("dcgan", ["penalties.both=[sdp]"], "penalties.both.0.name", "sdp"),
        ("dcgan", ["penalties.both=sdp"], "penalties.both.0.name", "sdp"),
        ("dcgan", ["penalties.both.0=sdp", "penalties.both.0.select=random"], "penalties.both.0.select", "random"),
        ("wgan-gp", ["penalties.discriminator.1=r1"], "penalties.discriminator.1.name", "r1"),
        ("wgan-gp", ["penalties.discriminator=[]"], "penalties.discriminator", []),
        ("dcgan", ["weightings.generator=wegan", "eta=.5"], "weightings.generator.eta", 0.5),
        ("dcgan", ["eta=.5", "weightings.generator=wegan"], "weightings.generator.eta", 0.5),
        ("wegan", ["weightings.generator="], "weightings.generator", None),
        ("dcgan", ["optimizers=rmsprop", "generator.alpha=.9"], "optimizers.generator.alpha", 0.9),
        ("dcgan", ["optimizers={name: sgd, lr: .1}"], "optimizers.discriminator.lr", 0.1),
        ("dcgan", ["generator.lr={name: linear, start: 1e-3}", "generator.lr.end=1e-4"], "optimizers.generator.lr.end", 1e-4),
        ("sn-gan", ["seed=1", "seed=2"], "seed", 2),
        ("sn-gan", ["fused=no"], "fused", False),
        ("gan", ["widths.0=64"], "networks.widths.0", 64),
    ],
)
def test_the_field_that_is_named_is_set(source: str, overrides: list[str], address: str, value: object) -> None:
    assert at(load(source, overrides), address) == value


def test_nothing_else_is_set() -> None:
    base = load("wgan-gp")
    assert base.differences(load("wgan-gp", ["weight=5"])) == ["penalties.discriminator.0.weight"]


def test_a_mapping_of_values_sets_what_texts_set() -> None:
    texts = load("wgan-gp", ["data=fashion-mnist", "updates=7", "penalties.discriminator.0.weight=5", "generator.lr=1e-3"])
    values = {"data": "fashion-mnist", "updates": 7, "penalties.discriminator.0.weight": 5, "generator.lr": 1e-3}
    assert load("wgan-gp", values) == texts


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("lr", ["optimizers.generator.lr", "optimizers.discriminator.lr"]),
        ("every", ["log.every", "samples.every", "checkpoints.every"]),
        ("discriminator.0", []),
    ],
)
def test_an_ending_of_several_fields_names_them_all(key: str, fields: list[str]) -> None:
    (problem,) = [line for line in told("gan", [f"{key}=1"]) if line.startswith(f"{key}: ")]
    for field in fields:
        assert field in problem


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("updatse=1", "updatse: unknown field; nearest: schedule.updates"),
        ("penalties.discriminator.0.weigth=1", "nearest: penalties.discriminator.0.weight"),
        ("penalties.discriminator.2=r1", "unknown field"),
        ("penalties.discriminator.-1=r1", "unknown field"),
        ("eta=.1", "unknown field"),
        ("updates", "updates: an override is written field=value"),
        ("=1", "an override is written field=value"),
        ("updates=many", "schedule.updates: many should be a valid integer"),
        ("updates=", "schedule.updates: null should be a valid integer"),
        ("lr=[1", "lr=[1: "),
        ("data=!!python/object:os.system ls", "the tag"),
        ("data=&a x", "anchors"),
        ("seed={a: 1, a: 2}", "a is given twice"),
    ],
)
def test_a_wrong_override_is_one_line_with_its_cure(override: str, says: str) -> None:
    (problem,) = told("wgan-gp", [override])
    assert says in problem


def test_the_whole_path_of_a_field_wins_over_the_ending_of_another() -> None:
    known = [("generator",), ("optimizers", "generator"), ("penalties", "generator")]
    assert find_fields("generator", known) == [("generator",)]
    assert find_fields("penalties.generator", known) == [("penalties", "generator")]
    assert find_fields("tor", known) == []


def test_values_are_read_as_yaml_but_a_text_is_kept_whole() -> None:
    texts = ["a=1e-4", "b=off", "c=[1, x]", "d=photos #1", "e='1'", "f=", "g= x ", "h=a=b"]
    assert dict(read_overrides(texts)) == {
        "a": 1e-4,
        "b": "off",
        "c": [1, "x"],
        "d": "photos #1",
        "e": "1",
        "f": None,
        "g": "x",
        "h": "a=b",
    }


def test_all_wrong_texts_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_overrides(["a", "b=[", "c=1", "d={x: 1, x: 2}"])
    assert len(caught.value.problems) == 3


def test_an_override_may_mend_a_recipe_that_is_wrong_without_it() -> None:
    assert at(load({"data": {"name": "folder"}}, ["path=pictures"]), "data.resolution") == 32
    assert load({"penalties": {"discriminator": ["r1"]}}, [LAYER]).penalties.discriminator
