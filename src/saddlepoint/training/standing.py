"""Standing statistics: batch norm's running statistics taken anew from one set of weights, to sample from."""

import copy

import torch

from saddlepoint.networks.coupling import share_batch
from saddlepoint.networks.network import Generator
from saddlepoint.processes import ALONE
from saddlepoint.recipe import Recipe
from saddlepoint.streams import Streams
from saddlepoint.training.assembly import Latents, latents_of


@torch.no_grad()
def standing(generator: Generator, latents: Latents, streams: Streams, batches: int, n: int) -> Generator:
    """A copy of the generator, in eval mode, whose running statistics are the means over `batches` batches of `n` in train mode.

    The generator itself is left as it is; without such statistics it is what comes back. What is drawn depends on the streams' seed
    alone. As torch does, the mean of the within-batch variances is taken: what the batches' means differ by is no part of it.

    Source: Brock et al. 2019, appendix D; Izmailov et al. 2018, section 3.2.
    """
    if not any(layer.stands for layer in generator.remembering):
        return generator
    stood = copy.deepcopy(generator)
    share_batch(stood, ALONE)
    own = streams.apart("standing statistics").whole
    stood.train()
    stood.forget()
    for _ in range(batches):
        stood(latents(own, "latents", n))
    for layer in stood.remembering:
        layer.stand()
    stood.forget()
    return stood.requires_grad_(False).eval()


def sampling(recipe: Recipe, generator: Generator, streams: Streams) -> Generator:
    """The generator as its recipe samples from it: with standing statistics where it asks for them, else as it is.

    Args:
        streams: of the recipe's seed.
    """
    batches, schedule = recipe.average.standing_batches, recipe.schedule
    if batches is None:
        return generator
    return standing(generator, latents_of(recipe), streams, batches, schedule.generator_batch or schedule.batch)
