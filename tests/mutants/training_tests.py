"""The training test of every method: a toy game, what is read off it afterwards, and where that must lie.

A method without an entry in `TRAINING_TESTS` fails the suite. To add one, write its line there.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .toys import (
    DISCRIMINATOR,
    GENERATOR,
    Toy,
    energy_distance,
    gap_of_realistic_fakes,
    gradient_at_fakes,
    gradient_at_reals,
    gradient_between,
    largest_parameter,
    largest_singular_value,
    score_of_fakes,
)

Play = Callable[[Toy], None]


def rounds(number: int) -> Play:
    """Both players in turn."""

    def play(toy: Toy) -> None:
        for _ in range(number):
            toy.trainer.update()

    return play


def generator_alone(toy: Toy) -> None:
    """First the discriminator learns to tell, then it stands still and the generator climbs."""
    for turn, times in ((DISCRIMINATOR, 60), (GENERATOR, 40)):
        for _ in range(times):
            toy.trainer.step(turn)


def gain_over_plain_mean(toy: Toy) -> Tensor:
    """How much higher the fakes score than those of the same game without weights."""
    plain = Toy({name: section for name, section in toy.recipe.items() if name != "weightings"})
    generator_alone(plain)
    return score_of_fakes(toy) - score_of_fakes(plain)


@dataclass(frozen=True)
class TrainingTest:
    """Green when what is looked at lies between `least` and `most`.

    Args:
        recipe: of the toy; its data are always the two Gaussians.
        look: reads a number a seed off the trained toy, from held-out samples or from the critic, never from a loss.
        play: how it is trained.
    """

    recipe: Mapping[str, Any]
    look: Callable[[Toy], Tensor]
    least: float = -math.inf
    most: float = math.inf
    play: Play = rounds(150)


def toy(optimizer: Mapping[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """A recipe with the toy's sizes, and fast Adam with a faster discriminator unless `optimizer` says otherwise."""
    adam = {"name": "adam", "betas": [0.0, 0.9]}
    return {
        "networks": {"family": "mlp", "latent": 2, "width": 32, "depth": 2},
        "optimizers": optimizer or {"generator": adam | {"lr": 2e-3}, "discriminator": adam | {"lr": 8e-3}},
        "average": {"decay": 0},
        "schedule": {"updates": 1000, "batch": 64},
        **sections,
    }


def mlp(**fields: Any) -> dict[str, Any]:
    return {"family": "mlp", "latent": 2, "width": 32, "depth": 2, **fields}


GENTLE = {"discriminator": [{"name": "r1", "weight": 0.1}]}
CLIPPED = {"discriminator": [{"name": "weight-clipping", "bound": 0.2}]}
LIPSCHITZ = {"discriminator": [{"name": "wgan-gp", "weight": 1}]}


def samples_are_right(most: float = 0.25, **sections: Any) -> TrainingTest:
    return TrainingTest(toy(**sections), energy_distance, most=most)


def critic_with(penalty: Mapping[str, Any], look: Callable[[Toy], Tensor], least: float, most: float) -> TrainingTest:
    return TrainingTest(
        toy(objective="wasserstein", penalties={"discriminator": [penalty]}), look, least=least, most=most, play=rounds(100)
    )


def weighted_by(weighting: Mapping[str, Any]) -> TrainingTest:
    recipe = toy(
        {"generator": {"name": "sgd", "lr": 0.3}, "discriminator": {"name": "adam", "lr": 8e-3}},
        objective={"name": "vanilla", "saturating": True},
        weightings={"generator": weighting},
    )
    return TrainingTest(recipe, gain_over_plain_mean, least=0.02, play=generator_alone)


def optimized_by(generator: Mapping[str, Any], discriminator: Mapping[str, Any]) -> TrainingTest:
    return samples_are_right(
        optimizer={"generator": generator, "discriminator": discriminator}, objective="vanilla", penalties=GENTLE
    )


TRAINING_TESTS: dict[tuple[str, str], TrainingTest] = {
    ("objectives", "vanilla"): samples_are_right(objective="vanilla", penalties=GENTLE),
    ("objectives", "lsgan"): samples_are_right(objective="lsgan", penalties=GENTLE),
    ("objectives", "hinge"): samples_are_right(objective="hinge", penalties=GENTLE),
    ("objectives", "wasserstein"): samples_are_right(objective="wasserstein", projections=CLIPPED),
    ("penalties", "gradient"): critic_with({"name": "gradient", "centre": 2.0}, gradient_between, 1.4, 2.6),
    ("penalties", "wgan-gp"): critic_with({"name": "wgan-gp"}, gradient_between, 0.7, 1.3),
    ("penalties", "r1"): critic_with({"name": "r1", "weight": 1}, gradient_at_reals, 0.0, 0.7),
    ("penalties", "r2"): critic_with({"name": "r2", "weight": 1}, gradient_at_fakes, 0.0, 0.7),
    ("penalties", "sdp"): TrainingTest(
        toy(objective="hinge", penalties={"both": [{"name": "sdp", "weight": 1}]}), gap_of_realistic_fakes, most=0.2
    ),
    ("weightings", "wegan"): weighted_by({"name": "wegan"}),
    ("weightings", "importance"): weighted_by({"name": "importance"}),
    ("projections", "weight-clipping"): TrainingTest(
        toy(objective="wasserstein", projections=CLIPPED), largest_parameter, least=0.19, most=0.2 + 1e-6, play=rounds(50)
    ),
    ("optimizers", "adam"): optimized_by(
        {"name": "adam", "lr": 2e-3, "betas": [0.0, 0.9]}, {"name": "adam", "lr": 8e-3, "betas": [0.0, 0.9]}
    ),
    ("optimizers", "rmsprop"): optimized_by(
        {"name": "rmsprop", "lr": 2e-3, "alpha": 0.9}, {"name": "rmsprop", "lr": 8e-3, "alpha": 0.9}
    ),
    ("optimizers", "sgd"): optimized_by({"name": "sgd", "lr": 0.2}, {"name": "sgd", "lr": 0.4}),
    ("normalizations", "batch"): samples_are_right(
        objective="vanilla", penalties=GENTLE, networks=mlp(depth=8, normalization={"generator": "batch", "discriminator": "none"})
    ),
    ("normalizations", "layer"): samples_are_right(
        objective="vanilla", penalties=GENTLE, networks=mlp(depth=8, normalization={"generator": "layer", "discriminator": "none"})
    ),
    ("normalizations", "spectral"): TrainingTest(
        toy(objective="wasserstein", networks=mlp(normalization={"generator": "none", "discriminator": "spectral"})),
        largest_singular_value,
        least=0.9,
        most=1.1,
        play=rounds(100),
    ),
}
"""By room and name."""
