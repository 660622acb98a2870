"""What preparation gives: a structure with all atoms, ready to be minimised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.md.systems import implicit_system, protein_system, relaxed


@dataclass(frozen=True, eq=False)
class WholeStructure:
    """What a protein is minimised with: a System of all that is around it, too."""

    system: openmm.System
    positions: np.ndarray  # (N, 3) nm
    atoms: np.ndarray  # (n_atoms,) int: the protein's


@dataclass(frozen=True, eq=False)
class Prepared:
    """A structure with all atoms, of which amber14 with GBn2 knows every residue."""

    topology: app.Topology
    positions: np.ndarray  # (n_atoms, 3) nm
    notes: tuple[str, ...]  # what was changed, a line each

    def minimised(self) -> np.ndarray:
        """Positions (n_atoms, 3) in nm of a peptide, minimised in amber14 with GBn2."""
        return relaxed(self.topology, self.positions)

    def to_minimise(self) -> WholeStructure:
        """What a protein is minimised in: amber14 with GBn2, with a cutoff."""
        return WholeStructure(protein_system(self.topology), self.positions, np.arange(len(self.positions)))

    def system(self) -> openmm.System:
        """The System of amber14 with GBn2."""
        return implicit_system(self.topology)
