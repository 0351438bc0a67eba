"""Ask a method all its probes."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from saddlepoint.errors import InputError
from saddlepoint.rounds import Record
from saddlepoint.verification.probe import Outcome, Room, outcomes, told
from saddlepoint.verification.subjects import (
    BASES,
    REGISTRIES,
    guessed_room,
    imported,
    probes_of_plain,
    probes_of_record,
    room_of,
)


def registered() -> dict[str, type[Record]]:
    """Every name that has probes, with its record."""
    return {name: record for registry in REGISTRIES.values() for name, record in registry.items()}


def named(name: str, **fields: Any) -> Record:
    """The record of a name.

    Raises:
        InputError: there is no such name; the nearest is given.
    """
    known = registered()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1, cutoff=0)[0]
        raise InputError([f"{name}: is not an objective, penalty, weighting, view or measure; the nearest is {near}"])
    return known[name](**fields)


def verify(
    thing: str | Record | type[Record] | Callable[..., Any] | object,
    *,
    like: str | Record | None = None,
    kind: Room | None = None,
    weight: float = 1.0,
    points: bool = False,
    name: str = "",
) -> list[Outcome]:
    """Ask a method every probe that it has: what is expected, what came, and the slip that was likely made.

    Args:
        thing: a name of ours; a record, or its class; `module:object`; or a function or object of your own: a penalty
            `f(discriminator, real, fake)` or `f(round)`, an objective with `discriminator` and `generator`, a weighting
            `f(scores)`, a measure `f(real, fake)`.
        like: the name or record of ours whose answers it should give. Without it, your own is asked only what all of its kind owe.
        kind: objective, penalty, weighting, view or measure, where it cannot be told.
        weight: what your penalty is multiplied with inside, such as 10.
        points: ask your penalty about points `[n, d]`; by default about images.
        name: what it is called in the outcomes.

    Raises:
        InputError: there is no such thing, or it is not of the kind.

    >>> {outcome.verdict for outcome in verify("wgan-gp")}
    {'holds'}
    >>> def mine(discriminator, real, fake):
    ...     from torch.autograd import grad
    ...     (gradient,) = grad(discriminator(real.requires_grad_()).sum(), real, create_graph=True)
    ...     return gradient.norm() ** 2
    >>> outcome = verify(mine, like="r1")[2]
    >>> [round(number, 9) for number in (*outcome.expected, *outcome.came)], outcome.slips[-1]
    ([1.0, 6.0], 'sum over the batch instead of mean')
    """
    model = named(like) if isinstance(like, str) else like
    title, found = _found(thing, name)
    if isinstance(found, Record):
        room = room_of(found)
        _same(title, room, model, kind)
        return outcomes(title, room or "measure", probes_of_record(found, model))
    room = kind or (room_of(model) if model is not None else None) or guessed_room(title, found)
    _same(title, room, model, kind)
    return outcomes(title, room, probes_of_plain(title, found, room, model, weight=weight, points=points))


def _found(thing: Any, name: str) -> tuple[str, Any]:
    """What is meant, with a title: names and classes are made into objects."""
    if isinstance(thing, str):
        title = name or thing
        found = imported(thing) if ":" in thing else named(thing)
    else:
        title = name or getattr(thing, "name", "") or getattr(thing, "__name__", "") or type(thing).__name__
        found = thing
    if inspect.isclass(found):
        try:
            found = found()
        except Exception as error:
            reason = told(error)
            raise InputError([f"{title}: cannot be made without arguments ({reason}); name an instance, or a function"]) from None
    return str(title), found


def _same(title: str, room: Room | None, model: Record | None, kind: Room | None) -> None:
    """All that is said of the room must agree."""
    said: Mapping[str, Room | None] = {"it": room, "--as": kind, "--like": room_of(model) if model is not None else None}
    rooms = {known for known in said.values() if known is not None}
    if len(rooms) != 1:
        told = (
            ", ".join(f"{who} says {what}" for who, what in said.items() if what is not None) or f"it is none of {', '.join(BASES)}"
        )
        raise InputError([f"{title}: {told}; all must be one"])
