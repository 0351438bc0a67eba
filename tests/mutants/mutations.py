"""How the methods of a room are switched off and flipped in a game that is ready to play. No method is named here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from saddlepoint.combiners.combiner import Combiner, Products
from saddlepoint.games.players import Player
from saddlepoint.networks.batch_normalization import BatchNorm
from saddlepoint.networks.layer_normalization import LayerNorm
from saddlepoint.networks.layers import Weighted
from saddlepoint.networks.normalization import Scaling
from saddlepoint.networks.pixel_normalization import PixelNorm
from saddlepoint.networks.spectral_normalization import SpectralNorm
from saddlepoint.networks.virtual_batch_normalization import VirtualBatchNorm
from saddlepoint.optimizers.optimizer import Projection
from saddlepoint.optimizers.rate_rule import RateRule
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import EMPTY, Clock, Mover, Round, Scores, Sides, State
from saddlepoint.schedules import Schedule
from saddlepoint.views.view import View
from saddlepoint.weightings.relabelling import Relabelling
from saddlepoint.weightings.weighting import Weighting

from .toys import Toy

Mutation = Callable[[Toy], None]


@dataclass(frozen=True)
class Mutants:
    """What the machine does to one room; a room where each player carries the method has mutants of each player alone."""

    off: Mapping[str, Mutation]
    flipped: Mapping[str, Mutation]


def _times(player: Mover, factor: float) -> Mutation:
    def mutate(toy: Toy) -> None:
        mutated = toy.game.players[player]
        plain = mutated.loss

        def loss(scores: Scores, state: State) -> Sides:
            real, fake = plain(scores, state)
            return Sides(None if real is None else factor * real, None if fake is None else factor * fake)

        mutated.loss = loss

    return mutate


def _weighted_by(factor: float) -> Mutation:
    def mutate(toy: Toy) -> None:
        for player in toy.game.players.values():
            player.penalties = [_reweighted(penalty, factor) for penalty in player.penalties]

    return mutate


def _reweighted(penalty: Penalty, factor: float) -> Penalty:
    plain: Schedule = penalty.weight
    return penalty.model_copy(update={"weight": lambda update: factor * plain(update)})


class Uniform(Weighting):
    """Ones."""

    name: ClassVar[str] = "uniform"
    needs_probability: ClassVar[bool] = False

    plain: Weighting

    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        return torch.ones_like(self.plain(scores, state))

    def scheduled(self, clock: Clock) -> State:
        return self.plain.scheduled(clock)


class Reciprocal(Weighting):
    """One over the weights, of mean 1: who weighed most weighs least."""

    name: ClassVar[str] = "reciprocal"
    needs_probability: ClassVar[bool] = False

    plain: Weighting

    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        reciprocal = 1 / self.plain(scores, state).clamp_min(1e-6)
        return reciprocal / reciprocal.mean(-1, keepdim=True)

    def scheduled(self, clock: Clock) -> State:
        return self.plain.scheduled(clock)


def _weighted_with(mutant: type[Weighting]) -> Mutation:
    def mutate(toy: Toy) -> None:
        for player in toy.game.players.values():
            player.weightings = {side: mutant(plain=plain) for side, plain in player.weightings.items()}

    return mutate


class OfFakesAlone(View):
    """Reals as they are, fakes as the view shows them: now the discriminator may tell them by the view."""

    name: ClassVar[str] = "of fakes alone"

    plain: View

    def __call__(self, image: Tensor, round: Round, state: State = EMPTY) -> Tensor:
        seen = self.plain(image, round, state)
        return image if round.viewing == "real" else seen

    def observe(self, round: Round, state: State) -> State:
        return self.plain.observe(round, state)


class Opposite(Relabelling):
    """The fakes of highest score are moved in place of those of lowest."""

    name: ClassVar[str] = "opposite"

    plain: Relabelling

    def __call__(self, scores: Tensor, count: Tensor) -> Tensor:
        return self.plain(-scores, count)


def _without_relabelling(toy: Toy) -> None:
    toy.game.players["discriminator"].relabelling = None


def _relabelled_at_the_other_end(toy: Toy) -> None:
    plain = toy.game.players["discriminator"].relabelling
    assert plain is not None
    toy.game.players["discriminator"].relabelling = Opposite(share=plain.share, plain=plain)


def _without_views(toy: Toy) -> None:
    toy.game.views = ()


def _seen_by_fakes_alone(toy: Toy) -> None:
    toy.game.views = tuple(OfFakesAlone(plain=view) for view in toy.game.views)


class Outward(Projection):
    """As far away from the projection as it was near: `w + (w - projection(w))`."""

    name: ClassVar[str] = "outward"

    plain: Projection

    @torch.no_grad()
    def __call__(self, parameters: Mapping[str, Tensor]) -> None:
        before = {name: parameter.clone() for name, parameter in parameters.items()}
        self.plain(parameters)
        for name, parameter in parameters.items():
            parameter.copy_(2 * before[name] - parameter)


def _without_projections(toy: Toy) -> None:
    for player in toy.game.players.values():
        player.shares = [replace(share, projections=()) for share in player.shares]


def _projected_outward(toy: Toy) -> None:
    for player in toy.game.players.values():
        player.shares = [
            replace(share, projections=[Outward(plain=plain) for plain in share.projections]) for share in player.shares
        ]


def _at_rate_times(player: Mover, factor: float) -> Mutation:
    def mutate(toy: Toy) -> None:
        mutated: Player = toy.game.players[player]
        (share,) = mutated.shares
        mutated.shares = [replace(share, learning_rate=lambda update: factor * share.learning_rate(update))]

    return mutate


class Against(Combiner):
    """Up the losses where the combiner goes down."""

    name: ClassVar[str] = "against"

    plain: Combiner

    def look(self, scores: Scores) -> Mapping[str, Tensor]:
        return self.plain.look(scores)

    def __call__(self, products: Products, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        real, fake = self.plain(products, seen)
        return -real, -fake


def _summed(toy: Toy) -> None:
    for player in toy.game.players.values():
        player.apart = None


def _combined_against(toy: Toy) -> None:
    for player in toy.game.players.values():
        if player.apart is not None:
            player.apart.combiner = Against(plain=player.apart.combiner)


class Upward(RateRule):
    """One over the factor: rates rise where they would fall."""

    name: ClassVar[str] = "upward"

    plain: RateRule

    def initial_state(self, leading: Sequence[int]) -> State:
        return self.plain.initial_state(leading)

    def observe(self, value: Tensor, state: State) -> State:
        found = self.plain.observe(value, {**state, "factor": 1 / state["factor"]})
        return {**found, "factor": 1 / found["factor"]}


def _unruled(toy: Toy) -> None:
    toy.game.rates = None


def _ruled_upward(toy: Toy) -> None:
    if toy.game.rates is not None:
        toy.game.rates = Upward(plain=toy.game.rates, quantity=toy.game.rates.quantity)


Between = BatchNorm | LayerNorm | VirtualBatchNorm | PixelNorm


class Unnormalized(nn.Module):
    """The gain and the offset of a normalisation, where it has them, without it."""

    def __init__(self, plain: Between) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.plain, PixelNorm):
            return x
        return x * self.plain.weight.unsqueeze(-2) + self.plain.bias.unsqueeze(-2)


class Spread(nn.Module):
    """Multiplied by the spread of what comes in, where the normalisation divides by it."""

    def __init__(self, plain: Between) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.plain(x)
        return normal * x.var((-2, -1), keepdim=True)


class InverseSpectralNorm(nn.Module):
    """One over the spectral norm, so that the weight is multiplied by it."""

    def __init__(self, plain: SpectralNorm) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, matrix: Tensor) -> Tensor:
        sigma: Tensor = self.plain(matrix)
        return sigma.reciprocal()

    def iterate(self, matrix: Tensor) -> None:
        self.plain.iterate(matrix)


class Unscaled(Scaling):
    """The weight as it is; what the scaling learns is reached, and learns nothing."""

    def __init__(self, plain: Scaling) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, weight: Tensor) -> Tensor:
        scaled: Tensor = self.plain(weight)
        return weight + 0 * scaled


class InverseScaling(Scaling):
    """Multiplied by what the weight is divided by."""

    def __init__(self, plain: Scaling) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, weight: Tensor) -> Tensor:
        scaled: Tensor = self.plain(weight)
        return weight * (weight / scaled)


def _normalized_by(
    between: Callable[[Between], nn.Module],
    spectral: Callable[[SpectralNorm], nn.Module | None],
    scaling: Callable[[Scaling], nn.Module],
) -> Mutation:
    def mutate(toy: Toy) -> None:
        for network in (toy.game.generator, toy.game.discriminator):
            for parent in list(network.modules()):
                if isinstance(parent, Weighted) and parent.spectral is not None:
                    parent.register_module("spectral", spectral(parent.spectral))
                if isinstance(parent, Weighted) and parent.scaling is not None:
                    parent.register_module("scaling", scaling(parent.scaling))
                for name, layer in list(parent.named_children()):
                    if isinstance(layer, Between):
                        parent.register_module(name, between(layer))

    return mutate


def _each(of: Callable[[Mover, float], Mutation], factor: float) -> dict[str, Mutation]:
    return {"G": of("generator", factor), "D": of("discriminator", factor)}


MUTANTS: dict[str, Mutants] = {
    "objectives": Mutants(off=_each(_times, 0.0), flipped=_each(_times, -1.0)),
    "penalties": Mutants(off={"": _weighted_by(0.0)}, flipped={"": _weighted_by(-1.0)}),
    "weightings": Mutants(off={"": _weighted_with(Uniform)}, flipped={"": _weighted_with(Reciprocal)}),
    "relabellings": Mutants(off={"": _without_relabelling}, flipped={"": _relabelled_at_the_other_end}),
    "views": Mutants(off={"": _without_views}, flipped={"": _seen_by_fakes_alone}),
    "projections": Mutants(off={"": _without_projections}, flipped={"": _projected_outward}),
    "combiners": Mutants(off={"": _summed}, flipped={"": _combined_against}),
    "rates": Mutants(off={"": _unruled}, flipped={"": _ruled_upward}),
    "optimizers": Mutants(off=_each(_at_rate_times, 0.0), flipped=_each(_at_rate_times, -1.0)),
    "normalizations": Mutants(
        off={"": _normalized_by(Unnormalized, lambda plain: None, Unscaled)},
        flipped={"": _normalized_by(Spread, InverseSpectralNorm, InverseScaling)},
    ),
}
"""What the machine does to the methods of each room."""
