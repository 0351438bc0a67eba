"""The training test of every method: a toy game, what is read off it afterwards, and where that must lie.

A method without an entry in `TRAINING_TESTS` fails the suite. To add one, write its line there.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.penalties.orthogonal import coupling
from saddlepoint.rounds import Learned
from saddlepoint.streams import Streams

from .toys import (
    DISCRIMINATOR,
    GENERATOR,
    HELD_OUT,
    SEEDS,
    Toy,
    difference_by_dropout,
    difference_near_fakes,
    difference_near_reals,
    energy_distance,
    gap_of_realistic_fakes,
    gap_of_scores,
    gradient_at_fakes,
    gradient_at_reals,
    gradient_between,
    largest_parameter,
    largest_singular_value,
    score_of_fakes,
    shown_by_the_view,
    spread_of_fakes,
    spread_of_jacobians,
    variance_of_fakes,
)

Play = Callable[[Toy], None]


def rounds(number: int) -> Play:
    """Both players in turn."""

    def play(toy: Toy) -> None:
        for _ in range(number):
            toy.trainer.update()

    return play


A_HUNDRED_ROUNDS = rounds(100)


def generator_alone(toy: Toy) -> None:
    """First the discriminator learns to tell, then it stands still and the generator climbs."""
    for turn, times in ((DISCRIMINATOR, 30), (GENERATOR, 10)):
        for _ in range(times):
            toy.trainer.step(turn)


def discriminator_alone(toy: Toy) -> None:
    """The discriminator learns to tell the samples of a generator that stands still."""
    for _ in range(20):
        toy.trainer.step(DISCRIMINATOR)


def gain_over_plain_mean(toy: Toy) -> Tensor:
    """How much higher the fakes score than those of the same game without weights: to the bit 0 when the weights are ones."""
    plain = Toy({name: section for name, section in toy.recipe.items() if name != "weightings"})
    generator_alone(plain)
    return score_of_fakes(toy) - score_of_fakes(plain)


def score_of_reals(toy: Toy) -> Tensor:
    """The mean score of held-out real samples."""
    return toy.scores(toy.reals()).detach().mean(-1)


def alignment_of_rows(toy: Toy) -> Tensor:
    """The root of the mean squared cosine between two rows of a weight of the discriminator, in the mean over its layers."""
    found = []
    for rows in Learned.by(toy.game.discriminator).matrices().values():
        unit = rows.detach() / torch.linalg.vector_norm(rows.detach(), dim=-1, keepdim=True)
        count = rows.shape[-2]
        if 1 < count <= rows.shape[-1]:  # more rows than columns cannot all be orthogonal
            found.append(coupling(unit).div(count * (count - 1)).sqrt())
    return torch.stack(found).mean(0)


def movement_of_samples(toy: Toy) -> Tensor:
    """How far the same latents' samples move in five more rounds, in the mean."""
    latents = Streams(SEEDS).normal("latents", HELD_OUT, 2)
    before = toy.game.generate(latents).detach()
    rounds(5)(toy)
    moved: Tensor = torch.linalg.vector_norm(toy.game.generate(latents).detach() - before, dim=-1)
    return moved.mean(-1)


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
    play: Play = A_HUNDRED_ROUNDS


def adam(lr: float) -> dict[str, Any]:
    return {"name": "adam", "lr": lr, "betas": [0.0, 0.9]}


def mlp(**fields: Any) -> dict[str, Any]:
    return {"family": "mlp", "latent": 2, "width": 32, "depth": 2, **fields}


def toy(**sections: Any) -> dict[str, Any]:
    """A recipe of the toy's sizes; its discriminator is four times as fast as its generator unless told otherwise."""
    return {
        "networks": mlp(),
        "optimizers": {"generator": adam(2e-3), "discriminator": adam(8e-3)},
        "average": {"decay": 0},
        "schedule": {"updates": 1000, "batch": 64},
        **sections,
    }


GENTLE = {"discriminator": [{"name": "r1", "weight": 0.1}]}
CLIPPED = {"discriminator": [{"name": "weight-clipping", "bound": 0.2}]}


def samples_are_right(updates: int = 100, **sections: Any) -> TrainingTest:
    """The energy distance is about 1.5 before training, and 0.4 when only one of the two Gaussians is found."""
    return TrainingTest(toy(**sections), energy_distance, most=0.25, play=rounds(updates))


