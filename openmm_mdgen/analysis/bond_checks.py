"""Whether bonds hold in each frame, those to hydrogen too, and whether rings of proline are closed. Nanometre.

A ring of proline is closed where every bond in it and every distance between two neighbours of a ring atom, hydrogens
among them, is near the one of standard lengths and angles: torsions that lead to an open ring show there first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import mdtraj
import numpy as np

from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.geometry.bonds import BondGraph, lengths
from openmm_mdgen.molecule import names as residue_names

LONGEST, LONGEST_TO_HYDROGEN, LONGEST_OF_SULFUR = 0.2, 0.13, 0.25  # nm; bonds are about 0.15, 0.10 and 0.205
_RING = ("N", "CA", "CB", "CG", "CD")
# Standard lengths by elements, nm, and the cosine of the angle between any two neighbours of a ring atom.
_STANDARD = {("C", "C"): 0.1526, ("C", "N"): 0.1463, ("C", "H"): 0.109, ("H", "N"): 0.101}
_COSINE = np.cos(np.radians(109.5))
# nm, of bonds and of distances between two neighbours. MD in amber14 at 350 K stays within 0.014 and 0.030.
_BOND_TOLERANCE, _ANGLE_TOLERANCE = 0.02, 0.035


@dataclass(frozen=True, eq=False)
class BondChecks:
    """What of a molecule's atoms is looked at."""

    bonds: np.ndarray  # (b, 2) int
    longest: np.ndarray  # (b,)
    ring_pairs: np.ndarray  # (p, 2) int, of all rings of proline
    ring_lengths: np.ndarray  # (p,)
    ring_tolerances: np.ndarray  # (p,)

    @classmethod
    def of(cls, topology: mdtraj.Topology, layout: Layout) -> BondChecks:
        """Of the atoms that a file has."""
        symbols = [atom.element.symbol for atom in topology.atoms]
        graph = BondGraph.of(len(symbols), layout.bonds)
        longest = [_longest(symbols[i], symbols[j]) for i, j in graph.bonds.tolist()]
        expected: dict[tuple[int, int], tuple[float, float]] = {}
        for residue in layout.sequence:
            if residue_names.parent(residue.name) == "PRO" and set(_RING) <= residue.atoms.keys():
                expected |= _ring({residue.atoms[name] for name in _RING}, graph, symbols)
        pairs, values = np.array(list(expected), dtype=int), np.array(list(expected.values()), dtype=float)
        return cls(graph.bonds, np.array(longest), pairs.reshape(-1, 2), *values.reshape(-1, 2).T)

    def whole(self, xyz: np.ndarray) -> np.ndarray:
        """(n_frames,) bool: no bond is broken; (n_frames, n_atoms, 3)."""
        return np.all(lengths(xyz, self.bonds) <= self.longest, axis=1)

    def rings(self, xyz: np.ndarray) -> np.ndarray:
        """(n_frames,) bool: every ring of proline is closed; (n_frames, n_atoms, 3)."""
        return np.all(np.abs(lengths(xyz, self.ring_pairs) - self.ring_lengths) <= self.ring_tolerances, axis=1)


def _longest(first: str, second: str) -> float:
    n_sulfur = (first, second).count("S")
    if {first, second} & {"H", "D"}:
        return LONGEST_TO_HYDROGEN + (0.03 if n_sulfur else 0.0)
    return LONGEST_OF_SULFUR if n_sulfur == 2 else LONGEST


def _ring(ring: set[int], graph: BondGraph, symbols: list[str]) -> dict[tuple[int, int], tuple[float, float]]:
    """Expected distances and tolerances of pairs: bonds within the ring, and two neighbours of one of its atoms."""
    found = {}

    def bond(i: int, j: int) -> float | None:
        return _STANDARD.get((min(symbols[i], symbols[j]), max(symbols[i], symbols[j])))

    for corner in sorted(ring):
        around = [k for k in graph.neighbours[corner] if k in ring or symbols[k] == "H"]
        for k in around:
            if k in ring:
                found[min(corner, k), max(corner, k)] = (bond(corner, k) or 0.0, _BOND_TOLERANCE)
        for i, j in combinations(around, 2):
            a, b = bond(corner, i), bond(corner, j)
            if a is not None and b is not None:
                apart = np.sqrt(a * a + b * b - 2 * a * b * _COSINE)
                found[min(i, j), max(i, j)] = (float(apart), _ANGLE_TOLERANCE)
    return found
