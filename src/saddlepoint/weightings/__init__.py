"""How per-sample losses become one: weights of mean 1. No weighting at all is the plain mean."""

from saddlepoint.weightings.importance import Importance
from saddlepoint.weightings.wegan import WeGAN
from saddlepoint.weightings.weighting import Weighting

WEIGHTINGS: dict[str, type[Weighting]] = {
    "wegan": WeGAN,
    "importance": Importance,
}
