"""The page on recipes names every field, and what it shows is what happens."""

import re
import shlex
from pathlib import Path

from pydantic import BaseModel

from saddlepoint.recipe import Recipe, load, shipped
from saddlepoint.yaml_reading import read_yaml
from tests.recipe.telling import told

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)


def leaves(model: BaseModel, above: str = "") -> list[str]:
    """Dotted paths of the plain fields of the sections; records are described on their own pages."""
    found = []
    for name, info in type(model).model_fields.items():
        value, path = getattr(model, name), f"{above}{info.alias or name}"
        plain = not isinstance(value, BaseModel | tuple) and above.split(".")[0] not in (
            "data",
            "networks",
            "objective",
            "optimizers",
        )
        found += leaves(value, f"{path}.") if isinstance(value, BaseModel) else [path] * plain
    return found


def test_every_field_of_every_section_stands_in_the_page() -> None:
    fields = [
        field
        for field in leaves(Recipe.from_mapping({}))
        if not field.startswith(("objective_weights", "weightings", "penalties", "projections"))
    ]
    assert len(fields) >= 19
    assert [field for field in fields if f"`{field}`" not in PAGE] == []
    assert [section for section in Recipe.from_mapping({}).to_mapping() if f"`{section}" not in PAGE] == []


def test_every_recipe_that_ships_stands_in_the_page() -> None:
    assert [name for name in shipped() if f"`{name}`" not in PAGE] == []


def test_the_recipe_in_full_loads() -> None:
    (block,) = [text for language, text in BLOCKS if language == "yaml"]
    raw = read_yaml(block, "page")
    assert isinstance(raw, dict)
    assert Recipe.from_mapping(raw).schedule.discriminator_steps == 5


def test_the_code_runs() -> None:
    (block,) = [text for language, text in BLOCKS if language == "python"]
    exec(compile(block, "docs/recipes.md", "exec"), {})


def test_a_wrong_command_is_answered_as_the_page_says() -> None:
    lines = [line.strip() for line in PAGE.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("$ saddlepoint train"))
    _, _, _, recipe, *overrides = shlex.split(lines[start])
    problems = told(recipe, overrides)
    assert lines[start + 1 : start + 1 + len(problems)] == list(problems)


def test_the_overrides_of_the_page_are_right() -> None:
    assert load("wgan-gp", ["data=fashion-mnist", "penalties.discriminator.0.weight=5", "seed=3"]).seed == 3
    assert load("hinge-sdp", ["penalties.both.0.weight.start=300"]).to_mapping()["penalties"]["both"][0]["weight"]["start"] == 300
