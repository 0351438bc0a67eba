"""Layers that remember something between passes."""

from typing import ClassVar

from torch import nn


class Remembering(nn.Module):
    """A layer whose forward pass changes no buffer: it only notes. Once a turn the owner's trainer settles what was noted."""

    # Whether it has running statistics that can be taken anew.
    stands: ClassVar[bool] = False

    @property
    def remembers(self) -> bool:
        """Whether there is anything to settle or to drop."""
        return True

    def observe(self) -> None:
        """After the owner's update: take what was noted into the buffers."""

    def stand(self) -> None:
        """Take the mean over what was noted as the running statistics."""

    def forget(self) -> None:
        """Drop what was noted."""
