"""Every view in a game: what is seen, by whom, with which draws; what is not changed by it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import EMPTY, Example, InputGradient, Judgement, Round, State
from saddlepoint.streams import Streams
from saddlepoint.training.session import Session
from saddlepoint.views import VIEWS
from saddlepoint.views.view import View
from tests.battery.games import differing, kept, play, recipe_with, session_of

# What each does from the first update on.
STRONG: dict[str, dict[str, Any]] = {
    "ada-lite": {"every": 1, "images": 10, "target": -1},
    "adaptive-instance-noise": {"every": 1, "images": 10, "target": -1},
    "instance-noise": {"sigma": 0.3},
}
# What makes each the identity.
NOTHING: dict[str, dict[str, Any]] = {
    "diffaugment": {"policy": []},
    "ada-lite": {"most": 0},
    "instance-noise": {"sigma": 0},
    "adaptive-instance-noise": {"most": 0},
}


def round_of(
    image: Tensor, seed: int | tuple[int, ...] = 3, view: Callable[[Tensor, Round], Tensor] = lambda image, round: image
) -> Round:
    """A round whose discriminator cubes and sums; of replicas when there are several seeds."""
    streams = Streams(seed, dtype=torch.float64)

    def judge(example: Example, features: bool) -> Judgement:
        return Judgement(example.image.pow(3).flatten(len(streams.leading) + 1).sum(-1), {})

    return Round(
        lambda: Example(image),
        lambda: Example(image.flip(-1)),
        judge,
        streams=streams,
        clock={"discriminator": 0, "generator": 0},
        needs=[InputGradient("real")],
        view=view,
    )


def state_of(view: View, leading: tuple[int, ...] = ()) -> State:
    """A state in which it acts."""
    return {name: torch.full(leading, 0.7 if name == "p" else 0.0).double() for name in view.initial_state(leading)}


def images(*leading: int) -> Tensor:
    return Streams(7, dtype=torch.float64).normal("images", *leading, 6, 3, 8, 8)


def seen_by(name: str) -> Callable[[Tensor, Round], Tensor]:
    view = VIEWS[name]()
    return lambda image, round: view(image, round, state_of(view, round.streams.leading))


def game(name: str, fields: dict[str, Any] | None = None, more: dict[str, Any] | None = None) -> Session:
    return session_of(recipe_with(("views", name), {"views.0": {"name": name, **(fields or STRONG.get(name, {}))}, **(more or {})}))


def test_how_many() -> None:
    assert len(VIEWS) == 4
    assert all(view.name == name and "@" in view.bibtex for name, view in VIEWS.items())
    assert {name: view.least_resolution for name, view in VIEWS.items()} == {
        "diffaugment": 8,
        "ada-lite": 8,
        "instance-noise": None,
        "adaptive-instance-noise": None,
    }


@pytest.mark.parametrize("name", VIEWS)
def test_shape_purity_and_draws(name: str) -> None:
    """The same pass again is the same; another key, another turn and another seed are other draws."""
    image, see = images(), seen_by(name)

    def seen(key: str, seed: int = 3, times: int = 1) -> Tensor:
        round = round_of(image, seed)
        round.viewing = key
        for _ in range(times):
            found = see(image, round)
        return found

    before = image.clone()
    assert seen("real").shape == image.shape
    assert seen("real").dtype == image.dtype
    assert torch.equal(image, before)
    assert torch.equal(seen("real"), seen("real"))
    for other in (seen("fake"), seen("real", seed=4), seen("real", times=2)):
        assert not torch.equal(seen("real"), other)


@pytest.mark.parametrize("name", VIEWS)
def test_a_round_sees_a_pass_once_and_a_further_one_anew(name: str) -> None:
    round = round_of(images(), view=seen_by(name))
    first, fake = round.judge("real").scores, round.judge("fake").scores
    assert round.judge("real").scores is first
    again = round.judge("real, again", round.real).scores
    plain = images().pow(3).flatten(1).sum(1)
    for one, other in ((first, again), (first, plain), (fake, images().flip(-1).pow(3).flatten(1).sum(1))):
        assert not torch.allclose(one, other)


@pytest.mark.parametrize("name", VIEWS)
def test_each_replica_sees_what_it_sees_alone(name: str) -> None:
    seeds, image = (3, 11, 4), images(3)
    stacked = round_of(image, seeds)
    stacked.viewing = "fake"
    found = seen_by(name)(image, stacked)
    for row, seed in enumerate(seeds):
        lone = round_of(image[row], seed)
        lone.viewing = "fake"
        torch.testing.assert_close(found[row], seen_by(name)(image[row], lone), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", VIEWS)
def test_r1_is_of_the_image_before_the_view(name: str) -> None:
    """Its gradient, against finite differences of D(view(x)) in x with the draws held."""
    image = images()
    round = round_of(image, view=seen_by(name))
    penalty = float(PENALTIES["r1"]()(round).detach())
    gradient = round.input_gradient("real").detach()

    def score(x: Tensor) -> Tensor:
        fresh = round_of(x, view=seen_by(name))
        return fresh.judge("real").scores.sum()

    direction, step = Streams(1, dtype=torch.float64).normal("direction", *image.shape), 1e-6
    slope = float((score(image + step * direction) - score(image - step * direction)).detach()) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-6)
    assert penalty == pytest.approx(float(gradient.square().flatten(1).sum(1).mean()), rel=1e-9)


class Noting(View):
    """The identity; it writes down who is seen."""

    name = "noting"

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        NOTED.append((round.viewing, image))
        return image + 1


NOTED: list[tuple[str, Tensor]] = []


def noting(session: Session) -> Session:
    NOTED.clear()
    session.game.views = (Noting(),)
    session.game.states["view 0"] = {}
    return session


def test_everything_that_is_judged_is_seen() -> None:
    """Reals, fakes and interpolates in the discriminator's turns, fakes in the generator's; in one pass on points too."""
    for more, keys in (
        ({}, ["real", "fake"]),
        ({"networks.normalization": {"generator": "none", "discriminator": "none"}}, ["real", "fake"]),
        ({"penalties.discriminator.0": "wgan-gp"}, ["real", "fake", "interpolates"]),
    ):
        play(noting(session_of(recipe_with(None, {"schedule.discriminator_steps": 2, **more}))), 1)
        assert [key for key, _ in NOTED] == [*keys, *keys, "fake"]
        assert NOTED[-1][1].requires_grad, "the generator's gradient comes through it"


def test_sdp_seeks_neighbours_before_the_view() -> None:
    """A view that moves all images alike would leave neighbours as they are; one that shuffles them would not."""
    image = images()
    penalty: Any = PENALTIES["sdp"](k=3, terms="score", weight=1)

    def shuffled(image: Tensor, round: Round) -> Tensor:
        return image.roll(1, 0) if round.viewing == "real" else image

    plain, moved = round_of(image), round_of(image, view=shuffled)
    pairs = [penalty._pairs(round, round.judge("fake").scores) for round in (plain, moved)]
    assert torch.equal(pairs[0].reals, pairs[1].reals)
    assert torch.equal(moved.everyones_images("real"), image)


@pytest.mark.parametrize("name", VIEWS)
def test_it_changes_the_game_and_doing_nothing_does_not(name: str) -> None:
    plain = recipe_with(("views", name)) | {"views": []}
    base, same, other = session_of(plain), game(name, NOTHING[name]), game(name)
    for session in (base, same, other):
        play(session, 3)

    def networks(session: Session) -> dict[str, Tensor]:
        return {key: tensor for key, tensor in kept(session).items() if not key.startswith("training/state/view")}

    assert differing(networks(base), networks(same)) == []
    assert differing(networks(base), networks(other))


@pytest.mark.parametrize("name", VIEWS)
def test_samples_and_measures_see_clean_images(name: str) -> None:
    """Only passes of the discriminator in a turn are seen: what is generated, and what an evaluation judges, is not."""
    session = noting(game(name))
    latents = session.streams.apart("test").normal("z", 4, session.recipe.networks.latent)
    generated = session.game.generate(latents)
    session.game.judge(Example(generated), False)
    assert NOTED == []
    seen = session.game.scores_apart(Example(generated), session.streams.apart("log"))
    torch.testing.assert_close(seen, session.game.judge(Example(generated + 1), False).scores)


@pytest.mark.parametrize("name", ["ada-lite", "adaptive-instance-noise"])
def test_p_is_observed_once_a_turn_of_the_discriminator_and_kept(name: str) -> None:
    session = play(game(name, {"every": 2, "images": 1000, "target": -1}, {"schedule.discriminator_steps": 3}), 3)
    assert float(session.game.states["view 0"]["turns"]) == 1
    assert float(session.game.states["view 0"]["p"]) == pytest.approx(4 * 2 * 5 / 1000)
    resumed = game(name, {"every": 2, "images": 1000, "target": -1}, {"schedule.discriminator_steps": 3})
    resumed.restore(session.snapshot().clone())
    play(session, 2)
    play(resumed, 2)
    assert differing(kept(session), kept(resumed)) == []
    records = session.trainer.update(watched=True)
    assert float(records[f"discriminator/{name}/p"]) == pytest.approx(8 * 2 * 5 / 1000), "of the eighteenth turn"


# Instance noise


@pytest.mark.parametrize(("sigma", "divergence"), [(0.1, 0.693), (0.5, 0.337), (1.0, 0.111), (2.0, 0.030)])
def test_two_points_at_distance_one_are_told_apart_as_noise_lets_them(sigma: float, divergence: float) -> None:
    """The best accuracy is Phi(1 / (2 sigma)), the Jensen-Shannon divergence as the specification has it."""
    n = 200_000
    points = torch.zeros(n, 1, dtype=torch.float64)
    view, rounds = VIEWS["instance-noise"](sigma=sigma), [round_of(points, seed) for seed in (1, 2)]
    left, right = (view(points + side, round) for side, round in enumerate(rounds))
    accuracy = ((left < 0.5).double().mean() + (right >= 0.5).double().mean()) / 2
    assert float(accuracy) == pytest.approx((1 + math.erf(1 / (2 * sigma) / math.sqrt(2))) / 2, abs=0.003)
    normals: list[Any] = [torch.distributions.Normal(side, sigma) for side in (0.0, 1.0)]
    total = 0.0
    for samples, own, other in ((left, *normals), (right, *reversed(normals))):
        logits = own.log_prob(samples) - other.log_prob(samples)
        total += float((math.log(2) - torch.nn.functional.softplus(-logits)).mean()) / 2
    assert total == pytest.approx(divergence, abs=0.003)


def test_noise_ends_half_way_unless_told_otherwise() -> None:
    for updates, last in ((100, 50), (1, 1)):
        recipe = recipe_with(("views", "instance-noise"), {"schedule.updates": updates})
        assert recipe["views"][0]["sigma"] == {"name": "linear", "start": 0.1, "end": 0.0, "first": 0, "last": last}
    session = game("instance-noise", {"sigma": {"name": "linear", "start": 0.4, "end": 0.0, "last": 4}}, {"log.every": 1})
    found = [float(session.trainer.update(watched=True)["discriminator/instance-noise/sigma"]) for _ in range(6)]
    assert found == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0, 0.0])
