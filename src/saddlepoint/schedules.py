"""Numbers that change in training. A weight of 0 is absence: the term runs no pass.

Every schedule is a frozen record and a function of an update number, counted from 0. A plain number is a schedule too.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter


class _Schedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Constant(_Schedule):
    """`value` at every update.

    >>> Constant(value=10.0)(123)
    10.0
    """

    name: Literal["constant"] = "constant"
    value: float = Field(description="the number")

    def __call__(self, update: int) -> float:
        return self.value


class After(_Schedule):
    """0 before update `start`, then `value`.

    >>> [After(start=2, value=0.01)(update) for update in range(4)]
    [0.0, 0.0, 0.01, 0.01]
    """

    name: Literal["after"] = "after"
    start: int = Field(ge=0, description="the first update at which the value holds")
    value: float = Field(description="the number from then on")

    def __call__(self, update: int) -> float:
        return self.value if update >= self.start else 0.0


class Every(_Schedule):
    r"""Lazily: `period * value` at each update divisible by `period`, else 0, so the mean over updates stays `value`.

    Source: lazy regularisation, Karras et al. 2020, appendix B ("the regularization term is multiplied by k").

    >>> [Every(period=4, value=2.5)(update) for update in range(5)]
    [10.0, 0.0, 0.0, 0.0, 10.0]
    """

    name: Literal["every"] = "every"
    period: int = Field(ge=1, description="updates between two turns of the term")
    value: float = Field(description="the mean over all updates")
    turn: Literal["shared", "own"] = Field(
        default="shared", description="of a penalty: with the loss, or a turn of its own after it, the optimizer's pace corrected"
    )

    def __call__(self, update: int) -> float:
        return self.period * self.value if update % self.period == 0 else 0.0


class Linear(_Schedule):
    """From `start` to `end` in a straight line over updates `first` … `last`, constant outside.

    `last` left out means the end of the run; the recipe fills it in.

    >>> [Linear(start=1.0, end=0.0, last=4)(update) for update in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    name: Literal["linear"] = "linear"
    start: float = Field(description="the number up to update `first`")
    end: float = Field(default=0.0, description="the number from update `last` on")
    first: int = Field(default=0, ge=0, description="the update at which the change starts")
    last: int | None = Field(default=None, ge=1, description="the update at which it ends; by default the end of the run")

    def __call__(self, update: int) -> float:
        return self.start + (self.end - self.start) * _progress(update, self.first, self.last)


class Cosine(_Schedule):
    r"""Half a cosine from `start` to `end`: `end + (start - end) (1 + cos(pi p)) / 2`, `p` the progress from `first` to `last`.

    >>> [round(Cosine(start=1.0, end=0.0, last=4)(update), 4) for update in (0, 2, 4)]
    [1.0, 0.5, 0.0]
    """

    name: Literal["cosine"] = "cosine"
    start: float = Field(description="the number up to update `first`")
    end: float = Field(default=0.0, description="the number from update `last` on")
    first: int = Field(default=0, ge=0, description="the update at which the change starts")
    last: int | None = Field(default=None, ge=1, description="the update at which it ends; by default the end of the run")

    def __call__(self, update: int) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _progress(update, self.first, self.last))) / 2


class Staircase(_Schedule):
    """`start + step * floor(update / period)`: SDP's k (Zhang et al., Algorithm 1) grows so.

    >>> [Staircase(start=5, step=1, period=5000)(update) for update in (0, 3000, 5000, 99_999)]
    [5.0, 5.0, 6.0, 24.0]
    """

    name: Literal["staircase"] = "staircase"
    start: float = Field(description="the number at update 0")
    step: float = Field(default=1.0, description="added at each stair")
    period: int = Field(ge=1, description="updates a stair is long")

    def __call__(self, update: int) -> float:
        return self.start + self.step * (update // self.period)


SCHEDULES: dict[str, type[_Schedule]] = {
    "constant": Constant,
    "after": After,
    "every": Every,
    "linear": Linear,
    "cosine": Cosine,
    "staircase": Staircase,
}


def absences(schedule: "Schedule") -> tuple[object, ...]:
    """What decides at which updates a schedule of numbers that are never negative is 0; equal for two that are 0 at the same ones.

    >>> absences(Every(period=2, value=1.0)) == absences(Every(period=2, value=5.0)), absences(Constant(value=0.0))
    (True, ('always',))
    """
    numbers = [value for _, value in schedule if isinstance(value, float)]
    if not any(numbers):
        return ("always",)
    if all(numbers) and not isinstance(schedule, After | Every):
        return ("never",)
    return tuple(value == 0 if isinstance(value, float) else value for _, value in schedule)


def lowest(schedule: "Schedule") -> float:
    """The smallest of the numbers that a schedule is made of; it gives none below it where its steps do not fall.

    >>> lowest(Linear(start=0.1, end=-1.0))
    -1.0
    """
    return min(value for _, value in schedule if isinstance(value, float))


def highest(schedule: "Schedule") -> float:
    """The largest number that a schedule can give; without bound for one that rises in steps.

    >>> highest(Every(period=4, value=0.5)), highest(Staircase(start=1, step=1, period=2))
    (2.0, inf)
    """
    if isinstance(schedule, Staircase) and schedule.step > 0:
        return math.inf
    factor = schedule.period if isinstance(schedule, Every) else 1
    return factor * max(value for _, value in schedule if isinstance(value, float))


def _progress(update: int, first: int, last: int | None) -> float:
    if update <= first:
        return 0.0
    if last is None:
        raise ValueError("the schedule's `last` is open: give the update at which it ends")
    return min(1.0, (update - first) / max(1, last - first))


_AnySchedule = Constant | After | Every | Linear | Cosine | Staircase
_RECORDS: TypeAdapter[_AnySchedule] = TypeAdapter(Annotated[_AnySchedule, Field(discriminator="name")])


def _from_number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a schedule is a number or one of " + ", ".join(SCHEDULES))
    if isinstance(value, int | float):
        return Constant(value=float(value))
    if isinstance(value, Mapping):
        return _RECORDS.validate_python(value)
    return value


def _to_number(schedule: _AnySchedule) -> object:
    return schedule.value if isinstance(schedule, Constant) else schedule.model_dump()


Schedule = Annotated[_AnySchedule, BeforeValidator(_from_number), PlainSerializer(_to_number)]
