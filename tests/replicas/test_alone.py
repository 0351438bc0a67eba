"""A replica is its lone run: every entry of every registry, stacked beside three runs of one seed each."""

from collections.abc import Sequence

import pytest
from torch import Tensor

from saddlepoint.data import DATA
from saddlepoint.data.source import gives_images
from saddlepoint.methods import registered
from saddlepoint.networks import NETWORKS
from saddlepoint.penalties import PENALTIES
from tests.battery.games import PARTS, recipe_with
from tests.battery.remembering import Drifting
from tests.replicas.games import CASES, IN_OTHERS, SUITS, Case, everything, played, replicated, sessions, too_far

# Trained one replica after another in a run of many seeds, since a stack of them is no faster.
NOT_STACKED = ["dcgan", "resnet", "sn-cnn", "robustness", "sagan", "autoencoder"]
# Read as "digits" is; they need a download or a folder.
NOT_AT_HAND = [
    "binary-digits",
    *("fashion-mnist", "mnist", "kmnist", "cifar10", "cifar100", "svhn", "tiny-imagenet", "celeba", "lsun", "folder"),
]


def test_how_many() -> None:
    methods = {(entry.room, entry.name) for entry in registered() if entry.room != "networks"}
    assert methods == {(case.room, case.name) for case in CASES if case.room not in ("networks", "data")}
    assert len(methods) == 14 + 18 + 2 + 4 + 5 + 1 + 1 + 1 + 2 + 4 + 1
    assert [name for name, family in NETWORKS.items() if not family.stacks] == NOT_STACKED
    parts = [name for room, name in PARTS if SUITS[room](NETWORKS["mlp"], name)]
    assert len(parts) == 10
    expected = [*(f"mlp {name}" for name in ["none", *parts]), *(f"mlp-autoencoder {name}" for name in ["none", *IN_OTHERS])]
    assert sorted(case.name for case in CASES if case.room == "networks") == sorted([*expected, "dirac"])
    data = [case.name for case in CASES if case.room == "data"]
    assert [*data, *NOT_AT_HAND] == [*(name for name in DATA if not gives_images(DATA[name])), "digits", *NOT_AT_HAND]
    assert sorted([*data, *NOT_AT_HAND]) == sorted(DATA)
    assert len(CASES) == len({str(case) for case in CASES}) == 76


@pytest.mark.parametrize(("precision", "updates", "most"), [("float32", 20, 1e-5), ("float64", 200, 1e-10)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_near_the_lone_runs(case: Case, precision: str, updates: int, most: float) -> None:
    """Weights, buffers, averages, optimizers' and terms' states, what is logged, and the streams to the draw."""
    stacked, lone = sessions(replicated(case.recipe(precision)))
    start = everything(stacked)
    assert too_far(start, [everything(session) for session in lone], 0) == {}, "they begin apart"
    records, own = played(stacked, updates), [played(session, updates) for session in lone]
    assert too_far(everything(stacked), [everything(session) for session in lone], most) == {}
    # A logged number may be the ratio of two that are near 0.
    assert set(records) == set(own[0])
    assert too_far(records, own, 10 * most) == {}
    assert all(session.streams.state() == stacked.streams.state() for session in lone)


def test_what_a_term_remembers_is_each_replicas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PENALTIES, Drifting.name, Drifting)
    stacked, lone = sessions(replicated(recipe_with(("penalties", Drifting.name))))
    for session in (stacked, *lone):
        played(session, 20)
    found = everything(stacked)
    averages: Sequence[Tensor] = [tensor for name, tensor in found.items() if name.endswith("/average") and "state/" in name]
    assert len(averages) == 2
    assert all(len(set(average.tolist())) == len(lone) for average in averages)
    assert too_far(found, [everything(session) for session in lone], 1e-12) == {}
