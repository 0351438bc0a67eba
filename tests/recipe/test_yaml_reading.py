"""YAML reads as a person means it, names no code, and every mistake is one line with its place."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from saddlepoint.errors import InputError
from saddlepoint.yaml_reading import MOST_BYTES, read_yaml, read_yaml_file, write_yaml
from tests.recipe.telling import check_lines

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.1e+2", -10.0),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("+3", 3),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        (".", "."),
        ("=", "="),
        ("'1e-4'", "1e-4"),
        ('"null"', "null"),
    ],
)
def test_a_plain_value_is_what_a_person_means(text: str, value: object) -> None:
    read = read_yaml(text, "here")
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_read() -> None:
    read = read_yaml(".nan", "here")
    assert isinstance(read, float)
    assert math.isnan(read)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a is given twice (first in line 1)"),
        ("a:\n  b: 1\n  b: 1\n", 3, "b is given twice"),
        (
            "a: 1\nb: !!python/object/apply:os.system [id]\n",
            2,
            "the tag tag:yaml.org,2002:python/object/apply:os.system is not read",
        ),
        ("a: !!str 5", 1, "the tag"),
        ("a: ! x", 1, "the tag"),
        ("a: !custom {}", 1, "the tag"),
        ("a: &x [1]\nb: *x\n", 1, "anchors and aliases are not read"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases are not read"),
        ("a: [1,\n", 2, "expected"),
        ("a:\n\t- b\n", 2, "cannot start any token"),
        ("a: 'b", 1, "unexpected end"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("? [a, b]\n: 1\n", 1, "where a field's name should"),
        ("a: 1\nb: \x07", 2, "\\x07 is not allowed"),
        ("[" * 40, 1, "nested deeper"),
        ("a: " + "9" * 4301, 1, "4301 digits"),
        ("a: 9223372036854775808", 1, "too large"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, line: int, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(text, "my.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"my.yaml:{line}: ")
    assert says in problem
    assert len(problem.splitlines()) == 1


def test_all_repeated_keys_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "my.yaml")
    assert [problem.split()[0] for problem in caught.value.problems] == ["my.yaml:2:", "my.yaml:3:"]


def test_a_billion_laughs_is_refused_before_it_unfolds() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]" for before, after in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(InputError, match="anchors and aliases"):
        read_yaml("\n".join(lines), "bomb.yaml")


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("seed: 1\n# für\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.yaml:2: the byte 0xfc is not UTF-8"):
        read_yaml_file(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 1\r\n")
    assert read_yaml_file(path) == {"seed": 1}


def test_a_file_that_is_too_large_or_absent_is_named(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(InputError, match="larger than 256 KiB"):
        read_yaml_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml_file(tmp_path / "absent.yaml")


@settings(max_examples=60, deadline=None)
@example({"\x85": ["a\u2028 b", "\r\n", " x"]})
@given(PLAIN)
def test_what_is_written_is_read_back_and_by_yaml_1_1_too(value: Any) -> None:
    text = write_yaml(value)
    assert read_yaml(text, "here") == value
    assert yaml.safe_load(text) == value


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        read_yaml(text, "here")
    except InputError as error:
        check_lines(error)
