"""How the gradients of the two sides of a loss become one step."""

from saddlepoint.combiners.aw_gan import AwGAN
from saddlepoint.combiners.combiner import Combiner

COMBINERS: dict[str, type[Combiner]] = {
    "aw-gan": AwGAN,
}
