"""Which atoms of a topology are near each other, counted in bonds. Atoms are numbered as in the topology."""

from __future__ import annotations

from collections.abc import Iterable

from openmm import app

_NEAR = 3  # bonds: as far as bonded terms of a force field reach


class TopologyBonds:
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
        self._near: dict[int, dict[int, int]] = {}

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

    def is_known(self, atom: int) -> bool:
        """Whether an atom has bonds; lone pairs and Drude particles have none."""
        return atom in self._neighbours

    def n_neighbours(self, atom: int) -> int:
        return len(self._neighbours.get(atom, ()))

    def distance(self, i: int, j: int) -> int | None:
        """Bonds between two atoms; None if there are more than three."""
        return self._distances(i).get(j)

    def pairs(self, atoms: set[int]) -> dict[int, set[tuple[int, int]]]:
        """Pairs (i, j), i < j, of these atoms by the number of bonds between them, 1 to 3."""
        found: dict[int, set[tuple[int, int]]] = {bonds: set() for bonds in range(1, _NEAR + 1)}
        for i in atoms:
            for j, bonds in self._distances(i).items():
                if j in atoms and i < j:
                    found[bonds].add((i, j))
        return found

    def is_path(self, atoms: tuple[int, ...]) -> bool:
        """Whether each atom is bonded to the next."""
        return all(self.are_bonded(i, j) for i, j in zip(atoms, atoms[1:], strict=False))

    def is_within_a_ring(self, path: tuple[int, ...]) -> bool:
        """Whether each bond of a path of bonds is in a ring."""
        return all(self._in_a_ring(i, j) for i, j in zip(path, path[1:], strict=False))

    def centre(self, atoms: tuple[int, ...]) -> int | None:
        """The atom that is bonded to all others."""
        return next((i for i in atoms if all(i == j or self.are_bonded(i, j) for j in atoms)), None)

    def _near_to(self, atom: int) -> set[int]:
        return {atom, *self._distances(atom)}

    def _distances(self, atom: int) -> dict[int, int]:
        """Bonds to each other atom that is near."""
        if atom not in self._near:
            found, edge = {atom: 0}, {atom}
            for bonds in range(1, _NEAR + 1):
                edge = {j for i in edge for j in self._neighbours.get(i, ())} - found.keys()
                found |= dict.fromkeys(edge, bonds)
            del found[atom]
            self._near[atom] = found
        return self._near[atom]

    def _in_a_ring(self, i: int, j: int) -> bool:
        """Whether j can be reached from i without their bond."""
        reached, edge = {i}, self._neighbours[i] - {j}
        while edge and j not in reached:
            reached |= edge
            edge = {b for a in edge for b in self._neighbours[a]} - reached
        return j in reached
