"""Nanometre outside, ångström inside: where one becomes the other.

Positions that users give and get are in nanometre, as OpenMM has them; rigids and tokens are in ångström.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid

ANGSTROM_PER_NM = 10.0

Lengths = TypeVar("Lengths", np.ndarray, Tensor)


def to_angstrom(nanometres: Lengths) -> Lengths:
    return nanometres * ANGSTROM_PER_NM


def to_nm(angstroms: Lengths) -> Lengths:
    return angstroms / ANGSTROM_PER_NM


def moved(motion: Rigid, positions: Tensor) -> Tensor:
    """Positions (..., 3) in nm, moved by a rigid in ångström; batch axes broadcast."""
    return to_nm(motion.apply(to_angstrom(positions)))
