"""What the tests of the recipe share."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from saddlepoint.errors import InputError
from saddlepoint.recipe import load

Told = Callable[..., tuple[str, ...]]


@pytest.fixture
def told() -> Told:
    """The problems of a recipe that must have some, each checked to be one printable line that opens with a field."""

    def problems(source: str | Mapping[str, Any], overrides: Iterable[str] | Mapping[str, Any] = ()) -> tuple[str, ...]:
        with pytest.raises(InputError) as caught:
            load(source, overrides)
        for problem in caught.value.problems:
            assert problem.isprintable()
            assert ": " in problem
        return caught.value.problems

    return problems
