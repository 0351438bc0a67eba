"""Who is verified: a record of ours, or anybody's own penalty, objective, weighting or measure, and how it is asked."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES
from saddlepoint.measures.measure import Measure
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import Record, Sides
from saddlepoint.verification import measures, objectives, penalties, views, weightings
from saddlepoint.verification.gradients import Ask, Critic
from saddlepoint.verification.objectives import Players
from saddlepoint.verification.probe import Probe, Room, told
from saddlepoint.views import VIEWS
from saddlepoint.views.view import View
from saddlepoint.weightings import WEIGHTINGS
from saddlepoint.weightings.weighting import Weighting

REGISTRIES: Mapping[Room, Mapping[str, type[Record]]] = {
    "objective": OBJECTIVES,
    "penalty": PENALTIES,
    "weighting": WEIGHTINGS,
    "view": VIEWS,
    "measure": MEASURES,
}
BASES: Mapping[Room, type[Record]] = {
    "objective": Objective,
    "penalty": Penalty,
    "weighting": Weighting,
    "view": View,
    "measure": Measure,
}

POINTS = (4,)


def room_of(record: object) -> Room | None:
    """The room whose base class a record has, if any."""
    return next((room for room, base in BASES.items() if isinstance(record, base)), None)


def probes_of_record(record: Record, like: Record | None = None) -> list[Probe]:
    """The probes of a record; `like` is another record whose answers it should give, if not its own."""
    model = record if like is None else like
    if isinstance(record, Objective):
        return objectives.objective_probes(objectives.ask_record(record), _model(model, Objective))
    if isinstance(record, Penalty):
        return penalties.penalty_probes(penalties.ask_record(record), _model(model, Penalty), record=record)
    if isinstance(record, Weighting):
        return weightings.weighting_probes(weightings.ask_record(record), _model(model, Weighting))
    if isinstance(record, View):
        return views.view_probes(views.ask_record(record))
    if isinstance(record, Measure):
        return measures.measure_probes(measures.ask_record(None if like is None else record), _model(model, Measure))
    raise InputError([f"{type(record).__name__}: is no objective, penalty, weighting, view or measure; others have no probes"])


def _model(like: Record, base: Any) -> Any:
    return like if isinstance(like, base) else None


def probes_of_plain(
    name: str, thing: Any, room: Room, like: Record | None, *, weight: float = 1.0, points: bool = False
) -> list[Probe]:
    """The probes of somebody's own function or object.

    Args:
        weight: what a penalty is multiplied with inside.
        points: ask a penalty about points `[n, d]`, not images.

    Raises:
        InputError: it does not take what its room is asked with.
    """
    if room == "penalty":
        ask = _penalty(name, thing, weight)
        return penalties.penalty_probes(ask, _model_or_none(like, Penalty), *([POINTS] if points else []))
    if room == "objective":
        return objectives.objective_probes(_objective(name, thing), _model_or_none(like, Objective))
    _takes(name, thing, room, (2,) if room == "measure" else (1,))
    if room == "view":
        return views.view_probes(lambda image, round: thing(image))
    if room == "weighting":
        return weightings.weighting_probes(thing, _model_or_none(like, Weighting))
    return measures.measure_probes(measures.ask_plain(thing), _model_or_none(like, Measure))


def _model_or_none(like: Record | None, base: Any) -> Any:
    return None if like is None else _model(like, base)


# What a room's functions take, as a person writes them.
FORMS: Mapping[Room, str] = {
    "penalty": "f(discriminator, real, fake) or f(round)",
    "objective": "an object with discriminator(real_scores, fake_scores) and generator(fake_scores)",
    "weighting": "f(scores)",
    "view": "f(images)",
    "measure": "f(real_features, fake_features)",
}


def guessed_room(name: str, thing: Any) -> Room:
    """What somebody's own function seems to be, by what it takes.

    Raises:
        InputError: it cannot be told.
    """
    if all(callable(getattr(thing, player, None)) for player in ("discriminator", "generator")):
        return "objective"
    wanted = _wanted(thing)
    if wanted == 3 or (wanted == 1 and _names(thing) == ["round"]):
        return "penalty"
    if wanted == 1:
        return "view" if "image" in _names(thing)[0] else "weighting"
    if wanted == 2 and all("feature" in given for given in _names(thing)):
        return "measure"
    forms = "; ".join(FORMS.values())
    raise InputError([f"{name}: what it is cannot be told; say --as {'|'.join(FORMS)}, and wrap it if need be: {forms}"])


def _parameters(thing: Any) -> list[inspect.Parameter]:
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return []
    return [parameter for parameter in found if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)]


def _names(thing: Any) -> list[str]:
    return [parameter.name for parameter in _parameters(thing) if parameter.default is parameter.empty]


def _wanted(thing: Any) -> int:
    """How many arguments it must be given."""
    return len(_names(thing)) if callable(thing) else 0


def _takes_anything(thing: Any) -> bool:
    """Whether it has `*args`, or does not say what it takes."""
    try:
        return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        return True


def _takes(name: str, thing: Any, room: Room, counts: tuple[int, ...]) -> None:
    if callable(thing) and _takes_anything(thing):
        return
    parameters = _parameters(thing) if callable(thing) else []
    required = _wanted(thing)
    if not callable(thing) or not any(required <= count <= max(len(parameters), required) for count in counts):
        takes = f"takes {', '.join(_names(thing)) or 'nothing'}" if callable(thing) else f"is of type {type(thing).__name__}"
        raise InputError([f"{name}: {takes}; a {room} is {FORMS[room]}"])


def _penalty(name: str, function: Any, weight: float) -> Ask:
    _takes(name, function, "penalty", (1, 3))
    if len(_parameters(function)) in (1, 2):
        of_round = penalties.asked_in_rounds(function)
        return lambda critic, real, fake: _tensor(of_round(critic, real, fake)) / weight

    def ask(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        try:
            return _tensor(function(critic, real, fake)) / weight
        except (RuntimeError, ValueError, IndexError) as first:
            # Some penalties want scores [n, 1].
            critic.column = True
            try:
                return _tensor(function(critic, real, fake)) / weight
            except (RuntimeError, ValueError, IndexError):
                raise first from None

    return ask


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)


def _objective(name: str, thing: Any) -> Players:
    if not all(callable(getattr(thing, player, None)) for player in ("discriminator", "generator")):
        raise InputError([f"{name}: has no discriminator and generator; an objective is {FORMS['objective']}"])
    _takes(f"{name}.discriminator", thing.discriminator, "objective", (1, 2))
    _takes(f"{name}.generator", thing.generator, "objective", (1, 2))
    of_sides = _wanted(thing.discriminator) == 1

    def discriminator(real: Tensor, fake: Tensor) -> Sides:
        found = thing.discriminator(Sides(real=real, fake=fake)) if of_sides else thing.discriminator(real, fake)
        # One tensor for both sides stands for either.
        first, second = found if isinstance(found, tuple | list) else (found, found)
        return Sides(*(None if side is None else _tensor(side) for side in (first, second)))

    def generator(real: Tensor, fake: Tensor) -> Tensor:
        if of_sides:
            found = thing.generator(Sides(real=real, fake=fake))
        else:
            found = thing.generator(fake) if _wanted(thing.generator) == 1 else thing.generator(real, fake)
        return _tensor(found[-1] if isinstance(found, tuple | list) else found)

    return Players(discriminator, generator)


def imported(reference: str) -> Any:
    """What `package.module:name` or `file.py:name` names. It runs that module: for the user's own code only.

    Raises:
        InputError: there is no such module or file, it fails when it is imported, or it has no such name.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError([f"{reference}: is not module:object, as in mine.py:gradient_penalty or package.module:Penalty"])
    module = _file(reference, Path(place)) if place.endswith(".py") else _module(reference, place)
    if not hasattr(module, name):
        from difflib import get_close_matches

        near = get_close_matches(name, [known for known in vars(module) if not known.startswith("_")], n=1, cutoff=0)
        raise InputError([f"{reference}: {place} has no {name}" + (f"; the nearest is {near[0]}" if near else "")])
    return getattr(module, name)


def _file(reference: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError([f"{reference}: there is no file {path}"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError([f"{reference}: {path} is not a Python file"])
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def load() -> ModuleType:
        loader.exec_module(module)
        return module

    return _run(reference, path.parent, load)


def _module(reference: str, place: str) -> ModuleType:
    return _run(reference, Path(os.getcwd()), lambda: importlib.import_module(place))


def _run(reference: str, folder: Path, load: Callable[[], ModuleType]) -> ModuleType:
    """Import with `folder` first on the path; whatever the user's module raises is the user's to mend."""
    sys.path.insert(0, str(folder))
    try:
        return load()
    except (Exception, SystemExit) as error:
        raise InputError([f"{reference}: cannot be imported ({told(error)})"]) from None
    finally:
        sys.path.remove(str(folder))
