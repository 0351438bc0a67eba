"""What every layer that a family may be given says of itself."""

from typing import ClassVar

from saddlepoint.rounds import Record


class Layer(Record):
    """A layer that a family may be given, and that is no normalisation."""

    name: ClassVar[str]
    # Of the docs, without its ending.
    page: ClassVar[str]
    # The field of a family that holds it; None where no family has one yet.
    slot: ClassVar[str | None] = None
