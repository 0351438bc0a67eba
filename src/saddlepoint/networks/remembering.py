"""Layers that remember something between passes."""

from torch import nn


class Remembering(nn.Module):
    """A layer whose forward pass changes no buffer: it only notes. Once a turn the owner's trainer settles what was noted."""

    @property
    def remembers(self) -> bool:
        """Whether there is anything to settle or to drop."""
        return True

    def observe(self) -> None:
        """After the owner's update: take what was noted into the buffers."""

    def forget(self) -> None:
        """Drop what was noted."""
