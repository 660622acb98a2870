"""What preparation gives: a structure with all atoms, ready to be minimised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.md.systems import implicit_system, relaxed


@dataclass(frozen=True, eq=False)
class Prepared:
    """A structure with all atoms, of which amber14 with GBn2 knows every residue."""

    topology: app.Topology
    positions: np.ndarray  # (n_atoms, 3) nm
    notes: tuple[str, ...]  # what was changed, a line each

    def minimised(self) -> np.ndarray:
        """Positions (n_atoms, 3) in nm, minimised in amber14 with GBn2."""
        return relaxed(self.topology, self.positions)

    def system(self) -> openmm.System:
        """The System of amber14 with GBn2."""
        return implicit_system(self.topology)
