"""Whether the parts of a recipe go together: each check reads what the records declare, and says what would be right."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel

from saddlepoint.data import DATA
from saddlepoint.data.source import Data, gives_images
from saddlepoint.evaluation.naming import qualified
from saddlepoint.networks import NETWORKS
from saddlepoint.networks.network import PLAYERS
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.objective import Objective
from saddlepoint.optimizers import OPTIMIZERS
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.sdp import SDP
from saddlepoint.rounds import Features, InputGradient, LatentGradient, Mover, Parameters, Record, Side
from saddlepoint.schedules import Cosine, Linear, absences
from saddlepoint.sections import Section
from saddlepoint.validation import Address, Problem, nearest
from saddlepoint.views import VIEWS
from saddlepoint.views.view import View
from saddlepoint.weightings.relabelling import Relabelling
from saddlepoint.weightings.weighting import Weighting

if TYPE_CHECKING:
    from saddlepoint.recipe import Recipe


def changing(record: BaseModel) -> Iterator[tuple[str, Linear | Cosine]]:
    """The fields of a record that are schedules with an end, by name."""
    yield from ((name, value) for name, value in record if isinstance(value, Linear | Cosine))


def _check_networks(recipe: "Recipe") -> Iterator[Problem]:
    shape = dict(recipe.data)["resolution"] if gives_images(type(recipe.data)) else (type(recipe.data).dimensions,)
    yield from (Problem(("networks",), problem) for problem in recipe.networks.problems(shape))


def _check_batches(recipe: "Recipe") -> Iterator[Problem]:
    least, minibatch = recipe.networks.smallest_batch, recipe.networks.minibatch
    for field, size in (("batch", recipe.schedule.batch), ("generator_batch", recipe.schedule.generator_batch)):
        if size is not None and size < least:
            cure = f"give {least} or more, or set networks.normalization of both players to layer or none"
            yield Problem(("schedule", field), f"{size} is too few for this {recipe.networks.family}'s batch norm; {cure}")
        uneven = None if minibatch is None or size is None else minibatch.batch_problem(size)
        if uneven is not None:
            yield Problem(("schedule", field), f"{uneven}, or set networks.minibatch to null")


def _check_penalties(recipe: "Recipe") -> Iterator[Problem]:
    mixing = recipe.networks.mixing
    for address, penalty in recipe.penalties_with_addresses():
        if mixing is not None and any(isinstance(need, InputGradient) for need in penalty.needs):
            what = f"{penalty.name} takes gradients of single images, which {mixing.what} in the discriminator mixes"
            yield Problem(address, f"{what}; {mixing.cure}")
        whose, carriers = str(address[1]), penalty.players
        if set(PLAYERS if whose == "both" else (whose,)) - set(carriers):
            yield Problem(address, f"{penalty.name} is a term of the {carriers[0]}'s loss; list it in penalties.{carriers[0]}")
        if penalty.needs_dropout and not recipe.networks.drops:
            what = f"{penalty.name} compares two judgements of one sample, which without dropout are the same"
            yield Problem(address, f"{what}; give networks.dropout of the discriminator, such as 0.5")
        if recipe.networks.batch_normalized("generator") and LatentGradient() in penalty.needs:
            what = f"{penalty.name} takes gradients at single latents, which batch norm in the generator mixes"
            yield Problem(address, f"{what}; {recipe.networks.without_coupling('generator')}")
        if not recipe.networks.block_names and any(isinstance(need, Features) for need in penalty.needs):
            what = f"{penalty.name} compares features, and this {recipe.networks.family} discriminator has none"
            with_features = ", ".join(name for name, family in NETWORKS.items() if family.model_validate({}).block_names)
            yield Problem(address, f"{what}; give it a hidden layer, or choose a family that has features ({with_features})")


def _check_logits(recipe: "Recipe") -> Iterator[Problem]:
    """A default weight is for scores that are no logits."""
    if not recipe.objective.gives_probability:
        return
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.weight_for_logits is not None and "weight" not in penalty.model_fields_set:
            what = f"the default of {penalty.name} hardly lets the scores of {recipe.objective.name} apart, which are logits"
            yield Problem((*address, "weight"), f"{what}; give it, such as {penalty.weight_for_logits:g}")


def _check_scales(recipe: "Recipe") -> Iterator[Problem]:
    """A default weight is for scores of a known scale."""
    if not recipe.objective.unscaled or recipe.networks.normalization.discriminator.spectral:
        return
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.needs_scale and "weight" not in penalty.model_fields_set:
            what = f"{penalty.name} squares differences of scores, and those of {recipe.objective.name} have no scale of their own"
            yield Problem((*address, "weight"), f"{what}; give it, or set networks.normalization.discriminator to spectral")


def _judges_each_by_itself(objective: type[Objective]) -> bool:
    return objective.reads == "own" and not objective.pairs


def _check_stop(recipe: "Recipe") -> Iterator[Problem]:
    stop = recipe.stop
    if stop is None:
        return
    if stop.needs_weights and recipe.weightings.generator is None:
        what = f"{stop.name} reads the weights of the generator's fakes, and they have none"
        yield Problem(("stop",), f"{what}; give weightings.generator, or leave it out")
    if stop.needs_weights and absences(recipe.objective_weights.generator) != ("never",):
        what = f"{stop.name} reads the weights of the generator's fakes, which have none where objective_weights.generator is 0"
        yield Problem(("stop",), f"{what}; leave one of the two out")
    if stop.needs_probability and not recipe.objective.gives_probability:
        giving = ", ".join(name for name, objective in OBJECTIVES.items() if objective().gives_probability)
        what = f"{stop.name} needs scores that are probabilities, and those of {recipe.objective.name} are not"
        yield Problem(("stop",), f"{what}; choose an objective that gives them ({giving})")


def _check_accumulation(recipe: "Recipe") -> Iterator[Problem]:
    """An accumulated step is that of one large batch, so what reads the batch as a whole cannot be given a part of it at a time."""
    parts, networks, where = recipe.gradients.accumulation, recipe.networks, ("gradients", "accumulation")
    if parts == 1:
        return
    records = (recipe.objective, recipe.relabelling, recipe.stop, *recipe.views, *(record for _, record in recipe.weightings))
    terms = [*(record for record in records if record is not None), *(penalty for _, penalty in recipe.penalties_with_addresses())]
    for name in dict.fromkeys(term.name for term in terms if term.reads == "everyone" or term.follows_batch):
        yield Problem(
            where, f"{parts}: {name} reads the batch as a whole, not a part of it at a time; set it to 1, or leave {name} out"
        )
    if networks.mixing is not None:
        what = f"{parts}: {networks.mixing.what} in the discriminator would be of a part of the batch at a time"
        yield Problem(where, f"{what}; set it to 1, or {networks.mixing.cure}")
    if networks.batch_normalized("generator"):
        what = f"{parts}: batch norm in the generator would be of a part of the batch at a time"
        yield Problem(where, f"{what}; set it to 1, or networks.normalization.generator to layer or none")


def _check_relabelling(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.relabelling is None or _judges_each_by_itself(type(recipe.objective)):
        return
    what = f"{recipe.relabelling.name} gives a fake the loss of a real, and the losses of {recipe.objective.name} compare samples"
    fitting = ", ".join(name for name, objective in OBJECTIVES.items() if _judges_each_by_itself(objective))
    yield Problem(("relabelling",), f"{what}; choose an objective that judges each by itself ({fitting})")


def _check_views(recipe: "Recipe") -> Iterator[Problem]:
    images = gives_images(type(recipe.data))
    for number, view in enumerate(recipe.views):
        least, address = view.least_resolution, ("views", number)
        if least is None:
            continue
        if not images:
            fitting = ", ".join(name for name, other in VIEWS.items() if other.least_resolution is None)
            what = f"{view.name} changes images, and {recipe.data.name} holds points"
            yield Problem(address, f"{what}; leave it out, choose images, or a view that takes points ({fitting})")
        elif dict(recipe.data)["resolution"] < least:
            yield Problem(address, f"{view.name} takes images of {least} px or more; raise data.resolution, or leave it out")


def _check_objective_weights(recipe: "Recipe") -> Iterator[Problem]:
    """A generator whose objective is left out at some updates needs a penalty that is always there."""
    absent = absences(recipe.objective_weights.generator)
    always = any(absences(penalty.weight) == ("never",) for penalty in recipe.penalties_of("generator"))
    if absent != ("never",) and not always:
        what = "the generator would have no loss where this is 0"
        yield Problem(("objective_weights", "generator"), f"{what}; list a penalty in penalties.generator whose weight is never 0")
    if absent == ("always",) and recipe.weightings.generator is not None:
        what = "would not be read, since objective_weights.generator is 0; leave one of the two out"
        yield Problem(("weightings", "generator"), what)


def _check_probabilities(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.objective.gives_probability:
        return
    giving = ", ".join(name for name, objective in OBJECTIVES.items() if objective().gives_probability)
    cure = f"the scores of {recipe.objective.name} are not; choose an objective that gives them ({giving})"
    for side, weighting in recipe.weightings:
        if weighting is not None and weighting.needs_probability:
            yield Problem(("weightings", side), f"{weighting.name} needs scores that are probabilities, and {cure}")
    for address, penalty in recipe.penalties_with_addresses():
        if isinstance(penalty, SDP) and penalty.score == "probability":
            yield Problem((*address, "score"), f"probability needs scores that are probabilities, and {cure}, or score: raw")


def _check_scores(recipe: "Recipe") -> Iterator[Problem]:
    """What reads scores must read them as the discriminator means them."""
    meant = recipe.networks.scores
    words = {"realness": "how real a sample looks", "error": "the error of its reconstruction"}
    if recipe.objective.reads_scores_as not in (None, meant):
        families = ", ".join(name for name, family in NETWORKS.items() if family.scores == recipe.objective.reads_scores_as)
        others = ", ".join(name for name, objective in OBJECTIVES.items() if objective.reads_scores_as in (None, meant))
        what = f"{recipe.objective.name} reads a score as {words[recipe.objective.reads_scores_as or meant]}"
        cure = f"choose another family ({families}), or another objective ({others})"
        yield Problem(("objective",), f"{what}, and a discriminator of {recipe.networks.family} gives {words[meant]}; {cure}")
    readers: list[tuple[Address, Weighting | Penalty | Relabelling | View | None]] = [
        (("weightings", side), record) for side, record in recipe.weightings
    ]
    readers += [(("relabelling",), recipe.relabelling), *((("views", number), view) for number, view in enumerate(recipe.views))]
    for address, term in [*readers, *recipe.penalties_with_addresses()]:
        if term is not None and term.reads_scores_as not in (None, meant):
            what = f"{term.name} reads a score as {words[term.reads_scores_as or meant]}"
            yield Problem(address, f"{what}, and a discriminator of {recipe.networks.family} gives {words[meant]}; leave it out")


def _check_symbols(recipe: "Recipe") -> Iterator[Problem]:
    """What a generator that is a distribution over symbols asks of the rest."""
    if not recipe.objective.needs_log_probability:
        return
    name = recipe.objective.name
    if type(recipe.data).alphabet is Data.alphabet:
        discrete = ", ".join(kind for kind, data in DATA.items() if data.alphabet is not Data.alphabet)
        what = f"{name} reads log-probabilities of samples, and those of {recipe.data.name} are no symbols"
        yield Problem(("objective",), f"{what}; choose data that are ({discrete}), or another objective")
    for address, penalty in recipe.penalties_with_addresses():
        if address[1] != "discriminator" and Parameters() not in penalty.needs:
            what = f"{penalty.name} reads samples, through which no gradient reaches a generator of symbols"
            yield Problem(address, f"{what}; list it under penalties.discriminator")


def _check_rates(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.rates is None:
        return
    known = ["discriminator/loss", "generator/loss", *(f"generator/{name}" for name in recipe.objective.quantities)]
    if recipe.rates.quantity not in known:
        near = nearest(recipe.rates.quantity, known)
        what = f"{recipe.rates.quantity} is not recorded at every update with {recipe.objective.name}"
        yield Problem(("rates", "quantity"), f"{what}{near} (one of {', '.join(known)})")


def _check_combiner(recipe: "Recipe") -> Iterator[Problem]:
    combiner = recipe.gradients.combine.discriminator
    if combiner is None or not combiner.needs_boundary or recipe.objective.boundary == 0:
        return
    asked = f"{combiner.name} asks on which side of 0 a score lies"
    where = "say nothing there" if recipe.objective.boundary is None else f"turn at {recipe.objective.boundary:g}"
    with_one = ", ".join(name for name, objective in OBJECTIVES.items() if objective.model_validate({}).boundary == 0)
    cure = f"choose an objective whose boundary is 0 ({with_one})"
    yield Problem(("gradients", "combine", "discriminator"), f"{asked}, and those of {recipe.objective.name} {where}; {cure}")


def _check_sides(recipe: "Recipe") -> Iterator[Problem]:
    """A weighting weighs losses, and pairs need as many reals as fakes."""
    objective, batch, fakes = recipe.objective, recipe.schedule.batch, recipe.schedule.generator_batch
    for field, (player, side) in WEIGHED.items():
        weighting = getattr(recipe.weightings, field)
        if weighting is not None and side not in objective.carries[player]:
            what = f"{weighting.name} weighs the {player}'s losses of {side}s, and {objective.name} has none there"
            instead = [other for other, (whose, which) in WEIGHED.items() if whose == player and which in objective.carries[whose]]
            yield Problem(("weightings", field), f"{what}; leave it out, or weigh {', '.join(instead)}")
    if objective.pairs and fakes is not None and fakes != batch:
        what = f"{fakes} fakes, and {objective.name} compares each with a real of its own, of which there are {batch}"
        yield Problem(("schedule", "generator_batch"), f"{what}; leave it out")


# The losses that each field of `weightings` weighs.
WEIGHED: Mapping[str, tuple[Mover, Side]] = {
    "generator": ("generator", "fake"),
    "discriminator_real": ("discriminator", "real"),
    "discriminator_fake": ("discriminator", "fake"),
}


def _check_schedules(recipe: "Recipe") -> Iterator[Problem]:
    records: list[tuple[Address, Record]] = [(("optimizers", player), record) for player, record in recipe.optimizers]
    records += [(("views", number), view) for number, view in enumerate(recipe.views)]
    records += [(("relabelling",), recipe.relabelling)] if recipe.relabelling is not None else []
    records.append((("objective",), recipe.objective))
    weights: tuple[Address, Section] = (("objective_weights",), recipe.objective_weights)
    for address, record in [*records, weights, *recipe.penalties_with_addresses()]:
        for name, value in changing(record):
            last = recipe.schedule.updates if value.last is None else value.last
            if value.first >= last:
                yield Problem((*address, name, "first"), f"{value.first} should lie before the schedule's last update, {last}")
    for address, penalty in recipe.penalties_with_addresses():
        ends = address[1] != "both" or penalty.counts != "own" or recipe.schedule.discriminator_steps == 1
        for name, value in changing(penalty):
            if value.last is None and not ends:
                why = "the players make different numbers of updates, so the end of the run is not one number"
                yield Problem((*address, name, "last"), f"null: {why}; give it, or list the penalty for each player")


def _check_turns(recipe: "Recipe") -> Iterator[Problem]:
    turns, steps = recipe.turns, recipe.schedule.discriminator_steps
    if turns.one_to_one and steps > 1:
        what = f"{steps} steps, and under {turns.name} each player makes one update a round"
        yield Problem(("schedule", "discriminator_steps"), f"{what}; set it to 1, or turns to alternating")
    for player, optimizer in recipe.optimizers:
        if turns.extrapolates and optimizer.extrapolates:
            plain = ", ".join(name for name, record in OPTIMIZERS.items() if not record.extrapolates)
            what = f"{optimizer.name} looks ahead of its gradient, and so does {turns.name}"
            yield Problem(("optimizers", player), f"{what}; choose one of {plain}, or turns: alternating")
    for address, penalty in recipe.penalties_with_addresses():
        if penalty.own_turn is None:
            continue
        where, cure = (*address, "weight", "turn"), "set it to shared"
        if turns.extrapolates:
            yield Problem(where, f"own: under {turns.name} a step of the penalty alone would not be extrapolated; {cure}")
        ahead = [
            optimizer.name for player, optimizer in recipe.optimizers if optimizer.extrapolates and address[1] in (player, "both")
        ]
        if ahead:
            what = f"own: {ahead[0]} would take the next step's direction to be that of the penalty alone"
            yield Problem(where, f"{what}; {cure}")
        if steps > 1 and address[1] != "generator":
            what = f"own: its period counts rounds, and the discriminator makes {steps} updates in each"
            yield Problem(where, f"{what}; {cure}, or schedule.discriminator_steps to 1")


def _check_device(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.device == "mps" and recipe.precision == "float64":
        yield Problem(("precision",), "float64 is not there on mps; choose float32, or device: cpu")


def _check_measures(recipe: "Recipe") -> Iterator[Problem]:
    section = recipe.measures
    if section.best is not None and section.every is None:
        yield Problem(("measures", "best"), f"{section.best}: nothing is measured; give measures.every too")
    named = [measure.name for measure in section.names]
    twice = [name for name in dict.fromkeys(named) if named.count(name) > 1]
    yield from (Problem(("measures", "names"), f"{name} is there twice; name it once") for name in twice)
    quantities = [qualified(measure, name) for measure in section.names for name in measure.quantities]
    if section.best is not None and section.names and section.best not in quantities:
        near = nearest(section.best, quantities)
        yield Problem(("measures", "best"), f"{section.best} is not among what is measured{near} (one of {', '.join(quantities)})")


def _check_best(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.replicated and recipe.networks.stacks and recipe.measures.best is not None:
        yield Problem(("measures", "best"), "each of many replicas has its best at another update; leave it out, or train one seed")


Check = Callable[["Recipe"], Iterator[Problem]]

# Each check with the sections it reads: it runs when these were right.
CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"data", "networks"}), _check_networks),
    (frozenset({"networks", "schedule"}), _check_batches),
    (frozenset({"networks", "penalties"}), _check_penalties),
    (frozenset({"networks", "objective", "penalties"}), _check_scales),
    (frozenset({"objective", "penalties"}), _check_logits),
    (frozenset({"data", "views"}), _check_views),
    (frozenset({"objective", "relabelling"}), _check_relabelling),
    (frozenset({"objective_weights", "penalties", "weightings"}), _check_objective_weights),
    (frozenset({"objective", "objective_weights", "weightings", "stop"}), _check_stop),
    (
        frozenset({"gradients", "networks", "objective", "penalties", "relabelling", "stop", "views", "weightings"}),
        _check_accumulation,
    ),
    (frozenset({"objective", "weightings", "penalties"}), _check_probabilities),
    (frozenset({"objective", "networks", "weightings", "penalties"}), _check_scores),
    (frozenset({"objective", "data", "penalties"}), _check_symbols),
    (frozenset({"objective", "rates"}), _check_rates),
    (frozenset({"objective", "gradients"}), _check_combiner),
    (frozenset({"objective", "weightings", "schedule"}), _check_sides),
    (
        frozenset({"objective", "objective_weights", "optimizers", "penalties", "relabelling", "views", "schedule"}),
        _check_schedules,
    ),
    (frozenset({"turns", "optimizers", "penalties", "schedule"}), _check_turns),
    (frozenset({"device", "precision"}), _check_device),
    (frozenset({"measures"}), _check_measures),
    (frozenset({"measures", "networks", "seeds", "vary"}), _check_best),
)
