"""LeCam: what the averages take in, and when; where scores rest; what carries a gradient."""

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.processes import Processes
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Judgement, Round, State
from saddlepoint.streams import Streams

VERSIONS: Mapping[str, dict[str, object]] = {
    "BigGAN": {"decay": 0.9, "start": 0},
    "StyleGAN2": {"decay": 0.99, "start": 0, "debias": True},
    "late": {"decay": 0.9, "start": 3},
    "late, debiased": {"decay": 0.9, "start": 3, "debias": True},
}


def round_of(real: Tensor, fake: Tensor, streams: Streams | None = None) -> Round:
    """A round whose scores are the samples themselves."""
    return Round.of(real=real[:, None], fake=fake[:, None], discriminator=lambda x: x, streams=streams)


def levels(real: float, fake: float) -> Round:
    return round_of(torch.full((4,), real, dtype=torch.float64), torch.full((3,), fake, dtype=torch.float64))


def judged(round: Round) -> Round:
    """As after a turn: the loss has read both sides."""
    assert round.scores.real.ndim == round.scores.fake.ndim == 1
    return round


def averages(lecam: Penalty, rounds: Sequence[Round]) -> State:
    state = lecam.initial_state(())
    for round in rounds:
        state = lecam.observe(judged(round), state)
    return state


