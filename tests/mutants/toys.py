"""A toy game that trains in a second, three seeds side by side, and what can be read off it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.gaussians import Mixture
from saddlepoint.games.two_players import view_key
from saddlepoint.networks.layers import Weighted
from saddlepoint.penalties.sdp import squared_distances, take
from saddlepoint.recipe import load
from saddlepoint.rounds import Example, Round
from saddlepoint.streams import Streams
from saddlepoint.training.assembly import build_game, build_generator, latents_of
from saddlepoint.training.trainer import Trainer
from saddlepoint.turns.turn import Turn

SEEDS = (0, 1, 2)
HELD_OUT = 256

# Away from the origin, where an untrained generator puts its samples, and near enough to each other for a quick game.
MEANS = torch.tensor([[1.0, -0.7], [1.0, 0.7]], dtype=torch.float64)
TWO_GAUSSIANS = Mixture("two Gaussians", "two Gaussians", MEANS, 0.25)

DISCRIMINATOR = Turn(("discriminator",))
GENERATOR = Turn(("generator",))


class Toy:
    """The game of a recipe on two Gaussians, or on its images, one replica a seed. Read off it is `[3]`, on held-out samples."""

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self.recipe = recipe
        described = load({"data": "8-gaussians", **recipe})
        self.source = TWO_GAUSSIANS if described.data.name == "8-gaussians" else described.data.open()
        streams = Streams(SEEDS)
        generator = build_generator(described, self.source.shape, streams)
        discriminator = described.networks.discriminator(self.source.shape, streams)
        self.game = build_game(described, generator, discriminator, torch.device("cpu"))
        for player in self.game.players.values():
            player.leading = streams.leading
            player.begin()
        self.views = described.views
        self.game.states.update({view_key(number): view.initial_state(streams.leading) for number, view in enumerate(self.views)})
        self.trainer = Trainer(self.game, self.source, streams, batch=described.schedule.batch)
        self._held_out = Streams([1000 + seed for seed in SEEDS])
        self._latents = latents_of(described)

    def reals(self) -> Tensor:
        return self.source.batch(self._held_out, HELD_OUT, "held-out").image

    def latents(self) -> Tensor:
        return self._latents(self._held_out, "held-out latents", HELD_OUT)

    @torch.no_grad()
    def fakes(self) -> Tensor:
        return self.game.generate(self.latents())

    def scores(self, points: Tensor) -> Tensor:
        return self.game.judge(Example(points), False).scores

    def gradient_norm(self, points: Tensor) -> Tensor:
        """The mean norm of the score's gradient at some points."""
        leaves = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.scores(leaves).sum(), leaves)
        norms: Tensor = torch.linalg.vector_norm(gradient, dim=-1)
        return norms.mean(-1)


def energy_distance(toy: Toy) -> Tensor:
    """`2 E|x - y| - E|x - x'| - E|y - y'|` between real and generated samples: 0 if and only if they are distributed alike."""
    reals, fakes = toy.reals(), toy.fakes()
    apart = torch.cdist(reals, fakes).mean((-2, -1))
    within = [torch.cdist(points, points).sum((-2, -1)) / (HELD_OUT * (HELD_OUT - 1)) for points in (reals, fakes)]
    return 2 * apart - within[0] - within[1]


def gradient_between(toy: Toy) -> Tensor:
    """The mean gradient norm of the score half-way between a real and a generated sample."""
    return toy.gradient_norm((toy.reals() + toy.fakes()) / 2)


def gradient_at_reals(toy: Toy) -> Tensor:
    """The mean gradient norm of the score at real samples."""
    return toy.gradient_norm(toy.reals())


def gradient_at_fakes(toy: Toy) -> Tensor:
    """The mean gradient norm of the score at generated samples."""
    return toy.gradient_norm(toy.fakes())


@torch.no_grad()
def difference_by_dropout(toy: Toy) -> Tensor:
    """The mean difference in score between two judgements of the same reals under two masks."""
    example, streams = Example(toy.reals()), Streams(SEEDS)
    first, second = (toy.game.judge(example, False, streams).scores for _ in range(2))
    return (first - second).abs().mean(-1)


