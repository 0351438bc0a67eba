"""What each player minimises: per-sample losses from scores. Nothing is averaged here; a weighting reduces."""

from saddlepoint.objectives.began import BEGAN
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.lsgan import LSGAN
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.objectives.wasserstein import Wasserstein

OBJECTIVES: dict[str, type[Objective]] = {
    "vanilla": Vanilla,
    "lsgan": LSGAN,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "began": BEGAN,
}
