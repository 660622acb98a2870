"""What preparation gives: a structure with all atoms, ready to be minimised."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.errors import StateError
from openmm_mdgen.md.stereochemistry import Stereochemistry, with_hydrogens_outside
from openmm_mdgen.md.systems import implicit_system, minimised_frames, protein_system


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
        """Positions (n_atoms, 3) in nm of a peptide, minimised in amber14 with GBn2.

        Raises
        ------
        StateError
            If that turned a residue into its mirror image, and there is no other structure to begin with.
        """
        structure: Prepared = self
        while True:
            [positions] = minimised_frames(structure.topology, [structure.positions])
            fault = structure.fault(positions)
            if not fault:
                return positions
            structure = structure.drawn_anew(fault)

    def fault(self, positions: np.ndarray) -> str:
        """What is wrong with a start (n_atoms, 3) in nm that came of this structure; empty where nothing is."""
        return "; ".join(self.stereochemistry.mirrored(positions))

    def drawn_anew(self, fault: str) -> Prepared:
        """Another structure in place of one whose start has a fault: the same with its hydrogens put right.

        Raises
        ------
        StateError
            If no hydrogen was on the wrong side of its carbon.
        """
        mended = with_hydrogens_outside(self.topology, self.positions)
        if np.array_equal(mended, self.positions):
            raise StateError(
                f"the start cannot be used: {fault}. Atoms of the structure overlap, and came through each other when "
                "it was minimised: mend it"
            )
        warnings.warn(
            f"minimised, {fault}, since a hydrogen was on the wrong side of its carbon: it is put right", stacklevel=2
        )
        return replace(self, positions=mended)

    @cached_property
    def stereochemistry(self) -> Stereochemistry:
        return Stereochemistry.of(self.topology)

    def to_minimise(self) -> WholeStructure:
        """What a protein is minimised in: amber14 with GBn2, with a cutoff."""
        return WholeStructure(protein_system(self.topology), self.positions, np.arange(len(self.positions)))

    def system(self) -> openmm.System:
        """The System of amber14 with GBn2."""
        return implicit_system(self.topology)
