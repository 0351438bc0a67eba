"""Rules that end a run before its last update."""

from saddlepoint.stops.equilibrium import Equilibrium
from saddlepoint.stops.stop import Stop

STOPS: dict[str, type[Stop]] = {
    "equilibrium": Equilibrium,
}
