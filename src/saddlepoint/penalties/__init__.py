"""Terms added to a player's loss, each with its own weight. A weight of 0 is absence: the term is not called."""

from saddlepoint.penalties.ct import CT
from saddlepoint.penalties.gradient import R1, R2, WGANGP, Gradient
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.penalties.sdp import SDP

PENALTIES: dict[str, type[Penalty]] = {
    "gradient": Gradient,
    "wgan-gp": WGANGP,
    "r1": R1,
    "r2": R2,
    "sdp": SDP,
    "ct": CT,
}
