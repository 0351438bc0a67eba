"""Saddlepoint: a laboratory for generative adversarial networks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddlepoint.run import Run, open_run, train

__all__ = ["Run", "open_run", "train"]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds: the command line answers `--help` without it.
    if name in __all__:
        return getattr(import_module("saddlepoint.run"), name)
    raise AttributeError(f"module 'saddlepoint' has no attribute {name!r}")
