"""Warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from openmm import app

# Calls come from these through OpenMM's own loop, as `simulation.step` does.
_INSIDE = (str(Path(__file__).parents[1]), str(Path(app.__file__).parent))


def warn(message: str) -> None:
    """Warn with the first line outside this package and openmm.app as the place."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
