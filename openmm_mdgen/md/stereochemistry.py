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
    around: dict[int, list[app.topology.Atom]] = {}
    for first, second in topology.bonds():
        around.setdefault(first.index, []).append(second)
        around.setdefault(second.index, []).append(first)
    moved = np.array(positions)
    for carbon in topology.atoms():
        hydrogens = [a.index for a in around.get(carbon.index, []) if a.element is app.element.hydrogen]
        heavy = [a.index for a in around.get(carbon.index, []) if a.element is not app.element.hydrogen]
        if carbon.element is not app.element.carbon or len(hydrogens) != 1 or len(heavy) != 3:
            continue
        arms = positions[heavy] - positions[carbon.index]
        inside = (arms / np.linalg.norm(arms, axis=1, keepdims=True)).sum(axis=0)
        arm = positions[hydrogens[0]] - positions[carbon.index]
        if np.dot(arm, inside) > 0 and (among is None or hydrogens[0] in among):
            moved[hydrogens[0]] = positions[carbon.index] - inside * (np.linalg.norm(arm) / np.linalg.norm(inside))
    return moved


def _label(residue: app.topology.Residue) -> str:
    return f"{residue.name} {residue.id}"


def _peptide_bonds(
    topology: app.Topology, atoms: Sequence[Mapping[str, app.topology.Atom]]
) -> Iterator[tuple[app.topology.Atom, ...]]:
    """CA, C, N, CA of each bond of C and N between two residues, by the atoms of each residue; NH2 has no carbon."""
    for first, second in topology.bonds():
        c, n = (first, second) if first.name == "C" else (second, first)
        if c.residue is n.residue or (c.name, n.name) != ("C", "N"):
            continue
        before, after = atoms[c.residue.index], atoms[n.residue.index]
        alpha = before.get("CA") or before.get("CH3")
        other = after.get("CA") or after.get("CH3") or after.get("C")  # the last is the methyl carbon of NME
        if alpha is not None and other is not None:
            yield alpha, c, n, other
