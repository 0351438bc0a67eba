"""Saddlepoint: a laboratory for generative adversarial networks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddlepoint.evaluating import evaluate
    from saddlepoint.run import Run, open_run, train

__all__ = ["Run", "evaluate", "open_run", "train"]

MODULES = {"evaluate": "saddlepoint.evaluating"}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds: the command line answers `--help` without it.
    if name in __all__:
        return getattr(import_module(MODULES.get(name, "saddlepoint.run")), name)
    raise AttributeError(f"module 'saddlepoint' has no attribute {name!r}")
