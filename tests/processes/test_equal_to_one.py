"""Battery item 8: two real processes with half the batch each equal one process with all of it, for every registered entry."""

from typing import Any

import pytest

from saddlepoint.methods import registered
from saddlepoint.networks import LAYERS, NETWORKS
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Mover
from saddlepoint.turns import TURNS
from saddlepoint.weightings.wegan import SQUASHES
from tests.battery.games import METHODS, RESOLUTIONS, SMALL, Method, asked_by, networks_with, recipe_with, slots_of
from tests.processes.games import Played, farthest, play, play_alone, play_apart
from tests.processes.group import Group

CLOSE = {"float32": 1e-6, "float64": 1e-12}
UPDATES = 3
# By plain descent: Adam divides a gradient that is rounding, as hinge's where it cancels, by its own size.
DESCENT = {"optimizers": {"name": "sgd", "lr": 2e-4, "momentum": 0.5}}
SIZES = {"schedule.batch": 8, "schedule.discriminator_steps": 2, **DESCENT}
RULES = {(entry.room, entry.name): entry.record.reads for entry in registered()}
PLAYERS: tuple[Mover, ...] = ("generator", "discriminator")

# What makes an entry work from the first update on.


def weighted(record: Any) -> dict[str, Any]:
    return {f"weightings.{side}": record for side in ("generator", "discriminator_real", "discriminator_fake")}


TOP_K = {"name": "top-k", "gamma": 0.6, "period": 1}
AT_ONCE = {"every": 1, "images": 100, "target": -0.9}
AWAKE: dict[Method, dict[str, Any]] = {
    ("penalties", "sdp"): {"penalties.both.0": {"name": "sdp", "weight": 0.1, "k": 3}},
    ("penalties", "lecam"): {"penalties.discriminator.0": {"name": "lecam", "weight": 0.3, "start": 1}},
    ("weightings", "top-k"): weighted(TOP_K),
    ("relabellings", "fake-can-be-real"): {"relabelling": {"name": "fake-can-be-real", "share": 0.4}},
    **{("views", name): {"views.0": {"name": name, **AT_ONCE}} for name in ("ada-lite", "adaptive-instance-noise")},
}


def sdp(**fields: Any) -> dict[str, Any]:
    return {"penalties.both": [{"name": "sdp", "weight": 0.1, "k": 3, **fields}]}


DIGITS = {"name": "digits", "resolution": 16}
# The first features of seven layers are small, and their inverse squares magnify rounding.
SCALES = {"sn-cnn": "unit"}
CASES: dict[str, dict[str, Any]] = {
    "began, plateau": {
        "objective": {"name": "began", "lambda_k": 0.1},
        "networks": SMALL["mlp-autoencoder"],
        "rates": {"name": "plateau", "window": 1, "quantity": "generator/convergence"},
        "schedule.batch": 8,
    },
    "combined, accumulated": {"gradients": {"combine": {"discriminator": "aw-gan"}, "accumulation": 2}, "penalties.both": ["r1"]},
    "clipping": {"gradients.clip": {"generator": 0.01, "discriminator": 0.02}},
    "views": {
        "views": ["instance-noise", {"name": "adaptive-instance-noise", **AT_ONCE}],
        "penalties.both": [{"name": "sdp", "weight": 0.1, "k": 3}, "wgan-gp"],
    },
    "stop": {"weightings.generator": {"name": "wegan", "eta": 0.5}, "stop": {"name": "equilibrium", "size": 0.5, "margin": 0.3}},
    "accumulation": {"gradients.accumulation": 3},
    "unequal batches": {"schedule.generator_batch": 4, **weighted("wegan"), **sdp()},
    "unequal interpolates": {"schedule.generator_batch": 4, "penalties.both": ["wgan-gp"], "objective": "wasserstein"},
    "coupled losses, weighted": {
        "objective": {"name": "relativistic-average", "form": "least-squares"},
        "schedule.generator_batch": 4,
        **weighted("wegan"),
    },
    "coupled losses, penalised": {"objective": "softmax", "penalties.discriminator": ["r1"], "weightings.generator": "wegan"},
    "one decision for the batch": {
        "objective": {"name": "pu-gan", "share": {"name": "linear", "start": 0.1, "end": 1.0, "last": 4}}
    },
    "uniform latents": {"networks.latent_distribution": "uniform"},
    "lazy": {"penalties.discriminator": [{"name": "r1", "weight": {"name": "every", "period": 2, "value": 5.0}}]},
    "at the generator": {"penalties.generator": ["wgan-gp", {"name": "r2"}]},
    "one-sided": {"penalties.discriminator": [{"name": "wgan-gp", "form": "one-sided"}], "objective": "wasserstein"},
    "around, by normal noise": {"penalties.discriminator": [{"name": "dragan", "noise": "normal"}]},
    "lecam, debiased": {"penalties.discriminator": [{"name": "lecam", "weight": 0.3, "start": 1, "debias": True}]},
    "sdp, scores": sdp(terms="score", score="probability"),
    "sdp, features": sdp(terms="features", aggregator="mean", normalization="unit"),
    "sdp, by batch": sdp(scale="batch", same_label=True),
    "sdp, random": sdp(select="random", neighbour="random"),
    "sdp, more than a process has": sdp(k=7),
    "dropout": {"networks.dropout": 0.4, "penalties.discriminator": ["ct", "wgan-gp"], **sdp()},
    "changed pictures": {"data": DIGITS, "networks": SMALL["dcgan"], "penalties.discriminator": ["bcr", "zcr"]},
    "matching, blocks": {"penalties.generator": [{"name": "feature-matching", "features": "blocks", "distance": "l1"}]},
    "matching alone": {"objective_weights.generator": 0, "penalties.generator": ["feature-matching"]},
    "wegan, attached": weighted({"name": "wegan", "attached": True}),
    **{f"wegan, {squash}": weighted({"name": "wegan", "squash": squash}) for squash in SQUASHES},
    "importance, clipped": weighted({"name": "importance", "clip": 1.5, "temperature": 2.0}),
    **{
        f"digits, {name}": {
            "data": DIGITS | {"resolution": RESOLUTIONS.get(name, 16)},
            "networks": SMALL[name],
            **sdp(normalization=SCALES.get(name, "squared")),
        }
        for name in ("dcgan", "resnet", "sn-cnn", "robustness")
    },
}


