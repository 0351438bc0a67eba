"""A stop rule: when it is met, how a run ends by it, that it ends the same when resumed and beside other replicas."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.recipe import load
from saddlepoint.rounds import Mover, Round, State
from saddlepoint.stops import STOPS
from saddlepoint.training import loop, many
from saddlepoint.training.checkpoints import updates_at_hand
from saddlepoint.training.loop import Nobody
from tests.battery.games import differing, kept, play, recipe_with, session_of
from tests.replicas.games import everything, replicated, sessions, too_far

# Met at every update: it ends a run after `rounds`.
AT_ONCE = {"name": "equilibrium", "rounds": 3, "size": 0, "margin": 0.5}
WEIGHTED = {"weightings.generator": {"name": "wegan", "eta": 0.3}}


def recipe(stop: Any = AT_ONCE, **fields: Any) -> dict[str, Any]:
    return recipe_with(None, {"stop": stop, **WEIGHTED, **fields})


def turn(mover: Mover, real: float, fake: float, weights: Tensor) -> Round:
    """A turn in which the mean of D is `real` and `fake`."""
    sides = [torch.full((4, 1), value, dtype=torch.float64).logit() for value in (real, fake)]
    round = Round.of(real=sides[0], fake=sides[1], discriminator=lambda x: x[:, 0])
    round.movers = (mover,)
    round.weights["generator", "fake"] = weights
    return round


EVEN, UNEVEN = torch.ones(10), torch.tensor([2.0] * 5 + [0.0] * 5)


def after(rule: Any, state: State, real: float, fake: float, weights: Tensor) -> State:
    for mover in ("discriminator", "generator"):
        state = rule.observe(turn(mover, real, fake, weights), state)
    return state


def test_it_counts_rounds_in_a_row_in_which_all_three_hold() -> None:
    rule = STOPS["equilibrium"](rounds=3)
    state, found = rule.initial_state(()), []
    rounds = [
        *[(0.52, 0.48, EVEN)] * 2,
        (0.56, 0.48, EVEN),
        *[(0.54, 0.46, EVEN)] * 2,
        (0.5, 0.44, EVEN),
        *[(0.5, 0.5, EVEN)] * 2,
        (0.5, 0.5, UNEVEN),
        *[(0.451, 0.549, EVEN)] * 4,
    ]
    for real, fake, weights in rounds:
        state = after(rule, state, real, fake, weights)
        found.append((int(state["met"]), bool(rule.over(state))))
    assert [met for met, _ in found] == [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]
    assert [over for _, over in found] == [False] * 11 + [True] * 2


def test_a_perfect_discriminator_has_even_weights_and_is_no_equilibrium() -> None:
    rule = STOPS["equilibrium"](rounds=1)
    assert not bool(rule.over(after(rule, rule.initial_state(()), 0.999, 0.001, EVEN)))


def test_the_defaults_are_the_specifications() -> None:
    assert STOPS["equilibrium"]().model_dump() == {"rounds": 500, "size": 0.99, "margin": 0.05}


class Listening(Nobody):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def said(self, line: str) -> None:
        self.lines.append(line)


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_run_ends_by_it_and_stays_so(tmp_path: Path) -> None:
    run, observer = tmp_path / "run", Listening()
    loop.train(load(recipe()), run, observer)
    assert observer.lines == ["stopped after update 3 of 10: equilibrium"]
    assert events(run)[-1] == {"event": "done", "update": 3, "stopped_by": "equilibrium"}
    assert updates_at_hand(run) == [3]
    before = (run / "events.jsonl").read_bytes()
    loop.resume(run)
    assert (run / "events.jsonl").read_bytes() == before
    loop.resume(run, updates=20)
    assert events(run)[-1] == {"event": "done", "update": 3, "stopped_by": "equilibrium"}
    assert updates_at_hand(run) == [3]


def test_a_run_that_the_rule_leaves_alone_is_the_run_without_it() -> None:
    never = session_of(recipe(AT_ONCE | {"rounds": 10_000}))
    without = session_of(recipe(None))
    play(never, 5)
    play(without, 5)
    assert [name for name in differing(kept(never), kept(without)) if "state/stop/" not in name] == []
    assert not never.trainer.stopped
    assert not without.trainer.stopped


def test_resumed_before_its_end_it_ends_at_the_same_update() -> None:
    session = play(session_of(recipe()), 2)
    resumed = session_of(recipe())
    resumed.restore(session.snapshot().clone())
    assert not resumed.trainer.stopped
    play(session, 1)
    play(resumed, 1)
    assert session.trainer.stopped
    assert resumed.trainer.stopped
    assert differing(kept(session), kept(resumed)) == []


SOMETIMES = {"name": "equilibrium", "rounds": 3, "size": 0.98, "margin": 0.08}


def test_each_replica_stops_when_its_lone_run_does_and_stays_as_it_is() -> None:
    stacked, lone = sessions(replicated(recipe(SOMETIMES, **{"schedule.batch": 32}), tuple(range(6))))
    ends: dict[int, int] = {}
    for update in range(1, 41):
        for number, session in enumerate(lone):
            if number not in ends:
                session.trainer.update()
                if session.trainer.stopped:
                    ends[number] = update
        if not stacked.trainer.stopped:
            stacked.trainer.update()
    assert stacked.frozen is not None
    assert stacked.frozen.stopped == ends
    assert len(set(ends.values())) >= 2
    assert len(ends) < len(lone), "one of them goes on to the end"
    # What an optimizer remembers of a replica that is held is of no use.
    named = {name: tensor for name, tensor in everything(stacked).items() if "/optimizer/" not in name}
    assert too_far(named, [everything(session) for session in lone], 1e-10) == {}
    restored = sessions(replicated(recipe(SOMETIMES, **{"schedule.batch": 32}), tuple(range(6))))[0]
    restored.restore(stacked.snapshot().clone())
    assert restored.frozen is not None
    assert restored.frozen.stopped == ends
    assert torch.equal(restored.frozen.mask, stacked.frozen.mask)


def test_of_replicas_each_has_its_event_and_the_run_ends_with_the_last(tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(replicated(recipe(), (3, 11)), run)
    stopped = [event for event in events(run) if event["event"] == "replica stopped"]
    assert [(event["replica"], event["seed"], event["update"], event["rule"]) for event in stopped] == [
        (0, 3, 3, "equilibrium"),
        (1, 11, 3, "equilibrium"),
    ]
    assert events(run)[-1] == {"event": "done", "update": 3, "stopped_by": "equilibrium"}
    assert many.end_of(run) == "done"
    loop.resume(run)
    assert len(events(run)) == len([event for event in events(run) if event["update"] <= 3])


def test_parts_that_stopped_are_over(tmp_path: Path) -> None:
    run = tmp_path / "run"
    described = replicated(recipe(), (3, 11)).model_copy(
        update={"replicas": load({"replicas": {"chunk": 1, "processes": 1}}).replicas}
    )
    many.train(described, run)
    assert [many._over(part, 10) for part in many.part_folders(run)] == [True, True]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weightings.generator": None}, "they have none"),
        ({"objective": "hinge"}, "needs scores that are probabilities"),
    ],
)
def test_what_it_cannot_read_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"^stop: equilibrium .*{words}"):
        recipe(**fields)
