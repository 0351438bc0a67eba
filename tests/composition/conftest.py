from collections.abc import Iterator

import pytest

from tests.processes.group import Group


@pytest.fixture(scope="package")
def pair() -> Iterator[Group]:
    group = Group(2)
    yield group
    group.close()