def by_loops(means: Sequence[float], *, decay: float, start: int, debias: bool) -> float:
    """The authors' two versions as they are written: an average with a start, and TensorFlow's with `zero_debias`."""
    if not debias:
        average = 0.0
        for turn, mean in enumerate(means):
            kept = decay if turn >= start and turn > 0 else 0.0
            average = kept * average + (1 - kept) * mean
        return average
    biased, taken = 0.0, 0
    for mean in means[start:]:
        biased -= (biased - mean) * (1 - decay)
        taken += 1
    return biased / (1 - decay**taken) if taken else means[-1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("turns", [1, 2, 3, 4, 9])
def test_the_averages_are_those_of_the_authors_code(version: str, turns: int) -> None:
    reals = [float(torch.tensor(0.7 * turn).sin()) + 2 for turn in range(turns)]
    fields = {"decay": 0.9, "start": 0, "debias": False, **VERSIONS[version]}
    state = averages(PENALTIES["lecam"](**fields), [levels(real, -3 * real) for real in reals])
    expected = by_loops(reals, **fields)  # type: ignore[arg-type]
    assert float(state["real"]) == pytest.approx(expected, abs=1e-12)
    assert float(state["fake"]) == pytest.approx(-3 * expected, abs=1e-12)
    assert float(state["turns"]) == turns


@pytest.mark.parametrize("version", VERSIONS)
def test_equal_updates_stay_where_they_are(version: str) -> None:
    state = averages(PENALTIES["lecam"](**VERSIONS[version]), [levels(1.25, -0.5)] * 7)
    assert float(state["real"]) == pytest.approx(1.25, abs=1e-12)
    assert float(state["fake"]) == pytest.approx(-0.5, abs=1e-12)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_call_uses_is_what_is_stored(version: str) -> None:
    """They are updated before use: the call's averages are those that `observe` returns, not those it was given."""
    lecam = PENALTIES["lecam"](**VERSIONS[version])
    state = averages(lecam, [levels(1, -1), levels(4, 0), levels(2, 2), levels(-1, 3)])
    real, fake = torch.tensor([0.5, 6.0], dtype=torch.float64), torch.tensor([-2.0, 1.0, 5.0], dtype=torch.float64)
    round = Round.of(real=real[:, None], fake=fake[:, None], discriminator=lambda x: x, needs=lecam.needs)
    value, after = lecam(round, state), lecam.observe(round, state)
    assert float(round.records["lecam/average real"]) == float(after["real"]) != float(state["real"])
    expected = 0.0
    for score in real.tolist():
        expected += max(0.0, score - float(after["fake"])) ** 2 / 2
    for score in fake.tolist():
        expected += max(0.0, float(after["real"]) - score) ** 2 / 3
    assert value.item() == pytest.approx(expected, abs=1e-12)


def test_scores_beyond_both_averages_the_other_way_are_free() -> None:
    """The reals below the fakes' average and the fakes above the reals'."""
    lecam = PENALTIES["lecam"](start=0)
    assert lecam(levels(-2, 3), averages(lecam, [levels(-2, 3)])).item() == 0


@pytest.mark.parametrize(("real", "fake"), [(3.0, 1.0), (1.0, 3.0), (0.0, 0.0)])
def test_of_constant_scores(real: float, fake: float) -> None:
    lecam = PENALTIES["lecam"](start=0)
    value = lecam(levels(real, fake), averages(lecam, [levels(real, fake)] * 3))
    assert value.item() == pytest.approx(2 * max(real - fake, 0) ** 2, abs=1e-12)


@pytest.mark.parametrize(("weight", "version"), [(0.3, "BigGAN"), (2.0, "StyleGAN2")])
def test_free_scores_of_a_critic_rest_at_a_gap_of_one_over_twice_the_weight(weight: float, version: str) -> None:
    """1.667 at 0.3."""
    lecam = PENALTIES["lecam"](**VERSIONS[version], weight=weight)
    real, fake = (torch.linspace(-1, 1, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    descent, state = torch.optim.SGD([real, fake], lr=1 / weight), lecam.initial_state(())
    for _ in range(1000):
        descent.zero_grad()
        round = round_of(real, fake)
        sides = OBJECTIVES["wasserstein"]().discriminator(round.scores)
        assert sides.real is not None
        assert sides.fake is not None
        (sides.real.mean() + sides.fake.mean() + lecam.weight(0) * lecam(round, state)).backward()
        state = lecam.observe(round, state)
        descent.step()
    assert float((real.mean() - fake.mean()).detach()) == pytest.approx(1 / (2 * weight), rel=1e-7)


def test_the_averages_carry_no_gradient() -> None:
    """Each real is drawn by its own excess only: `2 max(0, s - a) / n`, at most that."""
    lecam = PENALTIES["lecam"](start=0)
    state = averages(lecam, [levels(2, -1)] * 2)
    real = torch.tensor([0.5, 6.0], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-2.0, 9.0], dtype=torch.float64, requires_grad=True)
    round = round_of(real, fake)
    on_real, on_fake = torch.autograd.grad(lecam(round, state), [real, fake])
    after = lecam.observe(round, state)
    torch.testing.assert_close(on_real, (real.detach() - after["fake"]).relu(), rtol=0, atol=1e-12)
    torch.testing.assert_close(on_fake, -(after["real"] - fake.detach()).relu(), rtol=0, atol=1e-12)
    assert not any(tensor.requires_grad for tensor in after.values())


def test_the_versions_defaults() -> None:
    lecam = PENALTIES["lecam"]()
    assert [lecam.weight(update) for update in (0, 999, 1000, 5000)] == [0, 0, 0.3, 0.3]
    assert dict(lecam)["decay"] == 0.9
    assert dict(lecam)["start"] == 1000


def test_each_replica_remembers_its_own_with_its_own_decay() -> None:
    """Side by side, a number is a tensor `[R, 1]`."""
    decays = (0.5, 0.9)
    both = PENALTIES["lecam"](start=1).model_copy(update={"decay": torch.tensor(decays, dtype=torch.float64).unsqueeze(-1)})
    lone = [PENALTIES["lecam"](start=1, decay=decay) for decay in decays]
    state, own = both.initial_state((2,)), [record.initial_state(()) for record in lone]
    streams = Streams([0, 1], dtype=torch.float64)
    for turn in range(4):
        real, fake = (torch.randn(2, 5, generator=torch.Generator().manual_seed(turn + 9 * side)).double() for side in (0, 1))
        stacked = Round(
            lambda real=real: Example(real),  # type: ignore[misc]
            lambda fake=fake: Example(fake),  # type: ignore[misc]
            lambda example, features: Judgement(example.image, {}),
            streams=streams,
            clock={"discriminator": turn, "generator": turn},
        )
        values = both(stacked, state)
        state = both.observe(stacked, state)
        for replica, record in enumerate(lone):
            round = round_of(real[replica], fake[replica])
            assert record(round, own[replica]).item() == pytest.approx(values[replica].item(), abs=1e-12)
            own[replica] = record.observe(round, own[replica])
    assert [float(mine["real"]) for mine in own] == pytest.approx(state["real"].tolist(), abs=1e-12)


def test_nobody_judges_again_to_remember() -> None:
    """In a turn whose loss reads one side only, the averages stay and the discriminator is not asked."""
    passes: list[int] = []

    def discriminator(image: Tensor) -> Tensor:
        passes.append(len(image))
        return image

    lecam = PENALTIES["lecam"](start=0)
    round = Round.of(real=torch.ones(4, 1), fake=torch.ones(4, 1), discriminator=discriminator)
    state = averages(lecam, [levels(2, -1)])
    assert round.scores.fake.shape == (4,)
    assert lecam.observe(round, state) == state
    assert passes == [4]


def test_means_are_everyones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process gathers is what is averaged."""
    monkeypatch.setattr(Processes, "everyone", lambda processes, x, axis=0: torch.cat([x, x + 6], axis))
    lecam = PENALTIES["lecam"](start=0)
    state = lecam.observe(judged(levels(1, 2)), lecam.initial_state(()))
    assert (float(state["real"]), float(state["fake"])) == (4, 5)


def test_the_default_weight_is_not_for_logits() -> None:
    """Refused in one line that names the field; with a weight of one's own, or other scores, it is taken."""
    recipe = {"data": "8-gaussians", "objective": "vanilla", "penalties": {"discriminator": ["lecam"]}}
    with pytest.raises(InputError) as refused:
        load(recipe)
    (problem,) = refused.value.problems
    assert problem.startswith("penalties.discriminator.0.weight: ")
    assert problem.endswith("which are logits; give it, such as 1e-06")
    assert load(recipe, ["penalties.discriminator.0.weight=1e-6"]).penalties.discriminator
    for objective in ("hinge", "wasserstein", "lsgan"):
        assert load(recipe, [f"objective={objective}"]).penalties.discriminator
