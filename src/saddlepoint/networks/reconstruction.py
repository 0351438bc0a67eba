"""A discriminator whose score is the error of its own reconstruction."""

from collections.abc import Sequence

from torch import Tensor, nn

from saddlepoint.networks.network import Discriminator, LastLayer

BERTHELOT = """@article{berthelot2017began,
  title={{BEGAN}: Boundary equilibrium generative adversarial networks},
  author={Berthelot, David and Schumm, Thomas and Metz, Luke},
  journal={arXiv preprint arXiv:1703.10717},
  year={2017}
}"""


class AutoencoderDiscriminator(Discriminator):
    r"""`E(v) = mean |v - D(v)|^power` over the numbers of a sample, `[*, n]`; `D` is the blocks (the encoder) and the head.

    What leaves the last block is the code. The gradient at `v` flows through both terms, so a generator is told by both; the
    discriminator's own gradient does not depend on how `v` was made.

    Args:
        power: 1 for the absolute, 2 for the squared error.
    """

    def __init__(
        self,
        shape: Sequence[int],
        leading: Sequence[int],
        blocks: Sequence[nn.Module],
        head: LastLayer,
        *,
        power: int,
        flat: bool = False,
        dropout: Sequence[float] = (),
        twice_differentiated: bool = False,
    ) -> None:
        super().__init__(shape, leading, blocks, head, flat=flat, dropout=dropout, twice_differentiated=twice_differentiated)
        self.power = power

    def scores_of(self, out: Tensor, image: Tensor) -> Tensor:
        axes = len(self.leading) + 1
        differences = image.flatten(axes) - out.flatten(axes)
        return (differences.abs() if self.power == 1 else differences.square()).mean(-1)
