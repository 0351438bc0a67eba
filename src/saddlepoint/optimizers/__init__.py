"""How a player's parameters move: torch's optimizers, optimistic ones, and projections after each step."""

from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.optimistic import OptimisticAdam, OptimisticMirrorDescent
from saddlepoint.optimizers.optimizer import Optimizer, Projection
from saddlepoint.optimizers.plateau import Plateau
from saddlepoint.optimizers.rate_rule import RateRule
from saddlepoint.optimizers.rmsprop import RMSProp
from saddlepoint.optimizers.sgd import SGD
from saddlepoint.optimizers.weight_clipping import WeightClipping

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "rmsprop": RMSProp,
    "sgd": SGD,
    "optimistic-mirror-descent": OptimisticMirrorDescent,
    "optimistic-adam": OptimisticAdam,
}

PROJECTIONS: dict[str, type[Projection]] = {
    "weight-clipping": WeightClipping,
}

RATES: dict[str, type[RateRule]] = {
    "plateau": Plateau,
}
