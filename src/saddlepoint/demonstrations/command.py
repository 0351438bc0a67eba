"""`saddlepoint demo`: which demonstrations there are, and what one does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from saddlepoint.demonstrations.dynamics import Dynamics, dynamics
from saddlepoint.demonstrations.grounds import opened
from saddlepoint.demonstrations.measures import Demonstration, demonstrate
from saddlepoint.demonstrations.written import refuse_unwritable, write_demonstration, write_dynamics
from saddlepoint.errors import InputError
from saddlepoint.evaluation.defaults import measures_named
from saddlepoint.evaluation.watching import Watch
from saddlepoint.validation import nearest

NAMES = ("measures", "dynamics")


def refuse_unknown(name: str) -> None:
    """Raise `InputError` for a demonstration that is not there."""
    if name not in NAMES:
        raise InputError([f"demo: there is no {name!r}{nearest(name, NAMES)}; there is {', '.join(NAMES)}"])


def refuse_options(name: str, given: Mapping[str, object]) -> None:
    """Raise `InputError` for what the demonstration does not read."""
    odd = [option for option, value in given.items() if value]
    if odd:
        raise InputError([f"{option}: demo {name} does not read it; leave it out" for option in odd])


def show_dynamics(out: Path | None, recipe: str | None, overrides: Sequence[str]) -> tuple[Dynamics, Mapping[str, Path]]:
    """Play a recipe's method on the smallest games and write picture, numbers and table; what came of it, and where it is.

    Args:
        out: the folder; by default `demos/dynamics-RECIPE`.

    Raises:
        InputError: the recipe cannot be, or nothing can be written.
    """
    if recipe is not None and "=" in recipe:
        overrides, recipe = [recipe, *overrides], None
    refuse_unwritable(out if out is not None else Path("demos"))
    found = dynamics(recipe, overrides)
    name = "plain" if recipe is None else Path(recipe).stem
    return found, write_dynamics(found, out if out is not None else Path("demos") / f"dynamics-{name}")


def show_measures(
    out: Path | None, measures: Sequence[str] | None, n: int | None, data: str | None, watch: Watch
) -> tuple[Demonstration, Mapping[str, Path]]:
    """Plant the faults, measure, and write picture, numbers and table; what was made, and where it is.

    Args:
        out: the folder; by default `demos/measures-DATA`.

    Raises:
        InputError: what was asked for is not there; before anything is computed.
    """
    if measures is not None:
        measures_named(measures)
    refuse_unwritable(out if out is not None else Path("demos"))
    watch.stage("opening the data", 0)
    world = opened(data, n)
    for note in world.notes:
        watch.said(note)
    demonstration = demonstrate(world, measures, watch=watch)
    return demonstration, write_demonstration(demonstration, out if out is not None else Path("demos") / f"measures-{world.name}")
