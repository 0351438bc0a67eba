"""A generator whose samples are symbols, drawn from the distribution that its outputs are."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saddlepoint.alphabets import Alphabet
from saddlepoint.networks.network import Generator
from saddlepoint.rounds import Example


class DiscreteGenerator(Generator):
    """Samples `[*, n, …]` of an alphabet, from latents whose last numbers choose the symbols.

    A latent is that of the network, then one number a position. So a sample is a function of its latent, as that of any generator
    is; no gradient reaches the network through it, only through its log-probability.

    Args:
        network: its outputs, of the shape that the alphabet asks for, are the distribution.
        shape: of one sample.
        uniform: whether latents are uniform on (-1, 1), as against normal.
    """

    def __init__(self, network: Generator, alphabet: Alphabet, shape: Sequence[int], *, uniform: bool) -> None:
        super().__init__(network.latent + alphabet.positions, shape, network.leading, network.body)
        self.alphabet = alphabet
        self.own = network.latent
        self.uniform = uniform

    def forward(self, latents: Tensor) -> Tensor:
        return self.fakes(latents, 1).image

    def fakes(self, latents: Tensor, draws: int) -> Example:
        """Samples, and their log-probabilities `[*, n]` where the network learns.

        Args:
            draws: so many samples in a row are of one distribution, that of the first one's latent.
        """
        axis = len(self.leading)
        first = latents[..., : self.own][..., ::draws, :]
        given: Tensor = self.body(first) if self.fused is None else self.fused(first)
        outputs = given.reshape(*first.shape[: axis + 1], *self.alphabet.outputs)
        outputs = outputs.repeat_interleave(draws, axis) if draws > 1 else outputs
        samples = self.alphabet.sample(outputs, self._choices(latents))
        learns = outputs.requires_grad
        return Example(samples, log_probability=self.alphabet.log_probability(outputs, samples) if learns else None)

    def _choices(self, latents: Tensor) -> Tensor:
        """The last numbers of the latents as numbers that are uniform on [0, 1)."""
        numbers = latents[..., self.own :]
        return (numbers + 1) / 2 if self.uniform else torch.special.ndtr(numbers)


def unbounded(network: Generator) -> Generator:
    """A generator without the tanh at its end, so that its outputs may be logits of any size."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Tanh) and name == "tanh":
                setattr(parent, name, nn.Identity())
    return network
