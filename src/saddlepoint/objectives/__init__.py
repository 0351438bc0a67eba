"""What each player minimises: per-sample losses from scores. Nothing is averaged here; a weighting reduces."""

from saddlepoint.objectives.began import BEGAN
from saddlepoint.objectives.bgan import BGAN
from saddlepoint.objectives.bgan_discrete import BGANDiscrete
from saddlepoint.objectives.f_gan import FGAN
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.lsgan import LSGAN
from saddlepoint.objectives.maligan import MaliGAN
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.one_sided_label_smoothing import OneSidedLabelSmoothing
from saddlepoint.objectives.pu_gan import PUGAN
from saddlepoint.objectives.relativistic import Relativistic, RelativisticAverage
from saddlepoint.objectives.softmax import Softmax
from saddlepoint.objectives.vanilla import Vanilla
from saddlepoint.objectives.wasserstein import Wasserstein

OBJECTIVES: dict[str, type[Objective]] = {
    "vanilla": Vanilla,
    "lsgan": LSGAN,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "began": BEGAN,
    "softmax": Softmax,
    "one-sided-label-smoothing": OneSidedLabelSmoothing,
    "f-gan": FGAN,
    "relativistic": Relativistic,
    "relativistic-average": RelativisticAverage,
    "pu-gan": PUGAN,
    "bgan": BGAN,
    "maligan": MaliGAN,
    "bgan-discrete": BGANDiscrete,
}