@torch.no_grad()
def difference_by_a_step(toy: Toy, points: Tensor) -> Tensor:
    """The mean difference in score between points and points near them."""
    near = points + 0.1 * Streams(SEEDS).normal("step", *points.shape[1:])
    return (toy.scores(points) - toy.scores(near)).abs().mean(-1)


def difference_near_reals(toy: Toy) -> Tensor:
    """The mean difference in score between reals and points near them."""
    return difference_by_a_step(toy, toy.reals())


def difference_near_fakes(toy: Toy) -> Tensor:
    """The mean difference in score between generated samples and points near them."""
    return difference_by_a_step(toy, toy.fakes())


@torch.no_grad()
def variance_of_fakes(toy: Toy) -> Tensor:
    """The variance of generated samples."""
    return toy.fakes().var(-2).sum(-1)


def spread_of_jacobians(toy: Toy) -> Tensor:
    """The standard deviation, over latents, of the Frobenius norm of the generator's Jacobian."""
    latents = toy.latents().requires_grad_()
    made = toy.game.generate(latents)
    rows = [torch.autograd.grad(made[..., k].sum(), latents, retain_graph=True)[0] for k in range(made.shape[-1])]
    norms: Tensor = torch.linalg.matrix_norm(torch.stack(rows, -1))
    return norms.std(-1)


@torch.no_grad()
def gap_of_realistic_fakes(toy: Toy) -> Tensor:
    """The mean difference in score between the 16 best fakes and the reals nearest to them."""
    reals, fakes = toy.reals(), toy.fakes()
    of_reals, of_fakes = toy.scores(reals), toy.scores(fakes)
    realistic = of_fakes.topk(16).indices
    nearest = squared_distances(take(fakes, realistic), reals).argmin(-1)
    return (take(of_fakes, realistic) - take(of_reals, nearest)).abs().mean(-1)


@torch.no_grad()
def gap_of_scores(toy: Toy) -> Tensor:
    """How much higher real samples score than generated ones, in the mean."""
    return toy.scores(toy.reals()).mean(-1) - toy.scores(toy.fakes()).mean(-1)


@torch.no_grad()
def largest_parameter(toy: Toy) -> Tensor:
    """The largest parameter of the discriminator in absolute value."""
    parameters = toy.game.players["discriminator"].parameters.values()
    return torch.stack([parameter.abs().flatten(1).amax(-1) for parameter in parameters]).amax(0)


@torch.no_grad()
def largest_singular_value(toy: Toy) -> Tensor:
    """The largest singular value of a weight that the discriminator uses."""
    layers = [layer for layer in toy.game.discriminator.modules() if isinstance(layer, Weighted)]
    return torch.stack([torch.linalg.matrix_norm(layer.effective_weight(), 2) for layer in layers]).amax(0)


@torch.no_grad()
def score_of_fakes(toy: Toy) -> Tensor:
    """The mean score of generated samples."""
    return toy.scores(toy.fakes()).mean(-1)


@torch.no_grad()
def shown_by_the_view(toy: Toy) -> Tensor:
    """How often a real sample scores higher than another one that was changed as the recipe's view changes: a half where the
    discriminator cannot tell them apart."""
    reals = toy.reals()
    round = Round.of(real=reals, fake=reals, discriminator=lambda x: x, streams=Streams(SEEDS))
    (view,) = toy.views
    state = {name: torch.full_like(tensor, 0.7) for name, tensor in view.initial_state(round.streams.leading).items()}
    plain, changed = toy.scores(reals), toy.scores(view(reals, round, state))
    return (plain[:, :, None] > changed[:, None, :]).double().mean((-2, -1))


@torch.no_grad()
def spread_of_fakes(toy: Toy) -> Tensor:
    """How far the lowest tenth of generated samples scores below their mean."""
    scores = toy.scores(toy.fakes())
    return scores.mean(-1) - scores.quantile(0.1, -1)
