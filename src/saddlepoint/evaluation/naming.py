"""What quantities are called: the name that is unique, and the title that a table shows."""

from saddlepoint.measures.measure import Measure

# Names that the field gives to three quantities of one extractor, and to no others.
FAMOUS = {"FD (Inception)": "FID", "KD (Inception)": "KID", "classifier score (Inception)": "IS"}


def qualified(measure: type[Measure] | Measure, quantity: str) -> str:
    """The name of a quantity among all: its measure's where that gives only one, else `MEASURE.QUANTITY`.

    >>> from saddlepoint.measures import MEASURES
    >>> names = [qualified(measure, name) for measure in MEASURES.values() for name in measure.quantities]
    >>> len(names) == len(set(names))
    True
    """
    return measure.name if len(measure.quantities) == 1 else f"{measure.name}.{quantity}"


def title_of(measure: type[Measure] | Measure, quantity: str, extractor: str) -> str:
    """What a table calls a quantity: with its extractor's title; FID, KID and IS with Inception only."""
    title = measure.quantities[quantity].title.replace("{extractor}", extractor)
    return FAMOUS.get(title, title)
