"""What a wrong recipe is told."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from saddlepoint.errors import InputError
from saddlepoint.recipe import load


def told(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Iterable[str] | Mapping[str, Any] = ()) -> tuple[str, ...]:
    """The problems of a recipe that must have some, each checked to be one printable line that opens with a field or a file."""
    with pytest.raises(InputError) as caught:
        load(source, overrides)
    check_lines(caught.value)
    return caught.value.problems


def check_lines(error: InputError) -> None:
    """Each problem is one printable line with a place before a colon."""
    assert error.problems
    for problem in error.problems:
        assert problem.isprintable()
        assert ": " in problem
