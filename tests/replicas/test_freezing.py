"""A replica that diverges is marked as its lone run's end is told, and stays as it was; the others do not notice."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from saddlepoint.data.source import Source, Split
from saddlepoint.errors import Diverged
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty, Weight
from saddlepoint.recipe import Recipe
from saddlepoint.rounds import EMPTY, Example, Mover, Round, State
from saddlepoint.schedules import Constant
from saddlepoint.streams import Streams
from saddlepoint.training.frozen import Frozen
from saddlepoint.training.session import Session
from tests.battery.games import POINTS, recipe_with
from tests.replicas.games import SEEDS, everything, replicated, sessions

STEPS, UPDATES, POISONED = 3, 5, 1
NAN = float("nan")


class Counting(Penalty):
    """The squared mean fake score over what is left of a count that each turn takes one from: at 0 it is not finite."""

    name: ClassVar[str] = "counting"

    weight: Weight = Constant(value=0.5)

    def initial_state(self, leading: Sequence[int]) -> State:
        return {"left": torch.full(tuple(leading), 1000.0), "mean": torch.zeros(tuple(leading))}

    def observe(self, round: Round, state: State) -> State:
        return {"left": state["left"] - 1, "mean": round.scores.fake.detach().mean(-1)}

    def __call__(self, round: Round, state: State = EMPTY) -> Tensor:
        return round.scores.fake.mean(-1).square() * (1 + 1 / state["left"] - 1 / state["left"])


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PENALTIES, Counting.name, Counting)


GAMES: dict[str, dict[str, Any]] = {
    "plain": {},
    "buffers": {
        "networks": {"family": "mlp", "width": 6, "depth": 2, "normalization": {"generator": "batch", "discriminator": "spectral"}}
    },
    "pairs": {"penalties.discriminator.0": "wgan-gp", "penalties.both.1": {"name": "sdp", "weight": 0.1}},
    "clipped": {"gradients.clip.generator": 0.1, "gradients.clip.discriminator": 0.1, "gradients.accumulation": 2},
}
RATES = {"optimizers.generator.lr": (1e-3, 2e-3, 3e-3)}


def recipe_of(game: str, rates: Mapping[str, Any] = RATES) -> Recipe:
    """Every game has the counting penalty on both players, so that terms remember; rates differ, so that optimizers are divided."""
    raw = recipe_with(
        None, {"precision": "float32", "schedule.discriminator_steps": STEPS, "penalties.both.0": Counting.name, **GAMES[game]}
    )
    return replicated(raw, SEEDS, rates, "zip")


@dataclass
class Poisonous:
    """A source whose draw number `at` is followed by a poison; of draws for training only."""

    source: Source
    at: int
    poison: Callable[[Session, Tensor, int | None], None]
    replica: int | None = None
    session: Session | None = None
    draws: int = 0
    before: dict[str, Tensor] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def batch(self, streams: Streams, n: int, split: Split = "train") -> Example:
        example = self.source.batch(streams, n, split)
        if split == "train":
            self.draws += 1
            if self.draws == self.at:
                assert self.session is not None
                image = example.image.clone()
                self.poison(self.session, image, self.replica)
                self.before = everything(self.session)
                return example._replace(image=image)
        return example


def _row(tensor: Tensor, replica: int | None) -> Tensor:
    return tensor if replica is None else tensor[replica]


def into_data(session: Session, image: Tensor, replica: int | None) -> None:
    _row(image, replica)[0] = NAN


def into_weights(player: Mover) -> Callable[[Session, Tensor, int | None], None]:
    def poison(session: Session, image: Tensor, replica: int | None) -> None:
        with torch.no_grad():
            _row(next(iter(session.game.players[player].parameters.values())), replica).flatten()[0] = NAN

    return poison


def into_penalty(player: Mover) -> Callable[[Session, Tensor, int | None], None]:
    def poison(session: Session, image: Tensor, replica: int | None) -> None:
        key = f"{player}/penalty {1 if session.game.players[player].penalties[0].name != Counting.name else 0}"
        state = dict(session.game.states[key])
        left = state["left"].clone()
        _row(left, replica).fill_(0.0)
        session.game.states[key] = state | {"left": left}

    return poison


POISONS: dict[str, Callable[[Session, Tensor, int | None], None]] = {
    "data": into_data,
    "discriminator's weights": into_weights("discriminator"),
    "generator's weights": into_weights("generator"),
    "discriminator's penalty": into_penalty("discriminator"),
    "generator's penalty": into_penalty("generator"),
}


def nothing(session: Session, image: Tensor, replica: int | None) -> None: ...


def poisoned(
    recipe: Recipe, poison: Callable[[Session, Tensor, int | None], None], replica: int | None
) -> tuple[Session, Poisonous]:
    """The session of a recipe, poisoned at the second step of the discriminator's third turn."""
    at = (2 * STEPS + 1) * recipe.gradients.accumulation + 1
    source = Poisonous(POINTS, at, poison, replica)
    session = Session(recipe, source)
    source.session = session
    return session, source


