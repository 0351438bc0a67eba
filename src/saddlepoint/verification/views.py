"""Probes of views: shape, gradients to the pixels, the same draws again, replicas apart."""

from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.rounds import Round
from saddlepoint.streams import Streams
from saddlepoint.verification.probe import Numbers, Probe, Slip
from saddlepoint.views.view import View

Ask = Callable[[Tensor, Round], Tensor]
SHAPE = (4, 3, 8, 8)
SEEDS = (3, 11)
# Of what is led by a state: how strongly it acts.
STRENGTH = 0.7


def ask_record(view: View) -> Ask:
    """One of ours, in a state in which it acts."""

    def ask(image: Tensor, round: Round) -> Tensor:
        state = view.initial_state(round.streams.leading)
        return view(image, round, {name: torch.full_like(tensor, STRENGTH) for name, tensor in state.items()})

    return ask


def _images(*leading: int) -> Tensor:
    return Streams(0, dtype=torch.float64).normal("verification images", *leading, *SHAPE)


def _seen(ask: Ask, image: Tensor, seeds: int | tuple[int, ...]) -> Tensor:
    round = Round.of(real=image, fake=image, discriminator=lambda x: x, streams=Streams(seeds, dtype=torch.float64))
    round.viewing = "real"
    return ask(image, round)


def view_probes(ask: Ask) -> list[Probe]:
    """All probes of a view."""

    def shape() -> Numbers:
        seen = _seen(ask, _images(), SEEDS[0])
        return (*map(float, seen.shape), float((~seen.isfinite()).sum()))

    def reaches() -> Numbers:
        image = _images().requires_grad_()
        seen = _seen(ask, image, SEEDS[0])
        if not seen.requires_grad:
            return (0.0,)
        (gradient,) = torch.autograd.grad(seen.square().sum(), image)
        return (float(bool(gradient.isfinite().all()) and bool((gradient != 0).flatten(1).any(1).all())),)

    def again() -> Numbers:
        first, second = (_seen(ask, _images(), SEEDS[0]) for _ in range(2))
        return (float((first - second).abs().amax()),)

    def apart() -> Numbers:
        images = _images(len(SEEDS))
        alone = torch.stack([_seen(ask, image, seed) for image, seed in zip(images, SEEDS, strict=True)])
        return (float((_seen(ask, images, SEEDS) - alone).abs().amax()),)

    return [
        Probe(
            "images keep their shape",
            f"images {list(SHAPE)}: the shape, and how many are not finite",
            (*map(float, SHAPE), 0.0),
            shape,
        ),
        Probe(
            "gradients reach the pixels",
            f"images {list(SHAPE)}: 1 if every image gets a gradient that is finite and not 0",
            (1.0,),
            reaches,
            (Slip("the gradient is cut: the generator learns nothing through the view", (0.0,)),),
        ),
        Probe(
            "the same streams give the same images",
            f"images {list(SHAPE)}, twice with streams of one seed: the largest difference",
            (0.0,),
            again,
            (Slip("it draws from a generator of its own, not from round.streams", lambda came: True),),
        ),
        Probe(
            "replicas keep apart",
            "two replicas at once and one by one, each with its seed: the largest difference",
            (0.0,),
            apart,
            tolerance=1e-9,
        ),
    ]
