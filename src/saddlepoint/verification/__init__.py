"""Probes whose answers are known by hand, for every method of ours and for anybody's own."""

from saddlepoint.verification.probe import Outcome, Probe, Slip
from saddlepoint.verification.verify import verify

__all__ = ["Outcome", "Probe", "Slip", "verify"]
