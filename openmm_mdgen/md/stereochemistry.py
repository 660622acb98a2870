"""Whether a molecule still has the stereochemistry that its residues' names stand for.

Where atoms overlap, a minimisation may push a carbon through the plane of its neighbours, or turn a peptide bond over;
nothing turns either of them back at ordinary temperatures. Positions are ``(n_atoms, 3)`` in nanometre.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from openmm import app

from openmm_mdgen.errors import StateError
from openmm_mdgen.geometry.bonds import Stereocentres
from openmm_mdgen.molecule.names import parent


@dataclass(frozen=True, eq=False)
class Stereochemistry:
    """The stereocentres and the peptide bonds of a topology."""

    labels: tuple[str, ...]  # of residues, for messages
    centres: Stereocentres
    omegas: np.ndarray  # (p, 4) int: CA, C, N, CA of peptide bonds; the methyl carbon of a cap stands for its CA
    followers: tuple[str, ...]  # (p,): the label of the residue whose N it is

    @classmethod
    def of(cls, topology: app.Topology) -> Stereochemistry:
        """Of a topology with its bonds; what is no amino acid is left alone."""
        atoms = [{atom.name: atom for atom in residue.atoms()} for residue in topology.residues()]
        indices = [{name: atom.index for name, atom in members.items()} for members in atoms]
        names = (parent(residue.name) or "GLY" for residue in topology.residues())  # glycine has no centre
        bonds = list(_peptide_bonds(topology, atoms))
        return cls(
            tuple(map(_label, topology.residues())),
            Stereocentres.of(zip(names, indices, strict=True)),
            np.array([[atom.index for atom in bond] for bond in bonds], dtype=np.int64).reshape(-1, 4),
            tuple(_label(bond[2].residue) for bond in bonds),
        )

    def mirrored(self, positions: np.ndarray) -> list[str]:
        """What each residue is that is no L amino acid, or whose CB is mirrored, in words.

        Nothing is said of positions that are not finite, which are refused elsewhere.
        """
        if not np.isfinite(positions).all():
            return []
        return [f"{self.labels[number]} is {what}" for number, what in self.centres.epimers(positions).items()]

    def require_kept(self, before: np.ndarray, after: np.ndarray) -> None:
        """Refuse what a minimisation has turned over.

        Parameters
        ----------
        before, after : (n_atoms, 3) nm

        Raises
        ------
        StateError
            Naming the residues that were L amino acids `before` and are not `after`.
        """
        turned = set(self.mirrored(after)) - set(self.mirrored(before))
        if turned:
            raise StateError(
                f"atoms of the structure overlap, and minimising turned a residue over: {'; '.join(sorted(turned))}. "
                "Build the peptide from another seed, or move the atoms apart"
            )

    def not_trans(self, positions: np.ndarray) -> list[str]:
        """Peptide bonds that are nearer to cis than to trans, in words."""
        before, c, n, after = (positions[self.omegas[:, k]] for k in range(4))
        axis = n - c
        first, second = np.cross(before - c, axis), np.cross(after - n, axis)
        is_cis = (first * second).sum(-1) > 0
        return [f"the peptide bond before {self.followers[k]} is cis" for k in np.flatnonzero(is_cis)]


def with_hydrogens_outside(
    topology: app.Topology, positions: np.ndarray, *, among: Collection[int] | None = None
) -> np.ndarray:
    """Positions in which no hydrogen stands between the three heavy atoms that its carbon is bonded to.

    OpenMM's Modeller, which adds hydrogens from random places, leaves one there now and then. When that is minimised,
    the carbon goes through the plane of the three.

    Parameters
    ----------
    topology : openmm.app.Topology
        With its bonds.
    positions : (n_atoms, 3), nm
    among : collection of int, optional
        Hydrogens that may be moved. Default: all.

    Returns
    -------
    (n_atoms, 3), nm
        The same where all hydrogens are outside.
    """
    moved = np.array(positions)
    for carbon, heavy, hydrogen in tertiary_carbons(neighbours(topology)):
        arms = positions[[atom.index for atom in heavy]] - positions[carbon.index]
        inside = (arms / np.linalg.norm(arms, axis=1, keepdims=True)).sum(axis=0)
        arm = positions[hydrogen.index] - positions[carbon.index]
        if np.dot(arm, inside) > 0 and (among is None or hydrogen.index in among):
            moved[hydrogen.index] = positions[carbon.index] - inside * (np.linalg.norm(arm) / np.linalg.norm(inside))
    return moved


def neighbours(topology: app.Topology) -> dict[app.topology.Atom, list[app.topology.Atom]]:
    """The atoms that each atom is bonded to, in the order of the bonds."""
    around: dict[app.topology.Atom, list[app.topology.Atom]] = {}
    for first, second in topology.bonds():
        around.setdefault(first, []).append(second)
        around.setdefault(second, []).append(first)
    return around


def tertiary_carbons(
    around: Mapping[app.topology.Atom, Sequence[app.topology.Atom]],
) -> Iterator[tuple[app.topology.Atom, list[app.topology.Atom], app.topology.Atom]]:
    """Carbons of three heavy neighbours and one hydrogen, with these; `around` is what `neighbours` gives."""
    for carbon, bonded in around.items():
        hydrogens = [atom for atom in bonded if atom.element is app.element.hydrogen]
        heavy = [atom for atom in bonded if atom.element is not app.element.hydrogen]
        if carbon.element is app.element.carbon and len(hydrogens) == 1 and len(heavy) == 3:
            yield carbon, heavy, hydrogens[0]


def peptide_links(topology: app.Topology) -> Iterator[tuple[app.topology.Atom, app.topology.Atom]]:
    """C and N of each bond of the two between residues, caps' too."""
    for first, second in topology.bonds():
        c, n = (first, second) if first.name == "C" else (second, first)
        if c.residue is not n.residue and (c.name, n.name) == ("C", "N"):
            yield c, n


def _label(residue: app.topology.Residue) -> str:
    return f"{residue.name} {residue.id}"


def _peptide_bonds(
    topology: app.Topology, atoms: Sequence[Mapping[str, app.topology.Atom]]
) -> Iterator[tuple[app.topology.Atom, ...]]:
    """CA, C, N, CA of each bond of C and N between two residues, by the atoms of each residue; NH2 has no carbon."""
    for c, n in peptide_links(topology):
        before, after = atoms[c.residue.index], atoms[n.residue.index]
        alpha = before.get("CA") or before.get("CH3")
        other = after.get("CA") or after.get("CH3") or after.get("C")  # the last is the methyl carbon of NME
        if alpha is not None and other is not None:
            yield alpha, c, n, other