def play(session: Session) -> None:
    for number in range(1, UPDATES + 1):
        session.trainer.update(watched=number % 2 == 0)


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()


def rows(tensors: Mapping[str, Tensor], replica: int) -> dict[str, Tensor]:
    return {name: tensor[replica] for name, tensor in tensors.items()}


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in before.items() if not same_bits(tensor, after[name])]


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("game", GAMES)
def test_the_poisoned_replica_stays_and_the_others_do_not_notice(game: str, poison: str) -> None:
    recipe = recipe_of(game)
    clean, _ = poisoned(recipe, nothing, None)
    session, source = poisoned(recipe, POISONS[poison], POISONED)
    play(clean)
    play(session)

    lone, _ = poisoned(recipe.members()[POISONED], POISONS[poison], None)
    with pytest.raises(Diverged) as outcome:
        play(lone)
    assert session.frozen is not None
    (ended,) = session.frozen.ended.values()
    assert (ended.replica, ended.term, ended.update) == (POISONED, outcome.value.term, outcome.value.update)
    assert outcome.value.update == 2
    if "penalty" in poison:
        assert outcome.value.term == f"{poison.split(chr(39))[0]}/penalty counting"

    after = everything(session)
    own = rows(after, POISONED)
    if ended.term.startswith("discriminator"):
        assert moved(rows(source.before, POISONED), own) == []
    else:  # the discriminator's own steps before the generator's turn were finite
        assert {name.split("/")[0] for name in moved(rows(source.before, POISONED), own)} <= {"discriminator", "training"}
    for replica in set(range(len(SEEDS))) - {POISONED}:
        assert moved(rows(everything(clean), replica), rows(after, replica)) == []
    assert moved(rows(everything(clean), POISONED), own)
    assert len(moved(rows(source.before, 0), rows(after, 0))) > 10, "the others go on"


def test_how_many() -> None:
    assert (len(GAMES), len(POISONS)) == (4, 5)


def test_each_ends_where_its_lone_run_ends() -> None:
    """Divergence as it comes: rates from good to absurd, several replicas at several updates."""
    rates = (1e-2, 1e30, 1e4, 3.0, 1e2)
    raw = recipe_with(
        None,
        {
            "precision": "float32",
            "schedule.discriminator_steps": 2,
            "objective": "wasserstein",
            **{f"optimizers.{player}": {"name": "sgd"} for player in ("generator", "discriminator")},
        },
    )
    both = {f"optimizers.{player}.lr": rates for player in ("generator", "discriminator")}
    stacked, lone = sessions(replicated(raw, (3, 4, 5, 6, 7), both, "zip"))
    alone = {}
    for replica, session in enumerate(lone):
        try:
            for _ in range(40):
                session.trainer.update()
        except Diverged as outcome:
            alone[replica] = (outcome.term, outcome.update)
    for _ in range(40):
        stacked.trainer.update()
    assert stacked.frozen is not None
    assert {replica: (ended.term, ended.update) for replica, ended in stacked.frozen.ended.items()} == alone
    assert 0 not in alone
    assert len(set(alone.values())) >= 3


def test_what_is_frozen_stays_frozen_over_a_checkpoint() -> None:
    recipe = recipe_of("buffers")
    session, _ = poisoned(recipe, into_data, POISONED)
    play(session)
    resumed, _ = poisoned(recipe, nothing, None)
    resumed.restore(session.snapshot().clone())
    assert resumed.frozen is not None
    assert session.frozen is not None
    assert resumed.frozen.ended == session.frozen.ended
    play(session)
    play(resumed)
    assert moved(everything(session), everything(resumed)) == []


def test_without_stillness_the_frozen_replica_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first test here would say of a game that did not hold its frozen replicas."""
    monkeypatch.setattr(Frozen, "still", lambda frozen: nullcontext())
    session, source = poisoned(recipe_of("buffers"), into_data, POISONED)
    play(session)
    files = {name.split("/")[0] for name in moved(rows(source.before, POISONED), rows(everything(session), POISONED))}
    assert {"generator", "discriminator", "average", "training"} <= files


def test_when_all_have_ended_the_game_ends() -> None:
    recipe = recipe_of("plain")
    session = Session(recipe, POINTS)
    session.trainer.update()
    with torch.no_grad():
        for parameter in session.game.players["discriminator"].parameters.values():
            parameter.fill_(NAN)
    with pytest.raises(Diverged, match=r"discriminator/\S+.* at update 1"):
        session.trainer.update()
    assert session.frozen is not None
    assert session.frozen.all
