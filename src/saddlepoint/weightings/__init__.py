"""How per-sample losses become one: weights of mean 1. No weighting at all is the plain mean."""

from saddlepoint.weightings.fake_can_be_real import FakeCanBeReal
from saddlepoint.weightings.importance import Importance
from saddlepoint.weightings.relabelling import Relabelling
from saddlepoint.weightings.top_k import TopK
from saddlepoint.weightings.wegan import WeGAN
from saddlepoint.weightings.weighting import Weighting

WEIGHTINGS: dict[str, type[Weighting]] = {
    "wegan": WeGAN,
    "importance": Importance,
    "top-k": TopK,
}

RELABELLINGS: dict[str, type[Relabelling]] = {
    "fake-can-be-real": FakeCanBeReal,
}