def together(pair: Group, recipe: dict[str, Any], updates: int = UPDATES) -> tuple[Played, float]:
    """A game by the two processes, which agree to the bit, and how far it is from that of one process."""
    answers = pair(play, recipe, updates)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    first, second, *_ = answers
    assert farthest(first, second) == 0
    alone = play_alone(recipe, updates)
    assert first.streams == alone.streams
    return first, farthest(first, alone, weights_only=recipe["precision"] == "float32")


def both_precisions(pair: Group, recipe: dict[str, Any]) -> Played:
    for precision, close in CLOSE.items():
        played, gap = together(pair, recipe | {"precision": precision})
        assert gap <= close, precision
    return played


@pytest.mark.parametrize("method", METHODS, ids=" ".join)
def test_every_entry(pair: Group, method: Method) -> None:
    once = {"schedule.discriminator_steps": 1} if method[0] == "turns" and TURNS[method[1]].one_to_one else {}
    played = both_precisions(pair, recipe_with(method, {**SIZES, **once, **AWAKE.get(method, {})}))
    rule = normalization_rule(method[1]) if method[0] == "networks" else RULES[method]
    assert (played.gathers > 0) == (rule == "everyone"), "what it reads is what its record says"


def normalization_rule(family: str) -> str:
    """By default a family's generator or discriminator has batch normalisation, or none has."""
    networks = NETWORKS[family].model_validate({})
    return "everyone" if networks.batch_normalized("generator") or networks.batch_normalized("discriminator") else "own"


def test_how_many() -> None:
    assert len(METHODS) == len(RULES) >= 14 + 18 + 2 + 6 + 3 + 1 + 1 + 1
    assert {rule: sum(found == rule for found in RULES.values()) for rule in set(RULES.values())} == {"own": 49, "everyone": 13}
    assert len(CASES) >= 20


# What compares samples or divides by their spread, behind seven layers: in float32 rounding meets kinks, in float64 it is close.
ROUNDED = {("sn-cnn", "instance"), ("sn-cnn", "minibatch-discrimination")}


@pytest.mark.parametrize("family", [family for family in NETWORKS if family != "dirac"])
@pytest.mark.parametrize("name", CHOICES)
def test_every_normalization(pair: Group, family: str, name: str) -> None:
    """Of each player that may have it: what is gathered is what the record says that it couples."""
    players: list[Mover] = [player for player in PLAYERS if NETWORKS[family].refusal(CHOICES[name](), player) is None]
    for player in players:
        normalization = dict.fromkeys(PLAYERS, "none") | {player: name}
        recipe = recipe_with(("networks", family), {**SIZES, "networks.normalization": normalization})
        played, gap = together(pair, recipe)
        assert gap <= CLOSE["float64"]
        assert (played.gathers > 0) == CHOICES[name]().couples_batch(player)
    if players and (family, name) not in ROUNDED:
        normalization = {player: name if player in players else "none" for player in PLAYERS}
        recipe = recipe_with(("networks", family), {**SIZES, "networks.normalization": normalization, "precision": "float32"})
        assert together(pair, recipe)[1] <= CLOSE["float32"]


@pytest.mark.parametrize("family", [family for family in NETWORKS if family != "dirac"])
@pytest.mark.parametrize("name", [name for name, record in LAYERS.items() if record.slot is not None])
def test_every_layer(pair: Group, family: str, name: str) -> None:
    if LAYERS[name].slot not in NETWORKS[family].model_fields:
        return
    bare = {"networks.normalization": dict.fromkeys(PLAYERS, "none")}
    recipe = recipe_with(None, SIZES | networks_with(("layers", name), family) | bare)
    played, gap = together(pair, recipe)
    assert gap <= CLOSE["float64"]
    if (family, name) not in ROUNDED:
        played = both_precisions(pair, recipe)
    assert (played.gathers > 0) == (LAYERS[name].reads == "everyone")


@pytest.mark.parametrize("case", CASES)
def test_every_way_of_an_entry(pair: Group, case: str) -> None:
    both_precisions(pair, recipe_with(None, SIZES | CASES[case]))


@pytest.mark.parametrize("name", PENALTIES)
def test_four_processes_with_two_samples_each(four: Group, name: str) -> None:
    penalty = {"name": name, "weight": 0.1, **({"k": 3} if name == "sdp" else {})}
    slots = dict.fromkeys(slots_of(("penalties", name)), penalty) | asked_by(("penalties", name))
    recipe = recipe_with(None, {"schedule.batch": 8, "schedule.generator_batch": 4, **slots, **weighted("wegan")})
    _, gap = together(four, recipe)
    assert gap <= 1e-12


def test_what_one_process_alone_reads_is_another_game(pair: Group) -> None:
    """The comparison sees it when a process weighs its own samples only."""
    recipe = recipe_with(None, SIZES | weighted("wegan"))
    answers = pair(play_apart, recipe, UPDATES)
    assert farthest(answers[0], play_alone(recipe, UPDATES)) > 1e-5
