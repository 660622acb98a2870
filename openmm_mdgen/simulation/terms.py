"""Bonded terms of a System: which a force field has, and which someone added.

A force field has a term wherever its pattern is found: for nearly all bonds, all angles, all bonds that turn. A
restraint, or the bias of an umbrella window, has one at the few places that are held. So terms are counted against the
places where a force field would have them, as far as it has no form that only a force field has. Atoms are numbered
as in the topology.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openmm

from openmm_mdgen.simulation.bonding import TopologyBonds

_UREY_BRADLEY = 2  # bonds between the atoms of such a term, which a force field has for few or for many angles

# Share of places below which terms are none of a force field. AMOEBA splits angles into two forces.
_LEAST_OF_PAIRS = {1: 0.25, 2: 0.08, 3: 0.08}  # by bonds between the two atoms
_LEAST_OF_ANGLES = 0.25
_LEAST_OF_TORSIONS = 0.5
_LEAST_OF_MORE_TORSIONS = 0.9  # of custom torsions, and of a second force on torsions
_LEAST_OF_OTHERS = 0.5


class BondedTerms:
    """The places in a molecule at which bonded terms lie.

    Parameters
    ----------
    system : openmm.System
    graph : TopologyBonds
        Of the topology that the System is of.
    moved : set of int
        The atoms that the generator places.
    """

    def __init__(self, system: openmm.System, graph: TopologyBonds, moved: set[int]) -> None:
        self._graph, self._moved = graph, moved
        constrained = (system.getConstraintParameters(k) for k in range(system.getNumConstraints()))
        held = {(min(i, j), max(i, j)) for i, j, _ in constrained}
        # A constraint takes the place of a term in some force fields' Systems.
        self._n_pairs = {bonds: len(pairs - held) for bonds, pairs in graph.pairs(moved).items()}
        self._n_turning = len(graph.turning_bonds(moved))

    def added_atom(self, force: openmm.Force, *, is_largest: bool) -> int | None:
        """A moved atom of a term that no force field has; None where all may be a force field's.

        Parameters
        ----------
        force : openmm.Force
            Of a class in `TERMS`.
        is_largest : bool
            Whether no other force of its class has more terms.
        """
        touched = [term for term in terms_of(force) if self._moved.intersection(term)]
        for term in touched:
            if not self._graph.hang_together(term):
                return self._moved_atom(term)
        touched = [term for term in touched if all(map(self._graph.is_known, term))]
        if not touched or force.getName().startswith("Amoeba"):
            return None
        kind = type(force).__name__
        if "CompoundBond" in kind:
            return self._few(touched, len(touched), self._n_turning * _LEAST_OF_OTHERS)
        if "Torsion" in kind:
            usual = is_largest and kind != "CustomTorsionForce"
            return self._of_torsions(touched, _LEAST_OF_TORSIONS if usual else _LEAST_OF_MORE_TORSIONS)
        return (
            self._of_angles(touched)
            if "Angle" in kind
            else self._of_pairs(touched, is_harmonic=kind == "HarmonicBondForce")
        )

    def _of_pairs(self, terms: list[tuple[int, ...]], *, is_harmonic: bool) -> int | None:
        for bonds, least in _LEAST_OF_PAIRS.items():
            if bonds == _UREY_BRADLEY and is_harmonic:
                continue
            own = [term for term in terms if self._graph.distance(term[0], term[1]) == bonds]
            if (atom := self._few(own, len(set(own)), least * self._n_pairs[bonds])) is not None:
                return atom
        return None

    def _of_angles(self, terms: list[tuple[int, ...]]) -> int | None:
        paths = {term for term in terms if self._graph.is_path(term)}
        for term in terms:
            if term not in paths:
                return self._moved_atom(term)
        return self._few(terms, len(paths), _LEAST_OF_ANGLES * self._n_pairs[2])

    def _of_torsions(self, terms: list[tuple[int, ...]], least: float) -> int | None:
        """Torsions along bonds are counted by the bonds that they turn; others are a force field's at flat centres."""
        graph = self._graph
        along: list[tuple[int, ...]] = []
        bonds: set[tuple[int, int]] = set()
        for term in terms:
            if graph.is_path(term):
                if not graph.is_within_a_ring(term):  # such terms keep rings flat
                    along.append(term)
                    bonds.add((min(term[1:3]), max(term[1:3])))
                continue
            centre = graph.centre(term)
            if centre is None or graph.n_neighbours(centre) > 3:
                return self._moved_atom(term)
        central = [term[1:3] for term in along if self._moved.intersection(term[1:3])]
        return self._few(central, len(bonds), least * self._n_turning)

    def _few(self, terms: list[tuple[int, ...]], n_places: int, least: float) -> int | None:
        """An atom of these terms if they lie at fewer places than a force field's would."""
        return self._moved_atom(terms[0]) if terms and n_places < least else None

    def _moved_atom(self, term: tuple[int, ...]) -> int:
        return min(self._moved.intersection(term))


def terms_of(force: openmm.Force) -> Iterator[tuple[int, ...]]:
    """The atoms of each term of a force of a class in `TERMS`."""
    return TERMS[type(force).__name__](force)


def n_terms(force: openmm.Force) -> int:
    """Number of terms; 0 for a force of a class that is not in `TERMS`."""
    return sum(1 for _ in terms_of(force)) if type(force).__name__ in TERMS else 0


def _reader(count: str, parameters: str, n: int) -> Callable[[Any], Iterator[tuple[int, ...]]]:
    """Reads the atoms of each term of a bonded force."""

    def read(force: Any) -> Iterator[tuple[int, ...]]:
        for k in range(getattr(force, count)()):
            yield tuple(getattr(force, parameters)(k)[:n])

    return read


def _compound_terms(force: Any) -> Iterator[tuple[int, ...]]:
    return (tuple(force.getBondParameters(k)[0]) for k in range(force.getNumBonds()))


TERMS = {
    "HarmonicBondForce": _reader("getNumBonds", "getBondParameters", 2),
    "CustomBondForce": _reader("getNumBonds", "getBondParameters", 2),
    "HarmonicAngleForce": _reader("getNumAngles", "getAngleParameters", 3),
    "CustomAngleForce": _reader("getNumAngles", "getAngleParameters", 3),
    "PeriodicTorsionForce": _reader("getNumTorsions", "getTorsionParameters", 4),
    "RBTorsionForce": _reader("getNumTorsions", "getTorsionParameters", 4),
    "CustomTorsionForce": _reader("getNumTorsions", "getTorsionParameters", 4),
    "CustomCompoundBondForce": _compound_terms,
}
