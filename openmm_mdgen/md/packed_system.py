"""Many molecules in one implicit-solvent System, too far apart to feel each other.

One small molecule leaves a processor mostly idle; packed ones share the cost of each step. A *molecule* is one copy of
one peptide, with its own random forces. Lengths are in nanometre, energies in kJ/mol; positions are ``(n_atoms, 3)`` of
all molecules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.batched_gbn2 import BatchedBorn, born_shift, coulomb_shift, require_same_energy
from openmm_mdgen.md.systems import force_field

_LONGEST_BOND = 0.2  # nm, longer than any bond of a protein
_DRIFT = 2.0  # nm that a molecule may move before it is brought back


@dataclass(frozen=True)
class Molecule:
    """One copy of one peptide, at its start."""

    topology: app.Topology
    positions: np.ndarray  # (n, 3), nm


class PackedSystem:
    """A System of separate molecules on a cubic grid.

    The potential energy is the sum of those of the separate molecules without a cutoff: the cutoff, which keeps the
    molecules apart, is longer than any of them.

    Parameters
    ----------
    molecules : sequence of Molecule
    hydrogen_mass : float
        Mass of hydrogens in dalton.
    batched : bool
        Evaluate GBn2 by `BatchedBorn`, which suits OpenMM's CPU platform, instead of OpenMM's own force.

    Attributes
    ----------
    topology : openmm.app.Topology
        All molecules, one after another.
    system : openmm.System
    slices : list of slice
        Atoms of each molecule.
    positions : (n_atoms, 3)
        The start, on the grid.

    Raises
    ------
    MDGenError
        If there is no molecule.
    """

    def __init__(self, molecules: Sequence[Molecule], *, hydrogen_mass: float = 3.0, batched: bool = True) -> None:
        if not molecules:
            raise MDGenError("nothing to pack: give at least one molecule")
        self.slices = _slices([molecule.topology.getNumAtoms() for molecule in molecules])
        extent = max(_longest(molecule.topology) for molecule in molecules)
        cutoff = extent
        self._grid = _grid(len(molecules), spacing=cutoff + extent + 2 * _DRIFT)
        self.positions = self.recentred(np.concatenate([molecule.positions for molecule in molecules]))
        self.topology = _joined([molecule.topology for molecule in molecules])
        self.system = force_field().createSystem(
            self.topology,
            nonbondedMethod=app.CutoffNonPeriodic,
            nonbondedCutoff=cutoff * unit.nanometer,
            constraints=app.HBonds,
            hydrogenMass=hydrogen_mass * unit.amu,
            removeCMMotion=False,
        )
        self._restore_coulomb(batched)
        self.stages = [self.system]

    def recentred(self, positions: np.ndarray) -> np.ndarray:
        """Positions with each molecule back at its place on the grid; call it before any has moved 2 nm."""
        moved = np.array(positions, dtype=np.float64)
        for place, atoms in zip(self._grid, self.slices, strict=True):
            moved[atoms] += place - moved[atoms].mean(axis=0)
        return moved

    def has_drifted(self, positions: np.ndarray) -> bool:
        """Whether a molecule has moved by more than half of what is safe, so that it should be brought back."""
        centres = np.array([positions[atoms].mean(axis=0) for atoms in self.slices])
        return bool((np.linalg.norm(centres - self._grid, axis=1) > _DRIFT / 2).any())

    def _restore_coulomb(self, batched: bool) -> None:
        """Switch the reaction field off, and give back the energy that the cutoff's shift takes."""
        forces = {type(force): (index, force) for index, force in enumerate(self.system.getForces())}
        _, coulomb = forces[openmm.NonbondedForce]
        if openmm.CustomGBForce not in forces:
            raise MDGenError("the System has no implicit solvent: packed molecules need one")
        index, born = forces[openmm.CustomGBForce]
        coulomb.setReactionFieldDielectric(1.0)
        constant = coulomb_shift(coulomb, self.slices)
        if batched:
            stand_in = BatchedBorn(born, self.slices, constant=constant)
            require_same_energy(stand_in, born, self.positions)
            self.system.removeForce(index)
            self.system.addForce(openmm.PythonForce(stand_in))
        else:
            self.system.addForce(_constant_energy(constant + born_shift(born, self.slices)))


def _constant_energy(energy: float) -> openmm.Force:
    force = openmm.CustomExternalForce("shift")
    force.addPerParticleParameter("shift")
    force.addParticle(0, [energy])
    return force


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


def _grid(n: int, *, spacing: float) -> np.ndarray:
    """Places (n, 3) of a cubic lattice around the origin, a spacing apart."""
    side = math.ceil(n ** (1 / 3) - 1e-9)
    places = spacing * np.array([[i % side, i // side % side, i // side**2] for i in range(n)], dtype=float)
    return places - places.mean(axis=0)


def _longest(topology: app.Topology) -> float:
    """Upper bound in nm of the distance between two atoms of a molecule: its longest path of bonds, stretched."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import shortest_path

    n = topology.getNumAtoms()
    bonds = np.array([[bond[0].index, bond[1].index] for bond in topology.bonds()]).T
    paths = shortest_path(coo_matrix((np.ones(bonds.shape[1]), bonds), (n, n)), directed=False, unweighted=True)
    return _LONGEST_BOND * float(paths[np.isfinite(paths)].max())


def _joined(topologies: Sequence[app.Topology]) -> app.Topology:
    modeller = app.Modeller(topologies[0], [openmm.Vec3(0, 0, 0)] * topologies[0].getNumAtoms() * unit.nanometer)
    for topology in topologies[1:]:
        modeller.add(topology, [openmm.Vec3(0, 0, 0)] * topology.getNumAtoms() * unit.nanometer)
    return modeller.topology