def critic_with(
    penalty: Mapping[str, Any], look: Callable[[Toy], Tensor], least: float, most: float, **sections: Any
) -> TrainingTest:
    """A critic that nothing but the penalty holds."""
    return TrainingTest(toy(objective="wasserstein", penalties={"discriminator": [penalty]}, **sections), look, least, most)


SLOW_GENERATOR = {"generator": adam(5e-4), "discriminator": adam(8e-3)}
DESCENDING_GENERATOR = {"generator": {"name": "sgd", "lr": 0.05}, "discriminator": adam(8e-3)}


def generator_with(penalty: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """A generator that has a penalty, against a discriminator of its own kind."""
    return toy(objective="vanilla", penalties={**GENTLE, "generator": [penalty]}, **sections)


def sdp() -> TrainingTest:
    """A slow generator leaves a gap to close. The features are `unit`: negated, the printed form kills them and every score."""
    penalty = {"name": "sdp", "weight": 10, "k": 16, "normalization": "unit"}
    optimizers = {"generator": adam(2e-4), "discriminator": adam(4e-3)}
    recipe = toy(objective="hinge", penalties={"both": [penalty]}, optimizers=optimizers)
    return TrainingTest(recipe, gap_of_realistic_fakes, most=0.09, play=rounds(60))


def weighted_by(**weighting: Any) -> TrainingTest:
    recipe = toy(
        objective={"name": "vanilla", "saturating": True},
        penalties=GENTLE,
        weightings={"generator": weighting},
        optimizers={"generator": {"name": "sgd", "lr": 0.01}, "discriminator": adam(8e-3)},
    )
    return TrainingTest(recipe, gain_over_plain_mean, least=0.002, play=generator_alone)


def combined_by(combiner: Mapping[str, Any]) -> TrainingTest:
    """Scores are wanted 0.2 apart, so gradients are small and plain descent is slow; unit gradients get there at once."""
    optimizers = {"generator": adam(2e-3), "discriminator": {"name": "sgd", "lr": 0.05}}
    objective = {"name": "lsgan", "fake": -0.1, "real": 0.1, "target": 0.1}
    recipe = toy(objective=objective, optimizers=optimizers, gradients={"combine": {"discriminator": combiner}})
    return TrainingTest(recipe, gap_of_scores, least=0.11, most=0.2, play=discriminator_alone)


DIGITS = {"name": "digits", "resolution": 8}
POINTS = {"name": "8-gaussians"}
# A strength that rises to its largest within twenty turns.
AT_ONCE: dict[str, Any] = {"every": 1, "images": 1000, "target": -0.9}


def seen_through(look: Callable[[Toy], Tensor], most: float, data: Mapping[str, Any], **view: Any) -> TrainingTest:
    return TrainingTest(toy(views=[view], penalties=GENTLE, data=data), look, most=most, play=rounds(60))


def balanced_errors() -> TrainingTest:
    """k moves fast, since there is little time. The samples come near; they do not cover, at a diversity ratio of 0.5."""
    optimizers = {"generator": adam(2e-3), "discriminator": adam(4e-3)}
    recipe = toy(objective={"name": "began", "lambda_k": 0.02}, networks=mlp(family="mlp-autoencoder"), optimizers=optimizers)
    return TrainingTest(recipe, energy_distance, most=0.8, play=rounds(200))


def symbols_are_right(objective: str) -> TrainingTest:
    """Four symbols of unequal probability: a generator that learned nothing gives them equal ones, 0.6 away or more."""
    data = {"name": "symbols", "probabilities": [0.05, 0.05, 0.1, 0.8]}
    optimizers = {"generator": adam(5e-3), "discriminator": adam(8e-3)}
    recipe = toy(data=data, objective=objective, penalties=GENTLE, optimizers=optimizers)
    return TrainingTest(recipe, energy_distance, most=0.1)


def ruled_by(rule: Mapping[str, Any]) -> TrainingTest:
    """With a rate that halves every other update the samples soon stand still."""
    recipe = toy(objective="vanilla", penalties=GENTLE, rates=rule, seeds=list(SEEDS))
    return TrainingTest(recipe, movement_of_samples, most=0.01)


def optimized_by(generator: Mapping[str, Any], discriminator: Mapping[str, Any], updates: int = 100) -> TrainingTest:
    optimizers = {"generator": generator, "discriminator": discriminator}
    return samples_are_right(objective="vanilla", penalties=GENTLE, optimizers=optimizers, updates=updates)


def normalized_by(generator: str, discriminator: str, depth: int = 2) -> dict[str, Any]:
    """Deep networks of this kind do not train without normalisation: each layer shrinks its signal to half."""
    return mlp(depth=depth, normalization={"generator": generator, "discriminator": discriminator})


TRAINING_TESTS: dict[tuple[str, str], TrainingTest] = {
    ("objectives", "vanilla"): samples_are_right(objective="vanilla", penalties=GENTLE),
    ("objectives", "lsgan"): samples_are_right(objective="lsgan", penalties=GENTLE),
    ("objectives", "hinge"): samples_are_right(objective="hinge", penalties=GENTLE),
    ("objectives", "wasserstein"): samples_are_right(objective="wasserstein", projections=CLIPPED, updates=150),
    ("objectives", "softmax"): samples_are_right(objective="softmax", penalties=GENTLE),
    ("objectives", "one-sided-label-smoothing"): samples_are_right(objective="one-sided-label-smoothing", penalties=GENTLE),
    ("objectives", "f-gan"): samples_are_right(objective="f-gan", penalties=GENTLE),
    ("objectives", "relativistic"): samples_are_right(objective="relativistic", penalties=GENTLE),
    ("objectives", "relativistic-average"): samples_are_right(objective="relativistic-average", penalties=GENTLE),
    ("objectives", "pu-gan"): samples_are_right(objective="pu-gan", penalties=GENTLE),
    ("objectives", "bgan"): samples_are_right(objective="bgan", penalties=GENTLE),
    ("penalties", "gradient"): critic_with({"name": "gradient", "centre": 2.0}, gradient_between, 1.4, 2.6),
    ("penalties", "wgan-gp"): critic_with({"name": "wgan-gp"}, gradient_between, 0.4, 1.6),
    ("penalties", "r1"): critic_with({"name": "r1", "weight": 1}, gradient_at_reals, 0.0, 0.5),
    ("penalties", "r2"): critic_with({"name": "r2", "weight": 1}, gradient_at_fakes, 0.0, 0.5),
    ("penalties", "0-gp"): critic_with({"name": "0-gp", "weight": 1}, gradient_between, 0.0, 0.6),
    ("penalties", "dragan"): critic_with({"name": "dragan"}, gradient_at_reals, 0.4, 1.6),
    ("penalties", "sdp"): sdp(),
    ("penalties", "cr"): critic_with({"name": "cr", "weight": 10}, difference_near_reals, 0.0, 0.2),
    ("penalties", "bcr"): critic_with({"name": "bcr", "weight": 10}, difference_near_fakes, 0.0, 0.2),
    ("penalties", "zcr"): critic_with(
        {"name": "zcr", "weight": 10, "sigma": 0.3}, difference_near_fakes, 0.0, 2.0, optimizers=SLOW_GENERATOR
    ),
    ("penalties", "zcr-generator"): TrainingTest(
        generator_with({"name": "zcr-generator", "weight": 10, "sigma": 0.3}), variance_of_fakes, least=10.0
    ),
    # By plain descent, and beside so little of the objective that it alone moves nothing.
    ("penalties", "feature-matching"): TrainingTest(
        generator_with({"name": "feature-matching"}, objective_weights={"generator": 1e-4}, optimizers=DESCENDING_GENERATOR),
        energy_distance,
        most=0.25,
    ),
    ("penalties", "path-length"): TrainingTest(
        generator_with({"name": "path-length", "weight": 1}), spread_of_jacobians, most=0.15
    ),
    ("penalties", "ct"): critic_with({"name": "ct"}, difference_by_dropout, 0.0, 1.0, networks=mlp(dropout=0.2)),
    ("penalties", "lecam"): critic_with({"name": "lecam", "weight": 0.3, "start": 0}, gap_of_scores, -0.5, 1.5),
    ("penalties", "historical-averaging"): critic_with({"name": "historical-averaging", "weight": 10}, gap_of_scores, -0.5, 1.0),
    ("penalties", "orthogonal"): critic_with({"name": "orthogonal", "weight": 1}, alignment_of_rows, 0.0, 0.1),
    ("penalties", "drift"): critic_with({"name": "drift", "weight": 1}, score_of_reals, -0.5, 1.0),
    ("weightings", "wegan"): weighted_by(name="wegan", eta=1e-4),
    ("weightings", "importance"): weighted_by(name="importance", temperature=0.3),
    ("weightings", "top-k"): weighted_by(name="top-k", gamma=0.7, nu=0.5, period=1),
    ("relabellings", "fake-can-be-real"): TrainingTest(
        toy(penalties=GENTLE, relabelling={"name": "fake-can-be-real", "share": 0.25}),
        spread_of_fakes,
        most=0.17,
        play=discriminator_alone,
    ),
    ("views", "diffaugment"): seen_through(shown_by_the_view, 0.63, DIGITS, name="diffaugment"),
    ("views", "ada-lite"): seen_through(gap_of_scores, 1.0, DIGITS, name="ada-lite", **AT_ONCE),
    ("views", "instance-noise"): seen_through(shown_by_the_view, 0.46, POINTS, name="instance-noise", sigma=1.0),
    ("views", "adaptive-instance-noise"): seen_through(
        shown_by_the_view, 0.45, POINTS, name="adaptive-instance-noise", sigma=1.5, **AT_ONCE
    ),
    ("projections", "weight-clipping"): TrainingTest(
        toy(objective="wasserstein", projections=CLIPPED), largest_parameter, least=0.19, most=0.2 + 1e-6
    ),
    ("objectives", "began"): balanced_errors(),
    ("objectives", "maligan"): symbols_are_right("maligan"),
    ("objectives", "bgan-discrete"): symbols_are_right("bgan-discrete"),
    ("rates", "plateau"): ruled_by({"name": "plateau", "window": 2, "least_fall": 100}),
    ("combiners", "aw-gan"): combined_by({"name": "aw-gan"}),
    ("optimizers", "adam"): optimized_by(adam(2e-3), adam(8e-3)),
    ("optimizers", "rmsprop"): optimized_by(
        {"name": "rmsprop", "lr": 2e-3, "alpha": 0.9}, {"name": "rmsprop", "lr": 8e-3, "alpha": 0.9}
    ),
    ("optimizers", "sgd"): optimized_by({"name": "sgd", "lr": 0.2}, {"name": "sgd", "lr": 0.4}, updates=150),
    ("optimizers", "optimistic-mirror-descent"): optimized_by(
        {"name": "optimistic-mirror-descent", "lr": 0.2}, {"name": "optimistic-mirror-descent", "lr": 0.4}, updates=150
    ),
    ("optimizers", "optimistic-adam"): optimized_by(
        {"name": "optimistic-adam", "lr": 2e-3}, {"name": "optimistic-adam", "lr": 8e-3}
    ),
    ("normalizations", "batch"): samples_are_right(
        objective="vanilla", penalties=GENTLE, networks=normalized_by("batch", "none", depth=8), updates=80
    ),
    ("normalizations", "layer"): samples_are_right(
        objective="hinge", networks=normalized_by("layer", "layer", depth=6), updates=120
    ),
    ("normalizations", "weight"): samples_are_right(
        objective="hinge", networks=normalized_by("weight", "weight", depth=6), updates=120
    ),
    ("normalizations", "weight-affine"): samples_are_right(
        objective="hinge", networks=normalized_by("weight-affine", "weight-affine", depth=6), updates=120
    ),
    ("normalizations", "virtual-batch"): samples_are_right(
        objective="vanilla", penalties=GENTLE, networks=normalized_by("virtual-batch", "none", depth=8), updates=80
    ),
    ("normalizations", "pixel"): samples_are_right(
        objective="vanilla", penalties=GENTLE, networks=normalized_by("pixel", "none", depth=10), updates=180
    ),
    ("normalizations", "equalized"): samples_are_right(
        objective="hinge", networks=normalized_by("equalized", "equalized", depth=4), updates=120
    ),
    ("normalizations", "spectral"): TrainingTest(
        toy(objective="wasserstein", networks=normalized_by("none", "spectral")), largest_singular_value, least=0.9, most=1.1
    ),
}
"""By room and name."""
