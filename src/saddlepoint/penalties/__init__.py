"""Terms added to a player's loss, each with its own weight. A weight of 0 is absence: the term is not called."""

from saddlepoint.penalties.consistency import BCR, CR
from saddlepoint.penalties.ct import CT
from saddlepoint.penalties.drift import Drift
from saddlepoint.penalties.feature_matching import FeatureMatching
from saddlepoint.penalties.gradient import DRAGAN, R1, R2, WGANGP, Gradient, ZeroGP
from saddlepoint.penalties.historical_averaging import HistoricalAveraging
from saddlepoint.penalties.lecam import LeCam
from saddlepoint.penalties.orthogonal import Orthogonal
from saddlepoint.penalties.path_length import PathLength
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.sdp import SDP
from saddlepoint.penalties.zcr import ZCR, ZCRGenerator

PENALTIES: dict[str, type[Penalty]] = {
    "gradient": Gradient,
    "wgan-gp": WGANGP,
    "r1": R1,
    "r2": R2,
    "0-gp": ZeroGP,
    "dragan": DRAGAN,
    "sdp": SDP,
    "ct": CT,
    "drift": Drift,
    "lecam": LeCam,
    "historical-averaging": HistoricalAveraging,
    "orthogonal": Orthogonal,
    "cr": CR,
    "bcr": BCR,
    "zcr": ZCR,
    "zcr-generator": ZCRGenerator,
    "feature-matching": FeatureMatching,
    "path-length": PathLength,
}
