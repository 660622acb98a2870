"""Which forces of a System are a force field's, and which act on top of it: restraints, biases, fields.

A generated frame follows the force field of the training data, whatever else acts in the System. What a force field may
bring passes here: nonbonded terms, implicit solvents, bonded terms between atoms that are near each other in the bond
graph, polarisation, barostats, thermostats. Everything else is a *bias*. Atoms are numbered as in the topology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from openmm import app

_NEAR = 3  # bonds: as far as bonded terms of a force field reach

# By names, since which classes there are depends on the version of OpenMM.
_OF_FORCE_FIELDS = {
    "NonbondedForce",
    "CustomNonbondedForce",
    "CustomManyParticleForce",
    "CustomHbondForce",
    "GayBerneForce",
    "LCPOForce",
    "GBSAOBCForce",
    "CustomGBForce",
    "CMAPTorsionForce",
    "DrudeForce",
    "AmoebaGeneralizedKirkwoodForce",
    "AmoebaMultipoleForce",
    "AmoebaTorsionTorsionForce",
    "AmoebaVdwForce",
    "AmoebaWcaDispersionForce",
    "HippoNonbondedForce",
    "ConstantPotentialForce",
    "CMMotionRemover",
    "AndersenThermostat",
    "CustomVolumeForce",
    "MonteCarloBarostat",
    "MonteCarloAnisotropicBarostat",
    "MonteCarloFlexibleBarostat",
    "MonteCarloMembraneBarostat",
    "RPMDMonteCarloBarostat",
}


@dataclass(frozen=True)
class Bias:
    """A force that generated frames do not feel."""

    label: str  # class, and name where the user gave one
    atom: int | None  # one of the generated atoms that it acts on; None where it does not say on which it acts
    is_metadynamics: bool = False  # made by openmm.app.Metadynamics, which adds to it in the course of a run


class BondGraph:
    """Which atoms of a topology are near each other.

    Parameters
    ----------
    topology : openmm.app.Topology
    """

    def __init__(self, topology: app.Topology) -> None:
        self._neighbours: dict[int, set[int]] = {}
        for i, j in topology.bonds():
            self._neighbours.setdefault(i.index, set()).add(j.index)
            self._neighbours.setdefault(j.index, set()).add(i.index)
        self._near: dict[int, set[int]] = {}

    def are_bonded(self, i: int, j: int) -> bool:
        return j in self._neighbours.get(i, ())

    def share_a_neighbour(self, i: int, j: int) -> bool:
        return bool(self._neighbours.get(i, set()) & self._neighbours.get(j, set()))

    def hang_together(self, atoms: Iterable[int]) -> bool:
        """Whether each atom can be reached from each other one in leaps of at most three bonds within the set.

        Atoms without bonds, such as lone pairs and Drude particles, are left out.
        """
        left = {atom for atom in atoms if atom in self._neighbours}
        reached = {left.pop()} if left else set()
        while more := {atom for atom in left if any(atom in self._near_to(other) for other in reached)}:
            reached |= more
            left -= more
        return not left

    def turning_bonds(self, moved: set[int]) -> set[tuple[int, int]]:
        """Bonds of these atoms, outside rings, about which a torsion is defined."""
        return {
            (i, j)
            for i in moved
            for j in self._neighbours.get(i, ())
            if i < j and j in moved and len(self._neighbours[i]) > 1 < len(self._neighbours[j])
            if not self._in_a_ring(i, j)
        }

    def _near_to(self, atom: int) -> set[int]:
        if atom not in self._near:
            reached, edge = {atom}, {atom}
            for _ in range(_NEAR):
                edge = {j for i in edge for j in self._neighbours.get(i, ())} - reached
                reached |= edge
            self._near[atom] = reached
        return self._near[atom]

    def _in_a_ring(self, i: int, j: int) -> bool:
        """Whether j can be reached from i without their bond."""
        reached, edge = {i}, self._neighbours[i] - {j}
        while edge and j not in reached:
            reached |= edge
            edge = {b for a in edge for b in self._neighbours[a]} - reached
        return j in reached


def biases(system: openmm.System, graph: BondGraph, moved: np.ndarray) -> list[Bias]:
    """The forces that act on moved atoms on top of a force field.

    Parameters
    ----------
    system : openmm.System
    graph : BondGraph
        Of the topology that the System is of.
    moved : (n_moved,) int
        The atoms that the generator places.

    Returns
    -------
    list of Bias
        In the order of the System's forces.
    """
    atoms = set(moved.tolist())
    return [bias for force in system.getForces() if (bias := _bias(force, graph, atoms))]


def has_implicit_solvent(system: openmm.System) -> bool:
    kinds = openmm.GBSAOBCForce | openmm.CustomGBForce | openmm.AmoebaGeneralizedKirkwoodForce
    return any(isinstance(force, kinds) for force in system.getForces())


def _bias(force: openmm.Force, graph: BondGraph, moved: set[int]) -> Bias | None:
    kind = type(force).__name__
    if kind in _OF_FORCE_FIELDS:
        return None
    if kind in _TERMS:
        atom = _far_term(force, graph, moved)
        if atom is None and isinstance(force, openmm.CustomTorsionForce):
            atom = _few_torsions(force, graph, moved)
        return None if atom is None else Bias(_label(force), atom)
    acted_on = atoms_of(force)
    if acted_on is None:
        return Bias(_label(force), None, _is_metadynamics(force))
    atom = min(acted_on & moved, default=None)
    return None if atom is None else Bias(_label(force), atom, _is_metadynamics(force))


def atoms_of(force: openmm.Force) -> set[int] | None:
    """The atoms that a force acts on; None where it does not say so, or on all."""
    kind = type(force).__name__
    if kind in _TERMS:
        return {atom for term in _TERMS[kind](force) for atom in term}
    if kind in _ATOMS:
        return set(_ATOMS[kind](force))
    if hasattr(force, "getParticles"):  # deviation from a structure, radius of gyration and their like
        return set(force.getParticles()) or None
    if isinstance(force, openmm.CustomCVForce):
        inner = [atoms_of(force.getCollectiveVariable(k)) for k in range(force.getNumCollectiveVariables())]
        return None if any(atoms is None for atoms in inner) else set().union(*(atoms or () for atoms in inner))
    return None


def _far_term(force: openmm.Force, graph: BondGraph, moved: set[int]) -> int | None:
    """A moved atom in a term of atoms that are not near each other."""
    for term in _TERMS[type(force).__name__](force):
        touched = moved.intersection(term)
        if touched and not graph.hang_together(term):
            return min(touched)
    return None


def _few_torsions(force: openmm.CustomTorsionForce, graph: BondGraph, moved: set[int]) -> int | None:
    """A moved atom of a force on torsions that is no force field's, since most bonds are left out.

    Terms that are no torsions along bonds are impropers, which force fields have where they need them.
    """
    turning = graph.turning_bonds(moved)
    covered: dict[tuple[int, int], int] = {}
    for i, j, k, m in _TERMS["CustomTorsionForce"](force):
        bond = (min(j, k), max(j, k))
        if bond in turning and graph.are_bonded(i, j) and graph.are_bonded(k, m):
            covered[bond] = j
    return min(covered.values()) if covered and len(covered) < len(turning) / 2 else None


def _is_metadynamics(force: openmm.Force) -> bool:
    """Whether openmm.app.Metadynamics made this force: a table of collective variables, and nothing else."""
    if not isinstance(force, openmm.CustomCVForce) or force.getNumTabulatedFunctions() != 1:
        return False
    return force.getTabulatedFunctionName(0) == "table" and bool(re.match(r"table\(cv0\b", force.getEnergyFunction()))


def _label(force: openmm.Force) -> str:
    kind, name = type(force).__name__, force.getName()
    if kind == "Force":  # of another package, whose classes are not loaded
        return name
    return kind if name in ("", kind) else f"{kind} {name!r}"


def _terms(count: str, parameters: str, n: int) -> Callable[[Any], Iterator[tuple[int, ...]]]:
    """Reads the atoms of each term of a bonded force."""

    def read(force: Any) -> Iterator[tuple[int, ...]]:
        for k in range(getattr(force, count)()):
            yield tuple(getattr(force, parameters)(k)[:n])

    return read


def _compound_terms(force: Any) -> Iterator[tuple[int, ...]]:
    return (tuple(force.getBondParameters(k)[0]) for k in range(force.getNumBonds()))


def _external_atoms(force: Any) -> Iterator[int]:
    return (force.getParticleParameters(k)[0] for k in range(force.getNumParticles()))


def _centroid_atoms(force: Any) -> Iterator[int]:
    groups = {group for k in range(force.getNumBonds()) for group in force.getBondParameters(k)[0]}
    return (atom for group in groups for atom in force.getGroupParameters(group)[0])


_TERMS = {
    "HarmonicBondForce": _terms("getNumBonds", "getBondParameters", 2),
    "CustomBondForce": _terms("getNumBonds", "getBondParameters", 2),
    "HarmonicAngleForce": _terms("getNumAngles", "getAngleParameters", 3),
    "CustomAngleForce": _terms("getNumAngles", "getAngleParameters", 3),
    "PeriodicTorsionForce": _terms("getNumTorsions", "getTorsionParameters", 4),
    "RBTorsionForce": _terms("getNumTorsions", "getTorsionParameters", 4),
    "CustomTorsionForce": _terms("getNumTorsions", "getTorsionParameters", 4),
    "CustomCompoundBondForce": _compound_terms,
}
_ATOMS: dict[str, Callable[[Any], Iterable[int]]] = {
    "CustomExternalForce": _external_atoms,
    "CustomCentroidBondForce": _centroid_atoms,
}
