"""The page of the data room says what the records say."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

from saddlepoint.data import DATA
from saddlepoint.data.pictures import ENDINGS, FILTERS

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def section(name: str) -> str:
    return PAGE.split(f"\n## `{name}`\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", DATA)
def test_every_field_is_documented_with_its_default(name: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section(name), re.MULTILINE))
    fields = DATA[name].model_fields
    assert list(rows) == list(fields)
    for field, default in rows.items():
        expected = fields[field].default
        if expected is PydanticUndefined:
            assert default == "must be given"
        else:
            assert yaml.safe_load(default) == (list(expected) if isinstance(expected, tuple) else expected)
    assert f"[`{name}`](#{name})" in PAGE


def test_examples_are_records() -> None:
    examples = [yaml.safe_load(block)["data"] for block in re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)]
    assert len(examples) == 3
    for example in examples:
        fields = {"name": example} if isinstance(example, str) else dict(example)
        DATA[fields.pop("name")](**fields)


def test_endings_and_filters_are_listed() -> None:
    assert f"`{' '.join(ENDINGS)}`" in PAGE
    assert all(f"`{name}`" in PAGE for name in FILTERS)


def test_the_first_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = PAGE.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(code, names)
    assert "1797 images" in capsys.readouterr().out
    assert getattr(names["image"], "shape", None) == (64, 1, 16, 16)


def test_each_data_set_that_is_somebodys_names_them() -> None:
    cited = {name for name, record in DATA.items() if record.bibtex.startswith("@")}
    assert cited == set(DATA) - {"folder", "symbols"}
