"""How a round goes: who moves when, and what follows a round."""

from saddlepoint.turns.extragradient import Extragradient, ExtragradientFromThePast
from saddlepoint.turns.lookahead import Lookahead
from saddlepoint.turns.play import Alternating, Simultaneous, Turns

TURNS: dict[str, type[Turns]] = {
    "alternating": Alternating,
    "simultaneous": Simultaneous,
    "extragradient": Extragradient,
    "extragradient-from-the-past": ExtragradientFromThePast,
}

SLOW_WEIGHTS: dict[str, type[Lookahead]] = {
    "lookahead": Lookahead,
}
